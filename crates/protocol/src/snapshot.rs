//! Deltas between encoded views: made once per baseline by the server, applied by clients.
//!
//! ```text
//! codec 1 | body        0 same: the view equals its base
//!                       1 xor: new length varint, then (zeros varint, count varint, bytes xor base)*
//! ```
//!
//! `zeros` counts bytes that equal the base, `count` the changed ones that follow. Where the
//! view is longer, its base counts as zero; what follows the last pair equals the base.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::wire::{Malformed, Reader, put_varint};

/// A delta that cannot be applied: cut short, or not made for this base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed snapshot delta")]
pub struct BadDelta;

/// 32 bits of XXH3 over a whole view: notices a wrong base, does not defend against an attacker
/// (the AEAD does).
#[must_use]
pub fn check(view: &[u8]) -> u32 {
    let low = xxh3_64(view) & u64::from(u32::MAX);
    u32::try_from(low).expect("the mask leaves 32 bits")
}

/// The delta that turns `base` into `view`, or `None` if the whole view is no longer than it.
#[must_use]
pub fn delta(base: &[u8], view: &[u8]) -> Option<Bytes> {
    if base == view {
        return (view.len() > 1).then(|| Bytes::from_static(&[SAME]));
    }
    let changes = xored(base, view);
    let mut rest = changes.as_slice();
    // As long as it may become, so that it is taken at once.
    let mut out = Vec::with_capacity(view.len());
    out.push(XOR);
    put_varint(&mut out, number(view.len()));
    loop {
        let (zeros, after) = rest.split_at(zeros_len(rest));
        if after.is_empty() {
            break;
        }
        let (changed, after) = after.split_at(changed_len(after));
        put_varint(&mut out, number(zeros.len()));
        put_varint(&mut out, number(changed.len()));
        out.extend_from_slice(changed);
        if out.len() >= view.len() {
            return None;
        }
        rest = after;
    }
    (out.len() < view.len()).then(|| out.into())
}

/// Applies a delta to its base. The result is at most `len_max` bytes.
///
/// # Errors
/// The delta is cut short, or names bytes beyond `len_max`.
pub fn apply(base: &[u8], delta: &[u8], len_max: usize) -> Result<Vec<u8>, BadDelta> {
    let mut reader = Reader::new(delta);
    match reader.byte()? {
        SAME if reader.is_empty() && base.len() <= len_max => Ok(base.to_vec()),
        XOR => apply_xor(base, reader, len_max),
        _ => Err(BadDelta),
    }
}

fn apply_xor(base: &[u8], mut reader: Reader<'_>, len_max: usize) -> Result<Vec<u8>, BadDelta> {
    let len = length(&mut reader)?;
    if len > len_max {
        return Err(BadDelta);
    }
    let mut view = Vec::with_capacity(len);
    view.extend(base.iter().take(len));
    view.resize(len, 0);
    let mut rest = view.as_mut_slice();
    while !reader.is_empty() {
        let (zeros, count) = (length(&mut reader)?, length(&mut reader)?);
        let (_, after) = rest.split_at_mut_checked(zeros).ok_or(BadDelta)?;
        let (changed, after) = after.split_at_mut_checked(count).ok_or(BadDelta)?;
        for (byte, change) in changed.iter_mut().zip(reader.take(count)?) {
            *byte ^= change;
        }
        rest = after;
    }
    Ok(view)
}

/// The view xor its base, as long as the view.
fn xored(base: &[u8], view: &[u8]) -> Vec<u8> {
    let (common, longer) = view.split_at(base.len().min(view.len()));
    let mut out = Vec::with_capacity(view.len());
    out.extend(common.iter().zip(base).map(|(a, b)| a ^ b));
    out.extend_from_slice(longer);
    out
}

/// Zero bytes at the front, found a word at a time.
fn zeros_len(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<WORD>();
    match words.iter().position(|word| *word != [0; WORD]) {
        Some(index) => index * WORD + leading_zeros(words.get(index).map_or(&[], |word| word)),
        None => words.len() * WORD + leading_zeros(tail),
    }
}

/// Bytes at the front up to the next [`GAP`] zeros in a row, or to the last changed byte. Words that
/// changed all over are passed over as such.
fn changed_len(bytes: &[u8]) -> usize {
    let (mut end, mut index) = (0, 0);
    while let Some((byte, rest)) = bytes.get(index..).and_then(<[u8]>::split_first) {
        if *byte == 0 {
            index += 1;
            if index - end == GAP {
                break;
            }
            continue;
        }
        let word = rest.first_chunk::<WORD>();
        index += match word {
            Some(word) if !has_zero(*word) => 1 + WORD,
            _ => 1,
        };
        end = index;
    }
    end
}

