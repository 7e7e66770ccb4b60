//! What changed where both have the same bytes at the same place, as runs.
//!
//! ```text
//! body     length of the view varint | (zeros varint, count varint, bytes xor base)*
//! ```
//!
//! `zeros` counts bytes that equal the base, `count` the changed ones that follow. Where the view is longer, its base
//! counts as zero; what follows the last pair equals the base.

use super::{BadDelta, length, number, view_len};
use crate::wire::{Reader, put_varint};

/// Appends the body of a delta; false if the whole would be no longer, and then `out` holds a part.
pub(super) fn put(out: &mut Vec<u8>, base: &[u8], view: &[u8]) -> bool {
    let changes = xored(base, view);
    let mut rest = changes.as_slice();
    put_varint(out, number(view.len()));
    loop {
        let (zeros, after) = rest.split_at(zeros_len(rest));
        if after.is_empty() {
            break;
        }
        let (changed, after) = after.split_at(changed_len(after));
        put_varint(out, number(zeros.len()));
        put_varint(out, number(changed.len()));
        if out.len() + changed.len() >= view.len() {
            return false;
        }
        out.extend_from_slice(changed);
        rest = after;
    }
    out.len() < view.len()
}

/// The view that a body makes of `base`, of at most `len_max` bytes.
pub(super) fn apply(
    base: &[u8],
    mut body: Reader<'_>,
    len_max: usize,
) -> Result<Vec<u8>, BadDelta> {
    let len = view_len(&mut body, len_max)?;
    let mut view = Vec::with_capacity(len);
    view.extend(base.iter().take(len));
    view.resize(len, 0);
    let mut rest = view.as_mut_slice();
    while !body.is_empty() {
        let (zeros, count) = (length(&mut body)?, length(&mut body)?);
        let (_, after) = rest.split_at_mut_checked(zeros).ok_or(BadDelta)?;
        let (changed, after) = after.split_at_mut_checked(count).ok_or(BadDelta)?;
        for (byte, change) in changed.iter_mut().zip(body.take(count)?) {
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

const WORD: usize = 8;
/// Unchanged bytes in a row that end a run of changes. A new pair costs two bytes or more, so
/// shorter gaps are cheaper carried along.
const GAP: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

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
