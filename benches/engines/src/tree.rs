//! `redb`: a copy-on-write B-tree in one file, with transactions.
//!
//! One table for records and one for checkpoints. A turn is one transaction over both.
//!
//! It has no commit that outlives the process and waits for no medium: `Durability::None` keeps a
//! commit in memory until an immediate one. So it runs twice. `Grouped` commits like that and makes
//! every 20 ms one that is immediate: cheap, but a kill takes up to 20 ms, so it does not keep what
//! `exact` promises. `Immediate` keeps it, and waits for the medium in each turn.
//!
//! - The cache is 64 MiB instead of 1 GiB: far more than what is live here.
//! - Trimming is `retain_in` over the range, in the transaction of the turn.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, Durability, ReadableDatabase, TableDefinition, WriteTransaction};
use rejoin_protocol::RoomId;

use crate::engine::{
    Engine, Failure, Job, Outcome, State, Syncs, Turn, key, newest, number, with_sequence,
};

/// When a commit is on the medium.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commits {
    /// With the next upkeep.
    Grouped,
    /// When it returns.
    Immediate,
}

/// A database with its two tables.
pub(crate) struct Tree {
    database: Arc<Database>,
    commits: Commits,
}

type Key = &'static [u8; 24];
const RECORDS: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("records");
const CHECKPOINTS: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("checkpoints");
const CACHE_BYTES: usize = 64 * 1024 * 1024;

impl Tree {
    pub(crate) fn open(folder: &Path, commits: Commits) -> Result<Self, Failure> {
        let path = folder.join("redb");
        let fresh = !path.try_exists()?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)?;
        if fresh {
            let begun = database.begin_write()?;
            begun.open_table(RECORDS)?;
            begun.open_table(CHECKPOINTS)?;
            begun.commit()?;
        }
        Ok(Self {
            database: Arc::new(database),
            commits,
        })
    }
}

/// An immediate commit of nothing puts all before it on the medium.
fn sync(database: &Database) -> Result<(), Failure> {
    Ok(database.begin_write()?.commit()?)
}

fn put(begun: &WriteTransaction, turn: &Turn<'_>) -> Result<(), Failure> {
    let mut records = begun.open_table(RECORDS)?;
    for record in turn.records {
        records.insert(&key(record.room, record.sequence), record.body)?;
    }
    if turn.checkpoints.is_empty() {
        return Ok(());
    }
    let mut checkpoints = begun.open_table(CHECKPOINTS)?;
    for checkpoint in turn.checkpoints {
        let value = with_sequence(checkpoint.sequence, checkpoint.body);
        let slot = u64::from(checkpoint.slot);
        checkpoints.insert(&key(checkpoint.room, slot), value.as_slice())?;
        let from = key(checkpoint.room, 0);
        let to = key(checkpoint.room, checkpoint.before);
        records.retain_in::<&[u8; 24], _>(&from..=&to, |_, _| false)?;
    }
    Ok(())
}

impl Engine for Tree {
    fn turn(&mut self, turn: &Turn<'_>) -> Result<(), Failure> {
        let mut begun = self.database.begin_write()?;
        if self.commits == Commits::Grouped {
            begun.set_durability(Durability::None)?;
        }
        put(&begun, turn)?;
        Ok(begun.commit()?)
    }

    fn upkeep(&mut self, syncs: Syncs) -> Option<Job> {
        if self.commits == Commits::Immediate || syncs == Syncs::AtTheEnd {
            return None;
        }
        let database = Arc::clone(&self.database);
        Some(Box::new(move || Outcome::Synced(sync(&database))))
    }

    fn load(&self, room: RoomId) -> Result<Option<State>, Failure> {
        let begun = self.database.begin_read()?;
        let checkpoints = begun.open_table(CHECKPOINTS)?;
        let mut slots = [None, None];
        for (slot, number) in slots.iter_mut().zip(0..) {
            let value = checkpoints.get(&key(room, number))?;
            *slot = value.map(|value| value.value().to_vec());
        }
        let mut state = newest(slots);
        let (from, to) = (key(room, state.sequence + 1), key(room, u64::MAX));
        let records = begun.open_table(RECORDS)?;
        for pair in records.range::<&[u8; 24]>(&from..=&to)? {
            let (key, value) = pair?;
            let number = number(key.value()).ok_or("a key is cut")?;
            state.records.push((number, value.value().to_vec()));
        }
        let held = state.sequence > 0 || !state.records.is_empty();
        Ok(held.then_some(state))
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        sync(&self.database)?;
        let database = Arc::into_inner(self.database).ok_or("an upkeep is under way")?;
        Ok(database.close()?)
    }
}
