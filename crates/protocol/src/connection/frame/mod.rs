//! Frames: what the sealed part of a packet holds. Each kind has its own writer and reader.
//!
//! ```text
//! 01        ping        keeps the peer sure of us, asks for an acknowledgement
//! 02, 08    ack         ranges of received packet numbers: one, several
//! 03        heartbeat   how long we may be silent
//! 04        close       the connection is over, and why
//! 05        loading     we load and may be silent for this long; zero: done
//! 06, 07    path        does the peer receive there? it does
//! 10..13    stream      control                          }
//! 14..23                four ordered ones, four types each } bit 1: one of several fragments
//! 30..37    latest                                       } bit 0: a length precedes the data
//! ```
//!
//! Data without a length reaches to the end of the packet. Every frame but ack, close and path challenge
//! asks for an acknowledgement of its packet.

mod ack;
mod fragment;
mod latest;
mod path;
mod reader;
mod signal;
mod stream;
mod writer;

pub(crate) use ack::AckFrame;
pub(crate) use fragment::Fragment;
pub(crate) use latest::LatestFrame;
pub(crate) use path::{PathAnswerFrame, PathChallengeFrame, PathToken};
pub(crate) use signal::{CloseFrame, HeartbeatFrame, LoadingFrame, PingFrame};
pub(crate) use stream::{StreamFrame, StreamName};
pub(crate) use writer::FrameWriter;

use super::error::Violation;
use crate::wire::Reader;
use reader::cut;

/// A frame as read from an authentic packet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame<'a> {
    Ping,
    Ack(AckFrame<'a>),
    Heartbeat(HeartbeatFrame),
    Close(CloseFrame),
    Loading(LoadingFrame),
    PathChallenge(PathChallengeFrame),
    PathAnswer(PathAnswerFrame),
    Stream(StreamFrame<'a>),
    Latest(LatestFrame<'a>),
}

impl<'a> Frame<'a> {
    /// Reads the next frame of a packet.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let kind = reader.byte().map_err(cut)?;
        match kind {
            PingFrame::KIND => Ok(Self::Ping),
            AckFrame::KIND | AckFrame::KIND_FURTHER => AckFrame::read(kind, reader).map(Self::Ack),
            HeartbeatFrame::KIND => HeartbeatFrame::read(reader).map(Self::Heartbeat),
            CloseFrame::KIND => CloseFrame::read(reader).map(Self::Close),
            LoadingFrame::KIND => LoadingFrame::read(reader).map(Self::Loading),
            PathChallengeFrame::KIND => PathChallengeFrame::read(reader).map(Self::PathChallenge),
            PathAnswerFrame::KIND => PathAnswerFrame::read(reader).map(Self::PathAnswer),
            StreamFrame::KIND_FIRST..=StreamFrame::KIND_LAST => {
                StreamFrame::read(kind, reader).map(Self::Stream)
            }
            LatestFrame::KIND_FIRST..=LatestFrame::KIND_LAST => {
                LatestFrame::read(kind, reader).map(Self::Latest)
            }
            _ => Err(Violation("unknown frame")),
        }
    }

    /// True if the packet that holds this must be acknowledged.
    pub(crate) const fn is_eliciting(&self) -> bool {
        match self {
            Self::Ack(_) | Self::Close(_) | Self::PathChallenge(_) => false,
            Self::Ping
            | Self::Heartbeat(_)
            | Self::PathAnswer(_)
            | Self::Loading(_)
            | Self::Stream(_)
            | Self::Latest(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_a_violation(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            while !reader.is_empty() {
                let before = reader.rest().len();
                let Ok(frame) = Frame::read(&mut reader) else { break };
                prop_assert!(reader.rest().len() < before, "each frame takes at least its type");
                if let Frame::Ack(ack) = frame {
                    prop_assert!(ack.ranges().all(|range| range.start() <= range.end()));
                }
            }
        }
    }

    #[test]
    fn unknown_frames_are_a_violation() {
        for kind in [0x00, 0x09, 0x0f, 0x24, 0x2f, 0x38, 0xff] {
            let bytes = [kind, 0, 0, 0, 0];
            let result = Frame::read(&mut Reader::new(&bytes));
            assert_eq!(
                result.unwrap_err(),
                Violation("unknown frame"),
                "kind {kind:#x}"
            );
        }
    }
}
