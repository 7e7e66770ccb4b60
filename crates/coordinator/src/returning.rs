//! A client has its seat again: what it lacks of the room's events follows the answer, and the next view builds on
//! one that it says it has.
//!
//! An event goes to a member's line as the room says it, unless the member is away or some before it wait: a client
//! that catches up is sent a few at a time, and the next as it acknowledges those. What is kept no longer when its
//! turn comes is passed over, and the client told so.

use bytes::Bytes;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{Incarnation, PlayerId};
use rejoin_room::Durability;

use crate::house::House;
use crate::keys::RoomKey;
use crate::limits::{EVENTS_AGAIN_BYTES_MAX, EVENTS_AGAIN_MAX};
use crate::mail::ToSession;
use crate::news::Lines;
use crate::rooms::backlog::{Backlog, Resumed};
use crate::rooms::fate::Sent;
use crate::rooms::room::HostedRoom;
use crate::rooms::seat::Seat;

impl HostedRoom {
    /// A member's client of that incarnation has the seat, on another line than before if `is_other`. Tells where
    /// events go on for it.
    pub(crate) fn resume(
        &mut self,
        player: PlayerId,
        incarnation: Incarnation,
        is_other: bool,
    ) -> Resumed {
        let seat = self.durable.as_mut();
        let seat = seat.and_then(|durable| durable.seats.get_mut(&player));
        let Some((member, seat)) = self.members.get_mut(&player).zip(seat) else {
            return Resumed::default();
        };
        let held = member.take_held(incarnation);
        let held = held.filter(|held| held.stay == seat.stay || planted::is(Bug::StayIgnored));
        if !is_other && !planted::is(Bug::EventsSentAgain) {
            // What was sent on this line is on its way.
            return Resumed {
                event: member.told,
                dropped: 0,
            };
        }
        if let Some(view) = held.and_then(|held| held.snapshot)
            && self.ring.holds(view)
        {
            member.delivery.adopt(view.sequence);
        }
        let resumed = seat.events.resume(held.map(|held| held.event));
        member.told = resumed.event;
        resumed
    }
}

impl House {
    /// A room says something to a member.
    pub(crate) fn say(&mut self, key: RoomKey, to: PlayerId, (number, payload): (u64, Bytes)) {
        let mut lines = Lines {
            connections: &mut self.connections,
            mail: &mut self.mail,
        };
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let (id, is_here) = (room.id, room.seat(to).is_some_and(Seat::is_here));
        if let Some(member) = room.members.get_mut(&to)
            && is_here
            && let Some(line) = member.line
            && number == member.told + 1
            && !room.gate.holds(to, number)
        {
            member.told = number;
            let what = ToSession::Event {
                stay: member.stay,
                number,
                payload,
            };
            lines.tell(line, member.room_abroad((self.config.shard, key), id), what);
        }
    }

    /// An event is told once it is on the medium, as far as the room is kept there.
    pub(crate) fn hold_event(&mut self, key: RoomKey, to: PlayerId, number: u64) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let level = room.kind.durability;
        if level > Durability::None {
            room.gate.hold_event(to, number);
        }
        room.upkeep.checkpoint_wanted |= level == Durability::Checkpoint;
    }

    /// A member's client has all events of the stay up to that number.
    pub(crate) fn on_event_acked(
        &mut self,
        key: RoomKey,
        player: PlayerId,
        (stay, number): (u8, u64),
    ) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let member = room.members.get(&player);
        let of = member.map(|member| Sent::event(member.stay, number));
        if of == Some(Sent::Event { stay, number })
            && let Some(seat) = room.seat_mut(player)
        {
            seat.events.on_acked(number);
            self.catch_up(key, player);
        }
    }

    /// Sends a member the events that wait for it, as many as may be on their way.
    pub(crate) fn catch_up(&mut self, key: RoomKey, player: PlayerId) {
        let mut lines = Lines {
            connections: &mut self.connections,
            mail: &mut self.mail,
        };
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let seats = room.durable.as_ref().map(|durable| &durable.seats);
        let seat = seats.and_then(|seats| seats.get(&player));
        let Some((member, seat)) = room.members.get_mut(&player).zip(seat) else {
            return;
        };
        let Some(line) = member.line.filter(|_| seat.is_here()) else {
            return;
        };
        let abroad = member.room_abroad((self.config.shard, key), room.id);
        while member.told < seat.events.newest() {
            let number = member.told + 1;
            let Some(payload) = seat.events.get(number) else {
                let number = seat.events.gone();
                member.told = number;
                lines.tell(line, abroad, ToSession::Missed { number });
                continue;
            };
            if room.gate.holds(player, number) || !may_follow(&seat.events, member.told, payload) {
                return;
            }
            member.told = number;
            let what = ToSession::Event {
                stay: member.stay,
                number,
                payload: payload.clone(),
            };
            lines.tell(line, abroad, what);
        }
    }
}

/// True if one more may be on its way, besides those that are.
fn may_follow(events: &Backlog, told: u64, payload: &Bytes) -> bool {
    let (count, bytes) = events.kept_to(told);
    let fits = bytes + payload.len() <= EVENTS_AGAIN_BYTES_MAX;
    count == 0 || (count < EVENTS_AGAIN_MAX && fits)
}
