//! What sessions ask of the rooms of this shard and let them know, from here or from another shard.
//!
//! The home of a session has looked at what only it can know: budgets of the session, order and size of
//! its inputs, codes and guesses. Here it becomes a call of the room, or an answer.

use bytes::Bytes;
use rejoin_protocol::message::{Answer, RoomCloseReason, SeatChange};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::wire::VARINT_MAX;
use rejoin_protocol::{
    CloseReason, Incarnation, Limit, PlayerId, Refusal, RefusalCode, RoomId, Timestamp,
};
use tracing::debug;

use crate::dormant::{Waiting, Wake};
use crate::house::House;
use crate::keys::{RoomKey, SessionKey};
use crate::limits::{INPUTS_ABROAD_MAX, ROOM_CALLS_MAX};
use crate::lobby::{RETRY_SOON, busy, limit_reached, unknown_room, unknown_seat, unrestored};
use crate::mail::{Abroad, Ask, At, Content, Guest, Home, ToRoom};
use crate::pausing::store_full;
use crate::rooms::entry::Entry;
use crate::rooms::fate::{self, Sent};
use crate::rooms::queue::Origin;
use crate::rooms::room::HostedRoom;
use crate::rooms::seat::stay_over;
use crate::schedule::Due;

/// Who turns to a room.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) home: Home,
    pub(crate) player: PlayerId,
    pub(crate) incarnation: Incarnation,
}

impl From<Guest> for Sender {
    fn from(guest: Guest) -> Self {
        Self {
            home: Home::There(guest),
            player: guest.player(),
            incarnation: guest.incarnation,
        }
    }
}

impl House {
    /// A session turns to the room of one of its seats. False if the room would miss what it must not:
    /// too much waits for its shard.
    pub(crate) fn call_room(
        &mut self,
        session: SessionKey,
        at: At,
        what: ToRoom,
        now: Timestamp,
    ) -> bool {
        match at {
            At::Here(key) => {
                if let Some(sender) = self.sender(session) {
                    self.take(key, sender, what, now);
                }
            }
            At::There(room)
                if !what.must_go() && self.mail.is_full(room.shard, what.is_spare()) =>
            {
                return what.is_spare();
            }
            At::There(room) => {
                if let Some(from) = self.guest(session) {
                    let content = Content::ToRoom { room, from, what };
                    self.mail.post(room.shard, content);
                }
            }
        }
        true
    }

    /// A session of this shard as rooms here know it.
    pub(crate) fn sender(&self, session: SessionKey) -> Option<Sender> {
        let known = self.sessions.get(session)?;
        Some(Sender {
            home: Home::Here(session),
            player: known.player(),
            incarnation: known.incarnation,
        })
    }

    /// The same as other shards know it.
    pub(crate) fn guest(&self, session: SessionKey) -> Option<Guest> {
        let known = self.sessions.get(session)?;
        Some(Guest {
            shard: self.config.shard,
            key: session,
            session: known.id,
            incarnation: known.incarnation,
        })
    }

    /// A session of another shard turns to a room of this one. What is for a seat that is gone is passed
    /// over, as the news of its end is on the way; who waits for an answer gets one.
    pub(crate) fn take_from_abroad(
        &mut self,
        room: Abroad,
        from: Guest,
        what: ToRoom,
        now: Timestamp,
    ) {
        let sender = Sender::from(from);
        let there = self.rooms.get(room.key);
        let there = there.filter(|there| there.id == room.room);
        let member = there.and_then(|there| there.members.get(&sender.player));
        let same = member.is_some_and(|member| member.stay == room.stay);
        let key = same.then_some(room.key);
        if let Some(key) = key
            && !self.is_newest(key, sender, from)
        {
            return;
        }
        match (key, what) {
            // After an input that was dropped another would carry the cursor past it.
            (Some(_), ToRoom::Input { .. } | ToRoom::Void { .. } | ToRoom::Latest { .. })
                if self.mail.is_ending(from) => {}
            (Some(key), ToRoom::Input { number, .. } | ToRoom::Void { number })
                if self.waits_too_long(key, sender.player, number) =>
            {
                debug!(%from.session, number, "too many inputs wait");
                let reason = CloseReason::OverLimit(Limit::Inputs);
                self.mail.end(from, room, reason);
            }
            (Some(key), what) => self.take(key, sender, what, now),
            (None, ToRoom::Leave { call } | ToRoom::Close { call }) => {
                self.answer_to(sender.home, call, Err(unknown_seat()));
            }
            (None, ToRoom::Input { .. } | ToRoom::Latest { .. }) => self.stats.inputs_ignored += 1,
            (None, _) => {}
        }
    }

