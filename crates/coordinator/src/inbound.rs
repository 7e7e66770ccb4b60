//! What connections tell: inputs and requests are kept for the turn, fates of what was sent and
//! news of the peer are taken in at once.

use std::net::SocketAddr;

use bytes::Bytes;
use rejoin_protocol::connection::{Origin as PacketOrigin, PacketError, Tag};
use rejoin_protocol::limits::{INPUT_MAX, STREAM_WINDOW};
use rejoin_protocol::message::ClientMessage;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::packet;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::text::Quoted;
use rejoin_protocol::{CloseReason, ConnectionEvent, Limit, SeatId, Timestamp};
use tracing::{debug, trace};

use crate::answers::Answer;
use crate::connections::Stage;
use crate::house::{House, VIOLATION};
use crate::keys::{SessionKey, Slot};
use crate::limits::REQUESTS_MAX;
use crate::mail::{At, ToRoom, ToSession};
use crate::request::Request;
use crate::rooms::fate::Tagged;
use crate::spending::Overspent;

/// An event of a connection that carries a session.
#[derive(Clone, Copy)]
struct Source {
    slot: Slot,
    session: SessionKey,
}

impl House {
    /// Takes a datagram of a connection. False if it belongs to none or is not authentic.
    pub(crate) fn handle_packet(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        now: Timestamp,
    ) -> bool {
        let Some(label) = packet::label(datagram) else {
            trace!(%from, "datagram of no connection");
            return false;
        };
        let is_ours = packet::epoch_bits(datagram) == Some(self.config.epoch.bits());
        let Some(slot) = self.connections.find(label).filter(|_| is_ours) else {
            trace!(%from, "datagram of a connection that is not there");
            if !is_ours || !self.goodbyes.knows(label) {
                self.reset(label, (from, datagram), now);
            } else if let Some(goodbye) = self.goodbyes.on_heard(label, from, datagram.len()) {
                self.answers.push(from, Answer::Reply(goodbye));
            }
            return false;
        };
        let Some(peer) = self.connections.lend(slot) else {
            return false;
        };
        let expected = peer.connection.next_expected();
        let origin = if peer.path == from {
            PacketOrigin::Path
        } else {
            PacketOrigin::Elsewhere
        };
        let taken = peer.connection.handle_datagram_from(origin, datagram, now);
        if taken.is_ok()
            && origin == PacketOrigin::Elsewhere
            && matches!(peer.stage, Stage::Pending(_))
        {
            peer.path_shown = false;
        }
        // One that was overtaken says nothing: the peer may have moved on since.
        let newest = peer.connection.next_expected() > expected;
        match taken {
            Ok(()) if peer.heard_from == from => {}
            Ok(()) => peer.heard_from = from,
            Err(problem) => trace!(?slot, %from, %problem, "datagram dropped"),
        }
        self.drain(slot, now);
        self.connections.take_back();
        if taken.is_err() && planted::is(Bug::LivingReset) {
            self.reset(label, (from, datagram), now);
        }
        self.end_mute(slot, now);
        // The packet of a client whose copy was faster, from the place that the connection began at and that is not shown yet.
        let overtaken = taken == Err(PacketError::Replayed)
            && self
                .connections
                .get(slot)
                .is_some_and(|peer| peer.path == from && !peer.path_shown);
        // After that, since the packet may confirm the join, or answer a challenge.
        if taken.is_ok() && newest || overtaken {
            self.on_newest(slot, from, now);
        }
        self.schedule_timers(slot, now);
        taken.is_ok()
    }

    /// Takes in all that a connection has to tell.
    pub(crate) fn drain(&mut self, slot: Slot, now: Timestamp) {
        while let Some(peer) = self.connections.get_mut(slot) {
            let Some(event) = peer.connection.poll_event() else {
                return;
            };
            let stage = match &peer.stage {
                Stage::Pending(_) => None,
                Stage::Active(session) => Some(*session),
                // Only its end matters any more.
                Stage::Closing => {
                    if matches!(event, ConnectionEvent::Closed(_)) {
                        self.forget_connection(slot);
                    }
                    continue;
                }
            };
            match (stage, event) {
                (Some(session), event) => self.on_event(Source { slot, session }, event, now),
                (None, ConnectionEvent::Confirmed) => self.confirm(slot, now),
                (None, ConnectionEvent::Closed(_)) => self.on_join_expired(slot),
                (None, _) => {}
            }
        }
    }

    fn on_event(&mut self, source: Source, event: ConnectionEvent, now: Timestamp) {
        match event {
            ConnectionEvent::Control(message) => self.on_control(source, &message, now),
            ConnectionEvent::Ordered(message) => self.on_ordered(source, &message, now),
            ConnectionEvent::Latest { key, message } => {
                self.on_latest(source, SeatId(key), message, now);
            }
            ConnectionEvent::Acked(tag) => self.on_fate_told(source, tag, true, now),
            ConnectionEvent::Lost(tag) => self.on_fate_told(source, tag, false, now),
            ConnectionEvent::PathAnswered(token) => {
                self.on_path_answered(source.slot, token, now);
            }
            ConnectionEvent::Liveness(liveness) => {
                self.on_liveness(source.slot, source.session, liveness, now);
            }
            ConnectionEvent::Closed(reason) => self.on_closed(source.slot, reason, now),
            // Told once, and heard while the join was pending.
            ConnectionEvent::Confirmed => {}
            // Told by a newer protocol crate to those who know of it.
            _ => {}
        }
    }

