//! What rooms tell sessions: over a connection of this shard, or by letter to the session's home.

use bytes::Bytes;
use rejoin_protocol::limits::LATEST_MAX;
use rejoin_protocol::message::{Answer, CallId, ClientMessage, SeatChange, Seated, ServerMessage};
use rejoin_protocol::room_message::{RoomMessage, SnapshotHead};
use rejoin_protocol::{
    CloseReason, Limit, PlayerId, Refusal, RefusalCode, RoomId, SeatId, Timestamp,
};

use crate::connections::Connections;
use crate::house::House;
use crate::keys::{SessionKey, Slot};
use crate::mail::{Abroad, At, Content, Guest, Mail, ToRoom, ToSession};
use crate::request::Request;
use crate::rooms::delivery::Lane;
use crate::rooms::fate::{Sent, Tagged};
use crate::rooms::member::Line;
use crate::schedule::Due;

/// Both ways to a member.
pub(crate) struct Lines<'a> {
    pub(crate) connections: &'a mut Connections,
    pub(crate) mail: &'a mut Mail,
}

impl Lines<'_> {
    /// Tells a member of `room` something.
    pub(crate) fn tell(&mut self, line: Line, room: Abroad, what: ToSession) {
        match line {
            Line::Here { slot, seat } => self.connections.deliver(slot, seat, what),
            Line::There(guest) => self.mail.tell(guest, room, what),
        }
    }

    /// True if a snapshot can be on its way.
    pub(crate) fn takes_snapshots(&self, line: Line) -> bool {
        match line {
            Line::Here { .. } => true,
            Line::There(guest) => !self.mail.is_full(guest.shard, true),
        }
    }

    /// Sends a member of `room` a view, or what makes it of one that the client has.
    pub(crate) fn show(
        &mut self,
        (line, room): (Line, Abroad),
        (head, body): (SnapshotHead, Bytes),
        generation: u8,
        scratch: &mut Vec<u8>,
    ) -> Lane {
        match line {
            Line::Here { slot, seat } => {
                self.connections
                    .show(slot, seat, (head, body), generation, scratch)
            }
            Line::There(guest) => {
                let lane = lane_of(&head, &body, scratch);
                let what = ToSession::Snapshot {
                    head,
                    body,
                    generation,
                };
                self.mail.tell(guest, room, what);
                lane
            }
        }
    }
}

/// The lane that a snapshot takes; leaves its head in `scratch`.
fn lane_of(head: &SnapshotHead, body: &Bytes, scratch: &mut Vec<u8>) -> Lane {
    scratch.clear();
    head.encode(scratch);
    if scratch.len() + body.len() <= LATEST_MAX {
        Lane::Latest
    } else {
        Lane::Ordered
    }
}

impl Connections {
    /// Tells the client behind `slot` something of its seat.
    pub(crate) fn deliver(&mut self, slot: Slot, seat: SeatId, what: ToSession) {
        match what {
            ToSession::Member {
                player,
                name,
                change,
            } => {
                let message = ServerMessage::Seat {
                    seat,
                    player,
                    name,
                    change,
                };
                self.tell(slot, &message);
            }
            ToSession::InputRefused { number, refusal } => {
                let message = ServerMessage::InputRefused {
                    seat,
                    number,
                    refusal,
                };
                self.tell(slot, &message);
            }
            ToSession::Event {
                stay,
                number,
                payload,
            } => {
                let sent = Sent::event(stay, number);
                let message = RoomMessage::Event {
                    seat,
                    number,
                    payload,
                };
                let tag = Tagged { seat, sent }.pack();
                self.send_ordered(slot, seat, message.encode(), Some(tag));
            }
            ToSession::Missed { number } => {
                let message = RoomMessage::Missed { seat, number };
                self.send_ordered(slot, seat, message.encode(), None);
            }
            ToSession::Vacated {
                reason: Some(reason),
            } => self.tell(slot, &ServerMessage::RoomClosed { seat, reason }),
            ToSession::End(reason) => self.doom(slot, reason),
            // The others change the session too, and are not for the client alone.
            ToSession::Snapshot { .. } | ToSession::Seated { .. } | ToSession::Vacated { .. } => {}
        }
    }

