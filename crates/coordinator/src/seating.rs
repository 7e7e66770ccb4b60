//! What a room's calls lead to outside the room: seats taken and given back, answers, events,
//! and what the other members are told.

use rejoin_protocol::message::{Answer, CallId, Member as MemberCard, SeatChange, Seated};
use rejoin_protocol::message::{RoomCloseReason, ServerMessage};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{PlayerId, Refusal, RefusalCode, SeatId, Timestamp};

use crate::house::House;
use crate::keys::{RoomKey, SessionKey};
use crate::limits::SEATED_MEMBERS_MAX;
use crate::rooms::durable::{Applied, Happening, Verdict};
use crate::rooms::entry::Entry;
use crate::rooms::queue::{Origin, Queued};
use crate::rooms::room::{HostedRoom, Member};
use crate::schedule::Due;

/// A session that was given a seat.
#[derive(Clone, Copy)]
struct Ask {
    session: SessionKey,
    call: CallId,
    /// True if the same request opened the room.
    created: bool,
    /// False if it held the seat before.
    fresh: bool,
}

impl House {
    /// Carries out what a live call came to.
    pub(crate) fn carry_out(
        &mut self,
        key: RoomKey,
        call: &Queued,
        applied: Applied,
        now: Timestamp,
    ) {
        self.count(&call.entry, &applied.verdict);
        self.answer(key, call, applied.verdict, now);
        for happening in applied.happenings {
            self.on_happening(key, happening, now);
        }
    }

    fn count(&mut self, entry: &Entry, verdict: &Verdict) {
        match entry {
            Entry::Tick => self.stats.ticks += 1,
            Entry::Input {
                number: Some(_), ..
            } if *verdict != Verdict::Ignored => {
                self.stats.inputs += 1;
            }
            Entry::Open(_)
            | Entry::Admit(_)
            | Entry::Seat { .. }
            | Entry::Input { .. }
            | Entry::Void { .. }
            | Entry::Timers => {}
        }
    }

    fn answer(&mut self, key: RoomKey, call: &Queued, verdict: Verdict, now: Timestamp) {
        match (call.origin, verdict) {
            (
                Origin::Admit {
                    session,
                    call,
                    created,
                },
                verdict @ (Verdict::Seated | Verdict::Found),
            ) => {
                let fresh = verdict == Verdict::Seated;
                self.seat(
                    key,
                    Ask {
                        session,
                        call,
                        created,
                        fresh,
                    },
                    now,
                );
            }
            (origin @ (Origin::Admit { .. } | Origin::Leave { .. }), Verdict::Refused(refusal)) => {
                self.refuse(origin, refusal);
            }
            (Origin::Leave { session, call }, Verdict::Done) => {
                self.reply(session, call, Ok(Answer::Left));
            }
            (origin @ (Origin::Admit { .. } | Origin::Leave { .. }), _) => {
                let text = "the session holds no such seat";
                self.refuse(origin, Refusal::new(RefusalCode::UnknownSeat, text));
            }
            (Origin::None, Verdict::Refused(refusal)) => {
                self.refuse_input(key, &call.entry, refusal);
            }
            (Origin::None, _) => {}
        }
    }

    /// Tells the sender of a reliable input that it will not be applied.
    pub(crate) fn refuse_input(&mut self, key: RoomKey, entry: &Entry, refusal: Refusal) {
        let Entry::Input {
            player,
            number: Some(number),
            ..
        } = entry
        else {
            return;
        };
        let room = self.rooms.get(key);
        let Some(member) = room.and_then(|room| room.members.get(player)) else {
            return;
        };
        if let Some(slot) = member.slot {
            let (seat, number) = (member.seat, *number);
            let message = ServerMessage::InputRefused {
                seat,
                number,
                refusal,
            };
            self.connections.tell(slot, &message);
        }
    }

    /// The room gave a session a seat, or found the one it holds.
    fn seat(&mut self, key: RoomKey, ask: Ask, now: Timestamp) {
        let Some(session) = self.sessions.get_mut(ask.session) else {
            return;
        };
        session.admits = session.admits.saturating_sub(1);
        let (player, slot) = (session.player(), session.connection);
        let seat = session
            .seat_in(key)
            .unwrap_or_else(|| session.take_seat(key));
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let cursor = room.seat(player).map_or(0, |seat| seat.cursor);
        let member = room.members.entry(player);
        let member = member.or_insert_with(|| Member::new(ask.session, seat));
        member.queued_to = member.queued_to.max(cursor);
        member.attach(slot);
        let seated = Answer::Seated(seated(room, (player, seat), ask));
        let untold = untold_members(room, seat);
        room.showing.resend = true;
        self.schedule.clear(Due::Idle(ask.session));
        self.announce_heartbeat(ask.session, now);
        self.reply(ask.session, ask.call, Ok(seated));
        for message in untold {
            self.tell(ask.session, &message);
        }
        if slot.is_none() {
            // The client went away within the turn that gave it a seat; nobody waits for it.
            self.push_change(key, ask.session, SeatChange::Left);
        }
        tracing::debug!(%player, ?seat, ?now, "seat is taken");
    }

