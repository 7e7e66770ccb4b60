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
    open: Option<Open>,
}

/// The last frame, being a data frame: it needs a length once another one follows.
#[derive(Clone, Copy, Debug)]
struct Open {
    kind_at: usize,
    data_at: usize,
}

impl Open {
    /// Bytes that its length will take, if its data ends at `end`.
    fn length_len(self, end: usize) -> usize {
        varint_len(number(end - self.data_at))
    }
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
            open: None,
        }
    }

    /// Bytes left for another frame.
    pub(crate) fn space(&self) -> usize {
        let written = self.out.len();
        let owed = self.open.map_or(0, |open| open.length_len(written));
        self.end.saturating_sub(written + owed)
    }

    /// True if the packet must be acknowledged.
    pub(crate) fn is_eliciting(&self) -> bool {
        self.eliciting
    }

    /// Writes a frame without data. The caller has seen that it fits.
    pub(super) fn put(&mut self, kind: u8, eliciting: bool) -> &mut Vec<u8> {
        self.close();
        self.eliciting |= eliciting;
        self.out.put_u8(kind);
        self.out
    }

    /// Writes a data frame if it fits with a length, which it is given if it is not the last.
    pub(super) fn put_data(&mut self, frame: DataFrame<'_>) -> bool {
        let [front, back] = frame.data;
        let data_len = front.len() + back.len();
        let len = varint_len(number(data_len));
        if 1 + frame.fields.len() + len + data_len > self.space() {
            return false;
        }
        self.put(frame.kind, true);
        let kind_at = self.out.len() - 1;
        self.out.extend_from_slice(frame.fields);
        let data_at = self.out.len();
        self.out.extend_from_slice(front);
        self.out.extend_from_slice(back);
        self.open = Some(Open { kind_at, data_at });
        true
    }

    /// Gives the last frame its length, since it is not the last any more.
    fn close(&mut self) {
        let Some(open) = self.open.take() else {
            return;
        };
        let end = self.out.len();
        if let Some(kind) = self.out.get_mut(open.kind_at) {
            *kind |= HAS_LENGTH;
        }
        // Behind the data, and from there to its front.
        put_varint(self.out, number(end - open.data_at));
        let moved = self.out.get_mut(open.data_at..).unwrap_or_default();
        moved.rotate_right(open.length_len(end));
    }
}

fn number(len: usize) -> u64 {
    u64::try_from(len).expect("a slice is shorter than 2^64 bytes")
}
