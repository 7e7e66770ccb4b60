//! The space of one packet, offered to one frame kind after the other.

use bytes::BufMut;

use crate::limits::FRAMES_MAX;
use crate::wire::{put_varint, varint_len};

/// In the type of a data frame: a length precedes the data.
pub(super) const HAS_LENGTH: u8 = 0b01;
/// In the type of a data frame: it is one of several fragments.
pub(super) const FRAGMENTED: u8 = 0b10;

/// Appends frames to a packet under construction.
#[derive(Debug)]
pub(crate) struct FrameWriter<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
    eliciting: bool,
    last_length: Option<Length>,
}

/// Where the last frame, being a data frame, keeps its length.
#[derive(Clone, Copy, Debug)]
struct Length {
    kind_at: usize,
    at: usize,
    len: usize,
}

/// A data frame about to be written: its type, its fields, its data in two parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataFrame<'a> {
    pub(super) kind: u8,
    pub(super) fields: &'a [u8],
    pub(super) data: [&'a [u8]; 2],
}

impl<'a> FrameWriter<'a> {
    /// Frames go to the end of `out`, behind the header.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        let end = out.len() + FRAMES_MAX;
        Self {
            out,
            end,
            eliciting: false,
            last_length: None,
        }
    }

    /// Bytes left.
    pub(crate) fn space(&self) -> usize {
        self.end - self.out.len()
    }

    /// True if the packet must be acknowledged.
    pub(crate) fn is_eliciting(&self) -> bool {
        self.eliciting
    }

    /// Ends the packet's frames: the last one needs no length.
    pub(crate) fn finish(self) {
        let Some(Length { kind_at, at, len }) = self.last_length else {
            return;
        };
        let kind = self
            .out
            .get_mut(kind_at)
            .expect("the type was written there");
        *kind &= !HAS_LENGTH;
        self.out.drain(at..at + len);
    }

    /// Writes a frame without data. The caller has seen that it fits.
    pub(super) fn put(&mut self, kind: u8, eliciting: bool) -> &mut Vec<u8> {
        self.last_length = None;
        self.eliciting |= eliciting;
        self.out.put_u8(kind);
        self.out
    }

    /// Writes a data frame if it fits with a length, which the last one loses again.
    pub(super) fn put_data(&mut self, frame: DataFrame<'_>) -> bool {
        let [front, back] = frame.data;
        let data_len = front.len() + back.len();
        let wide_len = u64::try_from(data_len).expect("a slice is shorter than 2^64 bytes");
        let len = varint_len(wide_len);
        if 1 + frame.fields.len() + len + data_len > self.space() {
            return false;
        }
        let kind_at = self.out.len();
        self.put(frame.kind | HAS_LENGTH, true)
            .extend_from_slice(frame.fields);
        let at = self.out.len();
        put_varint(self.out, wide_len);
        self.out.extend_from_slice(front);
        self.out.extend_from_slice(back);
        self.last_length = Some(Length { kind_at, at, len });
        true
    }
}
