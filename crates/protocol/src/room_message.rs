//! What a seat sends and receives: inputs, events and snapshots, in fixed binary.
//!
//! Game payloads inside are opaque. On the latest lane the lane's key names the seat;
//! on the ordered stream the message does.

use bytes::{BufMut, Bytes};

use crate::ids::SeatId;
use crate::wire::{Malformed, Reader, put_varint};

/// A message on the ordered stream, for one seat.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomMessage {
    /// Client to server: a reliable input. Numbers count from 1 per session and room.
    Input {
        /// The sender's seat.
        seat: SeatId,
        /// Its number; the room applies each exactly once, in order.
        number: u64,
        /// The game's own bytes.
        payload: Bytes,
    },
    /// Server to client: an event. Numbers count from 1 per seat.
    Event {
        /// The receiver's seat.
        seat: SeatId,
        /// Its number.
        number: u64,
        /// The game's own bytes.
        payload: Bytes,
    },
    /// Server to client: events that the receiver has not got will never come, up to one of that number. More
    /// were said while it was away than are kept for it.
    Missed {
        /// The receiver's seat.
        seat: SeatId,
        /// The newest that will not come; the next event is the one after it.
        number: u64,
    },
    /// Server to client: a snapshot too long for the latest lane (see [`SnapshotHead`]).
    Snapshot {
        /// The receiver's seat.
        seat: SeatId,
        /// Head and body, as on the latest lane.
        payload: Bytes,
    },
}

const INPUT: u8 = 1;
const EVENT: u8 = 2;
const SNAPSHOT: u8 = 3;
const MISSED: u8 = 4;

impl RoomMessage {
    /// The bytes that travel.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let nothing = Bytes::new();
        let (kind, seat, number, payload) = match self {
            Self::Input {
                seat,
                number,
                payload,
            } => (INPUT, seat, Some(*number), payload),
            Self::Event {
                seat,
                number,
                payload,
            } => (EVENT, seat, Some(*number), payload),
            Self::Missed { seat, number } => (MISSED, seat, Some(*number), &nothing),
            Self::Snapshot { seat, payload } => (SNAPSHOT, seat, None, payload),
        };
        let mut out = Vec::with_capacity(payload.len() + 12);
        out.put_u8(kind);
        put_varint(&mut out, u64::from(seat.0));
        if let Some(number) = number {
            put_varint(&mut out, number);
        }
        out.extend_from_slice(payload);
        out.into()
    }

    /// Reads what [`RoomMessage::encode`] wrote, without copying the payload.
    ///
    /// # Errors
    /// The bytes are cut short or of no known kind.
    pub fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let kind = reader.byte()?;
        let seat = SeatId(u16::try_from(reader.varint()?).map_err(|_| Malformed)?);
        let number = if kind == SNAPSHOT {
            0
        } else {
            reader.varint()?
        };
        let payload = bytes.slice_ref(reader.rest());
        match kind {
            INPUT => Ok(Self::Input {
                seat,
                number,
                payload,
            }),
            EVENT => Ok(Self::Event {
                seat,
                number,
                payload,
            }),
            SNAPSHOT => Ok(Self::Snapshot { seat, payload }),
            MISSED if payload.is_empty() => Ok(Self::Missed { seat, number }),
            _ => Err(Malformed),
        }
    }
}

/// What stands before a snapshot's body. The part that differs per member, so that the
/// body is encoded once for all members who share a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// The snapshot's name within the room: grows, may skip numbers.
    pub sequence: u64,
    /// What the body is a delta against; `None`: the body is the whole view.
    pub base: Option<Base>,
    /// The room's tick it shows.
    pub tick: u64,
    /// The receiver's newest reliable input that the room has applied.
    pub cursor: u64,
    /// True if the view is for this member alone: deltas are against its own private views.
    pub private: bool,
}

/// What a delta is built on, and what has to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// The snapshot that the delta changes; older than the one that it makes.
    pub sequence: u64,
    /// [`crate::snapshot::check`] of the view that it makes, to notice a wrong base.
    pub check: u32,
}

impl SnapshotHead {
    /// Appends the head.
    ///
    /// # Panics
    /// If the base is not older than `sequence`.
    pub fn encode(&self, out: &mut impl BufMut) {
        put_varint(out, self.sequence);
        let distance = self.base.map_or(0, |base| {
            assert!(
                base.sequence < self.sequence,
                "a base is older than what is built on it"
            );
            self.sequence - base.sequence
        });
        put_varint(out, distance << 1 | u64::from(self.private));
        put_varint(out, self.tick);
        put_varint(out, self.cursor);
        if let Some(base) = self.base {
            out.put_u32(base.check);
        }
    }

    /// Reads a head from the front of `reader`.
    ///
    /// # Errors
    /// The bytes are cut short or the base lies before the first snapshot.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let sequence = reader.varint()?;
        let packed = reader.varint()?;
        let tick = reader.varint()?;
        let cursor = reader.varint()?;
        let base = match packed >> 1 {
            0 => None,
            distance => Some(Base {
                sequence: sequence.checked_sub(distance).ok_or(Malformed)?,
                check: u32::from_be_bytes(reader.array()?),
            }),
        };
        Ok(Self {
            sequence,
            base,
            tick,
            cursor,
            private: packed & 1 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back_what_was_written() {
        let payload = Bytes::from_static(b"game");
        for message in [
            RoomMessage::Input {
                seat: SeatId(3),
                number: 900,
                payload: payload.clone(),
            },
            RoomMessage::Event {
                seat: SeatId(0),
                number: 1,
                payload: payload.clone(),
            },
            RoomMessage::Snapshot {
                seat: SeatId(700),
                payload,
            },
            RoomMessage::Missed {
                seat: SeatId(700),
                number: 1 << 40,
            },
        ] {
            assert_eq!(RoomMessage::decode(&message.encode()), Ok(message));
        }
        for wrong in [&[9, 0, 0][..], &[MISSED, 0], &[MISSED, 0, 1, 0]] {
            let wrong = Bytes::copy_from_slice(wrong);
            assert_eq!(RoomMessage::decode(&wrong), Err(Malformed));
        }
    }

    #[test]
    fn a_head_reads_back_with_and_without_base() {
        let base = Base {
            sequence: 41,
            check: 5,
        };
        for base in [None, Some(base)] {
            let head = SnapshotHead {
                sequence: 44,
                base,
                tick: 9,
                cursor: 7,
                private: true,
            };
            let mut out = Vec::new();
            head.encode(&mut out);
            assert_eq!(SnapshotHead::decode(&mut Reader::new(&out)), Ok(head));
        }
    }
}
