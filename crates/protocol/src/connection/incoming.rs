//! What arrives: the reliable streams and the latest lane.

use std::collections::VecDeque;
use std::mem::offset_of;

use super::copies::Copies;
use super::error::Violation;
use super::event::ConnectionEvent;
use super::frame::{LatestFrame, StreamFrame, StreamName};
use super::latest_receive::LatestReceive;
use super::stream_receive::StreamReceive;
use super::window::{Window, Windows};
use crate::fetch::Fetch;
use crate::limits::ORDERED_STREAMS;
use crate::time::Timestamp;

/// The receiving halves of the lanes; first what most datagrams touch.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Incoming {
    latest: LatestReceive,
    /// Made with the first message, unless the owner lends it.
    copies: Option<Box<Copies>>,
    control: StreamReceive,
    /// Of each ordered stream.
    window: Window,
    /// Made with their first message.
    ordered: [Option<Box<StreamReceive>>; ORDERED_STREAMS],
}

impl Incoming {
    /// Bytes up to the end of what most datagrams touch.
    pub(super) const FRONT: usize = offset_of!(Self, control);

    pub(crate) fn new(windows: Windows) -> Self {
        Self {
            control: StreamReceive::new(windows.control),
            window: windows.ordered,
            ordered: Default::default(),
            latest: LatestReceive::new(windows.latest),
            copies: None,
        }
    }

    /// See [`super::fetch`].
    pub(super) fn fetch_parts(&self, fetch: Fetch) {
        self.latest.fetch_parts(fetch);
    }

    /// Bytes held for the peer, with what holding them costs.
    pub(crate) fn held_bytes(&self) -> usize {
        let ordered = self.ordered.iter().flatten();
        let ordered = ordered.map(|stream| stream.held_bytes());
        self.control.held_bytes() + ordered.sum::<usize>() + self.latest.held_bytes()
    }

    /// Changes the memory for copies of messages with that one.
    pub(crate) fn swap_copies(&mut self, copies: &mut Option<Box<Copies>>) {
        std::mem::swap(&mut self.copies, copies);
    }

    /// Gives up what has been incomplete for too long.
    pub(crate) fn on_timeout(&mut self, now: Timestamp) {
        self.latest.on_timeout(now);
    }

    /// When [`Incoming::on_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.latest.deadline()
    }

    pub(crate) fn on_stream(
        &mut self,
        frame: &StreamFrame<'_>,
        events: &mut VecDeque<ConnectionEvent>,
    ) -> Result<(), Violation> {
        let copies = self.copies.get_or_insert_default();
        match frame.stream {
            StreamName::Control => self.control.on_frame(frame, copies, |message| {
                events.push_back(ConnectionEvent::Control(message));
            }),
            StreamName::Ordered(stream) => {
                let place = self.ordered.get_mut(stream.index());
                let place = place.expect("there are as many halves as streams");
                let window = self.window;
                let stream = place.get_or_insert_with(|| Box::new(StreamReceive::new(window)));
                stream.on_frame(frame, copies, |message| {
                    events.push_back(ConnectionEvent::Ordered(message));
                })
            }
        }
    }

    pub(crate) fn on_latest(
        &mut self,
        number: u64,
        frame: &LatestFrame<'_>,
        events: &mut VecDeque<ConnectionEvent>,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let copies = self.copies.get_or_insert_default();
        if let Some(message) = self.latest.on_frame(number, frame, copies, now)? {
            events.push_back(ConnectionEvent::Latest {
                key: frame.key,
                message,
            });
        }
        Ok(())
    }
}
