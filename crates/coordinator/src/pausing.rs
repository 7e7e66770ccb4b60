//! Rooms whose calls cannot be stored since the disk is full: they are paused, and go on once there is place.
//!
//! A paused room keeps its calls in order, acknowledges nothing, and its time stands still; its members stay, and whoever
//! asks for a seat is told to ask again. The write of a turn says when a room is paused, and when it goes on.

use rejoin_protocol::message::SeatChange;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{PlayerId, Refusal, RefusalCode, Timestamp};
use tracing::{info, warn};

use crate::house::House;
use crate::keys::RoomKey;
use crate::limits::PAUSE_RETRY;
use crate::rooms::entry::Entry;
use crate::rooms::queue::Queued;
use crate::schedule::Due;

impl House {
    /// A room's calls could not be stored: they wait, but for those of who asks for a seat.
    pub(crate) fn pause(&mut self, key: RoomKey, calls: Vec<Queued>, now: Timestamp) {
        // By the time the room goes on, who asks for a seat may have another connection, or none.
        let (asks, mut calls): (Vec<_>, Vec<_>) =
            { calls.into_iter() }.partition(|call| matches!(call.entry, Entry::Admit { .. }));
        for ask in asks {
            if let Entry::Admit { applicant, .. } = ask.entry {
                self.turn_away(key, applicant.session.player(), &mut calls, now);
            }
            self.refuse(ask.origin, store_full());
        }
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if calls.is_empty() && room.closing.is_none() {
            // There is nothing to wait for.
            return;
        }
        if planted::is(Bug::PauseForgetsCalls) {
            calls.truncate(1);
        }
        room.queue.put_back(calls);
        room.clock.stop(now);
        room.upkeep.paused_until = Some(now + PAUSE_RETRY);
        if self.paused.is_empty() {
            warn!(room = %room.id, "the store is full: rooms are paused until there is place");
        }
        self.paused.insert(key);
    }

    /// A member's client does not have the seat that it asked for: nobody is told that it is back.
    fn turn_away(
        &mut self,
        key: RoomKey,
        player: PlayerId,
        calls: &mut Vec<Queued>,
        now: Timestamp,
    ) {
        let room = self.rooms.get_mut(key);
        let Some(member) = room.and_then(|room| room.members.get_mut(&player)) else {
            return;
        };
        if member.line.is_some() {
            return;
        }
        member.attach(None);
        member.away = true;
        calls.retain(|call| {
            let Entry::Seat {
                player: of, change, ..
            } = call.entry
            else {
                return true;
            };
            of != player || !matches!(change, SeatChange::Returned | SeatChange::Loading)
        });
        let hold = now + self.config.seat_hold;
        self.schedule.set(Due::Hold(key, player), hold);
    }

    /// The calls of these rooms are stored: those that were paused go on.
    pub(crate) fn go_on(&mut self, stored: impl Iterator<Item = RoomKey>, now: Timestamp) {
        if self.paused.is_empty() {
            return;
        }
        for key in stored.filter(|key| self.paused.remove(key)) {
            if let Some(room) = self.rooms.get_mut(key) {
                room.upkeep.paused_until = None;
                room.clock.go_on(now);
            }
        }
        if self.paused.is_empty() {
            info!("the store has place again: paused rooms go on");
        }
    }
}

/// The refusal of a room that is paused, or cannot be opened for the same reason.
pub(crate) fn store_full() -> Refusal {
    let text = "the disk of the server is full: rooms wait until there is place";
    Refusal::new(RefusalCode::LimitReached, text).retry_after(PAUSE_RETRY)
}