    /// True unless a newer client of the member has spoken. If so, it is the one that the room knows.
    fn is_newest(&mut self, key: RoomKey, sender: Sender, from: Guest) -> bool {
        let room = self.rooms.get_mut(key);
        let Some(member) = room.and_then(|room| room.members.get_mut(&sender.player)) else {
            return false;
        };
        if !member.is_newest(from) {
            return false;
        }
        member.home = Some(sender.home);
        true
    }

    fn waits_too_long(&self, key: RoomKey, player: PlayerId, number: u64) -> bool {
        let Some(room) = self.rooms.get(key) else {
            return false;
        };
        let cursor = room.seat(player).map_or(0, |seat| seat.cursor);
        number.saturating_sub(cursor) > room.inputs_waiting_max(INPUTS_ABROAD_MAX)
    }

    /// A session of another shard wants a seat. Its home knows who asks, and the room who may.
    pub(crate) fn ask_from_abroad(&mut self, room: RoomId, from: Guest, ask: Box<Ask>) {
        self.mail.forgive_older(from);
        let call = ask.call;
        let asked = match self.dormant.want(room) {
            Wake::Up => self.ask_a_room(room, from, *ask),
            Wake::Soon => return self.dormant.wait(room, Waiting::Ask(from, ask)),
            Wake::Never => Err(unrestored()),
            Wake::Busy => Err(busy()),
        };
        if let Err(refusal) = asked {
            let origin = Origin::Admit {
                home: Home::There(from),
                call,
                created: false,
            };
            self.refuse(origin, refusal);
        }
    }

    fn ask_a_room(&mut self, room: RoomId, from: Guest, ask: Ask) -> Result<(), Refusal> {
        let player = from.player();
        let opens = |key: &RoomKey| {
            self.rooms.get(*key).is_some_and(|room| {
                ask.by_code
                    || room.code.is_none()
                    || room.owner == player
                    || room.members.contains_key(&player)
            })
        };
        let key = self.rooms.find(room).filter(opens);
        self.ask(key.ok_or_else(unknown_room)?, from.into(), ask, false)
    }

    /// Asks a room that is open for a seat, or for the one the session holds there.
    ///
    /// # Errors
    /// It is about to close, or too many wait for it.
    pub(crate) fn ask(
        &mut self,
        key: RoomKey,
        from: Sender,
        ask: Ask,
        created: bool,
    ) -> Result<(), Refusal> {
        self.check_ask(key)?;
        let room = self.rooms.get(key).ok_or_else(unknown_room)?;
        let seat = room.seat(from.player);
        // Nothing is told to the others, and no hold ends, for a client that is refused.
        if seat.is_some_and(|seat| !seat.is_of(ask.applicant.returns)) {
            return Err(stay_over());
        }
        if let Some(seat) = seat.filter(|_| room.rolled_back && !planted::is(Bug::LossSkipped)) {
            let held = ask.held.filter(|held| held.stay == seat.stay);
            let held = held.unwrap_or_default();
            // As far as a record can say; the seat judges what to believe of it.
            let entry = Entry::Ahead {
                player: from.player,
                input: held.input.min(VARINT_MAX),
                event: held.event.min(VARINT_MAX),
            };
            self.rooms.push(key, entry, Origin::None);
        }
        let room = self.rooms.get_mut(key).ok_or_else(unknown_room)?;
        let stay = room.next_stay();
        self.claim(key, from, &ask);
        let origin = Origin::Admit {
            home: from.home,
            call: ask.call,
            created,
        };
        let applicant = Box::new(ask.applicant);
        self.rooms
            .push(key, Entry::Admit { applicant, stay }, origin);
        Ok(())
    }

