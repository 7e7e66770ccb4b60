//! Checked reading and writing of the fixed binary parts: varints and slices.
//!
//! A varint is QUIC's (RFC 9000, section 16): the two top bits of the first byte give
//! the length, so 0..=63 takes one byte and the largest value is 2^62 - 1.

use bytes::BufMut;

/// The largest number a varint holds.
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// The bytes end early, or a number exceeds its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed binary data")]
pub struct Malformed;

/// Reads from the front of a slice; every read is checked.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// True if everything has been read.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next byte.
    ///
    /// # Errors
    /// None is left.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next varint.
    ///
    /// # Errors
    /// It is cut short.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let first = self.byte()?;
        let mut value = u64::from(first & 0x3f);
        for _ in 1..(1_usize << (first >> 6)) {
            value = value << 8 | u64::from(self.byte()?);
        }
        Ok(value)
    }
}

/// Bytes that `value` takes as a varint.
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Appends `value` as a varint.
///
/// # Panics
/// If `value` exceeds [`VARINT_MAX`]: counters of ours never reach it.
#[inline]
pub fn put_varint(out: &mut impl BufMut, value: u64) {
    match u8::try_from(value) {
        Ok(byte @ 0..=0x3f) => out.put_u8(byte),
        Ok(_) | Err(_) => put_long_varint(out, value),
    }
}

fn put_long_varint(out: &mut impl BufMut, value: u64) {
    assert!(value <= VARINT_MAX, "a varint holds 62 bits");
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    match value {
        0..=0x3f => out.put_u8(h),
        0x40..=0x3fff => out.put_slice(&[g | 0x40, h]),
        0x4000..=0x3fff_ffff => out.put_slice(&[e | 0x80, f, g, h]),
        _ => out.put_slice(&[a | 0xc0, b, c, d, e, f, g, h]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_read_back(value in 0..=VARINT_MAX) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn a_cut_varint_is_an_error(value in 0x40..=VARINT_MAX) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            out.pop();
            prop_assert_eq!(Reader::new(&out).varint(), Err(Malformed));
        }
    }
}
