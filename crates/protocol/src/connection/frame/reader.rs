//! What all readers share: frames that end early, and data with or without a length.

use crate::connection::error::Violation;
use crate::wire::{Malformed, Reader};

/// A frame that its packet cuts short.
pub(super) fn cut(_: Malformed) -> Violation {
    Violation("frame cut short")
}

/// The data of a frame: after its length if there is one, else all that is left.
pub(super) fn read_data<'a>(
    has_length: bool,
    reader: &mut Reader<'a>,
) -> Result<&'a [u8], Violation> {
    if !has_length {
        return reader.take(reader.rest().len()).map_err(cut);
    }
    let len = reader.varint().map_err(cut)?;
    // A length beyond the address space is beyond the packet too.
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    reader.take(len).map_err(cut)
}
