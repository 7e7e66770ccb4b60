//! One peer's connection: packets in and out, loss, lanes, heartbeat, liveness.
//!
//! Both ends run the same machine. Methods come in three kinds: intents (`send_*`, `close`)
//! queue something; `handle_*` takes a datagram or the passing of time; `poll_*` gives output.
//! After any of the first two, drain in this order:
//!
//! 1. [`Connection::poll_event`] until `None`
//! 2. [`Connection::poll_transmit`] until it returns false
//! 3. [`Connection::poll_timeout`]: call [`Connection::handle_timeout`] no later than it says
//!
//! `poll_transmit` may be held back to the end of a tick, so that everything rides in one datagram.
//!
//! ```text
//! handle_datagram -> protection -> frames -> incoming  -> events
//!                                         -> recovery  -> fates -> outgoing
//!                                         -> ladder, acks
//! poll_transmit   <- protection <- frames <- acks, outgoing: heartbeat, control, latest, ordered
//! ```

mod acks;
mod budget;
mod carried;
mod congestion;
mod copies;
mod counters;
mod error;
mod event;
mod fetch;
mod frame;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod heartbeat;
mod incoming;
mod keys;
mod ladder;
mod latest_receive;
mod latest_send;
mod loading;
mod loss;
mod memory;
mod moves;
mod ordered_send;
mod ordered_stream;
mod origin;
mod outgoing;
mod path_answers;
mod protection;
mod ranges;
mod reassembly;
mod recovery;
mod rtt;
mod sent;
mod setup;
mod stream_receive;
mod stream_send;
mod transmit;
mod window;

pub use budget::Budget;
pub use error::{PacketError, SendError};
pub use event::{ConnectionEvent, Tag};
pub use memory::Memory;
pub use moves::Estimates;
pub use ordered_stream::OrderedStream;
pub use origin::Origin;
pub use setup::{Role, Setup};

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::close::CloseReason;
use crate::liveness::Liveness;
use crate::time::Timestamp;
use crate::wire::Reader;
use acks::Acks;
use counters::Counters;
use error::Violation;
use frame::{CloseFrame, Frame, PathAnswerFrame, PathChallengeFrame};
use incoming::Incoming;
use ladder::Ladder;
use latest_send::Offer;
use outgoing::Outgoing;
use protection::{Arrival, Protection};
use recovery::Recovery;
use window::Windows;

/// A connection. See the module page for the order of calls.
///
/// A server has thousands, and between two datagrams of one all others come: what most datagrams touch
/// stands together, here and in the parts, and what few of them do at the ends.
#[derive(Debug)]
#[repr(C)]
pub struct Connection {
    state: State,
    /// The newest moment seen: when something queued since wants to leave.
    clock: Timestamp,
    /// Bounded by what one datagram can complete, if the owner drains after each.
    events: VecDeque<ConnectionEvent>,
    counters: Counters,
    budget: Option<Budget>,
    acks: Acks,
    recovery: Recovery,
    ladder: Ladder,
    protection: Protection,
    outgoing: Outgoing,
    incoming: Incoming,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No packet has shown yet that the peer holds the keys.
    Unconfirmed,
    Open,
    /// The close packet has yet to leave.
    Closing(CloseReason),
    Closed,
}

impl Connection {
    /// A connection fresh from its handshake. `rtt` is the handshake's own measurement, if any.
    #[must_use]
    pub fn new(setup: Setup, rtt: Option<Duration>, now: Timestamp) -> Self {
        Self {
            state: State::Unconfirmed,
            outgoing: Outgoing::new(Windows::of(setup.role.peer())),
            incoming: Incoming::new(Windows::of(setup.role)),
            protection: Protection::new(setup, now),
            acks: Acks::default(),
            recovery: Recovery::new(rtt, now),
            ladder: Ladder::new(now),
            budget: None,
            counters: Counters::default(),
            events: VecDeque::new(),
            clock: now,
        }
    }

    /// Takes a datagram that came over the path in use; decrypts in place.
    ///
    /// # Errors
    /// See [`PacketError`]; none of them is a defect of ours.
    pub fn handle_datagram(
        &mut self,
        datagram: &mut [u8],
        now: Timestamp,
    ) -> Result<(), PacketError> {
        self.handle_datagram_from(Origin::Path, datagram, now)
    }

    /// Takes a datagram of this connection, wherever it came from; decrypts in place.
    ///
    /// # Errors
    /// See [`PacketError`]; none of them is a defect of ours.
    pub fn handle_datagram_from(
        &mut self,
        origin: Origin,
        datagram: &mut [u8],
        now: Timestamp,
    ) -> Result<(), PacketError> {
        if self.is_over() {
            return Err(PacketError::Closed);
        }
        self.clock = self.clock.max(now);
        let len = datagram.len();
        let arrival = Arrival {
            origin,
            rtt: self.recovery.rtt,
            now,
        };
        let (number, frames) = match self.protection.open(datagram, &arrival) {
            Ok(opened) => opened,
            Err(error) => {
                self.counters.dropped += 1;
                if self.protection.is_worn() {
                    self.end(CloseReason::ProtocolViolation);
                }
                return Err(error);
            }
        };
        self.counters.received += 1;
        self.counters.received_bytes += u64::try_from(len).unwrap_or(u64::MAX);
        self.on_authentic(now);
        self.charge(len, now)?;
        let outcome = self.on_frames(number, frames, now);
        self.rest_if_slow();
        outcome.map_err(|violation| {
            self.close(CloseReason::ProtocolViolation);
            violation.into()
        })
    }

