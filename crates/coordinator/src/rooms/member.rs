//! The live side of a seat: where its client is, and what it was told.

use std::mem::offset_of;

use rejoin_protocol::limits::RESYNC_INTERVAL;
use rejoin_protocol::message::Held;
use rejoin_protocol::{Fetch, Incarnation, RoomId, SeatId, Stay, Timestamp};

use super::delivery::Delivery;
use super::ring::Ring;
use crate::keys::{RoomKey, Slot};
use crate::mail::{Abroad, Guest, Home};

/// The live side of a seat; first what each view and what becomes of it touches.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Member {
    /// Where to send: set while the session's client has the seat on a connection.
    pub(crate) line: Option<Line>,
    /// Tells the snapshots of one delivery from those of the next.
    pub(crate) generation: u8,
    /// The cursor at the newest view; `None` if none was made since the client took or found the
    /// seat. What the room showed before is not for it: it may lack its row, hold what a private
    /// view would hide, or tell an older cursor than the answer did.
    pub(crate) shown_cursor: Option<u64>,
    pub(crate) delivery: Delivery,
    /// Own views, if the room shows this member something else than the others.
    pub(crate) private: Option<Box<Ring>>,
    /// How its session is reached; `None` if the room was restored and nobody has come back to the seat.
    pub(crate) home: Option<Home>,
    pub(crate) stay: Stay,
    /// Its player was last seen to be gone.
    pub(crate) away: bool,
    /// The client that has asked for the seat, and that the room has yet to answer.
    claimed: Option<Incarnation>,
    /// What a client of that incarnation said that it has, until the room answers it.
    held: Option<Box<(Incarnation, Held)>>,
    /// The newest event that was handed over to the line.
    pub(crate) told: u64,
    /// The cursor that the newest answer told.
    pub(crate) answered: u64,
    /// When its client last had the views started anew.
    resynced: Option<Timestamp>,
}

/// How a member is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// On a connection of this shard, under the session's name for the seat.
    Here { slot: Slot, seat: SeatId },
    /// Through its home.
    There(Guest),
}

impl Member {
    /// A seat that was just taken.
    pub(crate) fn new(home: Option<Home>, stay: Stay) -> Self {
        Self {
            home,
            stay,
            line: None,
            away: false,
            claimed: None,
            held: None,
            told: 0,
            answered: 0,
            delivery: Delivery::default(),
            private: None,
            shown_cursor: None,
            generation: 0,
            resynced: None,
        }
    }

    /// See [`crate::fetch`]: asks for what a view touches, and what becomes of it.
    pub(crate) fn fetch_ahead(&self, fetch: Fetch) {
        fetch.front(self, offset_of!(Self, home));
    }

    /// The connection that it is sent to, if that is one of this shard.
    pub(crate) const fn slot(&self) -> Option<Slot> {
        match self.line {
            Some(Line::Here { slot, .. }) => Some(slot),
            Some(Line::There(_)) | None => None,
        }
    }

    /// Sends to another connection from now on, or to none. The client there has no views yet. False if
    /// that is where it sends already.
    pub(crate) fn attach(&mut self, line: Option<Line>) -> bool {
        self.claimed = None;
        let is_other = self.line != line;
        if is_other {
            self.line = line;
            self.shown_cursor = None;
            self.restart_view();
        }
        is_other
    }

    /// Its client asks for the seat. False if it did before on the same connection.
    pub(crate) fn claim(&mut self, by: Incarnation, held: Option<Held>) -> bool {
        let before = self.is_claimed();
        self.claimed = Some(by);
        if let Some(held) = held {
            self.held = Some(Box::new((by, held)));
        }
        !before
    }

    /// What a client said that it has, as it asked. Told once.
    pub(crate) fn take_held(&mut self, of: Incarnation) -> Option<Held> {
        let held = self.held.take().filter(|held| held.0 == of);
        held.map(|held| held.1)
    }

    /// True if its client has asked for the seat.
    pub(crate) const fn is_claimed(&self) -> bool {
        self.claimed.is_some() || self.line.is_some()
    }

    /// A client has the seat, and is to be told.
    pub(crate) fn await_answer(&mut self, client: Incarnation) {
        self.claimed = self.claimed.max(Some(client));
    }

    /// The client that asked for the seat is gone.
    pub(crate) fn abandon(&mut self, client: Incarnation) {
        self.claimed.take_if(|claimed| *claimed <= client);
    }

    /// False if a newer client of that session has turned to the room.
    pub(crate) fn is_newest(&self, guest: Guest) -> bool {
        let newer =
            |home| matches!(home, Home::There(known) if known.incarnation > guest.incarnation);
        !self.home.is_some_and(newer)
    }

    /// The newest cursor that its client was told.
    pub(crate) fn told_cursor(&self) -> u64 {
        self.answered.max(self.delivery.told_cursor())
    }

    /// What another shard calls its room.
    pub(crate) const fn room_abroad(&self, (shard, key): (u8, RoomKey), room: RoomId) -> Abroad {
        Abroad {
            shard,
            key,
            room,
            stay: self.stay,
        }
    }

    /// Starts the views from a whole one.
    pub(crate) fn restart_view(&mut self) {
        self.delivery.restart();
        self.generation = self.generation.wrapping_add(1);
    }

    /// The client lost its view. False if it asks again too soon; a client that still needs it
    /// repeats itself.
    pub(crate) fn resync(&mut self, now: Timestamp) -> bool {
        if self
            .resynced
            .is_some_and(|at| now.since(at) < RESYNC_INTERVAL)
        {
            return false;
        }
        self.resynced = Some(now);
        self.restart_view();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_starts_anew_only_so_often() {
        let at = Timestamp::from_millis;
        let mut member = Member::new(None, Stay(1));
        let interval = u64::try_from(RESYNC_INTERVAL.as_millis()).unwrap();
        assert!(member.resync(at(5)));
        assert!(!member.resync(at(5)) && !member.resync(at(4 + interval)));
        assert!(member.resync(at(5 + interval)));
        assert_eq!(member.generation, 2);
    }
}
