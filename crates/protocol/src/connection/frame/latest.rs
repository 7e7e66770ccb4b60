//! Messages of the latest lane, whole or in fragments.
//!
//! ```text
//! type 1 | [key varint] | [index 4 bits, count 4 bits | way back varint] | [length varint] | data
//! ```
//!
//! The key is there if bit 2 of the type is set; the key of most players' only seat, 0, is not.
//!
//! Messages carry no number of their own: the packet number of the first fragment orders
//! them, and later fragments say how far back that is.

use super::fragment::Fragment;
use super::reader::{cut, read_data};
use super::writer::{DataFrame, FRAGMENTED, FrameWriter, HAS_LENGTH};
use crate::connection::error::Violation;
use crate::limits::LATEST_FRAGMENTS_MAX;
use crate::wire::{Reader, put_varint};

/// One fragment of a message on the latest lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LatestFrame<'a> {
    pub(crate) key: u16,
    pub(crate) fragment: Fragment,
    /// From this packet's number to that of the first fragment.
    pub(crate) back: u64,
    /// In two parts, so that a sender need not join them first. A reader fills the first.
    pub(crate) data: [&'a [u8]; 2],
}

impl<'a> LatestFrame<'a> {
    pub(super) const KIND_FIRST: u8 = 0x30;
    pub(super) const KIND_LAST: u8 = 0x37;
    /// In the type: a key that is not 0.
    const KEYED: u8 = 0b100;

    /// Writes the frame if it fits.
    pub(crate) fn write(&self, writer: &mut FrameWriter<'_>) -> bool {
        let mut kind = Self::KIND_FIRST;
        let mut buffer = [0; 13];
        let mut free = buffer.as_mut_slice();
        if self.key != 0 {
            kind |= Self::KEYED;
            put_varint(&mut free, u64::from(self.key));
        }
        if !self.fragment.is_whole() {
            kind |= FRAGMENTED;
            bytes::BufMut::put_u8(&mut free, self.fragment.index << 4 | self.fragment.count);
            put_varint(&mut free, self.back);
        }
        let unused = free.len();
        let (fields, _) = buffer.split_at(buffer.len() - unused);
        writer.put_data(DataFrame {
            kind,
            fields,
            data: self.data,
        })
    }

    pub(super) fn read(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let key = match kind & Self::KEYED {
            0 => 0,
            _ => reader.varint().map_err(cut)?,
        };
        let key = u16::try_from(key).map_err(|_| Violation("latest key beyond 16 bits"))?;
        let (fragment, back) = if kind & FRAGMENTED == 0 {
            (Fragment::WHOLE, 0)
        } else {
            let packed = reader.byte().map_err(cut)?;
            let fragment = Fragment {
                index: packed >> 4,
                count: packed & 0xf,
            };
            (fragment, reader.varint().map_err(cut)?)
        };
        if fragment.index == 0 && back != 0 {
            return Err(Violation("first fragment points back"));
        }
        let data = read_data(kind & HAS_LENGTH != 0, reader)?;
        fragment.check(LATEST_FRAGMENTS_MAX, data.len())?;
        Ok(Self {
            key,
            fragment,
            back,
            data: [data, &[]],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Frame;
    use super::*;
    use crate::limits::FRAGMENT_MAX;
    use crate::wire::VARINT_MAX;

    fn written(frame: &LatestFrame<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = FrameWriter::new(&mut out);
        assert!(frame.write(&mut writer));
        out
    }

    #[test]
    fn a_small_message_adds_one_byte_or_two() {
        let frame = |key| LatestFrame {
            key,
            fragment: Fragment::WHOLE,
            back: 0,
            data: [b"mo", b"ve"],
        };
        assert_eq!(written(&frame(0)), b"\x30move");
        assert_eq!(written(&frame(63)), b"\x34\x3fmove");
    }

    proptest! {
        #[test]
        fn fragments_read_back(key in prop_oneof![Just(0), any::<u16>()], index in 1_u8..8, more in 0_u8..7, back in 0..=VARINT_MAX) {
            let count = (index + 1 + more).min(8);
            let data = [5; FRAGMENT_MAX];
            let (front, rest) = data.split_at(100);
            let frame =
                LatestFrame { key, fragment: Fragment { index, count }, back, data: [front, rest] };
            let bytes = written(&frame);
            let Ok(Frame::Latest(read)) = Frame::read(&mut Reader::new(&bytes)) else {
                panic!("latest frame")
            };
            prop_assert_eq!(read, LatestFrame { data: [&data, &[]], ..frame });
        }
    }

    #[test]
    fn a_first_fragment_that_points_back_is_a_violation() {
        let mut bytes = vec![0x32, 0x02, 1];
        bytes.resize(3 + FRAGMENT_MAX, 0);
        let result = Frame::read(&mut Reader::new(&bytes));
        assert_eq!(result.unwrap_err(), Violation("first fragment points back"));
    }
}
