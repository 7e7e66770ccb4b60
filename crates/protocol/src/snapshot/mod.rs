//! Deltas between encoded views: made once per baseline by the server, applied by clients.
//!
//! ```text
//! codec 1 | body        0 same: the view equals its base, and no body follows
//!                       1 xor: runs of bytes that changed where they are
//!                       2 dictionary: LZ4 with the base as its dictionary
//!                       3 values: what became of MessagePack values
//! ```
//!
//! `docs/protocol.md` has the bodies.

mod dictionary;
mod values;
mod xor;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::wire::{Malformed, Reader};

/// A delta that cannot be applied: cut short, or not made for this base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed snapshot delta")]
pub struct BadDelta;

/// A way to tell a view by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// Bytes that changed where they are: by far the cheapest.
    Xor = 1,
    /// LZ4 with the base as its dictionary: bytes may move.
    Dictionary = 2,
    /// MessagePack values, whose numbers may grow.
    Values = 3,
}

impl Codec {
    /// All of them, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Xor, Self::Dictionary, Self::Values];
}

/// 32 bits of XXH3 over a whole view: notices a wrong base, does not defend against an attacker
/// (the AEAD does).
#[must_use]
pub fn check(view: &[u8]) -> u32 {
    let low = xxh3_64(view) & u64::from(u32::MAX);
    u32::try_from(low).expect("the mask leaves 32 bits")
}

/// The shortest delta that turns `base` into `view`, or `None` if the whole view is no longer than any.
#[must_use]
pub fn delta(base: &[u8], view: &[u8]) -> Option<Bytes> {
    let deltas = Codec::ALL
        .into_iter()
        .filter_map(|codec| delta_by(codec, base, view));
    deltas.min_by_key(Bytes::len)
}

/// The delta of a codec that turns `base` into `view`, or `None` if the whole view is no longer than it. Of
/// equal views it is the same with any.
#[must_use]
pub fn delta_by(codec: Codec, base: &[u8], view: &[u8]) -> Option<Bytes> {
    if base == view {
        return (view.len() > 1).then(|| Bytes::from_static(&[SAME]));
    }
    // As long as it may become, so that it is taken at once, and given back as far as it is not needed.
    let mut out = Vec::with_capacity(match codec {
        Codec::Dictionary => dictionary::len_max(view.len()),
        Codec::Xor | Codec::Values => view.len(),
    });
    out.push(codec as u8);
    let is_made = match codec {
        Codec::Xor => xor::put(&mut out, base, view),
        Codec::Dictionary => {
            dictionary::put(&mut out, base, view);
            true
        }
        Codec::Values => values::put(&mut out, base, view),
    };
    (is_made && out.len() < view.len()).then(|| out.into_boxed_slice().into())
}

/// Applies a delta to its base. The result is at most `len_max` bytes.
///
/// # Errors
/// The delta is cut short, or names bytes beyond `len_max`.
pub fn apply(base: &[u8], delta: &[u8], len_max: usize) -> Result<Vec<u8>, BadDelta> {
    const XOR: u8 = Codec::Xor as u8;
    const DICTIONARY: u8 = Codec::Dictionary as u8;
    const VALUES: u8 = Codec::Values as u8;
    let mut reader = Reader::new(delta);
    match reader.byte()? {
        SAME if reader.is_empty() && base.len() <= len_max => Ok(base.to_vec()),
        XOR => xor::apply(base, reader, len_max),
        DICTIONARY => dictionary::apply(base, reader, len_max),
        VALUES => values::apply(base, reader, len_max),
        _ => Err(BadDelta),
    }
}

const SAME: u8 = 0;

fn length(reader: &mut Reader<'_>) -> Result<usize, BadDelta> {
    usize::try_from(reader.varint()?).map_err(|_| BadDelta)
}

/// With what each body begins: the length of its view, of at most `len_max` bytes.
fn view_len(body: &mut Reader<'_>, len_max: usize) -> Result<usize, BadDelta> {
    length(body).and_then(|len| (len <= len_max).then_some(len).ok_or(BadDelta))
}

fn number(len: usize) -> u64 {
    u64::try_from(len).expect("a length in memory fits 64 bits")
}

impl From<Malformed> for BadDelta {
    fn from(_: Malformed) -> Self {
        Self
    }
}

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
            let shortest = delta(&base, &view).map_or(view.len(), |delta| delta.len());
            for codec in Codec::ALL {
                let Some(delta) = delta_by(codec, &base, &view) else { continue };
                prop_assert!((shortest..view.len()).contains(&delta.len()));
                prop_assert_eq!(apply(&base, &delta, LEN_MAX), Ok(view.clone()));
            }
        }

        #[test]
        fn garbage_neither_panics_nor_exceeds_the_bound(
            base in bytes(200),
            garbage in bytes(100),
            codec in 0_u8..5,
            len_max in 0_usize..300,
        ) {
            let delta = [&[codec], garbage.as_slice()].concat();
            if let Ok(view) = apply(&base, &delta, len_max) {
                prop_assert!(view.len() <= len_max);
            }
        }

        #[test]
        fn a_cut_delta_is_refused(base in bytes(300), at in 0_usize..300) {
            let mut view = base.clone();
            view.extend([1; 64]);
            if let Some(byte) = view.get_mut(at) {
                *byte ^= 1;
            }
            for codec in Codec::ALL {
                let Some(delta) = delta_by(codec, &base, &view) else { continue };
                let cut = &delta[..delta.len() - 1];
                prop_assert_eq!(apply(&base, cut, LEN_MAX), Err(BadDelta));
            }
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
        let delta = delta_by(Codec::Xor, &base, &view).unwrap();
        assert_eq!(delta.len(), 3 + 7 + 4);
    }

    #[test]
    fn a_view_of_another_kind_gets_no_delta() {
        let of: Vec<u8> = (100..150).collect();
        let other: Vec<u8> = (0..50).map(|byte| byte * 5 + 1).collect();
        assert_eq!(delta(&of, &other), None);
        assert_eq!(delta(&[], b"new"), None);
        assert_eq!(delta(b"old", &[]), None);
        assert_eq!(delta(b"a", b"a"), None);
    }

    #[test]
    fn moved_bytes_are_found_in_the_base() {
        let base: Vec<u8> = (0..=255).map(|byte: u8| byte.wrapping_mul(151)).collect();
        let view = [b"new".as_slice(), &base].concat();
        assert_eq!(delta_by(Codec::Xor, &base, &view), None);
        let delta = delta_by(Codec::Dictionary, &base, &view).unwrap();
        assert!(delta.len() < 32, "{}", delta.len());
    }

    #[test]
    fn a_wrong_base_shows_in_the_check() {
        assert_ne!(check(b"one view"), check(b"two view"));
    }
}
