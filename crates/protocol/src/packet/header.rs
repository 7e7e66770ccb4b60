//! The clear part of a data packet. All of it is authenticated with the packet.

use bytes::BufMut;

use super::number::TruncatedNumber;
use crate::wire::{Malformed, Reader};

/// The two top bits of a data packet's flags are zero; hellos and their answers have others.
pub(super) const TYPE_MASK: u8 = 0b1100_0000;
pub(super) const EPOCH_SHIFT: u8 = 4;
const KEY_PHASE: u8 = 0b0000_1000;
const LABELLED: u8 = 0b0000_0100;
/// The bits of a datagram's first byte that tell whether it is a data packet with a connection id.
pub const LABELLED_MASK: u8 = TYPE_MASK | LABELLED;
/// What those bits are then.
pub const LABELLED_BITS: u8 = LABELLED;
/// Where the shard stands in such a datagram: the first byte of the connection id.
pub const SHARD_AT: u8 = 1;
/// Epochs that the two bits in a header tell apart.
pub const EPOCHS_TOLD_APART: u64 = 4;
const NUMBER_LEN_MASK: u8 = 0b0000_0011;

/// What stands before the sealed frames.
///
/// ```text
/// flags   7 6 | 5 4   | 3         | 2        | 1 0
///         0 0 | epoch | key phase | id there | packet number bytes less 1
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The server process, modulo 4.
    pub epoch_bits: u8,
    /// Turns over with each change of the sender's key.
    pub key_phase: bool,
    /// The connection id, if the receiver asked for one.
    pub label: Option<[u8; 4]>,
    /// The low bytes of the packet number.
    pub number: TruncatedNumber,
}

impl Header {
    /// Appends the header; gives its length.
    pub fn encode(&self, out: &mut impl BufMut) -> usize {
        let number_len = self.number.len();
        let spare = u8::try_from(number_len - 1).expect("a packet number takes 1 to 4 bytes");
        let mut flags = (self.epoch_bits & 3) << EPOCH_SHIFT | spare;
        if self.key_phase {
            flags |= KEY_PHASE;
        }
        if self.label.is_some() {
            flags |= LABELLED;
        }
        out.put_u8(flags);
        if let Some(label) = self.label {
            out.put_slice(&label);
        }
        self.number.encode(out);
        1 + self.label.map_or(0, |label| label.len()) + number_len
    }

    /// Reads a header from the front of a datagram; gives its length with it.
    ///
    /// # Errors
    /// The datagram is of another type, or ends early.
    pub fn decode(datagram: &[u8]) -> Result<(Self, usize), Malformed> {
        let mut reader = Reader::new(datagram);
        let flags = reader.byte()?;
        if flags & TYPE_MASK != 0 {
            return Err(Malformed);
        }
        let label = if flags & LABELLED == 0 {
            None
        } else {
            Some(reader.array()?)
        };
        let number_len = usize::from(flags & NUMBER_LEN_MASK) + 1;
        let number = TruncatedNumber::decode(reader.take(number_len)?)?;
        let header = Self {
            epoch_bits: flags >> EPOCH_SHIFT,
            key_phase: flags & KEY_PHASE != 0,
            label,
            number,
        };
        Ok((header, datagram.len() - reader.rest().len()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::HEADER_MAX;

    proptest! {
        #[test]
        fn headers_read_back(
            epoch_bits in 0_u8..4,
            key_phase: bool,
            label: Option<[u8; 4]>,
            number in 0_u64..1 << 62,
            gap in 0_u64..1 << 30,
        ) {
            let number = TruncatedNumber::shortest(number, number.checked_sub(gap + 1));
            let header = Header { epoch_bits, key_phase, label, number };
            let mut out = Vec::new();
            let len = header.encode(&mut out);
            prop_assert_eq!(len, out.len());
            prop_assert!(len <= HEADER_MAX);
            out.extend_from_slice(b"frames");
            prop_assert_eq!(Header::decode(&out), Ok((header, len)));
        }

        #[test]
        fn any_bytes_are_a_header_or_an_error(bytes: Vec<u8>) {
            if let Ok((header, len)) = Header::decode(&bytes) {
                let mut out = Vec::new();
                prop_assert_eq!(header.encode(&mut out), len);
                prop_assert_eq!(&out[..], &bytes[..len]);
            }
        }
    }

    #[test]
    fn other_datagram_types_are_refused() {
        for flags in [0x40, 0x80, 0xc0] {
            assert_eq!(
                Header::decode(&[flags, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
                Err(Malformed)
            );
        }
    }
}
