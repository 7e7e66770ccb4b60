//! Where a shard keeps its rooms: in its store what outlives the process, in memory the rest.
//!
//! Called by the turn, by recovery and by upkeep. How a room is kept, its kind says: a journalled room has all of its
//! history in the store; of one that is kept as `checkpoint` its checkpoints stand there; and every other history is
//! in memory, for as long as the process lives, so that a call which room logic cannot handle can be taken out.

use bytes::Bytes;
use rejoin_protocol::RoomId;
use rejoin_protocol::planted::{self, Bug};
use rejoin_room::Durability;
use rejoin_store::{MemoryStore, Record, Store, StoreError};
use tracing::warn;

use crate::rooms::room::HostedRoom;

/// See the module page.
#[derive(Debug)]
pub(crate) struct Keep<S> {
    pub(crate) store: S,
    memory: MemoryStore,
    /// Records that are yet to be written: none, but for a planted defect.
    late: Vec<(RoomId, u64, Vec<u8>)>,
}

impl<S: Store> Keep<S> {
    pub(crate) fn new(store: S) -> Self {
        Self {
            store,
            memory: MemoryStore::default(),
            late: Vec::new(),
        }
    }

    /// Where the history of rooms kept like that stands.
    pub(crate) fn history(&mut self, level: Durability) -> &mut dyn Store {
        if level.is_journalled() {
            &mut self.store
        } else {
            &mut self.memory
        }
    }

    /// Appends records of rooms that are all kept in one place.
    pub(crate) fn append(
        &mut self,
        level: Durability,
        records: &[Record<'_>],
    ) -> Result<(), StoreError> {
        if level.is_journalled() && planted::is(Bug::ToldBeforeJournalled) {
            return self.append_late(records);
        }
        self.history(level).append(records)
    }

    /// Writes what the turn before should have, and keeps these for the next one.
    fn append_late(&mut self, records: &[Record<'_>]) -> Result<(), StoreError> {
        let owned = { records.iter() }.map(|it| (it.room, it.sequence, it.body.to_vec()));
        let before = std::mem::replace(&mut self.late, owned.collect());
        for (room, sequence, body) in &before {
            let record = Record {
                room: *room,
                sequence: *sequence,
                body,
            };
            self.store
                .append(&[record])
                .or_else(|problem| match problem.is_final() {
                    true => Err(problem),
                    false => Ok(()),
                })?;
        }
        Ok(())
    }

    /// Why the store takes nothing any more, if so.
    pub(crate) fn failure(&mut self) -> Option<StoreError> {
        let failure = self.store.append(&[]).err();
        failure.filter(|it| it.is_final() && !planted::is(Bug::UnwrittenTold))
    }

    /// Bytes of a room's journal since its newest checkpoint.
    pub(crate) fn journal_bytes(&self, room: &HostedRoom) -> usize {
        if room.kind.durability.is_journalled() {
            self.store.journal_bytes(room.id)
        } else {
            self.memory.journal_bytes(room.id)
        }
    }

    /// Stores a checkpoint that stands for all that was applied to a room.
    ///
    /// # Errors
    /// See [`Store::checkpoint`].
    pub(crate) fn checkpoint(&mut self, room: &HostedRoom, body: Bytes) -> Result<(), StoreError> {
        let history = self.history(room.kind.durability);
        history.checkpoint(room.id, room.sequence, body)
    }

    /// Stores a checkpoint of a room that has no journal in the store.
    ///
    /// # Errors
    /// See [`Store::checkpoint`].
    pub(crate) fn checkpoint_alone(
        &mut self,
        room: &HostedRoom,
        body: Bytes,
    ) -> Result<(), StoreError> {
        self.store.checkpoint(room.id, room.stored, body)
    }

    /// A room was restored from a checkpoint and a journal of the store, and goes on as its kind is kept now.
    ///
    /// # Errors
    /// See [`Store::checkpoint`], [`Store::forget`].
    pub(crate) fn adopt(&mut self, room: &mut HostedRoom, body: Bytes) -> Result<(), StoreError> {
        let level = room.kind.durability;
        if level.is_journalled() {
            return Ok(());
        }
        room.stored = std::mem::take(&mut room.sequence);
        self.memory.checkpoint(room.id, 0, body)?;
        if level == Durability::None {
            self.store.forget(room.id)?;
        }
        Ok(())
    }

    /// A room is over.
    pub(crate) fn forget(&mut self, room: &HostedRoom) -> Result<(), StoreError> {
        let level = room.kind.durability;
        if level < Durability::Exact {
            self.memory.forget(room.id)?;
        }
        if level > Durability::None {
            self.store.forget(room.id)?;
        }
        Ok(())
    }

    /// A room leaves memory, and what the store has of it stays. False if that is nothing.
    pub(crate) fn put_to_rest(&mut self, room: &HostedRoom) -> bool {
        if room.kind.durability < Durability::Exact
            && let Err(problem) = self.memory.forget(room.id)
        {
            warn!(room = %room.id, %problem, "a room is not forgotten");
        }
        room.kind.durability > Durability::None
    }

    /// How far rooms that are kept like that are written: see [`Store::journalled`].
    pub(crate) fn journalled(&self) -> u64 {
        self.store.journalled()
    }

    /// How far they are on the medium.
    pub(crate) fn synced(&self) -> u64 {
        self.store.synced()
    }
}
