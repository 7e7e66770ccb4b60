//! Memory that a turn will need is asked for ahead, of all that it concerns at once.
//!
//! A shard's state is larger than what a processor keeps near, and something else runs while the shard
//! sleeps: most of the time of a datagram would be waiting for memory, one line after the other. Each pass
//! here asks for what the one before it leads to, and meanwhile that has come. Nothing changes, so that it
//! matters to nobody whether it was done: see [`rejoin_protocol::Fetch`].

use rejoin_protocol::{Fetch, Timestamp, packet};

use crate::connections::{Peer, Stage};
use crate::house::House;
use crate::keys::RoomKey;
use crate::mail::At;
use crate::rooms::room::HostedRoom;
use crate::sessions::Session;

/// Datagrams whose memory is asked for together: what a shell receives with one call.
const TOGETHER_MAX: usize = 64;

impl House {
    /// For datagrams that came; of more than are asked for together those behind wait as they come.
    pub(crate) fn expect<'a>(&self, datagrams: impl Iterator<Item = &'a [u8]>) {
        let fetch = self.config.fetch;
        let mut peers = [None; TOGETHER_MAX];
        for (peer, datagram) in peers.iter_mut().zip(datagrams) {
            *peer = self.sender_of(datagram).inspect(|it| it.fetch_ahead(fetch));
        }
        let mut sessions = [None; TOGETHER_MAX];
        for (session, peer) in sessions.iter_mut().zip(peers.into_iter().flatten()) {
            peer.connection.fetch_parts(fetch);
            *session = self.carried_by(peer).inspect(|it| it.fetch_ahead(fetch));
        }
        let mut seats = [None; TOGETHER_MAX];
        for (seat, session) in seats.iter_mut().zip(sessions.into_iter().flatten()) {
            let room = self.room_of(session).inspect(|it| fetch.whole(*it));
            *seat = room.map(|room| (room, session.player()));
        }
        let seats = || seats.iter().copied().flatten();
        for (room, _) in seats() {
            room.queue.fetch_parts(fetch);
            room.members.fetch_players(fetch);
        }
        let members = || seats().filter_map(|(room, player)| room.members.get(&player));
        members().for_each(|member| member.fetch_ahead(fetch));
        members().for_each(|member| member.delivery.fetch_parts(fetch));
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
            durable.seats.fetch_players(fetch);
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
        let peers = || members().filter_map(|member| self.connections.get(member.slot()?));
        peers().for_each(|peer| peer.fetch_ahead(fetch));
        members().for_each(|member| member.delivery.fetch_parts(fetch));
        peers().for_each(|peer| peer.connection.fetch_parts(fetch));
    }

    fn sender_of(&self, datagram: &[u8]) -> Option<&Peer> {
        let slot = self.connections.find(packet::label(datagram)?)?;
        self.connections.get(slot)
    }

    fn carried_by(&self, peer: &Peer) -> Option<&Session> {
        match peer.stage {
            Stage::Active(session) => self.sessions.get(session),
            Stage::Pending(_) | Stage::Closing => None,
        }
    }

    /// Of a session with several seats the first room.
    fn room_of(&self, session: &Session) -> Option<&HostedRoom> {
        match session.seats.values().next()?.at {
            At::Here(key) => self.rooms.get(key),
            At::There(_) => None,
        }
    }
}
