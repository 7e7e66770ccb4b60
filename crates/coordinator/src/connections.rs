//! The connections of a shard, by slot: found by the label in a datagram, polled when they have
//! something to say.
//!
//! A pending connection is one whose keys no packet has confirmed. It is never polled, so an
//! unproven address is sent nothing beyond the handshake's reply.

use std::collections::{BTreeMap, VecDeque};
use std::mem::offset_of;
use std::net::SocketAddr;

use rejoin_protocol::bucket::Bucket;
use rejoin_protocol::connection::Memory;
use rejoin_protocol::{CloseReason, Connection, ConnectionId, Fetch, Rng, Timestamp};

use crate::awaited::Awaited;
use crate::connection_ids::{ConnectionIds, Label, SLOT_BITS};
use crate::keys::{Key, SessionKey, Slot};
use crate::pending_joins::{PendingJoin, PendingJoins};

/// Most slots: what a label has bits for.
const SLOTS_MAX: usize = 1 << SLOT_BITS;

/// All connections of a shard.
#[derive(Debug)]
pub(crate) struct Connections {
    ids: ConnectionIds,
    places: Vec<Place>,
    /// Free places, the one freed first at the front: an old label fits again as late as possible.
    free: VecDeque<u32>,
    pending: PendingJoins,
    pub(crate) awaited: Awaited,
    /// Connections that may have something to send, each once.
    ready: VecDeque<Slot>,
    /// Connections that could not be sent something they must not miss, and the first reason.
    doomed: BTreeMap<Slot, CloseReason>,
    /// For the one that takes a datagram, and which that is.
    memory: Memory,
    lent: Option<Slot>,
}

#[derive(Debug)]
struct Place {
    generation: u8,
    peer: Option<Box<Peer>>,
}

/// One connection and what the shard knows of it; first what each datagram touches, as in the connection.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Peer {
    pub(crate) stage: Stage,
    /// False while it is open where that is: its join was confirmed from elsewhere. Nothing but
    /// challenges is sent then.
    pub(crate) path_shown: bool,
    /// True while it waits in the queue of those who may have something to send.
    ready: bool,
    /// Where its datagrams go.
    pub(crate) path: SocketAddr,
    /// Where its newest authentic packet came from.
    pub(crate) heard_from: SocketAddr,
    /// Where it may have moved to.
    pub(crate) candidate: Option<Box<Candidate>>,
    /// Challenges that it may cause.
    pub(crate) challenges: Bucket,
    pub(crate) connection: Connection,
}

/// An address that a connection's newest packet came from, and that has not shown yet that its client
/// receives there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) address: SocketAddr,
    /// When it was first heard.
    pub(crate) since: Timestamp,
    /// True while a challenge has to leave.
    pub(crate) owed: bool,
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// No packet has confirmed its keys.
    Pending(Box<PendingJoin>),
    /// It carries a session.
    Active(SessionKey),
    /// It only has to say goodbye.
    Closing,
}

impl Peer {
    /// See [`crate::fetch`]: asks for what datagrams from the connection, or to it, touch of itself.
    pub(crate) fn fetch_ahead(&self, fetch: Fetch) {
        fetch.front(self, offset_of!(Self, connection));
        self.connection.fetch_ahead(fetch);
    }
}

