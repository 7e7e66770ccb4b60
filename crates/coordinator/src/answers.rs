//! Answers to those who have no connection, until they are sent.
//!
//! What a handshake came to goes first, and goodbyes. Demands, which anyone can cause from any address, leave a few a
//! turn: under a flood of hellos the rest of the turn belongs to the players.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::limits::{DEMANDS_MAX, DEMANDS_PER_TURN, REPLIES_MAX};

/// What a datagram without a connection is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What its handshake came to, or the goodbye of a connection that is no more.
    Reply(Vec<u8>),
    /// No handshake: come again with this cookie, or with one of these versions.
    Demand(Vec<u8>),
}

impl Answer {
    /// What is sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Reply(bytes) | Self::Demand(bytes) => bytes,
        }
    }
}

/// See the module page.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    replies: VecDeque<(SocketAddr, Vec<u8>)>,
    demands: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Demands that left in this turn.
    demanded: usize,
}

impl Answers {
    /// True if a handshake would be for nothing: its reply has no place.
    pub(crate) fn is_full(&self) -> bool {
        self.replies.len() >= REPLIES_MAX
    }

    /// True if a demand has no place.
    pub(crate) fn has_demands_enough(&self) -> bool {
        self.demands.len() >= DEMANDS_MAX
    }

    /// Keeps an answer until it is sent; one that has no place is dropped.
    pub(crate) fn push(&mut self, to: SocketAddr, answer: Answer) {
        let (queue, most, bytes) = match answer {
            Answer::Reply(bytes) => (&mut self.replies, REPLIES_MAX, bytes),
            Answer::Demand(bytes) => (&mut self.demands, DEMANDS_MAX, bytes),
        };
        if queue.len() < most {
            queue.push_back((to, bytes));
        }
    }

    /// The next answer to send in this turn.
    pub(crate) fn pop(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        if self.demanded == DEMANDS_PER_TURN {
            return None;
        }
        let demand = self.demands.pop_front()?;
        self.demanded += 1;
        Some(demand)
    }

    /// A turn begins.
    pub(crate) fn on_turn(&mut self) {
        self.demanded = 0;
    }

    /// True if nothing waits, for this turn or another.
    pub(crate) fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.demands.is_empty()
    }

    /// Checks that what waits is bounded.
    pub(crate) fn check(&self) {
        assert!(
            self.replies.len() <= REPLIES_MAX && self.demands.len() <= DEMANDS_MAX,
            "answers that wait are bounded"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(number: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(number).unwrap()))
    }

    #[test]
    fn demands_wait_for_replies_and_leave_a_few_a_turn() {
        let mut answers = Answers::default();
        for number in 0..2 * DEMANDS_PER_TURN {
            answers.push(from(number), Answer::Demand(vec![1]));
        }
        answers.push(from(9), Answer::Reply(vec![2]));
        assert_eq!(answers.pop(), Some((from(9), vec![2])));
        for turn in 0..2 {
            let sent: Vec<_> = std::iter::from_fn(|| answers.pop()).collect();
            assert_eq!(sent.len(), DEMANDS_PER_TURN);
            assert_eq!(sent[0], (from(turn * DEMANDS_PER_TURN), vec![1]));
            answers.push(from(9), Answer::Reply(vec![2]));
            assert_eq!(answers.pop(), Some((from(9), vec![2])), "never held back");
            answers.on_turn();
        }
        assert!(answers.is_empty());
    }

    #[test]
    fn both_queues_are_bounded_and_drop_what_is_newest() {
        let mut answers = Answers::default();
        for number in 0..2 * DEMANDS_MAX {
            let full = answers.has_demands_enough();
            assert_eq!(full, number >= DEMANDS_MAX);
            answers.push(from(number), Answer::Demand(vec![1]));
            answers.push(from(number), Answer::Reply(vec![2]));
        }
        assert!(answers.is_full());
        assert_eq!(
            (answers.demands.len(), answers.replies.len()),
            (DEMANDS_MAX, REPLIES_MAX)
        );
        assert_eq!(answers.pop(), Some((from(0), vec![2])));
    }
}
