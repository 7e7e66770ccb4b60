//! What arrives: both reliable streams and the latest lane.

use std::collections::VecDeque;

use super::error::Violation;
use super::event::ConnectionEvent;
use super::frame::{LatestFrame, StreamFrame, StreamName};
use super::latest_receive::LatestReceive;
use super::stream_receive::StreamReceive;

/// The receiving halves of the lanes.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    control: StreamReceive,
    ordered: StreamReceive,
    latest: LatestReceive,
}

impl Incoming {
    pub(crate) fn on_stream(
        &mut self,
        frame: &StreamFrame<'_>,
        events: &mut VecDeque<ConnectionEvent>,
    ) -> Result<(), Violation> {
        match frame.stream {
            StreamName::Control => self.control.on_frame(frame, |message| {
                events.push_back(ConnectionEvent::Control(message));
            }),
            StreamName::Ordered => self.ordered.on_frame(frame, |message| {
                events.push_back(ConnectionEvent::Ordered(message));
            }),
        }
    }

    pub(crate) fn on_latest(
        &mut self,
        number: u64,
        frame: &LatestFrame<'_>,
        events: &mut VecDeque<ConnectionEvent>,
    ) -> Result<(), Violation> {
        if let Some(message) = self.latest.on_frame(number, frame)? {
            events.push_back(ConnectionEvent::Latest {
                key: frame.key,
                message,
            });
        }
        Ok(())
    }
}
