//! Frames over any bytes (see [`crate::fuzzing`]).

use super::frame::{AckFrame, Frame, FrameWriter, PingFrame};
use crate::limits::ACK_RANGES_MAX;
use crate::wire::Reader;

/// The frames of one packet, up to the first that is malformed.
pub(crate) fn frames(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let before = reader.rest().len();
        let Ok(frame) = Frame::read(&mut reader) else {
            return;
        };
        assert!(reader.rest().len() < before, "a frame takes a byte or more");
        match frame {
            Frame::Ack(ack) => check_ack(&ack),
            Frame::Ping
            | Frame::Heartbeat(_)
            | Frame::Loading(_)
            | Frame::Close(_)
            | Frame::PathChallenge(_)
            | Frame::PathAnswer(_)
            | Frame::Stream(_)
            | Frame::Latest(_) => check_written(&frame),
        }
    }
}

/// What is written again reads back as the same frame.
fn check_written(frame: &Frame<'_>) {
    let mut written = Vec::new();
    let fits = write(frame, &mut FrameWriter::new(&mut written));
    assert!(fits, "what was read from one packet fits one packet");
    let again = Frame::read(&mut Reader::new(&written));
    let same = match (frame, again) {
        (Frame::Ping, Ok(Frame::Ping)) => true,
        (Frame::Heartbeat(frame), Ok(Frame::Heartbeat(again))) => *frame == again,
        (Frame::Loading(frame), Ok(Frame::Loading(again))) => *frame == again,
        (Frame::Close(frame), Ok(Frame::Close(again))) => *frame == again,
        (Frame::PathChallenge(frame), Ok(Frame::PathChallenge(again))) => *frame == again,
        (Frame::PathAnswer(frame), Ok(Frame::PathAnswer(again))) => *frame == again,
        (Frame::Stream(frame), Ok(Frame::Stream(again))) => *frame == again,
        (Frame::Latest(frame), Ok(Frame::Latest(again))) => *frame == again,
        (_, again) => panic!("{frame:?} reads back as {again:?}"),
    };
    assert!(same, "{frame:?} reads back as another");
}

/// Ranges come newest first, apart, and not too many.
fn check_ack(ack: &AckFrame<'_>) {
    let mut below = None;
    let mut count = 0;
    for range in ack.ranges() {
        assert!(range.start() <= range.end(), "a range is not empty");
        match below {
            None => assert_eq!(*range.end(), ack.largest, "the newest comes first"),
            Some(below) => assert!(*range.end() + 1 < below, "ranges are apart"),
        }
        below = Some(*range.start());
        count += 1;
    }
    assert!((1..=ACK_RANGES_MAX).contains(&count), "ranges are bounded");
}

/// Writes a frame again; acknowledgements are not written from frames.
fn write(frame: &Frame<'_>, writer: &mut FrameWriter<'_>) -> bool {
    match frame {
        Frame::Ack(_) => false,
        Frame::Ping => PingFrame.write(writer),
        Frame::Heartbeat(frame) => frame.write(writer),
        Frame::Loading(frame) => frame.write(writer),
        Frame::Close(frame) => {
            frame.write(writer);
            true
        }
        Frame::PathChallenge(frame) => {
            frame.write(writer);
            true
        }
        Frame::PathAnswer(frame) => frame.write(writer),
        Frame::Stream(frame) => frame.write(writer),
        Frame::Latest(frame) => frame.write(writer),
    }
}
