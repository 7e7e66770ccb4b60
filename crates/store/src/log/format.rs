//! The bytes of a segment: its head, and the entries after it.
//!
//! Numbers are big-endian. An entry begins at a multiple of 8; what lies between two is zero, as
//! is all after the last.
//!
//! ```text
//! head of a segment, 64 bytes            head of an entry, 60 bytes, then the body
//!  0  8  "RJSEGMNT"                       0  1  kind, see below
//!  8  2  format, 1                        1  1  1: moved here from an older segment
//! 10  2  shard                                  2: a room begins with it
//! 12  4  number within its log                  4: its sequence is the newest of the room
//! 16  8  epoch                            2  2  zero
//! 24  8  length of the segment before     4  4  length of the body
//! 32 28  zero                             8  8  epoch      } who wrote it first, and as which
//! 60  4  check of the 60 before          16  8  stamp      } of all: what is later prevails
//!                                        24 16  room, zero if of none
//!                                        40  8  sequence
//!                                        48  4  link: which entry the record before is
//!                                        52  4  CRC-32 of the body
//!                                        56  4  check of the 56 before
//!
//! kind  1 record  2 checkpoint  3 forgotten  4 standing: attempts 1, quarantined 1
//!       5 loss: kind 1, from 8, to 8   6 synced: number 4, offset 8
//!       7 floor: epoch 8, shard 2, number 4: nothing up to there is needed any more
//! ```
//!
//! The link of anything else is that of the record of its sequence. Links tell a record that joins those
//! before from one that followed an amendment, or another life of the room, which is gone.
//!
//! A check is a CRC-32 that begins with the seed of its segment. Seeds come of a salt in the
//! manifest, so that no bytes which a player sends can pass for an entry.

use rejoin_protocol::RoomId;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::wire::{Malformed, Reader};

use crate::contract::{Loss, Standing};

/// The format that is written, and the only one so far.
pub(crate) const FORMAT: u16 = 1;
/// Length of the head of a segment.
pub(crate) const SEGMENT_HEAD_LEN: u64 = 64;
/// Length of the head of an entry.
pub(crate) const HEAD_LEN: usize = 60;

/// The link of the first record of a room.
pub(crate) const ORIGIN: u32 = 0;

const MAGIC: &[u8; 8] = b"RJSEGMNT";
const RECORD: u8 = 1;
const CHECKPOINT: u8 = 2;
const FORGOTTEN: u8 = 3;
const STANDING: u8 = 4;
const LOSS: u8 = 5;
const SYNCED: u8 = 6;
const FLOOR: u8 = 7;
const MOVED: u8 = 1;
const BEGINS: u8 = 2;
const NEWEST: u8 = 4;

/// Which segment: of whose log, and its number there. Older ones are less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentId {
    pub(crate) epoch: u64,
    pub(crate) shard: u16,
    pub(crate) number: u32,
}

/// Which entry, of all that a room was ever given: the later one prevails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId {
    pub(crate) epoch: u64,
    pub(crate) stamp: u64,
}

impl EntryId {
    /// How the record after this entry names it.
    pub(crate) const fn link(self) -> u32 {
        let mixed = self.epoch.wrapping_mul(SPREAD) ^ self.stamp.wrapping_mul(SPREAD);
        let link = (mixed >> 32) ^ (self.stamp & 0xffff_ffff);
        #[expect(clippy::cast_possible_truncation, reason = "it is a digest")]
        let link = link as u32;
        if link == ORIGIN { 1 } else { link }
    }
}

/// Spreads small numbers over all bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Record,
    Checkpoint,
    Forgotten,
    Standing,
    Loss,
    Synced,
    Floor,
}

/// The head of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) moved: bool,
    pub(crate) begins: bool,
    /// Nothing newer was there when it was written: a record that is, is lost if it cannot be found.
    pub(crate) newest: bool,
    pub(crate) len: u32,
    pub(crate) id: EntryId,
    pub(crate) room: RoomId,
    pub(crate) sequence: u64,
    pub(crate) link: u32,
    pub(crate) body_check: u32,
}

