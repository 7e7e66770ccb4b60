//! What leaves: heartbeat, notices and lanes, in their strict order.

use std::collections::VecDeque;
use std::mem::offset_of;

use super::carried::{Carried, Fate};
use super::congestion::Congestion;
use super::event::ConnectionEvent;
use super::frame::{FrameWriter, PingFrame, StreamName};
use super::heartbeat::Heartbeat;
use super::latest_send::LatestSend;
use super::loading::Loading;
use super::ordered_send::OrderedSend;
use super::path_answers::PathAnswers;
use super::stream_send::StreamSend;
use super::window::Windows;
use crate::fetch::Fetch;
use crate::time::Timestamp;

/// The sending halves of the lanes, and our own heartbeat; first what each datagram touches.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Outgoing {
    pub(crate) heartbeat: Heartbeat,
    pub(crate) path_answers: PathAnswers,
    pub(crate) loading: Loading,
    pub(crate) latest: LatestSend,
    /// What the packet under construction carries; empty between packets.
    pub(crate) carried: Vec<Carried>,
    pub(crate) control: StreamSend,
    pub(crate) ordered: OrderedSend,
}

/// Why and into what a packet is being filled.
#[derive(Debug)]
pub(crate) struct Occasion<'a> {
    /// The packet's number.
    pub(crate) number: u64,
    /// We have been silent for the announced interval.
    pub(crate) heartbeat_due: bool,
    /// The packet must ask for an acknowledgement.
    pub(crate) probe: bool,
    pub(crate) now: Timestamp,
    pub(crate) congestion: &'a Congestion,
}

impl Outgoing {
    /// Bytes up to the end of what each datagram touches.
    pub(super) const FRONT: usize = offset_of!(Self, ordered) + OrderedSend::FRONT;

    /// `windows` are the peer's.
    pub(crate) fn new(windows: Windows) -> Self {
        Self {
            heartbeat: Heartbeat::default(),
            path_answers: PathAnswers::default(),
            loading: Loading::default(),
            control: StreamSend::new(StreamName::Control, windows.control),
            latest: LatestSend::new(windows.latest.message_max),
            ordered: OrderedSend::new(windows.ordered),
            carried: Vec::new(),
        }
    }

    /// See [`super::fetch`].
    pub(super) fn fetch_parts(&self, fetch: Fetch) {
        self.latest.fetch_parts(fetch);
        fetch.ends(&self.carried);
    }

    /// True if something waits that nothing holds back.
    pub(crate) fn has_pending(&self, congestion: &Congestion) -> bool {
        self.path_answers.is_pending()
            || self.heartbeat.is_pending()
            || self.loading.is_pending()
            || self.control.has_pending()
            || self.latest.has_pending()
            || self.ordered.has_pending() && congestion.is_open(0)
    }

    /// Offers the packet's space to each lane in turn; gives the bytes of ordered data in it.
    pub(crate) fn fill(&mut self, writer: &mut FrameWriter<'_>, occasion: &Occasion<'_>) -> usize {
        if occasion.probe {
            self.heartbeat.on_probe();
            self.loading.on_probe();
            self.control.retry_oldest();
            self.ordered.retry_oldest();
        }
        self.path_answers.fill(writer, &mut self.carried);
        self.heartbeat
            .fill(occasion.heartbeat_due, writer, &mut self.carried);
        self.loading.fill(writer, &mut self.carried, occasion.now);
        while self.control.fill_one(writer, &mut self.carried).is_some() {}
        self.latest.fill(occasion.number, writer, &mut self.carried);
        let ordered_bytes = self.fill_ordered(writer, occasion);
        if occasion.probe && !writer.is_eliciting() {
            PingFrame.write(writer);
        }
        ordered_bytes
    }

    /// Ordered data within the congestion window; a probe may exceed it by one fragment.
    fn fill_ordered(&mut self, writer: &mut FrameWriter<'_>, occasion: &Occasion<'_>) -> usize {
        let mut bytes = 0;
        let mut probe = occasion.probe;
        while probe || occasion.congestion.is_open(bytes) {
            let Some(sent) = self.ordered.fill_one(writer, &mut self.carried) else {
                break;
            };
            bytes += sent;
            probe = false;
        }
        bytes
    }

    /// Hands a fate to whoever put something into the packet; adds what the owner is told.
    pub(crate) fn on_settled(
        &mut self,
        carried: Carried,
        fate: Fate,
        events: &mut VecDeque<ConnectionEvent>,
    ) {
        let told = match (carried, fate) {
            (Carried::Stream { stream, id, index }, fate) => {
                let told = |tag| events.push_back(ConnectionEvent::Acked(tag));
                match (stream, fate) {
                    (StreamName::Control, Fate::Acked) => self.control.on_acked(id, index, told),
                    (StreamName::Control, Fate::Lost) => self.control.on_lost(id, index),
                    (StreamName::Ordered(stream), Fate::Acked) => {
                        self.ordered.on_acked(stream, (id, index), told);
                    }
                    (StreamName::Ordered(stream), Fate::Lost) => {
                        self.ordered.on_lost(stream, (id, index));
                    }
                }
                None
            }
            (Carried::Latest(tag), Fate::Acked) => Some(ConnectionEvent::Acked(tag)),
            (Carried::Latest(tag), Fate::Lost) => Some(ConnectionEvent::Lost(tag)),
            (Carried::LatestFragment(flight), Fate::Acked) => {
                self.latest.on_acked(flight).map(ConnectionEvent::Acked)
            }
            (Carried::LatestFragment(flight), Fate::Lost) => {
                self.latest.on_lost(flight).map(ConnectionEvent::Lost)
            }
            (Carried::Heartbeat(interval_ms), fate) => {
                self.heartbeat.on_settled(interval_ms, fate);
                None
            }
            (Carried::Loading(name), fate) => {
                self.loading.on_settled(name, fate);
                None
            }
            (Carried::PathAnswer(token), fate) => {
                self.path_answers.on_settled(token, fate);
                None
            }
        };
        if let Some(told) = told {
            events.push_back(told);
        }
    }
}
