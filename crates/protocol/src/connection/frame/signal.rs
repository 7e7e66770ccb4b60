//! The frames without data: ping, heartbeat, close, loading.

use std::time::Duration;

use super::reader::cut;
use super::writer::FrameWriter;
use crate::close::CloseReason;
use crate::connection::error::Violation;
use crate::wire::{Reader, put_varint, varint_len};

/// Asks for an acknowledgement and says nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PingFrame;

impl PingFrame {
    pub(super) const KIND: u8 = 0x01;

    pub(crate) fn write(self, writer: &mut FrameWriter<'_>) -> bool {
        if writer.space() == 0 {
            return false;
        }
        writer.put(Self::KIND, true);
        true
    }
}

/// Announces the longest silence the sender will keep. `03 | milliseconds varint`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeartbeatFrame {
    pub(crate) interval_ms: u32,
}

impl HeartbeatFrame {
    pub(super) const KIND: u8 = 0x03;

    pub(crate) fn write(self, writer: &mut FrameWriter<'_>) -> bool {
        let interval = u64::from(self.interval_ms);
        if 1 + varint_len(interval) > writer.space() {
            return false;
        }
        put_varint(writer.put(Self::KIND, true), interval);
        true
    }

    /// An interval beyond 32 bits reads as the largest: the ladder bounds it anyway.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let interval = reader.varint().map_err(cut)?;
        Ok(Self {
            interval_ms: u32::try_from(interval).unwrap_or(u32::MAX),
        })
    }

    pub(crate) fn interval(self) -> Duration {
        Duration::from_millis(u64::from(self.interval_ms))
    }
}

/// Ends the connection. `04 | reason 1 | the limit's number 1, if the reason is one`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CloseFrame(pub(crate) CloseReason);

impl CloseFrame {
    pub(super) const KIND: u8 = 0x04;

    pub(crate) fn write(self, writer: &mut FrameWriter<'_>) {
        self.0.write(writer.put(Self::KIND, false));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        CloseReason::read(reader).map(Self).map_err(cut)
    }
}

/// Says that the sender loads and may be silent; zero says that it is done. `05 | milliseconds varint`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoadingFrame {
    span_ms: u32,
}

impl LoadingFrame {
    pub(super) const KIND: u8 = 0x05;

    pub(crate) fn new(span: Duration) -> Self {
        let span_ms = u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        Self { span_ms }
    }

    pub(crate) fn write(self, writer: &mut FrameWriter<'_>) -> bool {
        let span = u64::from(self.span_ms);
        if 1 + varint_len(span) > writer.space() {
            return false;
        }
        put_varint(writer.put(Self::KIND, true), span);
        true
    }

    /// A span beyond 32 bits reads as the largest: the ladder bounds it anyway.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Violation> {
        let span = reader.varint().map_err(cut)?;
        Ok(Self {
            span_ms: u32::try_from(span).unwrap_or(u32::MAX),
        })
    }

    pub(crate) fn span(self) -> Duration {
        Duration::from_millis(u64::from(self.span_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;

    #[test]
    fn signals_read_back_what_was_written() {
        let mut out = Vec::new();
        let mut writer = FrameWriter::new(&mut out);
        assert!(
            HeartbeatFrame {
                interval_ms: 15_000
            }
            .write(&mut writer)
        );
        assert!(writer.is_eliciting());
        assert!(PingFrame.write(&mut writer));
        CloseFrame(CloseReason::Kicked).write(&mut writer);
        assert_eq!(out, [3, 0x7a, 0x98, 1, 4, 5]);

        let mut reader = Reader::new(&out);
        let Ok(Frame::Heartbeat(heartbeat)) = Frame::read(&mut reader) else {
            panic!("heartbeat")
        };
        assert_eq!(heartbeat.interval(), Duration::from_secs(15));
        assert!(matches!(Frame::read(&mut reader), Ok(Frame::Ping)));
        let Ok(Frame::Close(close)) = Frame::read(&mut reader) else {
            panic!("close")
        };
        assert_eq!(close.0, CloseReason::Kicked);
    }

    #[test]
    fn an_endless_interval_is_bounded() {
        let mut out = Vec::new();
        put_varint(&mut out, 1 << 60);
        let frame = HeartbeatFrame::read(&mut Reader::new(&out)).unwrap();
        assert_eq!(frame.interval_ms, u32::MAX);
    }
}