/// True if a byte of the word is zero: only that one borrows from a bit that it had not set (Mycroft 1987).
const fn has_zero(word: [u8; WORD]) -> bool {
    const ONES: u64 = u64::from_le_bytes([0x01; WORD]);
    const TOPS: u64 = u64::from_le_bytes([0x80; WORD]);
    let word = u64::from_le_bytes(word);
    word.wrapping_sub(ONES) & !word & TOPS != 0
}

fn leading_zeros(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte == 0).count()
}

fn length(reader: &mut Reader<'_>) -> Result<usize, BadDelta> {
    usize::try_from(reader.varint()?).map_err(|_| BadDelta)
}

fn number(len: usize) -> u64 {
    u64::try_from(len).expect("a length in memory fits 64 bits")
}

impl From<Malformed> for BadDelta {
    fn from(_: Malformed) -> Self {
        Self
    }
}

const SAME: u8 = 0;
const XOR: u8 = 1;
const WORD: usize = 8;
/// Unchanged bytes in a row that end a run of changes. A new pair costs two bytes or more, so
/// shorter gaps are cheaper carried along.
const GAP: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEN_MAX: usize = 4096;

    fn bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..len)
    }

    proptest! {
        #[test]
        fn a_delta_turns_its_base_into_the_view(
            base in bytes(600),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
            len in 0_usize..700,
        ) {
            let mut view = base.clone();
            view.resize(len, 7);
            for (index, value) in edits {
                if let Some(byte) = view.get_mut(index.index(len.max(1))) {
                    *byte = value;
                }
            }
            if let Some(delta) = delta(&base, &view) {
                prop_assert!(delta.len() < view.len());
                prop_assert_eq!(apply(&base, &delta, LEN_MAX), Ok(view));
            }
        }

        #[test]
        fn garbage_neither_panics_nor_exceeds_the_bound(
            base in bytes(200),
            garbage in bytes(100),
            codec in 0_u8..3,
            len_max in 0_usize..300,
        ) {
            let delta = [&[codec], garbage.as_slice()].concat();
            if let Ok(view) = apply(&base, &delta, len_max) {
                prop_assert!(view.len() <= len_max);
            }
        }

        #[test]
        fn a_cut_delta_is_refused_or_ends_between_pairs(base in bytes(300), at in 0_usize..300) {
            let mut view = base.clone();
            view.extend([1; 64]);
            if let Some(byte) = view.get_mut(at) {
                *byte ^= 1;
            }
            let Some(delta) = delta(&base, &view) else { return Ok(()) };
            let cut = &delta[..delta.len() - 1];
            prop_assert_eq!(apply(&base, cut, LEN_MAX), Err(BadDelta));
        }
    }

    #[test]
    fn an_unchanged_view_takes_one_byte() {
        let view = [1; 500];
        assert_eq!(delta(&view, &view), Some(Bytes::from_static(&[SAME])));
        assert_eq!(apply(&view, &[SAME], LEN_MAX), Ok(view.to_vec()));
        assert_eq!(apply(&view, &[SAME], 499), Err(BadDelta));
        assert_eq!(apply(&view, &[SAME, 0], LEN_MAX), Err(BadDelta));
    }

    #[test]
    fn a_few_changed_bytes_take_a_few_bytes() {
        let base = [1; 500];
        let mut view = base;
        view[100] = 2;
        view[103] = 3;
        view[400] = 4;
        // Codec 1, length 2; then 2 + 1 + 4 bytes, for the gap of two is carried along; then
        // 2 + 1 + 1 bytes.
        assert_eq!(delta(&base, &view).unwrap().len(), 3 + 7 + 4);
    }

    #[test]
    fn a_view_of_another_kind_gets_no_delta() {
        assert_eq!(delta(&[1; 50], &[2; 50]), None);
        assert_eq!(delta(&[], b"new"), None);
        assert_eq!(delta(b"old", &[]), None);
        assert_eq!(delta(b"a", b"a"), None);
    }

    #[test]
    fn a_wrong_base_shows_in_the_check() {
        assert_ne!(check(b"one view"), check(b"two view"));
    }

    #[test]
    fn runs_are_found_at_every_offset() {
        for zeros in 0..40 {
            for changed in 1..20 {
                let run = [vec![0; zeros], vec![9; changed], vec![0; 5]].concat();
                assert_eq!(zeros_len(&run), zeros);
                assert_eq!(changed_len(&run[zeros..]), changed);
            }
            assert_eq!(zeros_len(&vec![0; zeros]), zeros);
        }
    }
}
