//! What a room's calls lead to outside the room: seats taken and given back, answers, events,
//! and what the other members are told.

use rejoin_protocol::message::{Answer, Member as MemberCard, SeatChange, Seated};
use rejoin_protocol::message::{RoomCloseReason, ServerMessage};
use rejoin_protocol::{PlayerId, Refusal, RefusalCode, SeatId, Stay, Timestamp};

use crate::house::House;
use crate::keys::{RoomKey, SessionKey};
use crate::limits::SEATED_MEMBERS_MAX;
use crate::lobby::unknown_seat;
use crate::mail::{Abroad, At, Guest, Home, ToRoom, ToSession};
use crate::news::Lines;
use crate::rooms::backlog::Resumed;
use crate::rooms::durable::{Applied, Happening, Verdict};
use crate::rooms::entry::Entry;
use crate::rooms::member::{Line, Member};
use crate::rooms::queue::{Asked, Origin, Queued};
use crate::rooms::room::HostedRoom;
use crate::schedule::Due;

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
            | Entry::Admit { .. }
            | Entry::Seat { .. }
            | Entry::Input { .. }
            | Entry::Void { .. }
            | Entry::Restored { .. }
            | Entry::Ahead { .. }
            | Entry::Asleep(_)
            | Entry::Timers => {}
        }
    }

    fn answer(&mut self, key: RoomKey, call: &Queued, verdict: Verdict, now: Timestamp) {
        let entry = &call.entry;
        match (call.origin, verdict) {
            (
                Origin::Admit {
                    home,
                    call,
                    created,
                },
                verdict @ (Verdict::Seated | Verdict::Found),
            ) => {
                let Entry::Admit { applicant, .. } = entry else {
                    return;
                };
                let asked = Asked {
                    player: applicant.session.player(),
                    incarnation: applicant.incarnation,
                    home,
                    call,
                    created,
                    fresh: verdict == Verdict::Seated,
                    cursor: 0,
                    view: 0,
                };
                self.seat(key, asked, now);
            }
            (origin @ (Origin::Admit { .. } | Origin::Leave { .. }), Verdict::Refused(refusal)) => {
                self.refuse(origin, refusal);
            }
            (Origin::Leave { home, call }, Verdict::Done) => {
                self.answer_to(home, call, Ok(Answer::Left));
            }
            (origin @ (Origin::Admit { .. } | Origin::Leave { .. }), _) => {
                let text = "the session holds no such seat";
                self.refuse(origin, Refusal::new(RefusalCode::UnknownSeat, text));
            }
            (Origin::None, Verdict::Refused(refusal)) => {
                self.refuse_input(key, entry, refusal);
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
        if let Some((room, member)) = room.and_then(|room| Some((room, room.members.get(player)?)))
            && let Some(line) = member.line
        {
            let number = *number;
            let what = ToSession::InputRefused { number, refusal };
            let abroad = room.as_abroad(self.config.shard, key, member);
            self.lines().tell(line, abroad, what);
        }
    }

    /// Both ways to members.
    fn lines(&mut self) -> Lines<'_> {
        Lines {
            connections: &mut self.connections,
            mail: &mut self.mail,
        }
    }

    /// The room gave a session a seat, or found the one it holds. Its client is told at once, or when that is on the
    /// medium.
    fn seat(&mut self, key: RoomKey, mut asked: Asked, now: Timestamp) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        asked.cursor = room.seat(asked.player).map_or(0, |seat| seat.cursor);
        asked.view = room.view_name();
        let line = match asked.home {
            Home::Here(session) => {
                let Some(known) = self.sessions.get_mut(session) else {
                    return;
                };
                let seat = known.seat_in(key);
                let at = (room.id, !asked.fresh);
                let seat = seat.unwrap_or_else(|| known.take_seat(At::Here(key), at));
                if let Some(holding) = known.seats.get_mut(seat) {
                    holding.queued_to = holding.queued_to.max(asked.cursor);
                }
                self.schedule.clear(Due::Idle(session));
                known.connection.map(|slot| Line::Here { slot, seat })
            }
            Home::There(guest) => Some(Line::There(guest)),
        };
        let synced = room.gate.is_synced();
        let member = room.seat_member(asked.player, asked.incarnation, asked.home);
        if !synced {
            self.welcome(key, asked, now);
        } else if line.is_some() && member.line == line {
            // It has been told where it is.
            asked.cursor = member.told_cursor();
            self.welcome(key, asked, now);
        } else {
            room.gate.hold_answer(asked);
        }
    }

    /// Tells a session's client that it has a seat, unless that is so no longer.
    pub(crate) fn welcome(&mut self, key: RoomKey, asked: Asked, now: Timestamp) {
        let room = self.rooms.get(key);
        let member = room.and_then(|room| room.members.get(&asked.player));
        match asked.home {
            Home::Here(session) if !self.sessions.is_carried_by(session, asked.incarnation) => {
                self.abandon(key, session, asked);
            }
            Home::Here(session) if member.is_some() => {
                self.welcome_here(key, session, asked, now);
            }
            Home::There(guest) if member.is_some_and(|it| it.is_newest(guest)) => {
                self.welcome_guest(key, guest, asked);
            }
            Home::Here(_) | Home::There(_) => self.refuse(asked.origin(), unknown_seat()),
        }
    }

    /// Another client has the session since. It asks for the seat itself if it knows of it.
    fn abandon(&mut self, key: RoomKey, session: SessionKey, asked: Asked) {
        self.on_ask_over(session);
        let room = self.rooms.get_mut(key);
        if let Some(member) = room.and_then(|room| room.members.get_mut(&asked.player)) {
            member.abandon(asked.incarnation);
            let of = (asked.player, asked.incarnation);
            self.change_seat(key, of, SeatChange::Detached);
        }
    }

    fn welcome_here(&mut self, key: RoomKey, session: SessionKey, asked: Asked, now: Timestamp) {
        self.on_ask_over(session);
        let player = asked.player;
        let Some(known) = self.sessions.get_mut(session) else {
            return;
        };
        let Some((room, seat)) = self.rooms.get_mut(key).zip(known.seat_in(key)) else {
            return;
        };
        let (slot, client) = (known.connection, asked.incarnation);
        let is_other = room.attach(&asked, slot.map(|slot| Line::Here { slot, seat }));
        let resumed = room.resume(player, client, is_other);
        let seated = seated(room, (player, seat), asked, resumed);
        let untold = untold_members(room);
        if let Some(holding) = known.seats.get_mut(seat) {
            holding.claimed = slot.is_some();
        }
        self.announce_heartbeat(session, now);
        self.reply(session, asked.call, Ok(Answer::Seated(seated)));
        for (player, name) in untold {
            let change = SeatChange::Joined;
            let message = ServerMessage::Seat {
                seat,
                player,
                name,
                change,
            };
            self.tell(session, &message);
        }
        self.catch_up(key, player);
        if slot.is_none() {
            // The client went away meanwhile. Nobody waits for a seat that is new.
            let at = At::Here(key);
            let change = if asked.fresh {
                SeatChange::Left
            } else {
                self.call_room(session, at, ToRoom::Detach, now);
                SeatChange::Detached
            };
            self.call_room(session, at, ToRoom::Change(change), now);
        }
        tracing::debug!(%player, ?seat, ?now, "seat is taken");
    }

    /// The same for a session of another shard; its home goes on from there.
    fn welcome_guest(&mut self, key: RoomKey, guest: Guest, asked: Asked) {
        let player = asked.player;
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let is_other = room.attach(&asked, Some(Line::There(guest)));
        let resumed = room.resume(player, asked.incarnation, is_other);
        let Some(member) = room.members.get(&player) else {
            return;
        };
        let abroad = room.as_abroad(self.config.shard, key, member);
        let what = ToSession::Seated {
            call: asked.call,
            seated: Box::new(seated(room, (player, SeatId(0)), asked, resumed)),
            applied: room.seat(player).map_or(0, |seat| seat.cursor),
            untold: untold_members(room),
        };
        self.mail.tell(guest, abroad, what);
        self.catch_up(key, player);
    }

    fn on_happening(&mut self, key: RoomKey, happening: Happening, now: Timestamp) {
        match happening {
            Happening::Seat { player, change } => self.on_change(key, player, change, now),
            Happening::Left { player, name, word } => self.on_left(key, (player, name), word, now),
            Happening::Event {
                to,
                number,
                payload,
                when_durable,
            } => {
                let room = self.rooms.get(key);
                if when_durable || room.is_some_and(|room| room.gate.is_synced()) {
                    self.hold_event(key, to, number);
                }
                self.say(key, to, (number, payload));
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
        if change == SeatChange::Returned {
            self.catch_up(key, player);
        }
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
            let abroad = room.as_abroad(self.config.shard, key, &member);
            self.vacate(&member, abroad, reason, now);
        }
        self.tell_others(key, (player, name), SeatChange::Left);
    }

    /// A session's seat is gone; `reason` is told if the session did not ask for it.
    pub(crate) fn vacate(
        &mut self,
        member: &Member,
        room: Abroad,
        reason: Option<RoomCloseReason>,
        now: Timestamp,
    ) {
        let what = ToSession::Vacated {
            reason: reason.filter(|_| member.line.is_some()),
        };
        match member.home {
            None => {}
            Some(Home::Here(session)) => {
                if let Some(line) = member.line {
                    self.lines().tell(line, room, what);
                }
                let known = self.sessions.get(session);
                if let Some(seat) = known.and_then(|known| known.seat_in(room.key)) {
                    self.give_up(session, seat, now);
                }
            }
            Some(Home::There(guest)) => self.mail.tell(guest, room, what),
        }
    }

    /// A session has a seat no longer.
    pub(crate) fn give_up(&mut self, session: SessionKey, seat: SeatId, now: Timestamp) {
        let Some(known) = self.sessions.get_mut(session) else {
            return;
        };
        known.seats.remove(seat);
        if known.seats.is_empty() && known.connection.is_some() {
            let hold = self.config.idle_session_hold;
            self.schedule.set(Due::Idle(session), now + hold);
        }
        self.sessions.loosen(session);
        self.announce_heartbeat(session, now);
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
        let mut lines = Lines {
            connections: &mut self.connections,
            mail: &mut self.mail,
        };
        for (other, member) in &room.members {
            if let (true, Some(line)) = (*other != player, member.line) {
                let what = ToSession::Member {
                    player,
                    name: name.clone(),
                    change,
                };
                lines.tell(line, room.as_abroad(self.config.shard, key, member), what);
            }
        }
    }
}