    fn on_control(&mut self, source: Source, message: &Bytes, now: Timestamp) {
        let message = match messagepack::decode::<ClientMessage>(message, Bounds::CONTROL) {
            Ok(message) => message,
            Err(problem) => {
                debug!(slot = ?source.slot, problem = %Quoted(problem), "unreadable request");
                return self.close(source.slot, VIOLATION, now);
            }
        };
        let Some(session) = self.sessions.get(source.session) else {
            return;
        };
        if session.requests >= REQUESTS_MAX {
            debug!(slot = ?source.slot, "more than {REQUESTS_MAX} requests in one turn");
            return self.close(source.slot, CloseReason::OverLimit(Limit::Requests), now);
        }
        match self.spend_request(source.session, now) {
            Ok(()) => {}
            Err(Overspent::Closed(reason)) => return self.close(source.slot, reason, now),
            Err(Overspent::Refused(refusal)) => {
                if let Some(call) = message.call() {
                    self.reply(source.session, call, Err(refusal));
                }
                return;
            }
        }
        if let Some(session) = self.sessions.get_mut(source.session) {
            session.requests += 1;
        }
        self.requests.push_back(Request {
            session: source.session,
            slot: source.slot,
            message,
            tried: false,
        });
    }

    fn on_ordered(&mut self, source: Source, message: &Bytes, now: Timestamp) {
        match RoomMessage::decode(message) {
            Ok(RoomMessage::Input {
                seat,
                number,
                payload,
            }) => {
                self.on_reliable(source, seat, (number, payload), now);
            }
            // The others go the other way.
            Ok(_) | Err(_) => self.close(source.slot, VIOLATION, now),
        }
    }

    fn on_reliable(
        &mut self,
        source: Source,
        seat: SeatId,
        (number, payload): (u64, Bytes),
        now: Timestamp,
    ) {
        let session = self.sessions.get(source.session);
        let held = session.and_then(|session| Some((session, session.seats.get(seat)?)));
        let Some((session, holding)) = held else {
            self.stats.inputs_ignored += 1;
            return;
        };
        if holding.unanswered {
            self.stats.inputs_ignored += 1;
            return;
        }
        let (at, expected) = (holding.at, holding.queued_to.saturating_add(1));
        if number > expected || payload.len() > INPUT_MAX {
            debug!(slot = ?source.slot, number, expected, len = payload.len(), "senseless input");
            return self.close(source.slot, VIOLATION, now);
        }
        if number < expected && !planted::is(Bug::CursorIgnored) {
            return;
        }
        // What waits lies between the cursor and the newest number queued. A sender who keeps to
        // its window cannot have more in one turn: acknowledgements leave only after it.
        if let At::Here(key) = at {
            let room = self.rooms.get(key);
            let seat = room.and_then(|room| room.seat(session.player()));
            let cursor = seat.map_or(0, |seat| seat.cursor);
            let most = room.map_or(STREAM_WINDOW, |room| room.inputs_waiting_max(STREAM_WINDOW));
            if number.saturating_sub(cursor) > most {
                debug!(slot = ?source.slot, number, cursor, "more than {most} inputs wait");
                return self.close(source.slot, CloseReason::OverLimit(Limit::Inputs), now);
            }
        }
        if matches!(at, At::There(_)) && self.sends_too_much_abroad(source.session) {
            debug!(slot = ?source.slot, "more than {STREAM_WINDOW} inputs in one turn");
            return self.close(source.slot, CloseReason::OverLimit(Limit::Inputs), now);
        }
        let what = match self.spend_input(source.session, now) {
            Ok(()) => ToRoom::Input { number, payload },
            Err(Overspent::Closed(reason)) => return self.close(source.slot, reason, now),
            Err(Overspent::Refused(refusal)) => {
                let refused = ToSession::InputRefused { number, refusal };
                self.connections.deliver(source.slot, seat, refused);
                ToRoom::Void { number }
            }
        };
        if !self.call_room(source.session, at, what, now) {
            debug!(slot = ?source.slot, "the room's shard does not keep up");
            return self.close(source.slot, CloseReason::Overloaded, now);
        }
        let session = self.sessions.get_mut(source.session);
        if let Some(holding) = session.and_then(|session| session.seats.get_mut(seat)) {
            holding.queued_to = holding.queued_to.max(number);
        }
    }

    /// Counts an input for another shard. Whoever keeps to its window has no more in one turn; more would fill
    /// the mail, and others would pay.
    fn sends_too_much_abroad(&mut self, session: SessionKey) -> bool {
        let turn = self.turns;
        let Some(session) = self.sessions.get_mut(session) else {
            return false;
        };
        let (of, sent) = &mut session.sent_abroad;
        if *of != turn {
            (*of, *sent) = (turn, 0);
        }
        *sent += 1;
        *sent > STREAM_WINDOW
    }

    fn on_latest(&mut self, source: Source, seat: SeatId, payload: Bytes, now: Timestamp) {
        let Some(at) = self.held(source.session, seat) else {
            self.stats.inputs_ignored += 1;
            return;
        };
        if payload.len() > INPUT_MAX {
            return self.close(source.slot, VIOLATION, now);
        }
        self.call_room(source.session, at, ToRoom::Latest { payload }, now);
    }

    fn on_fate_told(&mut self, source: Source, tag: Tag, arrived: bool, now: Timestamp) {
        let Tagged { seat, sent } = Tagged::unpack(tag);
        if let Some(at) = self.held(source.session, seat) {
            let fate = ToRoom::Fate { sent, arrived };
            self.call_room(source.session, at, fate, now);
        }
    }

    /// Where the room behind a seat of a session is.
    pub(crate) fn held(&self, session: SessionKey, seat: SeatId) -> Option<At> {
        let session = self.sessions.get(session)?;
        Some(session.seats.get(seat)?.at)
    }
}