    fn on_happening(&mut self, key: RoomKey, happening: Happening, now: Timestamp) {
        match happening {
            Happening::Seat { player, change } => self.on_change(key, player, change, now),
            Happening::Left { player, name, word } => self.on_left(key, (player, name), word, now),
            Happening::Event {
                to,
                number,
                payload,
            } => {
                let room = self.rooms.get(key);
                let member = room.and_then(|room| room.members.get(&to));
                if let Some((slot, seat)) = member.and_then(|m| Some((m.slot?, m.seat))) {
                    let message = RoomMessage::Event {
                        seat,
                        number,
                        payload,
                    };
                    self.connections
                        .send_ordered(slot, seat, message.encode(), None);
                }
            }
            Happening::Metadata => {
                if let Some(room) = self.rooms.get_mut(key) {
                    room.upkeep.card_stale = true;
                }
            }
            Happening::Ended { word } => {
                if let Some(room) = self.rooms.get_mut(key) {
                    room.closing.get_or_insert(RoomCloseReason::Ended(word));
                }
            }
        }
    }

    fn on_change(&mut self, key: RoomKey, player: PlayerId, change: SeatChange, now: Timestamp) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        room.upkeep.card_stale |= change == SeatChange::Joined;
        room.showing.resend |= change == SeatChange::Returned;
        match change {
            SeatChange::Detached => {
                self.schedule
                    .set(Due::Hold(key, player), now + self.config.seat_hold);
            }
            SeatChange::Joined | SeatChange::Returned => {
                // Not if another client has taken the session over since, and has not asked for the seat.
                let member = room.members.get(&player);
                if member.is_none_or(Member::is_claimed) {
                    self.schedule.clear(Due::Hold(key, player));
                }
            }
            SeatChange::Loading | SeatChange::Suspect | SeatChange::Left => {}
        }
        let name = room
            .seat(player)
            .map(|seat| seat.name.clone())
            .unwrap_or_default();
        self.tell_others(key, (player, name), change);
    }

    fn on_left(
        &mut self,
        key: RoomKey,
        (player, name): (PlayerId, String),
        word: Option<String>,
        now: Timestamp,
    ) {
        self.schedule.clear(Due::Hold(key, player));
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        room.upkeep.card_stale = true;
        if let Some(member) = room.members.remove(&player) {
            let reason = word.map(RoomCloseReason::Removed);
            self.vacate(&member, reason, now);
        }
        self.tell_others(key, (player, name), SeatChange::Left);
    }

    /// A session's seat is gone; `reason` is told if the session did not ask for it.
    pub(crate) fn vacate(
        &mut self,
        member: &Member,
        reason: Option<RoomCloseReason>,
        now: Timestamp,
    ) {
        if let (Some(slot), Some(reason)) = (member.slot, reason) {
            let message = ServerMessage::RoomClosed {
                seat: member.seat,
                reason,
            };
            self.connections.tell(slot, &message);
        }
        let Some(session) = self.sessions.get_mut(member.session) else {
            return;
        };
        session.seats.remove(&member.seat);
        if session.seats.is_empty() && session.connection.is_some() {
            let hold = self.config.idle_session_hold;
            self.schedule.set(Due::Idle(member.session), now + hold);
        }
        self.sessions.loosen(member.session);
        self.announce_heartbeat(member.session, now);
    }

    fn tell_others(
        &mut self,
        key: RoomKey,
        (player, name): (PlayerId, String),
        change: SeatChange,
    ) {
        let Some(room) = self.rooms.get(key) else {
            return;
        };
        for (other, member) in &room.members {
            if let (true, Some(slot)) = (*other != player, member.slot) {
                let (seat, name) = (member.seat, name.clone());
                self.connections.tell(
                    slot,
                    &ServerMessage::Seat {
                        seat,
                        player,
                        name,
                        change,
                    },
                );
            }
        }
    }
}

/// What a session is told of the seat it has.
fn seated(room: &HostedRoom, (player, seat): (PlayerId, SeatId), ask: Ask) -> Seated {
    let held = room.seat(player);
    Seated {
        seat,
        room: room.id,
        kind: room.kind.name.to_owned(),
        version: room.kind.version,
        tick_hz: room.kind.tick_hz,
        player,
        cursor: held.map_or(0, |seat| seat.cursor),
        // What the call itself sends to a fresh seat comes after the answer.
        event: held.filter(|_| !ask.fresh).map_or(0, |seat| seat.events),
        created: ask.created && ask.fresh,
        members: members(room).take(SEATED_MEMBERS_MAX).collect(),
        code: room.code,
    }
}

/// The members beyond those that one answer names, told one by one.
fn untold_members(room: &HostedRoom, seat: SeatId) -> Vec<ServerMessage> {
    let untold = members(room).skip(SEATED_MEMBERS_MAX);
    untold
        .map(|MemberCard { player, name }| ServerMessage::Seat {
            seat,
            player,
            name,
            change: SeatChange::Joined,
        })
        .collect()
}

fn members(room: &HostedRoom) -> impl Iterator<Item = MemberCard> {
    let seats = room.durable.iter().flat_map(|durable| &durable.seats);
    seats.map(|(player, seat)| MemberCard {
        player: *player,
        name: seat.name.clone(),
    })
}
