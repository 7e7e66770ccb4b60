//! The rooms of a shard, by key and by id, which of them need a turn, and those that are gone.

use std::collections::{BTreeMap, VecDeque};

use rejoin_protocol::{RoomId, Timestamp};

use super::entry::Entry;
use super::queue::Origin;
use super::room::HostedRoom;
use crate::keys::RoomKey;
use crate::limits::{PLACED_MAX, TOMBSTONE_LIFE, TOMBSTONES_MAX};
use crate::slab::Slab;

/// All rooms of a shard.
#[derive(Debug)]
pub(crate) struct Rooms {
    slab: Slab<RoomKey, HostedRoom>,
    by_id: BTreeMap<RoomId, RoomKey>,
    /// Rooms with something to do in this turn, in the order in which that came up.
    active: Vec<RoomKey>,
    tombstones: VecDeque<(Timestamp, RoomId)>,
    /// Requests that were placed in a room that was open already, oldest first: the id of the room
    /// each would have opened, and the one it reached, here or at another shard.
    placed: VecDeque<(RoomId, RoomId)>,
}

impl Rooms {
    /// No rooms.
    pub(crate) const fn new() -> Self {
        Self {
            slab: Slab::new(),
            by_id: BTreeMap::new(),
            active: Vec::new(),
            tombstones: VecDeque::new(),
            placed: VecDeque::new(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// A room.
    pub(crate) fn get(&self, key: RoomKey) -> Option<&HostedRoom> {
        self.slab.get(key)
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, key: RoomKey) -> Option<&mut HostedRoom> {
        self.slab.get_mut(key)
    }

    /// The room of that id.
    pub(crate) fn find(&self, id: RoomId) -> Option<RoomKey> {
        self.by_id.get(&id).copied()
    }

    /// The room that a request of that id was placed in.
    pub(crate) fn placed(&self, request: RoomId) -> Option<RoomId> {
        let mut placed = self.placed.iter().rev();
        let found = placed.find(|(of, _)| *of == request);
        found.map(|(_, room)| *room)
    }

    /// Remembers where a request was placed.
    pub(crate) fn place(&mut self, request: RoomId, room: RoomId) {
        if self.placed(request) == Some(room) {
            return;
        }
        if self.placed.len() >= PLACED_MAX {
            self.placed.pop_front();
        }
        self.placed.push_back((request, room));
    }

    /// All rooms, in order of id.
    pub(crate) fn by_id(&self) -> impl Iterator<Item = (RoomKey, &HostedRoom)> {
        self.by_id
            .values()
            .filter_map(|key| Some((*key, self.slab.get(*key)?)))
    }

    /// All keys.
    pub(crate) fn keys(&self) -> Vec<RoomKey> {
        self.slab.keys()
    }

    /// Adds a room.
    pub(crate) fn insert(&mut self, room: HostedRoom) -> RoomKey {
        let id = room.id;
        let key = self.slab.insert(room);
        let before = self.by_id.insert(id, key);
        assert!(before.is_none(), "one id names one room");
        key
    }

    /// Takes a room away without a trace.
    pub(crate) fn remove(&mut self, key: RoomKey) -> Option<HostedRoom> {
        let room = self.slab.remove(key)?;
        self.by_id.remove(&room.id);
        self.active.retain(|active| *active != key);
        self.placed.retain(|(_, placed)| *placed != room.id);
        Some(room)
    }

    /// Remembers a closed room for a while.
    pub(crate) fn bury(&mut self, id: RoomId, now: Timestamp) {
        if self.tombstones.len() >= TOMBSTONES_MAX {
            self.tombstones.pop_front();
        }
        self.tombstones.push_back((now, id));
    }

    /// True if a room of that id was closed a short while ago.
    pub(crate) fn is_buried(&mut self, id: RoomId, now: Timestamp) -> bool {
        while self
            .tombstones
            .front()
            .is_some_and(|(at, _)| now.since(*at) >= TOMBSTONE_LIFE)
        {
            self.tombstones.pop_front();
        }
        self.tombstones.iter().any(|(_, buried)| *buried == id)
    }

    /// Queues a call and gives its room a turn.
    pub(crate) fn push(&mut self, key: RoomKey, entry: Entry, origin: Origin) {
        if let Some(room) = self.slab.get_mut(key) {
            room.queue.push(entry, origin);
            self.activate(key);
        }
    }

    /// Gives a room a turn.
    pub(crate) fn activate(&mut self, key: RoomKey) {
        if let Some(room) = self.slab.get_mut(key)
            && !std::mem::replace(&mut room.active, true)
        {
            self.active.push(key);
        }
    }

    /// True if some room needs a turn.
    pub(crate) fn is_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// Moves the rooms that need a turn to `taken`.
    pub(crate) fn take_active(&mut self, taken: &mut Vec<RoomKey>) {
        taken.append(&mut self.active);
        for key in taken {
            if let Some(room) = self.slab.get_mut(*key) {
                room.active = false;
            }
        }
    }

    /// Checks that the indexes agree and the bounds hold.
    pub(crate) fn check(&self) {
        assert_eq!(self.by_id.len(), self.slab.len(), "every room has one id");
        for (id, key) in &self.by_id {
            let room = self
                .slab
                .get(*key)
                .expect("an index names only rooms there are");
            assert_eq!(room.id, *id, "an id leads to its room");
            assert_eq!(
                room.active,
                self.active.contains(key),
                "the list holds active rooms"
            );
        }
        assert!(
            self.placed.len() <= PLACED_MAX,
            "placed requests are bounded"
        );
        assert!(
            self.tombstones.len() <= TOMBSTONES_MAX,
            "tombstones are bounded"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rejoin_protocol::message::RoomSettings;
    use rejoin_protocol::{PlayerId, Rng};
    use rejoin_room::builtin::chat::Chat;
    use rejoin_room::{Kinds, RoomSpec};

    use super::*;

    fn hosted(id: RoomId) -> HostedRoom {
        let kinds = Kinds::new().with::<Chat>();
        let spec = RoomSpec {
            room: id,
            owner: PlayerId(1),
            settings: RoomSettings::default(),
            code: None,
        };
        HostedRoom::new(*kinds.get("chat").unwrap(), &spec, Timestamp::ZERO)
    }

    fn id(rng: &mut Rng) -> RoomId {
        // Few enough to be drawn again.
        let number = u16::try_from(rng.below(15_000)).unwrap();
        RoomId(number.to_be_bytes().repeat(8).try_into().unwrap())
    }

    #[test]
    fn whatever_is_asked_for_few_requests_and_closed_rooms_are_remembered() {
        for seed in 0..3 {
            let mut rng = Rng::from_number(seed);
            let mut rooms = Rooms::new();
            let mut open = Vec::new();
            let mut now = Timestamp::ZERO;
            let (mut placed, mut buried) = (0, 0);
            for step in 0..20_000 {
                now += Duration::from_millis(rng.below(60));
                let id = id(&mut rng);
                match rng.below(40) {
                    0 if rooms.find(id).is_none() && open.len() < 8 => {
                        open.push(rooms.insert(hosted(id)));
                    }
                    1 if open.len() > 4 && rng.chance(0.02) => {
                        let closed = rooms.remove(open.swap_remove(0)).unwrap();
                        rooms.bury(closed.id, now);
                    }
                    2..=9 => {
                        let oldest = rooms.tombstones.front().copied();
                        rooms.bury(id, now);
                        let full = rooms.tombstones.len() == TOMBSTONES_MAX;
                        assert!(
                            full || oldest == rooms.tombstones.front().copied() || oldest.is_none()
                        );
                        assert!(rooms.is_buried(id, now));
                    }
                    _ if !open.is_empty() => {
                        let key = open[rng.index(open.len())];
                        let room = rooms.get(key).unwrap().id;
                        rooms.place(id, room);
                        assert_eq!(rooms.placed(id), Some(room));
                    }
                    _ => {}
                }
                assert!(rooms.placed.len() <= PLACED_MAX);
                assert!(rooms.tombstones.len() <= TOMBSTONES_MAX);
                placed = placed.max(rooms.placed.len());
                buried = buried.max(rooms.tombstones.len());
                if step % 100 == 0 {
                    rooms.check();
                }
            }
            assert_eq!(
                (placed, buried),
                (PLACED_MAX, TOMBSTONES_MAX),
                "both were filled"
            );
            rooms.is_buried(RoomId([0; 16]), now + TOMBSTONE_LIFE);
            assert!(rooms.tombstones.is_empty());
        }
    }
}
