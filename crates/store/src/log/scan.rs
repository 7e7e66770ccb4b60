//! Reads a segment from its bytes: what entries stand in it, and what cannot be read.
//!
//! It judges nothing. Whether something unreadable is a torn tail or rot is for
//! [`tail`](super::tail) to say.

use std::ops::Range;

use super::format::{HEAD_LEN, Head, SEGMENT_HEAD_LEN, entry_len};

/// One stretch of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// An entry whose head is sound. Its body may not be, or be cut short.
    Entry(Entry),
    /// Bytes that belong to no entry that can be told.
    Hole(Range<u64>),
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) head: Head,
    /// Where its head begins.
    pub(crate) offset: u64,
    pub(crate) sound: bool,
    /// Bodies of what is not a record or a checkpoint are short, and kept.
    pub(crate) body: [u8; SHORT_MAX],
}

/// Longest body that is kept.
const SHORT_MAX: usize = 17;

impl Entry {
    /// Where it ends, and the next begins.
    pub(crate) fn end(&self) -> u64 {
        self.offset + wide(entry_len(narrow(self.head.len)))
    }

    /// Its body, if that is short and sound.
    pub(crate) fn short_body(&self) -> Option<&[u8]> {
        self.body
            .get(..narrow(self.head.len))
            .filter(|_| self.sound)
    }
}

impl Stretch {
    /// Where it begins.
    pub(crate) const fn offset(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.offset,
            Self::Hole(bytes) => bytes.start,
        }
    }

    /// Whether all of it is as it was written.
    pub(crate) const fn is_sound(&self) -> bool {
        matches!(self, Self::Entry(Entry { sound: true, .. }))
    }
}

/// Reads all stretches of a segment. `bytes` are the whole file, or the part of it that is
/// believed. Zeros at the end are no stretch.
pub(crate) fn scan(bytes: &[u8], seed: u32) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let used = used(bytes);
    let mut at = narrow_len(SEGMENT_HEAD_LEN);
    while at < used {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(head) = Head::decode(rest, seed) else {
            let next = next_head(bytes, at, used, seed);
            stretches.push(Stretch::Hole(wide(at)..wide(next)));
            at = next;
            continue;
        };
        let entry = read(head, rest, at);
        at = narrow_len(entry.end());
        stretches.push(Stretch::Entry(entry));
    }
    stretches
}

/// One past the last byte that is not zero.
pub(crate) fn used(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

/// The entry at the front of `rest`, which begins at `at`.
pub(crate) fn read(head: Head, rest: &[u8], at: usize) -> Entry {
    let len = narrow(head.len);
    let body = rest.get(HEAD_LEN..HEAD_LEN + len);
    let sound = body.is_some_and(|body| head.fits(body));
    let mut short = [0; SHORT_MAX];
    if let (Some(body), Some(place)) = (body, short.get_mut(..len)) {
        place.copy_from_slice(body);
    }
    Entry {
        head,
        offset: wide(at),
        sound,
        body: short,
    }
}

/// Where the next sound head begins after something unreadable at `at`; else the end.
pub(crate) fn next_head(bytes: &[u8], at: usize, end: usize, seed: u32) -> usize {
    let mut places = ((at + 1).next_multiple_of(8)..end).step_by(8);
    let found = places.find(|place| {
        let rest = bytes.get(*place..).unwrap_or_default();
        // The first byte tells most of the time.
        rest.first() != Some(&0) && Head::decode(rest, seed).is_some()
    });
    found.unwrap_or(end)
}

/// A length in memory as one on a disk.
pub(crate) fn wide(len: usize) -> u64 {
    u64::try_from(len).expect("a length in memory fits 64 bits")
}

/// A place in a file that is in memory.
pub(crate) fn narrow_len(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// A length on a disk as one in memory.
pub(crate) fn narrow(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::RoomId;

    use super::*;
    use crate::log::format::{EntryId, Kind, body_check};

    const SEED: u32 = 99;

    fn push(out: &mut Vec<u8>, stamp: u64, body: &[u8]) {
        let head = Head {
            kind: Kind::Record,
            moved: false,
            begins: false,
            newest: false,
            len: u32::try_from(body.len()).unwrap(),
            id: EntryId { epoch: 1, stamp },
            room: RoomId([1; 16]),
            sequence: stamp,
            link: 0,
            body_check: body_check(body),
        };
        head.encode(body, SEED, out);
    }

    fn segment() -> Vec<u8> {
        let mut bytes = vec![1; 64];
        for stamp in 1..=3 {
            push(&mut bytes, stamp, &[7; 20]);
        }
        bytes.resize(1_000, 0);
        bytes
    }

    /// Stamps of what is sound, and what is not by where it begins.
    fn told(bytes: &[u8]) -> (Vec<u64>, Vec<u64>) {
        let (mut sound, mut bad) = (Vec::new(), Vec::new());
        for stretch in scan(bytes, SEED) {
            match &stretch {
                Stretch::Entry(entry) if entry.sound => sound.push(entry.head.id.stamp),
                Stretch::Entry(_) | Stretch::Hole(_) => bad.push(stretch.offset()),
            }
        }
        (sound, bad)
    }

    #[test]
    fn whatever_is_unreadable_the_rest_is_found() {
        let bytes = segment();
        assert_eq!(told(&bytes), (vec![1, 2, 3], vec![]));
        // An entry takes 80 bytes: 60 of the head, 20 of the body.
        for (offset, sound, bad) in [
            (64, vec![2, 3], vec![64]),
            (64 + 60, vec![2, 3], vec![64]),
            (64 + 79, vec![2, 3], vec![64]),
            (64 + 80 + 59, vec![1, 3], vec![144]),
            (64 + 160 + 79, vec![1, 2], vec![224]),
            (64 + 240 + 8, vec![1, 2, 3], vec![304]),
        ] {
            let mut changed = bytes.clone();
            changed[offset] ^= 0x40;
            assert_eq!(told(&changed), (sound, bad), "byte {offset}");
        }
    }

    #[test]
    fn an_entry_cut_short_is_known_by_its_head() {
        let bytes = segment();
        let (sound, bad) = told(&bytes[..64 + 160 + 70]);
        assert_eq!((sound, bad), (vec![1, 2], vec![224]));
        let (sound, bad) = told(&bytes[..64 + 160 + 30]);
        assert_eq!((sound, bad), (vec![1, 2], vec![224]));
    }
}