impl Connections {
    /// No connections. `rng` hides their slots.
    pub(crate) fn new(shard: u8, rng: &mut Rng) -> Self {
        Self {
            ids: ConnectionIds::new(shard, rng),
            places: Vec::new(),
            free: VecDeque::new(),
            pending: PendingJoins::default(),
            awaited: Awaited::default(),
            ready: VecDeque::new(),
            doomed: BTreeMap::new(),
            memory: Memory::default(),
            lent: None,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many are pending.
    pub(crate) const fn pending(&self) -> PendingJoins {
        self.pending
    }

    /// The id that the next connection will have; `None` if every slot is in use.
    pub(crate) fn next_id(&self) -> Option<ConnectionId> {
        let (slot, generation) = match self.free.front() {
            Some(slot) => (*slot, self.place(*slot)?.generation),
            None if self.places.len() < SLOTS_MAX => (u32::try_from(self.places.len()).ok()?, 0),
            None => return None,
        };
        Some(self.ids.seal(Label { slot, generation }))
    }

    /// Adds a connection under the id that [`Connections::next_id`] told.
    pub(crate) fn insert(
        &mut self,
        connection: Connection,
        join: PendingJoin,
        path: SocketAddr,
    ) -> Slot {
        self.pending.add(&join);
        self.awaited.add(join.visitor.session);
        let stage = Stage::Pending(Box::new(join));
        let peer = Some(Box::new(Peer {
            connection,
            stage,
            path,
            path_shown: true,
            heard_from: path,
            candidate: None,
            challenges: Bucket::default(),
            ready: false,
        }));
        if let Some(slot) = self.free.pop_front() {
            self.place_mut(slot)
                .expect("a free place was once filled")
                .peer = peer;
            return Slot::from_index(slot);
        }
        self.places.push(Place {
            generation: 0,
            peer,
        });
        Slot::from_index(u32::try_from(self.places.len() - 1).expect("slots have 17 bits"))
    }

    /// The connection that a datagram's label names.
    pub(crate) fn find(&self, id: ConnectionId) -> Option<Slot> {
        let Label { slot, generation } = self.ids.open(id)?;
        let place = self.place(slot)?;
        (place.generation == generation && place.peer.is_some()).then(|| Slot::from_index(slot))
    }

    /// True if the id was some connection's that is no more. Of ids from before the last time that a place
    /// began its generations anew nothing is known.
    pub(crate) fn is_past(&self, id: ConnectionId) -> bool {
        let label = self.ids.open(id);
        let place = label.and_then(|label| Some((label, self.place(label.slot)?)));
        place.is_some_and(|(label, place)| label.generation < place.generation)
    }

    /// The id that a connection's datagrams carry.
    pub(crate) fn id(&self, slot: Slot) -> Option<ConnectionId> {
        let (slot, generation) = (slot.index(), self.place(slot.index())?.generation);
        Some(self.ids.seal(Label { slot, generation }))
    }

    /// A connection.
    pub(crate) fn get(&self, slot: Slot) -> Option<&Peer> {
        self.place(slot.index())?.peer.as_deref()
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.place_mut(slot.index())?.peer.as_deref_mut()
    }

    /// A connection that takes a datagram, with the memory for it: see [`Connections::take_back`].
    pub(crate) fn lend(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.take_back();
        let Self { places, memory, .. } = self;
        let place = places.get_mut(usize::try_from(slot.index()).ok()?)?;
        let peer = place.peer.as_deref_mut()?;
        peer.connection.swap_memory(memory);
        self.lent = Some(slot);
        Some(peer)
    }

    /// The events of the datagram are taken.
    pub(crate) fn take_back(&mut self) {
        if let Some(slot) = self.lent.take()
            && let Ok(index) = usize::try_from(slot.index())
            && let Some(place) = self.places.get_mut(index)
            && let Some(peer) = &mut place.peer
        {
            peer.connection.swap_memory(&mut self.memory);
        }
    }

    /// All connections, in order of slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Peer)> {
        (0_u32..)
            .map(Slot::from_index)
            .zip(&self.places)
            .filter_map(|(slot, place)| place.peer.as_deref().map(|peer| (slot, peer)))
    }

    /// Where a connection's datagrams go.
    pub(crate) fn path(&self, slot: Slot) -> Option<SocketAddr> {
        self.get(slot).map(|peer| peer.path)
    }

    /// The client of a pending join has shown by a cookie that it receives there.
    pub(crate) fn prove(&mut self, slot: Slot, path: SocketAddr) {
        if let Some(peer) = self.get_mut(slot)
            && let Stage::Pending(join) = &mut peer.stage
        {
            peer.path = path;
            let (unearned, ticketed) = (join.is_unearned(), join.is_ticketed());
            join.proven = true;
            self.pending.unearned -= usize::from(unearned);
            self.pending.ticketed -= usize::from(ticketed);
        }
    }

    /// A packet confirmed the join: tells what it does, once.
    pub(crate) fn confirm(&mut self, slot: Slot) -> Option<PendingJoin> {
        let peer = self.get_mut(slot)?;
        match std::mem::replace(&mut peer.stage, Stage::Closing) {
            Stage::Pending(join) => {
                self.on_pending_over(&join);
                Some(*join)
            }
            other @ (Stage::Active(_) | Stage::Closing) => {
                peer.stage = other;
                None
            }
        }
    }

    fn on_pending_over(&mut self, join: &PendingJoin) {
        self.pending.remove(join);
        self.awaited.remove(join.visitor.session);
    }

    /// Binds a confirmed connection to its session.
    pub(crate) fn bind(&mut self, slot: Slot, session: SessionKey) {
        if let Some(peer) = self.get_mut(slot) {
            peer.stage = Stage::Active(session);
        }
        self.mark_ready(slot);
    }

    /// Ends a connection: it still says why. Tells which session it carried.
    pub(crate) fn close(&mut self, slot: Slot, reason: CloseReason) -> Option<SessionKey> {
        let peer = self.get_mut(slot)?;
        peer.connection.close(reason);
        let before = std::mem::replace(&mut peer.stage, Stage::Closing);
        self.mark_ready(slot);
        match before {
            Stage::Active(session) => Some(session),
            Stage::Pending(join) => {
                self.on_pending_over(&join);
                None
            }
            Stage::Closing => None,
        }
    }

    /// Forgets a connection. Tells which session it carried.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<SessionKey> {
        if self.lent == Some(slot) {
            self.take_back();
        }
        let place = self.place_mut(slot.index())?;
        let peer = place.peer.take()?;
        place.generation = ConnectionIds::next_generation(place.generation);
        self.free.push_back(slot.index());
        // Whoever has the slot next is somebody else.
        self.doomed.remove(&slot);
        if peer.ready {
            self.ready.retain(|ready| *ready != slot);
        }
        match peer.stage {
            Stage::Pending(join) => {
                self.on_pending_over(&join);
                None
            }
            Stage::Active(session) => Some(session),
            Stage::Closing => None,
        }
    }

