//! Path validation (RFC 9000, section 8.2): does the peer receive where its packets come from?
//!
//! ```text
//! 06 challenge  data 8
//! 07 answer     the same 8
//! ```
//!
//! A challenge asks for no acknowledgement: its answer is one.

use bytes::BufMut;

use super::reader::cut;
use super::writer::FrameWriter;
use crate::connection::error::Violation;
use crate::wire::Reader;

/// What a challenge holds and its answer repeats; nobody can guess it.
pub(crate) type PathToken = [u8; 8];

/// Sent over the path in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathChallengeFrame(pub(crate) PathToken);

/// Sent back, over whatever path the peer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathAnswerFrame(pub(crate) PathToken);

impl PathChallengeFrame {
    pub(super) const KIND: u8 = 0x06;

    pub(crate) fn write(self, writer: &mut FrameWriter<'_>) {
        writer.put(Self::KIND, false).put_slice(&self.0);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        reader.array().map(Self).map_err(cut)
    }
}

impl PathAnswerFrame {
    pub(super) const KIND: u8 = 0x07;
    const LEN: usize = 1 + size_of::<PathToken>();

    /// Writes the frame if it fits.
    pub(crate) fn write(self, writer: &mut FrameWriter<'_>) -> bool {
        if writer.space() < Self::LEN {
            return false;
        }
        writer.put(Self::KIND, true).put_slice(&self.0);
        true
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        reader.array().map(Self).map_err(cut)
    }
}