    fn show(
        &mut self,
        slot: Slot,
        seat: SeatId,
        (head, body): (SnapshotHead, Bytes),
        generation: u8,
        scratch: &mut Vec<u8>,
    ) -> Lane {
        let lane = lane_of(&head, &body, scratch);
        let sent = Sent::Snapshot {
            generation,
            sequence: head.sequence,
        };
        let tag = Tagged { seat, sent }.pack();
        match lane {
            Lane::Latest => self.send_latest(slot, seat, (scratch, body), Some(tag)),
            Lane::Ordered => {
                scratch.extend_from_slice(&body);
                let payload = Bytes::copy_from_slice(scratch);
                let message = RoomMessage::Snapshot { seat, payload };
                self.send_ordered(slot, seat, message.encode(), Some(tag));
            }
        }
        lane
    }
}

impl Mail {
    /// A room tells a member abroad something. If too much waits for its home, and it is something that the
    /// member must not miss, its connection has to end.
    pub(crate) fn tell(&mut self, to: Guest, room: Abroad, what: ToSession) {
        let spare = matches!(what, ToSession::Snapshot { .. });
        if !what.must_go() && self.is_full(to.shard, spare) {
            if !spare {
                self.end(to, room, CloseReason::OverLimit(Limit::SendQueue));
            }
            return;
        }
        self.post(to.shard, Content::ToSession { to, room, what });
    }
}

impl House {
    /// A room of another shard tells a session of this one something.
    pub(crate) fn hear(&mut self, to: Guest, room: Abroad, what: ToSession, now: Timestamp) {
        let Some(session) = self.sessions.of_guest(to) else {
            return;
        };
        let client = session
            .connection
            .filter(|_| session.incarnation == to.incarnation);
        let held = session.seat_abroad(room.room);
        match (what, client, held) {
            (
                ToSession::Seated {
                    call,
                    seated,
                    applied,
                    untold,
                },
                ..,
            ) => {
                self.on_seated_abroad(to, room, (call, *seated, untold), applied, now);
            }
            (ToSession::Vacated { reason }, client, Some(seat)) => {
                if let Some(slot) = client {
                    let what = ToSession::Vacated { reason };
                    self.connections.deliver(slot, seat, what);
                }
                self.give_up(to.key, seat, now);
            }
            (ToSession::End(reason), Some(slot), _) => self.close(slot, reason, now),
            (
                ToSession::Snapshot {
                    head,
                    body,
                    generation,
                },
                Some(slot),
                Some(seat),
            ) => {
                let mut scratch = std::mem::take(&mut self.scratch);
                let snapshot = (head, body);
                self.connections
                    .show(slot, seat, snapshot, generation, &mut scratch);
                self.scratch = scratch;
            }
            (what, Some(slot), Some(seat)) => self.connections.deliver(slot, seat, what),
            // For a client that another has followed, or a seat that is gone.
            (_, _, None) | (_, None, _) => {}
        }
    }