/// The head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) id: SegmentId,
    pub(crate) length_before: u64,
}

/// Why a segment has no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadFault {
    /// Nothing was ever written.
    Empty,
    /// Its bytes are not what was written. That of a later format is told by the manifest.
    Damaged,
}

impl SegmentId {
    pub(crate) fn name(self) -> String {
        let Self {
            epoch,
            shard,
            number,
        } = self;
        format!("{epoch:016x}-{shard:04x}-{number:08x}.log")
    }

    /// Reads a name; none other than [`SegmentId::name`] makes is of a segment.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".log")?.split('-');
        let id = Self {
            epoch: u64::from_str_radix(parts.next()?, 16).ok()?,
            shard: u16::from_str_radix(parts.next()?, 16).ok()?,
            number: u32::from_str_radix(parts.next()?, 16).ok()?,
        };
        (id.name() == name).then_some(id)
    }

    /// What the checks of this segment begin with.
    pub(crate) fn seed(self, salt: u64) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&salt.to_be_bytes());
        hasher.update(&self.epoch.to_be_bytes());
        hasher.update(&self.shard.to_be_bytes());
        hasher.update(&self.number.to_be_bytes());
        hasher.finalize()
    }
}

impl SegmentHead {
    pub(crate) fn encode(&self, seed: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&self.id.shard.to_be_bytes());
        out.extend_from_slice(&self.id.number.to_be_bytes());
        out.extend_from_slice(&self.id.epoch.to_be_bytes());
        out.extend_from_slice(&self.length_before.to_be_bytes());
        out.extend_from_slice(&[0; 28]);
        let sum = check(seed, out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_be_bytes());
    }

    /// Reads what `bytes` begin with.
    pub(crate) fn decode(bytes: &[u8], id: SegmentId, seed: u32) -> Result<Self, HeadFault> {
        let Some(bytes) = bytes.get(..64) else {
            return Err(if bytes.iter().all(|byte| *byte == 0) {
                HeadFault::Empty
            } else {
                HeadFault::Damaged
            });
        };
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(HeadFault::Empty);
        }
        let (front, sum) = bytes.split_at(60);
        let sound = sum == check(seed, front).to_be_bytes();
        match Self::read(front) {
            Ok((FORMAT, head)) if sound && head.id == id => Ok(head),
            Ok(_) | Err(Malformed) => Err(HeadFault::Damaged),
        }
    }

    fn read(bytes: &[u8]) -> Result<(u16, Self), Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != *MAGIC {
            return Err(Malformed);
        }
        let format = u16::from_be_bytes(reader.array()?);
        let shard = u16::from_be_bytes(reader.array()?);
        let number = u32::from_be_bytes(reader.array()?);
        let epoch = u64::from_be_bytes(reader.array()?);
        let head = Self {
            id: SegmentId {
                epoch,
                shard,
                number,
            },
            length_before: u64::from_be_bytes(reader.array()?),
        };
        Ok((format, head))
    }
}

