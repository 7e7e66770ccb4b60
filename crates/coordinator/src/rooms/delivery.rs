//! How far one member's view has come: what was sent, what arrived, what deltas may build on.

use std::collections::VecDeque;

use rejoin_protocol::Fetch;
use rejoin_protocol::limits::SNAPSHOT_RING;
use rejoin_protocol::planted::{self, Bug};

use crate::limits::IN_FLIGHT_MAX;

/// Snapshots of one member on one connection.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// True if the member sees private views.
    private: bool,
    /// Snapshots sent since the delivery began.
    count: u64,
    /// The newest sent.
    last: Option<Sent>,
    /// Those whose fate is open, oldest first.
    in_flight: VecDeque<Numbered>,
    /// The newest that the client is known to have.
    base: Option<Numbered>,
    /// The one on the ordered stream that is not acknowledged.
    on_stream: Option<u64>,
}

/// The newest snapshot that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    /// Its name.
    sequence: u64,
    /// The name under which its bytes were first shown.
    content: u64,
    /// The cursor it told.
    cursor: u64,
    lost: bool,
}

/// A snapshot that was sent, as long as it matters whether it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbered {
    /// Its name.
    sequence: u64,
    /// Its place among those sent.
    number: u64,
}

/// What a member should know by now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The newest snapshot's name.
    pub(crate) sequence: u64,
    /// The name under which its bytes were first shown.
    pub(crate) content: u64,
    /// The member's cursor at that view.
    pub(crate) cursor: u64,
}

/// Which lane a snapshot took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Unreliable.
    Latest,
    /// The ordered stream: at most one at a time.
    Ordered,
}

impl Delivery {
    /// Starts full after a change between shared and private views.
    pub(crate) fn show_private(&mut self, private: bool) {
        if self.private != private {
            *self = Self {
                private,
                ..Self::default()
            };
        }
    }

