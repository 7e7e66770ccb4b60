//! LZ4 with the base as its dictionary: for views whose bytes move.
//!
//! ```text
//! body     length of the view varint | an LZ4 block, whose matches may reach back into the base
//! ```

use lz4_flex::block;

use super::{BadDelta, number, view_len};
use crate::wire::{Reader, put_varint};

/// Bytes that a delta to a view of `len` bytes has at most, with its codec.
pub(super) const fn len_max(len: usize) -> usize {
    1 + size_of::<u64>() + block::get_maximum_output_size(len)
}

/// Appends the body of a delta; it may be longer than the view.
pub(super) fn put(out: &mut Vec<u8>, base: &[u8], view: &[u8]) {
    put_varint(out, number(view.len()));
    let start = out.len();
    out.resize(start + block::get_maximum_output_size(view.len()), 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let written = block::compress_into_with_dict(view, room, base);
    out.truncate(start + written.expect("there is room for the longest block"));
}

/// The view that a body makes of `base`, of at most `len_max` bytes.
pub(super) fn apply(
    base: &[u8],
    mut body: Reader<'_>,
    len_max: usize,
) -> Result<Vec<u8>, BadDelta> {
    let len = view_len(&mut body, len_max)?;
    let mut view = vec![0; len];
    match block::decompress_into_with_dict(body.rest(), &mut view, base) {
        Ok(made) if made == len => Ok(view),
        Ok(_) | Err(_) => Err(BadDelta),
    }
}
