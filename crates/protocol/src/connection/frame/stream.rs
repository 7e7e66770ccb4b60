//! Fragments of reliable messages.
//!
//! ```text
//! type 1 | message id varint | [index 1 | count 1] | [length varint] | data
//! ```

use super::fragment::{FRAGMENTS_MAX, Fragment};
use super::reader::{cut, read_data};
use super::writer::{DataFrame, FRAGMENTED, FrameWriter, HAS_LENGTH};
use crate::connection::error::Violation;
use crate::connection::ordered_stream::OrderedStream;
use crate::limits::{ORDERED_STREAMS, RELIABLE_MAX};
use crate::wire::{Reader, put_varint};

const _: () = assert!(
    StreamFrame::KIND_FIRST as usize + KINDS as usize * (1 + ORDERED_STREAMS)
        == StreamFrame::KIND_LAST as usize + 1
);
/// Types of one stream: with and without a length, whole or not.
const KINDS: u8 = 4;

/// The reliable streams of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamName {
    /// Before everything else, never held back.
    Control,
    /// After everything else, within the congestion window.
    Ordered(OrderedStream),
}

impl StreamName {
    /// The first of its types: the name costs no byte.
    fn kind(self) -> u8 {
        match self {
            Self::Control => StreamFrame::KIND_FIRST,
            Self::Ordered(stream) => StreamFrame::KIND_FIRST + KINDS * (1 + stream.number()),
        }
    }

    fn from_kind(kind: u8) -> Option<Self> {
        match kind.checked_sub(StreamFrame::KIND_FIRST)? / KINDS {
            0 => Some(Self::Control),
            number => OrderedStream::from_number(number - 1).map(Self::Ordered),
        }
    }
}

/// One fragment of a reliable message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamFrame<'a> {
    pub(crate) stream: StreamName,
    /// Counts the messages of a stream from 0.
    pub(crate) id: u64,
    pub(crate) fragment: Fragment,
    pub(crate) data: &'a [u8],
}

impl<'a> StreamFrame<'a> {
    pub(super) const KIND_FIRST: u8 = 0x10;
    pub(super) const KIND_LAST: u8 = 0x23;

    /// Writes the frame if it fits.
    pub(crate) fn write(&self, writer: &mut FrameWriter<'_>) -> bool {
        let mut kind = self.stream.kind();
        let mut buffer = [0; 10];
        let mut free = buffer.as_mut_slice();
        put_varint(&mut free, self.id);
        if !self.fragment.is_whole() {
            kind |= FRAGMENTED;
            bytes::BufMut::put_slice(&mut free, &[self.fragment.index, self.fragment.count]);
        }
        let unused = free.len();
        let (fields, _) = buffer.split_at(buffer.len() - unused);
        writer.put_data(DataFrame {
            kind,
            fields,
            data: [self.data, &[]],
        })
    }

    pub(super) fn read(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let stream = StreamName::from_kind(kind).ok_or(Violation("unknown stream"))?;
        let id = reader.varint().map_err(cut)?;
        let fragment = if kind & FRAGMENTED == 0 {
            Fragment::WHOLE
        } else {
            let [index, count] = reader.array().map_err(cut)?;
            Fragment { index, count }
        };
        let data = read_data(kind & HAS_LENGTH != 0, reader)?;
        fragment.check(FRAGMENTS_MAX, data.len())?;
        if fragment.range(RELIABLE_MAX).len() < data.len() {
            return Err(Violation("reliable message too long"));
        }
        Ok(Self {
            stream,
            id,
            fragment,
            data,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Frame;
    use super::*;
    use crate::limits::{FRAGMENT_MAX, FRAMES_MAX};
    use crate::wire::VARINT_MAX;

    fn read_all(bytes: &[u8]) -> Vec<StreamFrame<'_>> {
        let mut reader = Reader::new(bytes);
        let mut frames = Vec::new();
        while !reader.is_empty() {
            let Ok(Frame::Stream(frame)) = Frame::read(&mut reader) else {
                panic!("stream frame")
            };
            frames.push(frame);
        }
        frames
    }

    proptest! {
        #[test]
        fn several_frames_share_a_packet_and_read_back(
            frames in prop::collection::vec(
                (0..=4_u8, 0..=VARINT_MAX, prop::collection::vec(any::<u8>(), 0..100)), 1..6),
        ) {
            let frames: Vec<_> = frames.iter().map(|(stream, id, data)| StreamFrame {
                stream: StreamName::from_kind(StreamFrame::KIND_FIRST + KINDS * stream).unwrap(),
                id: *id,
                fragment: Fragment::WHOLE,
                data,
            }).collect();
            let mut out = Vec::new();
            let mut writer = FrameWriter::new(&mut out);
            for frame in &frames {
                prop_assert!(frame.write(&mut writer));
            }
            prop_assert_eq!(read_all(&out), frames);
        }
    }

    #[test]
    fn a_full_fragment_fits_an_empty_packet_even_with_the_longest_id() {
        let fragment = Fragment {
            index: 55,
            count: 57,
        };
        let data = [7; FRAGMENT_MAX];
        let frame = StreamFrame {
            stream: StreamName::Ordered(OrderedStream::ALL[3]),
            id: VARINT_MAX,
            fragment,
            data: &data,
        };
        let mut out = Vec::new();
        let mut writer = FrameWriter::new(&mut out);
        assert!(frame.write(&mut writer));
        assert!(!frame.write(&mut writer), "a second one does not");
        assert!(out.len() <= FRAMES_MAX);
        assert_eq!(read_all(&out), [frame]);
    }

    #[test]
    fn a_small_message_adds_its_type_and_number_only() {
        let data = *b"go";
        let frame = StreamFrame {
            stream: StreamName::Control,
            id: 3,
            fragment: Fragment::WHOLE,
            data: &data,
        };
        let mut out = Vec::new();
        let mut writer = FrameWriter::new(&mut out);
        assert!(frame.write(&mut writer));
        assert_eq!(out, [0x10, 3, b'g', b'o']);
    }

    #[test]
    fn a_message_beyond_the_bound_is_a_violation() {
        let room = RELIABLE_MAX - 56 * FRAGMENT_MAX;
        for (len, fits) in [(room, true), (room + 1, false)] {
            let mut bytes = vec![0x12, 0, 56, 57];
            bytes.resize(4 + len, 0);
            assert_eq!(Frame::read(&mut Reader::new(&bytes)).is_ok(), fits);
        }
    }
}
