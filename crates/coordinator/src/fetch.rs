//! Memory that a turn will need is asked for ahead, of all that it concerns at once.
//!
//! A shard's state is larger than what a processor keeps near, and something else runs while the shard
//! sleeps: most of the time of a datagram would be waiting for memory, one line after the other. Each pass
//! here asks for what the one before it leads to, and meanwhile that has come. Nothing changes, so that it
//! matters to nobody whether it was done: see [`rejoin_protocol::Fetch`].

use rejoin_protocol::{Fetch, Timestamp, packet};

use crate::connections::Stage;
use crate::house::House;
use crate::keys::{RoomKey, Slot};
use crate::mail::At;
use crate::rooms::room::{HostedRoom, Line};
use crate::sessions::Session;

/// Datagrams whose memory is asked for together: what a shell receives with one call.
const TOGETHER_MAX: usize = 64;

impl House {
    /// For datagrams that came; of more than are asked for together those behind wait as they come.
    pub(crate) fn expect<'a>(&self, datagrams: impl Iterator<Item = &'a [u8]>) {
        let mut slots = [None; TOGETHER_MAX];
        for (slot, datagram) in slots.iter_mut().zip(datagrams) {
            let label = packet::label(datagram);
            *slot = label.and_then(|label| self.connections.find(label));
        }
        let slots = || slots.iter().copied().flatten();
        let fetch = self.config.fetch;
        slots().for_each(|slot| self.connections.fetch_ahead(slot, fetch));
        let sessions = || slots().filter_map(|slot| self.carried_by(slot));
        sessions().for_each(|session| session.fetch_ahead(fetch));
        slots().for_each(|slot| self.connections.fetch_parts(slot, fetch));
        let rooms = || sessions().filter_map(|session| self.room_of(session));
        rooms().for_each(|(_, room)| fetch.whole(room));
        for (session, room) in rooms() {
            room.queue.fetch_parts(fetch);
            if let Some(member) = room.members.get(&session.player()) {
                member.fetch_ahead(fetch);
            }
        }
    }

    /// For rooms that will have a turn: their logic, and the members whom they will show a view.
    pub(crate) fn expect_turn(&self, rooms: &[RoomKey], now: Timestamp) {
        let fetch = self.config.fetch;
        let rooms = rooms.iter().filter_map(|key| self.rooms.get(*key));
        for room in rooms {
            let Some(durable) = &room.durable else {
                continue;
            };
            fetch.whole(durable.instance.as_ref());
            if room.will_show(now) {
                let seats = durable.seats.values();
                seats.for_each(|seat| fetch.whole(&seat.cursor));
                self.expect_view(room, fetch);
            }
        }
    }

    fn expect_view(&self, room: &HostedRoom, fetch: Fetch) {
        let members = || room.members.values();
        members().for_each(|member| member.fetch_ahead(fetch));
        let slots = || slots_of(room);
        slots().for_each(|slot| self.connections.fetch_ahead(slot, fetch));
        members().for_each(|member| member.delivery.fetch_parts(fetch));
        slots().for_each(|slot| self.connections.fetch_parts(slot, fetch));
    }

    fn carried_by(&self, slot: Slot) -> Option<&Session> {
        match self.connections.get(slot)?.stage {
            Stage::Active(session) => self.sessions.get(session),
            Stage::Pending(_) | Stage::Closing => None,
        }
    }

    /// Of a session with several seats the first room.
    fn room_of<'a>(&'a self, session: &'a Session) -> Option<(&'a Session, &'a HostedRoom)> {
        match session.seats.values().next()?.at {
            At::Here(key) => Some((session, self.rooms.get(key)?)),
            At::There(_) => None,
        }
    }
}

fn slots_of(room: &HostedRoom) -> impl Iterator<Item = Slot> {
    let lines = room.members.values().filter_map(|member| member.line);
    lines.filter_map(|line| match line {
        Line::Here { slot, .. } => Some(slot),
        Line::There(_) => None,
    })
}