impl Head {
    /// Appends the head and the body, and fills up to where the next entry begins.
    pub(crate) fn encode(&self, body: &[u8], seed: u32, out: &mut Vec<u8>) {
        let start = out.len();
        let moved = if self.moved { MOVED } else { 0 };
        let begins = if self.begins { BEGINS } else { 0 };
        let newest = if self.newest { NEWEST } else { 0 };
        let flags = moved | begins | newest;
        out.extend_from_slice(&[self.kind.number(), flags, 0, 0]);
        out.extend_from_slice(&self.len.to_be_bytes());
        out.extend_from_slice(&self.id.epoch.to_be_bytes());
        out.extend_from_slice(&self.id.stamp.to_be_bytes());
        out.extend_from_slice(&self.room.0);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.link.to_be_bytes());
        out.extend_from_slice(&self.body_check.to_be_bytes());
        let sum = check(seed, out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_be_bytes());
        out.extend_from_slice(body);
        out.resize(out.len().next_multiple_of(8), 0);
    }

    /// Reads the head that `bytes` begin with, if there is a sound one.
    pub(crate) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let front = bytes.get(..HEAD_LEN - 4)?;
        let sum = bytes.get(HEAD_LEN - 4..HEAD_LEN)?;
        // Cheap, and enough for nearly all that is no head.
        let kind = Kind::of(*front.first()?)?;
        let flags = *front.get(1)?;
        if flags > MOVED | BEGINS | NEWEST || sum != check(seed, front).to_be_bytes() {
            return None;
        }
        let mut reader = Reader::new(front.get(4..)?);
        let mut read = || {
            Ok::<_, Malformed>(Self {
                kind,
                moved: flags & MOVED != 0,
                begins: flags & BEGINS != 0,
                newest: flags & NEWEST != 0,
                len: u32::from_be_bytes(reader.array()?),
                id: EntryId {
                    epoch: u64::from_be_bytes(reader.array()?),
                    stamp: u64::from_be_bytes(reader.array()?),
                },
                room: RoomId(reader.array()?),
                sequence: u64::from_be_bytes(reader.array()?),
                link: u32::from_be_bytes(reader.array()?),
                body_check: u32::from_be_bytes(reader.array()?),
            })
        };
        read().ok()
    }

    /// Whether `body` is what was written.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        body_check(body) == self.body_check || planted::is(Bug::RotBelieved)
    }
}

/// Bytes that an entry takes with a body of `len`.
pub(crate) const fn entry_len(len: usize) -> usize {
    (HEAD_LEN + len).next_multiple_of(8)
}

/// The check of a body: the same in every segment, so that a moved entry keeps it.
pub(crate) fn body_check(body: &[u8]) -> u32 {
    crc32fast::hash(body)
}

fn check(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Record => RECORD,
            Self::Checkpoint => CHECKPOINT,
            Self::Forgotten => FORGOTTEN,
            Self::Standing => STANDING,
            Self::Loss => LOSS,
            Self::Synced => SYNCED,
            Self::Floor => FLOOR,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            RECORD => Self::Record,
            CHECKPOINT => Self::Checkpoint,
            FORGOTTEN => Self::Forgotten,
            STANDING => Self::Standing,
            LOSS => Self::Loss,
            SYNCED => Self::Synced,
            FLOOR => Self::Floor,
            _ => return None,
        })
    }
}

/// The body of a standing.
pub(crate) fn standing_body(standing: Standing) -> [u8; 2] {
    [standing.attempts, u8::from(standing.quarantined)]
}

/// Reads the body of a standing.
pub(crate) fn standing(body: &[u8]) -> Option<Standing> {
    let [attempts, quarantined] = *body else {
        return None;
    };
    Some(Standing {
        attempts,
        quarantined: quarantined != 0,
    })
}

/// The body of a loss.
pub(crate) fn loss_body(loss: Loss) -> Vec<u8> {
    let (kind, from, to) = match loss {
        Loss::Records { from, to } => (1, from, to),
        Loss::Possible { after } => (2, after, 0),
    };
    [&[kind], from.to_be_bytes().as_slice(), &to.to_be_bytes()].concat()
}

/// Reads the body of a loss.
pub(crate) fn loss(body: &[u8]) -> Option<Loss> {
    let mut reader = Reader::new(body);
    let kind = reader.byte().ok()?;
    let from = u64::from_be_bytes(reader.array().ok()?);
    let to = u64::from_be_bytes(reader.array().ok()?);
    match kind {
        1 => Some(Loss::Records { from, to }),
        2 => Some(Loss::Possible { after: from }),
        _ => None,
    }
}

/// The body that says how far a log is on the medium.
pub(crate) fn synced_body(number: u32, offset: u64) -> Vec<u8> {
    [
        number.to_be_bytes().as_slice(),
        offset.to_be_bytes().as_slice(),
    ]
    .concat()
}

