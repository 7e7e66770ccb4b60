//! The rooms of a shard, by key and by id, and which of them need a turn.

use std::collections::BTreeMap;

use rejoin_protocol::RoomId;

use super::entry::Entry;
use super::queue::Origin;
use super::room::HostedRoom;
use crate::keys::RoomKey;
use crate::slab::Slab;

/// All rooms of a shard.
#[derive(Debug)]
pub(crate) struct Rooms {
    slab: Slab<RoomKey, HostedRoom>,
    by_id: BTreeMap<RoomId, RoomKey>,
    /// Rooms with something to do in this turn, in the order in which that came up.
    active: Vec<RoomKey>,
}

impl Rooms {
    /// No rooms.
    pub(crate) const fn new() -> Self {
        Self {
            slab: Slab::new(),
            by_id: BTreeMap::new(),
            active: Vec::new(),
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
        Some(room)
    }

    /// Queues a call and gives its room a turn. A latest input of a room that ticks waits for the tick at most: until then
    /// nobody is shown what came of it, a newer one may take its place, and one record holds those of all members.
    pub(crate) fn push(&mut self, key: RoomKey, entry: Entry, origin: Origin) {
        if let Some(room) = self.slab.get_mut(key) {
            let is_latest = matches!(entry, Entry::Input { number: None, .. });
            let waits = is_latest && room.kind.tick_hz > 0;
            room.queue.push(entry, origin);
            if !waits {
                self.activate(key);
            }
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
    }
}
