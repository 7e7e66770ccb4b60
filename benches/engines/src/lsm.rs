//! `fjall`: a log-structured merge tree with a write-ahead journal.
//!
//! One keyspace for records and one for checkpoints. A turn is one batch over both.
//!
//! - A batch is flushed to the system when it is committed, which is its default: a killed process
//!   loses nothing.
//! - Sizes and threads are as they are by default: smaller memtables and journals made turns slower,
//!   as did keeping checkpoints apart from their keys.
//! - No filters for records: they are read in ranges only.
//! - Trimming removes record by record. It has no removal of a range.

use std::collections::BTreeMap;
use std::path::Path;

use fjall::config::FilterPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use rejoin_protocol::RoomId;

use crate::engine::{
    Engine, Failure, Job, Outcome, State, Syncs, Turn, key, newest, number, with_sequence,
};

/// A database with its two keyspaces.
pub(crate) struct Lsm {
    database: Database,
    records: Keyspace,
    checkpoints: Keyspace,
    /// Up to which record each room is trimmed.
    trimmed: BTreeMap<RoomId, u64>,
}

impl Lsm {
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let database = Database::builder(folder).open()?;
        let records = database.keyspace("records", || {
            KeyspaceCreateOptions::default().filter_policy(FilterPolicy::disabled())
        })?;
        let checkpoints = database.keyspace("checkpoints", KeyspaceCreateOptions::default)?;
        Ok(Self {
            database,
            records,
            checkpoints,
            trimmed: BTreeMap::new(),
        })
    }
}

impl Engine for Lsm {
    fn turn(&mut self, turn: &Turn<'_>) -> Result<(), Failure> {
        let mut batch = self.database.batch();
        for record in turn.records {
            let key = key(record.room, record.sequence);
            batch.insert(&self.records, key, record.body);
        }
        for checkpoint in turn.checkpoints {
            let value = with_sequence(checkpoint.sequence, checkpoint.body);
            let slot = u64::from(checkpoint.slot);
            batch.insert(&self.checkpoints, key(checkpoint.room, slot), value);
            let trimmed = self.trimmed.entry(checkpoint.room).or_insert(0);
            for sequence in *trimmed + 1..=checkpoint.before {
                batch.remove(&self.records, key(checkpoint.room, sequence));
            }
            *trimmed = checkpoint.before;
        }
        Ok(batch.commit()?)
    }

    fn upkeep(&mut self, syncs: Syncs) -> Option<Job> {
        if syncs == Syncs::AtTheEnd {
            return None;
        }
        let database = self.database.clone();
        Some(Box::new(move || {
            let synced = database.persist(PersistMode::SyncData);
            Outcome::Synced(synced.map_err(Into::into))
        }))
    }

    fn load(&self, room: RoomId) -> Result<Option<State>, Failure> {
        let mut slots = [None, None];
        for (slot, number) in slots.iter_mut().zip(0..) {
            let value = self.checkpoints.get(key(room, number))?;
            *slot = value.map(|value| value.to_vec());
        }
        let mut state = newest(slots);
        let range = key(room, state.sequence + 1)..=key(room, u64::MAX);
        for pair in self.records.range(range) {
            let (key, value) = pair.into_inner()?;
            let number = number(&key).ok_or("a key is cut")?;
            state.records.push((number, value.to_vec()));
        }
        let held = state.sequence > 0 || !state.records.is_empty();
        Ok(held.then_some(state))
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        // What is written in the background goes on in its threads, until the database is dropped.
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}