    /// Whether a room can be asked for a seat now.
    ///
    /// # Errors
    /// It is about to close, is paused, or too many wait for it.
    pub(crate) fn check_ask(&self, key: RoomKey) -> Result<(), Refusal> {
        let open = self.rooms.get(key).filter(|room| room.closing.is_none());
        let room = open.ok_or_else(unknown_room)?;
        if room.is_paused() {
            return Err(store_full());
        }
        if room.queue.len() + room.gate.answers() >= ROOM_CALLS_MAX {
            let text = format!("at most {ROOM_CALLS_MAX} calls wait for a room");
            return Err(limit_reached(text).retry_after(RETRY_SOON));
        }
        Ok(())
    }

    fn take(&mut self, key: RoomKey, from: Sender, what: ToRoom, now: Timestamp) {
        let Sender {
            home,
            player,
            incarnation,
        } = from;
        match what {
            ToRoom::Leave { call } => {
                let entry = Entry::Seat {
                    player,
                    change: SeatChange::Left,
                    incarnation,
                };
                self.rooms.push(key, entry, Origin::Leave { home, call });
            }
            ToRoom::Close { call } => {
                let result = self.close_room(key, player);
                self.answer_to(home, call, result.map(|()| Answer::Closed));
            }
            ToRoom::Resync => self.resync(key, player, now),
            ToRoom::Input { number, payload } => {
                self.take_input(key, player, (number, payload), now);
            }
            ToRoom::Void { number } => {
                self.rooms
                    .push(key, Entry::Void { player, number }, Origin::None);
            }
            ToRoom::Latest { payload } => self.take_latest(key, player, payload, now),
            ToRoom::Fate { sent, arrived } => match sent {
                Sent::Snapshot {
                    generation,
                    sequence,
                } => self.on_fate(key, player, (generation, sequence), arrived),
                // What is reliable is not lost.
                Sent::Event { .. } if !arrived => {}
                Sent::Event { stay, number } => self.on_event_acked(key, player, (stay, number)),
            },
            ToRoom::Change(change) => self.change_seat(key, (player, incarnation), change),
            ToRoom::Detach => self.detach(key, from, now),
        }
    }

    fn close_room(&mut self, key: RoomKey, player: PlayerId) -> Result<(), Refusal> {
        let room = self.rooms.get_mut(key).ok_or_else(unknown_room)?;
        if room.owner != player {
            let text = "only the player who created the room may close it";
            return Err(Refusal::new(RefusalCode::NotOwner, text));
        }
        room.closing.get_or_insert(RoomCloseReason::ClosedByOwner);
        self.rooms.activate(key);
        Ok(())
    }

    fn resync(&mut self, key: RoomKey, player: PlayerId, now: Timestamp) {
        let room = self.rooms.get_mut(key);
        let member = room.and_then(|room| room.members.get_mut(&player));
        if member.is_some_and(|member| member.resync(now)) {
            self.stats.resyncs += 1;
            self.resend(key);
        }
    }

    fn take_input(
        &mut self,
        key: RoomKey,
        player: PlayerId,
        (number, payload): (u64, Bytes),
        now: Timestamp,
    ) {
        let mut entry = Entry::Input {
            player,
            number: Some(number),
            payload,
        };
        if let Err(refusal) = self.spend_room_input(key, now) {
            self.refuse_input(key, &entry, refusal);
            // The number stays, so that the cursor passes it and order holds.
            entry = Entry::Void { player, number };
        }
        self.rooms.push(key, entry, Origin::None);
    }

    fn take_latest(&mut self, key: RoomKey, player: PlayerId, payload: Bytes, now: Timestamp) {
        // One that takes the place of another costs the room nothing.
        let room = self.rooms.get(key);
        let waits = room.is_some_and(|room| room.queue.has_latest(player));
        if !waits && self.spend_room_input(key, now).is_err() {
            return;
        }
        // Bounded by the seats of the room: a newer one takes the place of an older one.
        let entry = Entry::Input {
            player,
            number: None,
            payload,
        };
        self.rooms.push(key, entry, Origin::None);
    }

