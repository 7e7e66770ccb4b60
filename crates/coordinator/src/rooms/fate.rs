//! What a connection is asked to tell the fate of, packed into its tag.

use rejoin_protocol::connection::Tag;
use rejoin_protocol::{SeatId, Stay};

/// Something that was sent to a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A snapshot.
    Snapshot {
        /// Tells the snapshots of one delivery from those of the next.
        generation: u8,
        sequence: u64,
    },
    /// An event.
    Event {
        /// Tells the events of one stay from those of the next, as far as they may meet.
        stay: u8,
        number: u64,
    },
}

/// The same with the session's own name for the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tagged {
    pub(crate) seat: SeatId,
    pub(crate) sent: Sent,
}

/// Bits of a sequence or number in a tag: at a thousand a second, 17 years. Names of snapshots grow beyond them.
const NUMBER_BITS: u32 = 39;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
/// Set for an event.
const EVENT: u64 = 1 << NUMBER_BITS;

/// The number, not above `newest`, of which a tag has `low`.
pub(crate) const fn widen(low: u64, newest: u64) -> u64 {
    newest.saturating_sub(newest.wrapping_sub(low) & NUMBER_MASK)
}

impl Sent {
    /// An event of a stay.
    pub(crate) const fn event(stay: Stay, number: u64) -> Self {
        let [.., stay] = stay.0.to_be_bytes();
        Self::Event { stay, number }
    }
}

impl Tagged {
    /// As connections carry it: seat 16, generation or stay 8, kind 1, number 39 bits.
    pub(crate) const fn pack(self) -> Tag {
        let (kind, apart, number) = match self.sent {
            Sent::Snapshot {
                generation,
                sequence,
            } => (0, generation, sequence),
            Sent::Event { stay, number } => (EVENT, stay, number),
        };
        (self.seat.0 as u64) << 48 | (apart as u64) << 40 | kind | number & NUMBER_MASK
    }

    /// Reads what [`Tagged::pack`] made.
    pub(crate) const fn unpack(tag: Tag) -> Self {
        let [a, b, apart, ..] = tag.to_be_bytes();
        let number = tag & NUMBER_MASK;
        let sent = if tag & EVENT == 0 {
            Sent::Snapshot {
                generation: apart,
                sequence: number,
            }
        } else {
            Sent::Event {
                stay: apart,
                number,
            }
        };
        Self {
            seat: SeatId(u16::from_be_bytes([a, b])),
            sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_reads_back_what_it_was_made_of() {
        for seat in [0, 63, u16::MAX].map(SeatId) {
            for (apart, number) in [(0, 0), (255, NUMBER_MASK), (7, 1 << 38)] {
                let snapshot = Sent::Snapshot {
                    generation: apart,
                    sequence: number,
                };
                let event = Sent::Event {
                    stay: apart,
                    number,
                };
                for sent in [snapshot, event] {
                    let tagged = Tagged { seat, sent };
                    assert_eq!(Tagged::unpack(tagged.pack()), tagged);
                }
            }
        }
    }

    #[test]
    fn a_number_that_a_tag_cannot_hold_is_known_again_by_the_newest() {
        for newest in [
            5,
            NUMBER_MASK,
            NUMBER_MASK + 3,
            200 << 28,
            (1_800_000_000 << 28) + 7,
        ] {
            for number in [newest, newest - 1, newest - 5] {
                assert_eq!(widen(number & NUMBER_MASK, newest), number);
            }
        }
    }

    #[test]
    fn an_event_is_told_from_those_of_the_stays_around_it() {
        let stays = [u64::MAX, 0, 1].map(Stay);
        let sent = stays.map(|stay| Sent::event(stay, 9));
        assert!(sent[0] != sent[1] && sent[1] != sent[2] && sent[0] != sent[2]);
    }
}
