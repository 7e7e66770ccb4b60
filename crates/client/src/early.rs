//! Room messages that overtook the answer which names their seat.
//!
//! The answer travels on the control lane and may be lost and sent again, while snapshots and
//! events of the new seat already arrive on their own lanes.

use std::collections::VecDeque;

use bytes::Bytes;
use rejoin_protocol::SeatId;
use rejoin_protocol::limits::{EARLY_BYTES_MAX, EARLY_MAX};

/// A message for a seat that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EarlyMessage {
    /// Head and body of a snapshot.
    Snapshot(Bytes),
    /// An event.
    Event { number: u64, payload: Bytes },
    /// Events up to that one will never come.
    Missed { number: u64 },
}

/// An event, or word of one, for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EarlyFull;

/// Kept messages in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Early {
    messages: VecDeque<(SeatId, EarlyMessage)>,
    bytes: usize,
}

impl EarlyMessage {
    fn len(&self) -> usize {
        match self {
            Self::Snapshot(message) => message.len(),
            Self::Event { payload, .. } => payload.len(),
            Self::Missed { .. } => 0,
        }
    }
}

impl Early {
    /// Keeps a message. When full, a snapshot is dropped: a resync heals that.
    pub(crate) fn keep(&mut self, seat: SeatId, message: EarlyMessage) -> Result<(), EarlyFull> {
        let bytes = self.bytes + message.len();
        if self.messages.len() >= EARLY_MAX || bytes > EARLY_BYTES_MAX {
            return match message {
                EarlyMessage::Snapshot(_) => Ok(()),
                EarlyMessage::Event { .. } | EarlyMessage::Missed { .. } => Err(EarlyFull),
            };
        }
        self.bytes = bytes;
        self.messages.push_back((seat, message));
        Ok(())
    }

    /// What waits for `seat`, in order.
    pub(crate) fn take(&mut self, seat: SeatId) -> Vec<EarlyMessage> {
        let (taken, rest) = self.messages.drain(..).partition(|(of, _)| *of == seat);
        self.messages = rest;
        let taken: VecDeque<(SeatId, EarlyMessage)> = taken;
        self.bytes = self.messages.iter().map(|(_, message)| message.len()).sum();
        taken.into_iter().map(|(_, message)| message).collect()
    }

    /// Forgets all: no answer can name a new seat any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;
    use rejoin_protocol::limits::VIEW_MAX;

    use super::*;

    fn event(number: u64) -> EarlyMessage {
        EarlyMessage::Event {
            number,
            payload: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn messages_wait_for_their_own_seat_in_order() {
        let mut early = Early::default();
        early.keep(SeatId(1), event(1)).unwrap();
        early.keep(SeatId(2), event(1)).unwrap();
        early.keep(SeatId(1), event(2)).unwrap();
        assert_eq!(early.take(SeatId(1)), [event(1), event(2)]);
        assert_eq!(early.take(SeatId(1)), []);
        assert_eq!(early.take(SeatId(2)), [event(1)]);
    }

    #[test]
    fn when_full_snapshots_are_dropped_and_events_are_not() {
        let mut early = Early::default();
        for number in 0..EARLY_MAX {
            early
                .keep(SeatId(1), event(u64::try_from(number).unwrap()))
                .unwrap();
        }
        let snapshot = EarlyMessage::Snapshot(Bytes::from_static(b"x"));
        assert_eq!(early.keep(SeatId(1), snapshot), Ok(()));
        assert_eq!(early.keep(SeatId(1), event(9)), Err(EarlyFull));
        assert_eq!(early.take(SeatId(1)).len(), EARLY_MAX);
        assert_eq!(early.keep(SeatId(1), event(9)), Ok(()));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut early = Early::default();
        let big = || EarlyMessage::Event {
            number: 1,
            payload: vec![0; EARLY_BYTES_MAX].into(),
        };
        assert_eq!(early.keep(SeatId(1), big()), Ok(()));
        assert_eq!(early.keep(SeatId(1), event(2)), Err(EarlyFull));
        early.clear();
        assert_eq!(early.keep(SeatId(1), big()), Ok(()));
    }

    #[test]
    fn whatever_comes_early_is_bounded_in_count_and_bytes() {
        for seed in 0..24 {
            let mut rng = Rng::from_number(seed);
            let mut early = Early::default();
            let longest = [1, 3_000, VIEW_MAX][rng.index(3)];
            let (mut refused, mut dropped) = (0, 0);
            for number in 0..4_000 {
                let seat = SeatId(u16::try_from(rng.below(300)).unwrap());
                let bytes = Bytes::from(vec![0; rng.index(longest)]);
                let before = (early.messages.len(), early.bytes);
                let full = before.0 == EARLY_MAX || before.1 + bytes.len() > EARLY_BYTES_MAX;
                let (kept, rule) = if rng.chance(0.5) {
                    dropped += usize::from(full);
                    (early.keep(seat, EarlyMessage::Snapshot(bytes)), Ok(()))
                } else {
                    refused += usize::from(full);
                    let payload = bytes;
                    let event = EarlyMessage::Event { number, payload };
                    let rule = if full { Err(EarlyFull) } else { Ok(()) };
                    (early.keep(seat, event), rule)
                };
                assert_eq!(kept, rule);
                assert!(!full || (early.messages.len(), early.bytes) == before);
                assert!(early.messages.len() <= EARLY_MAX && early.bytes <= EARLY_BYTES_MAX);
                if rng.chance(0.05) {
                    early.take(SeatId(u16::try_from(rng.below(300)).unwrap()));
                }
                let held: usize = early
                    .messages
                    .iter()
                    .map(|(_, message)| message.len())
                    .sum();
                assert_eq!(held, early.bytes, "every byte is counted");
            }
            assert!(refused > 0 && dropped > 0, "it was filled");
        }
    }
}
