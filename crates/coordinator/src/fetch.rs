//! Memory that a turn will need is asked for ahead, of all that it concerns at once.
//!
//! A shard's state is larger than what a processor keeps near, and something else runs while the shard
//! sleeps: most of the time of a datagram would be waiting for memory, one line after the other. What is
//! read here in a row comes together. Nothing changes, so that it matters to nobody whether it was done.

use rejoin_protocol::{Timestamp, packet};

use crate::house::House;
use crate::keys::RoomKey;

impl House {
    /// For datagrams that came.
    pub(crate) fn expect<'a>(&self, datagrams: impl Iterator<Item = &'a [u8]>) {
        let slots = datagrams.filter_map(|datagram| {
            let label = packet::label(datagram)?;
            self.connections.find(label)
        });
        slots.for_each(|slot| self.connections.fetch_ahead(slot));
    }

    /// For the members of rooms that will show a view.
    pub(crate) fn expect_views(&self, rooms: &[RoomKey], now: Timestamp) {
        for room in rooms.iter().filter_map(|key| self.rooms.get(*key)) {
            if room.is_view_due(now) {
                let slots = room.members.values().filter_map(|member| member.slot);
                slots.for_each(|slot| self.connections.fetch_ahead(slot));
            }
        }
    }
}