    /// The client has nothing any more, or nothing of use.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            private: self.private,
            ..Self::default()
        };
    }

    /// The client has shared snapshot `sequence` from an earlier delivery.
    pub(crate) fn adopt(&mut self, sequence: u64) {
        if !self.private {
            self.base = Some(Numbered {
                sequence,
                number: self.count,
            });
        }
    }

    /// See [`crate::fetch`].
    pub(crate) fn fetch_parts(&self, fetch: Fetch) {
        fetch.ends(self.in_flight.as_slices().0);
    }

    /// True if the member sees private views.
    pub(crate) const fn is_private(&self) -> bool {
        self.private
    }

    /// True while a snapshot on the ordered stream is not acknowledged.
    pub(crate) const fn is_on_stream(&self) -> bool {
        self.on_stream.is_some()
    }

    /// True if a snapshot is to be sent: there is news, or the newest one was lost. What is in
    /// flight is not sent again.
    pub(crate) fn is_due(&self, wanted: Wanted) -> bool {
        if self.on_stream.is_some() {
            return false;
        }
        let Some(last) = self.last else { return true };
        if self
            .base
            .is_some_and(|base| base.sequence >= wanted.sequence)
        {
            return false;
        }
        last.lost || wanted.content > last.content || wanted.cursor > last.cursor
    }

    /// The snapshot that the next one may build on: the newest the client is known to have and
    /// has not dropped from its own ring.
    pub(crate) fn base(&self) -> Option<u64> {
        let base = match self.last.filter(|_| planted::is(Bug::DeltaAgainstUnacked)) {
            Some(last) => Some(Numbered {
                sequence: last.sequence,
                number: self.count,
            }),
            None => self.base,
        };
        let ring = u64::try_from(SNAPSHOT_RING).expect("the ring is small");
        base.filter(|base| self.count - base.number < ring)
            .map(|base| base.sequence)
    }

    /// The oldest snapshot that a later one may build on.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let waiting = self.in_flight.front();
        [self.base.as_ref(), waiting]
            .into_iter()
            .flatten()
            .map(|sent| sent.sequence)
            .min()
    }

    /// A snapshot was sent.
    pub(crate) fn on_sent(&mut self, wanted: Wanted, lane: Lane) {
        self.count += 1;
        let Wanted {
            sequence,
            content,
            cursor,
        } = wanted;
        self.last = Some(Sent {
            sequence,
            content,
            cursor,
            lost: false,
        });
        self.in_flight.push_back(Numbered {
            sequence,
            number: self.count,
        });
        if self.in_flight.len() > IN_FLIGHT_MAX {
            self.in_flight.pop_front();
        }
        if lane == Lane::Ordered {
            self.on_stream = Some(sequence);
        }
    }

    /// The client has snapshot `sequence`.
    pub(crate) fn on_acked(&mut self, sequence: u64) {
        if self.on_stream == Some(sequence) {
            self.on_stream = None;
        }
        // Oldest first: what was sent before it needs no answer any more.
        while let Some(sent) = self.in_flight.front().copied()
            && sent.sequence <= sequence
        {
            if sent.sequence == sequence && self.base.is_none_or(|base| base.sequence < sequence) {
                self.base = Some(sent);
            }
            self.in_flight.pop_front();
        }
    }

    /// Snapshot `sequence` was lost. True if that leaves the client behind.
    pub(crate) fn on_lost(&mut self, sequence: u64) -> bool {
        let known = self.base.is_some_and(|base| base.sequence >= sequence);
        match &mut self.last {
            Some(last) if last.sequence == sequence && !known => {
                last.lost = true;
                true
            }
            Some(_) | None => false,
        }
    }

    /// The name of the newest snapshot sent; 0 before the first.
    pub(crate) fn newest(&self) -> u64 {
        self.last.map_or(0, |last| last.sequence)
    }

    /// The newest cursor told: never more than the room's own.
    pub(crate) fn told_cursor(&self) -> u64 {
        self.last.map_or(0, |last| last.cursor)
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;

    use super::*;

    fn wanted(sequence: u64, content: u64, cursor: u64) -> Wanted {
        Wanted {
            sequence,
            content,
            cursor,
        }
    }

    fn send(delivery: &mut Delivery, sequence: u64) {
        delivery.on_sent(wanted(sequence, sequence, 0), Lane::Latest);
    }

    #[test]
    fn news_is_sent_once_and_again_only_if_lost() {
        let mut delivery = Delivery::default();
        assert!(delivery.is_due(wanted(3, 3, 0)));
        send(&mut delivery, 3);
        assert!(!delivery.is_due(wanted(4, 3, 0)), "in flight");
        assert!(delivery.is_due(wanted(4, 4, 0)), "other bytes");
        assert!(delivery.is_due(wanted(4, 3, 1)), "another cursor");
        assert!(delivery.on_lost(3));
        assert!(delivery.is_due(wanted(3, 3, 0)));
        send(&mut delivery, 3);
        assert!(!delivery.is_due(wanted(3, 3, 0)));
    }

    #[test]
    fn only_what_arrived_is_a_base() {
        let mut delivery = Delivery::default();
        send(&mut delivery, 3);
        send(&mut delivery, 5);
        assert_eq!(delivery.base(), None);
        delivery.on_acked(3);
        assert_eq!(delivery.base(), Some(3));
        delivery.on_acked(5);
        delivery.on_acked(3);
        assert_eq!(delivery.base(), Some(5));
        assert!(!delivery.on_lost(5), "what arrived is not lost");
    }

    #[test]
    fn a_base_that_the_client_has_dropped_is_none() {
        let mut delivery = Delivery::default();
        send(&mut delivery, 1);
        delivery.on_acked(1);
        let ring = u64::try_from(SNAPSHOT_RING).unwrap();
        for sequence in 2..=ring {
            send(&mut delivery, sequence);
        }
        assert_eq!(delivery.base(), Some(1));
        send(&mut delivery, ring + 1);
        assert_eq!(delivery.base(), None);
    }

    #[test]
    fn acks_from_before_a_restart_are_not_believed() {
        let mut delivery = Delivery::default();
        send(&mut delivery, 3);
        delivery.restart();
        delivery.on_acked(3);
        assert_eq!(delivery.base(), None);
        assert!(delivery.is_due(wanted(3, 3, 0)));
    }

    #[test]
    fn what_the_client_has_from_before_is_a_base_until_it_dropped_it() {
        let mut delivery = Delivery::default();
        send(&mut delivery, 3);
        delivery.restart();
        delivery.adopt(3);
        assert!(delivery.is_due(wanted(9, 3, 0)), "nothing was sent yet");
        let ring = u64::try_from(SNAPSHOT_RING).unwrap();
        for sequence in 10..9 + ring {
            send(&mut delivery, sequence);
            assert_eq!(delivery.base(), Some(3));
        }
        send(&mut delivery, 9 + ring);
        assert_eq!(delivery.base(), None);
        delivery.on_acked(12);
        assert_eq!(delivery.base(), Some(12));
        delivery.show_private(true);
        delivery.adopt(3);
        assert_eq!(
            delivery.base(),
            None,
            "a shared one is none for private ones"
        );
    }

    #[test]
    fn a_change_to_private_views_starts_full() {
        let mut delivery = Delivery::default();
        send(&mut delivery, 3);
        delivery.on_acked(3);
        delivery.show_private(false);
        assert_eq!(delivery.base(), Some(3));
        delivery.show_private(true);
        assert_eq!(delivery.base(), None);
        assert!(delivery.is_due(wanted(4, 4, 0)) && delivery.is_private());
    }

    #[test]
    fn one_large_view_at_a_time_is_on_the_stream() {
        let mut delivery = Delivery::default();
        delivery.on_sent(wanted(3, 3, 0), Lane::Ordered);
        assert!(!delivery.is_due(wanted(9, 9, 0)));
        delivery.on_acked(3);
        assert!(delivery.is_due(wanted(9, 9, 0)));
        assert_eq!(delivery.base(), Some(3));
    }

    #[test]
    fn whatever_a_member_acknowledges_few_snapshots_wait_and_none_unsent_is_a_base() {
        for seed in 0..30 {
            let mut rng = Rng::from_number(seed);
            let mut delivery = Delivery::default();
            let diligence = [0.0, 0.05, 0.5][rng.index(3)];
            let (mut sent, mut filled) = (Vec::new(), false);
            for sequence in 1..2_000 {
                let kept = delivery.in_flight.front().copied();
                send(&mut delivery, sequence);
                sent.push(sequence);
                let is_oldest = delivery.in_flight.front().copied() == kept;
                assert!(is_oldest || delivery.in_flight.len() == IN_FLIGHT_MAX || kept.is_none());
                if rng.chance(diligence) {
                    let of = rng.below(sequence + 40);
                    match rng.chance(0.5) {
                        true => delivery.on_acked(of),
                        false => drop(delivery.on_lost(of)),
                    }
                }
                if rng.chance(0.001) {
                    delivery.restart();
                    sent.clear();
                }
                assert!(delivery.in_flight.len() <= IN_FLIGHT_MAX);
                assert!(delivery.base().is_none_or(|base| sent.contains(&base)));
                filled |= delivery.in_flight.len() == IN_FLIGHT_MAX;
            }
            assert!(filled || diligence > 0.0);
        }
    }
}