    fn on_fate(
        &mut self,
        key: RoomKey,
        player: PlayerId,
        (generation, sequence): (u8, u64),
        arrived: bool,
    ) {
        let room = self.rooms.get_mut(key);
        let Some(member) = room.and_then(|room| room.members.get_mut(&player)) else {
            return;
        };
        if member.generation != generation {
            return;
        }
        let sequence = fate::widen(sequence, member.delivery.newest());
        let behind = if arrived {
            let waited = member.delivery.is_on_stream();
            member.delivery.on_acked(sequence);
            waited && !member.delivery.is_on_stream()
        } else {
            member.delivery.on_lost(sequence)
        };
        if behind {
            self.resend(key);
        }
    }

    /// A member of the room lacks something although the room did not change.
    fn resend(&mut self, key: RoomKey) {
        if let Some(room) = self.rooms.get_mut(key) {
            room.showing.resend = true;
            self.rooms.activate(key);
        }
    }

    /// The session's client asked for a seat that the session holds: it is there again. One that asks
    /// again and again changes nothing, since all the others are told of each change.
    fn claim(&mut self, key: RoomKey, from: Sender, ask: &Ask) {
        let room = self.rooms.get_mut(key);
        let Some(member) = room.and_then(|room| room.members.get_mut(&from.player)) else {
            return;
        };
        let first = member.claim(from.incarnation, ask.held);
        self.schedule.clear(Due::Hold(key, from.player));
        if !first {
            return;
        }
        let of = (from.player, from.incarnation);
        self.change_seat(key, of, SeatChange::Returned);
        if ask.loading {
            self.change_seat(key, of, SeatChange::Loading);
        }
    }

    /// Queues a change of a session's seat in a room.
    pub(crate) fn change_seat(
        &mut self,
        key: RoomKey,
        (player, incarnation): (PlayerId, Incarnation),
        change: SeatChange,
    ) {
        let room = self.rooms.get_mut(key);
        if let Some(member) = room.and_then(|room| room.members.get_mut(&player)) {
            member.away = change == SeatChange::Detached;
        }
        let entry = Entry::Seat {
            player,
            change,
            incarnation,
        };
        self.rooms.push(key, entry, Origin::None);
    }

    /// Nothing is sent to the member until its client claims the seat on a connection.
    fn detach(&mut self, key: RoomKey, from: Sender, now: Timestamp) {
        if let Home::There(guest) = from.home {
            self.mail.forgive(guest);
        }
        let room = self.rooms.get_mut(key);
        if let Some(member) = room.and_then(|room| room.members.get_mut(&from.player)) {
            member.attach(None);
            let hold = now + self.config.seat_hold;
            self.schedule.set_earlier(Due::Hold(key, from.player), hold);
        }
    }

    /// A detached player did not return in time, or its client did not ask for the seat.
    pub(crate) fn on_hold_over(&mut self, key: RoomKey, player: PlayerId, now: Timestamp) {
        let room = self.rooms.get(key);
        let Some(member) = room.and_then(|room| room.members.get(&player)) else {
            return;
        };
        // Nobody can come back to it meanwhile.
        if room.is_some_and(HostedRoom::is_paused) {
            let hold = now + self.config.seat_hold;
            return self.schedule.set(Due::Hold(key, player), hold);
        }
        // Back within this very turn: the room hears of it in a moment.
        if member.is_claimed() && !member.away {
            return;
        }
        let kind = room.map(|room| room.kind);
        if kind.is_some_and(|kind| self.sleep_of(&kind).is_some()) {
            return self.on_drowsy(key, now);
        }
        let incarnation = match member.home {
            Some(Home::Here(session)) => self.sender(session).map(|from| from.incarnation),
            Some(Home::There(guest)) => Some(guest.incarnation),
            None => room
                .and_then(|room| room.seat(player))
                .map(|seat| seat.incarnation),
        };
        if let Some(incarnation) = incarnation {
            self.change_seat(key, (player, incarnation), SeatChange::Left);
        }
    }
}