    /// A room abroad gave a session a seat, or found the one it holds.
    fn on_seated_abroad(
        &mut self,
        to: Guest,
        room: Abroad,
        (call, mut seated, untold): (CallId, Seated, Vec<(PlayerId, String)>),
        applied: u64,
        now: Timestamp,
    ) {
        self.on_ask_over(to.key);
        let Some(session) = self.sessions.get_mut(to.key) else {
            return;
        };
        session.abroad.remove(&(to.incarnation, call));
        let at = At::There(room);
        let seat = session
            .seat_abroad(room.room)
            .unwrap_or_else(|| session.take_seat(at, (room.room, seated.found)));
        let asker = session.incarnation == to.incarnation;
        let client = session.connection.filter(|_| asker);
        if let Some(holding) = session.seats.get_mut(seat) {
            holding.at = at;
            // What an older client sent may not have come to the room: the new one begins where that is.
            if std::mem::take(&mut holding.unanswered) {
                holding.queued_to = 0;
            }
            holding.queued_to = holding.queued_to.max(applied);
            holding.claimed |= client.is_some();
            holding.unanswered = !asker;
        }
        self.schedule.clear(Due::Idle(to.key));
        self.announce_heartbeat(to.key, now);
        let Some(slot) = client else {
            // Its client went away meanwhile. Another may ask for the seat; else nobody waits for it.
            if asker && seated.found {
                // It held the seat before, and comes back to it.
                for what in [ToRoom::Detach, ToRoom::Change(SeatChange::Detached)] {
                    self.call_room(to.key, at, what, now);
                }
            } else if asker {
                let what = ToRoom::Change(SeatChange::Left);
                self.call_room(to.key, at, what, now);
            } else {
                // In the older client's name: if the newer one has asked since, the room passes it over.
                let (from, what) = (to, ToRoom::Detach);
                let content = Content::ToRoom { room, from, what };
                self.mail.post(room.shard, content);
            }
            return;
        };
        seated.seat = seat;
        self.reply(to.key, call, Ok(Answer::Seated(seated)));
        for (player, name) in untold {
            let change = SeatChange::Joined;
            let member = ToSession::Member {
                player,
                name,
                change,
            };
            self.connections.deliver(slot, seat, member);
        }
    }

    /// Another shard answers a request.
    pub(crate) fn on_reply_from_abroad(
        &mut self,
        to: Guest,
        (call, ask): (CallId, bool),
        result: Result<Answer, Refusal>,
        now: Timestamp,
    ) {
        let Some(session) = self.sessions.of_guest(to) else {
            return;
        };
        let client = session
            .connection
            .filter(|_| session.incarnation == to.incarnation);
        if ask {
            self.on_ask_over(to.key);
            let asked = self
                .sessions
                .get_mut(to.key)
                .and_then(|session| session.abroad.remove(&(to.incarnation, call)))
                .unwrap_or_default();
            let unknown =
                matches!(&result, Err(refusal) if refusal.code == RefusalCode::UnknownRoom);
            if asked.guess && unknown {
                self.on_wrong_guess(to.key, now);
            }
            let elsewhere = matches!(&result, Err(refusal) if may_fit_elsewhere(refusal.code));
            if result.is_err() && client.is_some() {
                self.unclaim_abroad(to.key, asked.room, now);
            }
            if let (Some(message), Some(slot), true) = (asked.else_here, client, elsewhere) {
                return self.ask_again_here(to.key, slot, *message);
            }
        }
        if client.is_some() {
            self.reply(to.key, call, result);
        }
    }

    /// A room abroad does not give a session's client the seat that the session holds there, and for which it asked for the
    /// first time.
    fn unclaim_abroad(&mut self, session: SessionKey, room: Option<RoomId>, now: Timestamp) {
        let known = self.sessions.get_mut(session);
        if let Some((known, room)) = known.zip(room)
            && let Some(seat) = known.seat_abroad(room)
            && let Some(holding) = known.seats.get_mut(seat)
        {
            holding.claimed = false;
            self.announce_heartbeat(session, now);
        }
    }

    fn ask_again_here(&mut self, session: SessionKey, slot: Slot, message: ClientMessage) {
        if let Some(asker) = self.sessions.get_mut(session) {
            asker.requests += 1;
        }
        self.requests.push_back(Request {
            session,
            slot,
            message,
            tried: true,
        });
    }
}

/// True if another room may take whom this one refused: it was full or gone, and did not judge the player.
const fn may_fit_elsewhere(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::RoomFull | RefusalCode::UnknownRoom | RefusalCode::LimitReached
    )
}