    /// The connection may have something to send.
    pub(crate) fn mark_ready(&mut self, slot: Slot) {
        if let Some(peer) = self.get_mut(slot)
            && !matches!(peer.stage, Stage::Pending(_))
            && !std::mem::replace(&mut peer.ready, true)
        {
            self.ready.push_back(slot);
        }
    }

    /// The first of those that may have something to send.
    pub(crate) fn first_ready(&self) -> Option<Slot> {
        self.ready.front().copied()
    }

    /// The first of them has nothing more.
    pub(crate) fn pop_ready(&mut self) {
        if let Some(slot) = self.ready.pop_front()
            && let Some(peer) = self.get_mut(slot)
        {
            peer.ready = false;
        }
    }

    /// The connection must be closed at the end of the turn. Called for each message that it misses:
    /// a full room can tell a member thousands in a turn.
    pub(crate) fn doom(&mut self, slot: Slot, reason: CloseReason) {
        self.doomed.entry(slot).or_insert(reason);
    }

    /// Takes those that must be closed.
    pub(crate) fn take_doomed(&mut self) -> BTreeMap<Slot, CloseReason> {
        std::mem::take(&mut self.doomed)
    }

    fn place(&self, slot: u32) -> Option<&Place> {
        self.places.get(usize::try_from(slot).ok()?)
    }

    fn place_mut(&mut self, slot: u32) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(slot).ok()?)
    }

    /// Checks that the counts agree.
    pub(crate) fn check(&self) {
        let mut pending = PendingJoins::default();
        for (_, peer) in self.iter() {
            if let Stage::Pending(join) = &peer.stage {
                pending.add(join);
            }
        }
        assert_eq!(pending, self.pending, "pending joins are counted");
        self.awaited.check(pending.all);
        assert_eq!(self.iter().count(), self.len(), "free places are empty");
        assert!(self.places.len() <= SLOTS_MAX, "slots are bounded");
        let ready = self.iter().filter(|(_, peer)| peer.ready).count();
        assert_eq!(
            ready,
            self.ready.len(),
            "whoever is ready waits in the queue, once"
        );
        assert_eq!(self.lent, None, "what was lent is back");
        let mut doomed = self.doomed.keys();
        assert!(
            doomed.all(|slot| self.get(*slot).is_some()),
            "whoever is doomed is there"
        );
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::connection::{Role, Setup};
    use rejoin_protocol::crypto::{Suite, TrafficSecret};
    use rejoin_protocol::{Epoch, Incarnation, Limit, SessionId};

    use super::*;
    use crate::auth::Visitor;
    use crate::hellos::Claimant;

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn connection() -> Connection {
        let secret = || TrafficSecret::new(Suite::Aes128Gcm, [1; 32]);
        let setup = Setup {
            role: Role::Server,
            seal: secret(),
            open: secret(),
            send_id: None,
            labelled: true,
            epoch: Epoch(1),
        };
        Connection::new(setup, None, NOW)
    }

    fn join(proven: bool) -> PendingJoin {
        PendingJoin {
            claimant: Claimant::Session(SessionId([0; 16])),
            psk: [0; 32],
            visitor: Visitor {
                session: SessionId([0; 16]),
                name: "ana".into(),
                claims: Vec::new(),
                incarnation: Incarnation::default(),
            },
            incarnation: Incarnation::default(),
            proven,
            since: NOW,
        }
    }

    #[test]
    fn however_peers_come_and_go_each_waits_once_in_every_queue() {
        const PEERS_MAX: usize = 40;
        let full = CloseReason::OverLimit(Limit::SendQueue);
        for seed in 0..20 {
            let mut rng = Rng::from_number(seed);
            let mut connections = Connections::new(1, &mut rng);
            let path = SocketAddr::from(([127, 0, 0, 1], 9));
            for _ in 0..5_000 {
                let slot = Slot::from_index(u32::try_from(rng.index(PEERS_MAX)).unwrap());
                match rng.below(12) {
                    0 if connections.len() < PEERS_MAX => {
                        let slot = connections.insert(connection(), join(rng.chance(0.5)), path);
                        assert!(!connections.doomed.contains_key(&slot), "a stranger");
                    }
                    1 if connections.confirm(slot).is_some() => {
                        connections.bind(slot, SessionKey::from_index(0));
                    }
                    2 => drop(connections.remove(slot)),
                    3 => drop(connections.close(slot, CloseReason::Kicked)),
                    4 => connections.pop_ready(),
                    5 if rng.chance(0.02) => drop(connections.take_doomed()),
                    9 => {
                        let lent = connections.lend(slot).is_some();
                        if lent && rng.chance(0.5) {
                            connections.remove(slot);
                        } else {
                            connections.take_back();
                        }
                    }
                    // What a room tells a member who cannot be told any more.
                    6..=8 if connections.get(slot).is_some() => connections.doom(slot, full),
                    _ => connections.mark_ready(slot),
                }
                connections.check();
                assert!(connections.ready.len() <= PEERS_MAX);
                assert!(connections.doomed.len() <= PEERS_MAX);
                assert!(connections.places.len() <= PEERS_MAX);
            }
        }
    }
}