/// Reads how far a log is on the medium.
pub(crate) fn synced(body: &[u8]) -> Option<(u32, u64)> {
    let mut reader = Reader::new(body);
    let number = u32::from_be_bytes(reader.array().ok()?);
    Some((number, u64::from_be_bytes(reader.array().ok()?)))
}

/// The body of a floor.
pub(crate) fn floor_body(id: SegmentId) -> Vec<u8> {
    [
        id.epoch.to_be_bytes().as_slice(),
        &id.shard.to_be_bytes(),
        &id.number.to_be_bytes(),
    ]
    .concat()
}

/// Reads the body of a floor.
pub(crate) fn floor(body: &[u8]) -> Option<SegmentId> {
    let mut reader = Reader::new(body);
    Some(SegmentId {
        epoch: u64::from_be_bytes(reader.array().ok()?),
        shard: u16::from_be_bytes(reader.array().ok()?),
        number: u32::from_be_bytes(reader.array().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SegmentId = SegmentId {
        epoch: 7,
        shard: 2,
        number: 3,
    };

    fn head(body: &[u8]) -> Head {
        Head {
            kind: Kind::Record,
            moved: false,
            begins: true,
            newest: false,
            len: u32::try_from(body.len()).unwrap(),
            id: EntryId { epoch: 7, stamp: 9 },
            room: RoomId([5; 16]),
            sequence: 11,
            link: 12,
            body_check: body_check(body),
        }
    }

    #[test]
    fn entries_read_back_what_was_written_and_only_with_their_seed() {
        let body = b"thirteen byte";
        let mut bytes = Vec::new();
        head(body).encode(body, 77, &mut bytes);
        assert_eq!(bytes.len(), entry_len(body.len()));
        assert_eq!(Head::decode(&bytes, 77), Some(head(body)));
        assert_eq!(Head::decode(&bytes, 78), None, "of another segment");
        assert!(head(body).fits(body) && !head(body).fits(b"another text"));
        for offset in 0..HEAD_LEN {
            let mut changed = bytes.clone();
            changed[offset] ^= 1;
            assert_eq!(Head::decode(&changed, 77), None, "byte {offset}");
        }
    }

    #[test]
    fn names_and_heads_of_segments_read_back() {
        assert_eq!(ID.name(), "0000000000000007-0002-00000003.log");
        assert_eq!(SegmentId::of_name(&ID.name()), Some(ID));
        for name in [
            "lock",
            "7-2-3.log",
            "0000000000000007-0002-00000003.log.log",
            "0000000000000007-0002-00000003-4.log",
            "+000000000000007-0002-00000003.log",
        ] {
            assert_eq!(SegmentId::of_name(name), None, "{name}");
        }
        let head = SegmentHead {
            id: ID,
            length_before: 2,
        };
        let mut bytes = Vec::new();
        head.encode(5, &mut bytes);
        assert_eq!(SegmentHead::decode(&bytes, ID, 5), Ok(head));
        assert_eq!(
            SegmentHead::decode(&bytes, ID, 6),
            Err(HeadFault::Damaged),
            "of another salt"
        );
        assert_eq!(SegmentHead::decode(&[0; 70], ID, 5), Err(HeadFault::Empty));
        bytes[9] = 2;
        assert_eq!(SegmentHead::decode(&bytes, ID, 5), Err(HeadFault::Damaged));
    }

    #[test]
    fn small_bodies_read_back() {
        let stood = Standing {
            attempts: 2,
            quarantined: true,
        };
        assert_eq!(standing(&standing_body(stood)), Some(stood));
        for lost in [
            Loss::Records { from: 3, to: 9 },
            Loss::Possible { after: 4 },
        ] {
            assert_eq!(loss(&loss_body(lost)), Some(lost));
        }
        assert_eq!(synced(&synced_body(3, 99)), Some((3, 99)));
        assert_eq!(floor(&floor_body(ID)), Some(ID));
        assert_eq!(floor(b"short"), None);
    }
}
