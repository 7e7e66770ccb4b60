//! Memory that a turn will need is asked for ahead, of all that it concerns at once.
//!
//! A shard's state is larger than what a processor keeps near, and something else runs while the shard
//! sleeps: most of the time of a datagram would be waiting for memory, one line after the other. What is
//! read here in a row comes together; each pass follows what the one before has fetched. Nothing changes,
//! so that it matters to nobody whether it was done.

use std::hint::black_box;

use rejoin_protocol::{Timestamp, packet};

use crate::connections::Stage;
use crate::house::House;
use crate::keys::{RoomKey, SessionKey, Slot};
use crate::mail::At;
use crate::rooms::room::{Line, Member};

/// Datagrams whose memory is fetched together: what a shell receives with one call.
const TOGETHER_MAX: usize = 64;

impl House {
    /// For datagrams that came; of more than are fetched together those behind wait for theirs as they did.
    pub(crate) fn expect<'a>(&self, datagrams: impl Iterator<Item = &'a [u8]>) {
        let mut slots = [None; TOGETHER_MAX];
        for (slot, datagram) in slots.iter_mut().zip(datagrams) {
            let label = packet::label(datagram);
            *slot = label.and_then(|label| self.connections.find(label));
        }
        let slots = || slots.iter().copied().flatten();
        slots().for_each(|slot| self.connections.fetch_ahead(slot));
        let sessions = || slots().filter_map(|slot| self.carried_by(slot));
        for session in sessions().filter_map(|key| self.sessions.get(key)) {
            black_box((session.player(), session.seats.len()));
        }
        for session in sessions().filter_map(|key| self.sessions.get(key)) {
            let holding = session.seats.values().next();
            if let Some(At::Here(key)) = holding.map(|holding| holding.at)
                && let Some(room) = self.rooms.get(key)
            {
                let member = room.members.get(&session.player());
                black_box((member.map(Member::fetch_ahead), room.queue.len()));
            }
        }
    }

    /// For the members of rooms that will show a view.
    pub(crate) fn expect_views(&self, rooms: &[RoomKey], now: Timestamp) {
        for room in rooms.iter().filter_map(|key| self.rooms.get(*key)) {
            if room.is_view_due(now) {
                for member in room.members.values() {
                    black_box(member.fetch_ahead());
                }
                let slots = room
                    .members
                    .values()
                    .filter_map(|member| match member.line? {
                        Line::Here { slot, .. } => Some(slot),
                        Line::There(_) => None,
                    });
                slots.for_each(|slot| self.connections.fetch_ahead(slot));
            }
        }
    }

    fn carried_by(&self, slot: Slot) -> Option<SessionKey> {
        match self.connections.get(slot)?.stage {
            Stage::Active(session) => Some(session),
            Stage::Pending(_) | Stage::Closing => None,
        }
    }
}