/// What a session is told of the seat it has.
fn seated(
    room: &mut HostedRoom,
    (player, seat): (PlayerId, SeatId),
    asked: Asked,
    resumed: Resumed,
) -> Seated {
    let member = room.members.get_mut(&player);
    if let Some(member) = member {
        member.answered = asked.cursor;
    }
    let held = room.seat(player);
    Seated {
        seat,
        room: room.id,
        stay: held.map_or_else(Stay::default, |seat| seat.stay),
        kind: room.kind.name.to_owned(),
        version: room.kind.version,
        tick_hz: room.kind.tick_hz,
        player,
        cursor: asked.cursor,
        event: resumed.event,
        events_dropped: resumed.dropped,
        inputs_lost: held.map_or(0, |seat| seat.inputs_lost),
        created: asked.created && asked.fresh,
        found: !asked.fresh,
        members: members(room).take(SEATED_MEMBERS_MAX).collect(),
        code: room.code,
    }
}

/// The members beyond those that one answer names, told one by one.
fn untold_members(room: &HostedRoom) -> Vec<(PlayerId, String)> {
    let untold = members(room).skip(SEATED_MEMBERS_MAX);
    untold
        .map(|MemberCard { player, name }| (player, name))
        .collect()
}

fn members(room: &HostedRoom) -> impl Iterator<Item = MemberCard> {
    let seats = room.durable.iter().flat_map(|durable| &durable.seats);
    seats.map(|(player, seat)| MemberCard {
        player: *player,
        name: seat.name.clone(),
    })
}