    /// Lets time pass: loss probes, heartbeat, the ladder.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.is_over() {
            return;
        }
        self.clock = self.clock.max(now);
        self.protection.on_timeout(now);
        self.incoming.on_timeout(now);
        let patience = self.recovery.rtt.patience();
        while let Some(liveness) = self.ladder.on_timeout(now, patience) {
            self.events.push_back(ConnectionEvent::Liveness(liveness));
        }
        let Self {
            recovery,
            outgoing,
            events,
            ..
        } = self;
        recovery.on_timeout(now, &mut |carried, fate| {
            outgoing.on_settled(carried, fate, events);
        });
    }

    /// Queues a control message: reliable, in order, before everything else.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_control(&mut self, message: Bytes) -> Result<(), SendError> {
        self.check_open()?;
        self.outgoing.control.push(message, None)
    }

    /// Queues a message on the first ordered stream: see [`Connection::send_ordered_on`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_ordered(&mut self, message: Bytes, tag: Option<Tag>) -> Result<(), SendError> {
        let [first, ..] = OrderedStream::ALL;
        self.send_ordered_on(first, message, tag)
    }

    /// Queues a message on an ordered stream. `Acked(tag)` follows when the peer has all of it and of
    /// those before it on that stream.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_ordered_on(
        &mut self,
        stream: OrderedStream,
        message: Bytes,
        tag: Option<Tag>,
    ) -> Result<(), SendError> {
        self.check_open()?;
        self.outgoing.ordered.push(stream, message, tag)
    }

    /// Offers an unreliable message; it replaces one of the same key that has not left yet.
    /// The message is `head` followed by `body`; the body is not copied until it leaves.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_latest(
        &mut self,
        key: u16,
        head: &[u8],
        body: Bytes,
        tag: Option<Tag>,
    ) -> Result<(), SendError> {
        self.check_open()?;
        let replaced = self.outgoing.latest.offer(Offer {
            key,
            head,
            body,
            tag,
        })?;
        if let Some(tag) = replaced {
            self.events.push_back(ConnectionEvent::Lost(tag));
        }
        Ok(())
    }

    /// Announces that this side will not be silent for longer than `interval`, and keeps to it.
    /// The interval is brought between [`HEARTBEAT_MIN`](crate::limits::HEARTBEAT_MIN) and
    /// [`HEARTBEAT_ANNOUNCED_MAX`](crate::limits::HEARTBEAT_ANNOUNCED_MAX).
    pub fn set_heartbeat(&mut self, interval: Duration) {
        self.outgoing.heartbeat.set(interval);
    }

    /// Bears no longer silence of the peer than `interval` from `now` on, whatever it announces. The
    /// peer is not told: it knows the rules of the layer above.
    pub fn bear_interval(&mut self, interval: Duration, now: Timestamp) {
        self.ladder.bear(interval, now);
    }

    /// Tells the peer that this side may be silent for `span`, because it loads, and is not gone. The
    /// peer bears it for [`LOADING_MAX`](crate::limits::LOADING_MAX) at most.
    pub fn loading(&mut self, span: Duration) {
        self.outgoing.loading.begin(span);
    }

    /// Tells the peer that loading is over, if it was told of one.
    pub fn loaded(&mut self) {
        self.outgoing.loading.end();
    }

    /// Ends the connection. `poll_transmit` still gives the close packet; then `Closed` follows.
    /// [`CloseReason::TimedOut`] is never sent: `Closed` follows at once.
    pub fn close(&mut self, reason: CloseReason) {
        if self.is_over() {
            return;
        }
        if reason == CloseReason::TimedOut {
            self.end(reason);
        } else {
            self.state = State::Closing(reason);
        }
    }

    /// Appends the next datagram to `out`. False if there is none.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Timestamp) -> bool {
        self.clock = self.clock.max(now);
        match self.state {
            State::Closed => return false,
            State::Closing(_) => {}
            State::Unconfirmed | State::Open => {
                let due = self.send_deadline().is_some_and(|deadline| deadline <= now);
                if !due && !self.sends_at_once() {
                    return false;
                }
            }
        }
        let acked = self.recovery.largest_acked();
        self.protection.change_key_if_due(acked, now);
        if self.protection.is_spent() {
            self.end(CloseReason::Overloaded);
            return false;
        }
        if let State::Closing(reason) = self.state {
            self.transmit_close(reason, out);
        } else {
            self.transmit(out, now);
        }
        self.rest_if_slow();
        true
    }

    /// When [`Connection::handle_timeout`] is due, or (equal to "now" or past) when
    /// [`Connection::poll_transmit`] or [`Connection::poll_event`] has something that must
    /// not wait.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if !self.events.is_empty() {
            return Some(self.clock);
        }
        match self.state {
            State::Closed => None,
            State::Closing(_) => Some(self.clock),
            State::Unconfirmed | State::Open if self.sends_at_once() => Some(self.clock),
            State::Unconfirmed | State::Open => {
                let ladder = self.ladder.deadline(self.recovery.rtt.patience());
                let (recovery, incoming) = (self.recovery.deadline(), self.incoming.deadline());
                Timestamp::first_of([self.send_deadline(), recovery, ladder, incoming])
            }
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.events.pop_front()
    }

    /// The packet number after the newest one received: grows with a packet that none overtook.
    #[must_use]
    pub fn next_expected(&self) -> u64 {
        self.protection.expected()
    }

    /// Bytes held for the peer until they can be delivered, with what holding them costs. At a
    /// server never more than [`HELD_BY_SERVER_MAX`](crate::limits::HELD_BY_SERVER_MAX).
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.incoming.held_bytes()
    }

    /// Where the peer stands on the ladder.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        self.ladder.liveness()
    }

    /// Why the connection ends, while its close packet has yet to leave.
    #[must_use]
    pub fn closing(&self) -> Option<CloseReason> {
        match self.state {
            State::Closing(reason) => Some(reason),
            State::Unconfirmed | State::Open | State::Closed => None,
        }
    }

    /// What the peer knows its packets by, if it shares its socket with other connections of its own.
    #[must_use]
    pub const fn send_id(&self) -> Option<[u8; 4]> {
        self.protection.send_id()
    }

    /// True once the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Closing(_) | State::Closed)
    }

    fn check_open(&self) -> Result<(), SendError> {
        if self.is_over() {
            Err(SendError::Closed)
        } else {
            Ok(())
        }
    }

    /// Ends the connection without another packet.
    fn end(&mut self, reason: CloseReason) {
        self.state = State::Closed;
        self.events.push_back(ConnectionEvent::Closed(reason));
    }

    fn on_authentic(&mut self, now: Timestamp) {
        if self.state == State::Unconfirmed {
            self.state = State::Open;
            self.events.push_back(ConnectionEvent::Confirmed);
        }
        if let Some(liveness) = self.ladder.on_heard(now) {
            self.events.push_back(ConnectionEvent::Liveness(liveness));
        }
    }

    fn on_frames(&mut self, number: u64, frames: &[u8], now: Timestamp) -> Result<(), Violation> {
        if frames.is_empty() {
            return Err(Violation("packet without frames"));
        }
        let mut reader = Reader::new(frames);
        let (mut eliciting, mut acks, mut answers) = (false, false, false);
        while !reader.is_empty() {
            let frame = Frame::read(&mut reader)?;
            eliciting |= frame.is_eliciting();
            // These two are the frames whose cost is not bounded by their own bytes.
            let is_ack = matches!(frame, Frame::Ack(_));
            if is_ack && std::mem::replace(&mut acks, true) {
                return Err(Violation("second ack in a packet"));
            }
            let is_answer = matches!(frame, Frame::PathAnswer(_));
            if is_answer && std::mem::replace(&mut answers, true) {
                return Err(Violation("second path answer in a packet"));
            }
            self.on_frame(number, frame, now)?;
            if self.is_over() {
                return Ok(());
            }
        }
        self.acks.on_received(number, eliciting, now);
        Ok(())
    }

    fn on_frame(&mut self, number: u64, frame: Frame<'_>, now: Timestamp) -> Result<(), Violation> {
        let Self {
            recovery,
            outgoing,
            incoming,
            events,
            ..
        } = self;
        match frame {
            Frame::Ping => {}
            Frame::Ack(ack) => {
                let told = recovery.on_ack(&ack, now, &mut |carried, fate| {
                    outgoing.on_settled(carried, fate, events);
                })?;
                told.into_iter()
                    .for_each(|largest| self.acks.on_acked(largest));
            }
            Frame::Heartbeat(heartbeat) => self.ladder.on_announced(number, heartbeat.interval()),
            Frame::Loading(loading) => {
                let told = self.ladder.on_loading(number, loading.span(), now);
                events.extend(told.map(ConnectionEvent::Liveness));
            }
            Frame::Close(CloseFrame(reason)) => self.end(reason),
            Frame::PathChallenge(PathChallengeFrame(token)) => {
                outgoing.path_answers.on_challenge(token);
            }
            Frame::PathAnswer(PathAnswerFrame(token)) => {
                events.push_back(ConnectionEvent::PathAnswered(token));
            }
            Frame::Stream(frame) => incoming.on_stream(&frame, events)?,
            Frame::Latest(frame) => incoming.on_latest(number, &frame, events, now)?,
        }
        Ok(())
    }
}
