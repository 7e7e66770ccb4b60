//! Probes of one bot: requests that ask for nothing, at planned times. Their answers are the round
//! trips of a run.
//!
//! A round trip counts from the planned time. What the client cannot take at that time counts as
//! well, and what is never answered counts for as long as it waited: a server that pauses shows as
//! latency and not as fewer samples.

use std::collections::VecDeque;
use std::time::Duration;

use rejoin_client::Core;
use rejoin_protocol::Timestamp;
use rejoin_protocol::message::CallId;

/// Probes that may wait, answered or not: 50 s at 5 Hz, longer than a client believes in a silent
/// server. Beyond it the oldest is counted for as long as it waited.
const WAITING_MAX: usize = 256;

/// A kind of room that no server has. A list of none of its rooms is the least that a server can be
/// asked: it looks nothing up and answers in the turn of the question.
const NOTHING: &str = "probe";

/// One bot's probes.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    waiting: VecDeque<Waiting>,
    /// Probes planned.
    pub(crate) planned: u64,
    /// Probes answered.
    pub(crate) answered: u64,
}

/// A probe without an answer yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// `None` if the client could not take it: the next answer tells for it.
    call: Option<CallId>,
    planned: Timestamp,
}

impl Probes {
    /// Sends the probe that was planned for `planned`.
    pub(crate) fn send(
        &mut self,
        core: &mut Core,
        planned: Timestamp,
        now: Timestamp,
        tell: impl FnMut(Duration),
    ) {
        let call = core.list(Some(NOTHING), Vec::new(), 0).ok();
        self.on_sent(call, planned, now, tell);
    }

    fn on_sent(
        &mut self,
        call: Option<CallId>,
        planned: Timestamp,
        now: Timestamp,
        mut tell: impl FnMut(Duration),
    ) {
        self.planned += 1;
        if self.waiting.len() >= WAITING_MAX
            && let Some(oldest) = self.waiting.pop_front()
        {
            tell(now.since(oldest.planned));
        }
        self.waiting.push_back(Waiting { call, planned });
    }

    /// Takes an answer: tells the round trip if it is one of a probe. False if it is not.
    ///
    /// A refusal is an answer: the server was there to give it.
    pub(crate) fn on_answer(
        &mut self,
        call: CallId,
        now: Timestamp,
        mut tell: impl FnMut(Duration),
    ) -> bool {
        let Some(place) = self
            .waiting
            .iter()
            .position(|probe| probe.call == Some(call))
        else {
            return false;
        };
        let mut index = 0;
        self.waiting.retain(|probe| {
            let untaken_before = index < place && probe.call.is_none();
            let answered = index == place || untaken_before;
            index += 1;
            if answered {
                self.answered += 1;
                tell(now.since(probe.planned));
            }
            !answered
        });
        true
    }

    /// The client that waited for answers is dead, and nobody waits any more.
    pub(crate) fn on_killed(&mut self) {
        self.planned -= u64::try_from(self.waiting.len()).unwrap_or(0);
        self.waiting.clear();
    }

    /// Gives up on what still waits: tells how long it has.
    pub(crate) fn give_up(&mut self, now: Timestamp, mut tell: impl FnMut(Duration)) {
        for probe in self.waiting.drain(..) {
            tell(now.since(probe.planned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// What `act` tells, in milliseconds.
    fn told(act: impl FnOnce(&mut dyn FnMut(Duration))) -> Vec<u128> {
        let mut told = Vec::new();
        act(&mut |span| told.push(span.as_millis()));
        told
    }

    fn sent(calls: &[(Option<CallId>, u64)]) -> Probes {
        let mut probes = Probes::default();
        for (call, planned) in calls {
            // Each is sent late: what counts is when it was planned.
            probes.on_sent(*call, at(*planned), at(planned + 5), |_| {
                panic!("nothing is over")
            });
        }
        probes
    }

    #[test]
    fn a_round_trip_counts_from_the_planned_time() {
        let mut probes = sent(&[(Some(1), 10), (Some(2), 20)]);
        assert_eq!(
            told(|tell| assert!(probes.on_answer(2, at(50), tell))),
            [30]
        );
        assert_eq!(
            told(|tell| assert!(probes.on_answer(1, at(60), tell))),
            [50]
        );
        assert_eq!(told(|tell| assert!(!probes.on_answer(1, at(70), tell))), []);
        assert_eq!((probes.planned, probes.answered), (2, 2));
    }

    #[test]
    fn what_could_not_be_sent_waits_for_the_next_answer() {
        let mut probes = sent(&[(Some(1), 10), (None, 20), (Some(2), 30), (None, 40)]);
        assert_eq!(
            told(|tell| assert!(probes.on_answer(2, at(100), tell))),
            [80, 70]
        );
        assert_eq!(told(|tell| probes.give_up(at(200), tell)), [190, 160]);
        assert_eq!((probes.planned, probes.answered), (4, 2));
    }

    #[test]
    fn what_waits_is_bounded_and_still_counted() {
        let mut probes = Probes::default();
        let mut count = 0;
        for call in 0..300 {
            probes.on_sent(Some(call), at(0), at(u64::from(call)), |_| count += 1);
        }
        probes.give_up(at(300), |_| count += 1);
        assert_eq!(count, 300);
    }
}
