//! `raft-engine`: TiKV's log of many Raft groups, the nearest relative of ours.
//!
//! A room is a group, a record an entry, a checkpoint a value of the group. Both checkpoints of a
//! room are values by slot, and trimming is the command `Compact` in the batch of the turn.
//!
//! - Records are entries and not values, as its documentation says of logs: values stay in memory.
//! - Files of 8 MiB and a purge beyond 64 MiB. The defaults, 128 MB and 10 GB, are those of a
//!   database server, and would never reclaim anything here; its own example sets 2 GB.
//! - `purge_expired_files` with each upkeep, on the other thread. TiKV calls it each ten seconds;
//!   it returns at once as long as the files are below the bound.
//! - No compression, as in its example.
//! - `Engine::sync` of 0.4.2 writes an empty batch, which returns before it syncs anything: a defect
//!   that is mended there since, and in no release. So a sync is a write of one small value.

use std::path::Path;
use std::sync::Arc;

use protobuf::well_known_types::BytesValue;
use raft_engine::{Command, Config, Engine as Log, LogBatch, MessageExt, ReadableSize};
use rejoin_protocol::RoomId;

use crate::engine::{Engine, Failure, Job, Outcome, State, Syncs, Turn, newest, with_sequence};

/// One log for all rooms.
pub(crate) struct Raft {
    log: Arc<Log>,
    batch: LogBatch,
    /// Kept from turn to turn, so that no record asks for memory.
    entry: BytesValue,
}

/// An entry is the smallest message that holds bytes: its number, then the record. Raft's own has
/// three fields more.
#[derive(Clone)]
struct Numbered;

impl MessageExt for Numbered {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        let number = entry.value.first_chunk();
        number.map_or(0, |number| u64::from_be_bytes(*number))
    }
}

impl Raft {
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let config = Config {
            dir: folder
                .to_str()
                .ok_or("the folder's name is no text")?
                .to_owned(),
            target_file_size: ReadableSize::mb(8),
            purge_threshold: ReadableSize::mb(64),
            batch_compression_threshold: ReadableSize(0),
            ..Config::default()
        };
        Ok(Self {
            log: Arc::new(Log::open(config)?),
            batch: LogBatch::with_capacity(64),
            entry: BytesValue::new(),
        })
    }
}

/// A group has 64 bits, a room 128. A product would have to keep which is which.
fn group(room: RoomId) -> u64 {
    u64::from_be_bytes(*room.0.first_chunk().expect("16 bytes begin with 8"))
}

/// The group of no room.
const OWN: u64 = 0;

fn sync(log: &Log) -> Result<(), Failure> {
    let mut batch = LogBatch::default();
    batch.put(OWN, b"synced".to_vec(), vec![1])?;
    log.write(&mut batch, true)?;
    Ok(())
}

impl Engine for Raft {
    fn turn(&mut self, turn: &Turn<'_>) -> Result<(), Failure> {
        for record in turn.records {
            let value = &mut self.entry.value;
            value.clear();
            value.extend_from_slice(&record.sequence.to_be_bytes());
            value.extend_from_slice(record.body);
            let entries = std::slice::from_ref(&self.entry);
            self.batch
                .add_entries::<Numbered>(group(record.room), entries)?;
        }
        for checkpoint in turn.checkpoints {
            let group = group(checkpoint.room);
            let value = with_sequence(checkpoint.sequence, checkpoint.body);
            self.batch.put(group, vec![checkpoint.slot], value)?;
            // All below the index go.
            let index = checkpoint.before + 1;
            self.batch.add_command(group, Command::Compact { index });
        }
        self.log.write(&mut self.batch, false)?;
        Ok(())
    }

    fn upkeep(&mut self, syncs: Syncs) -> Option<Job> {
        if syncs == Syncs::AtTheEnd {
            return None;
        }
        let log = Arc::clone(&self.log);
        Some(Box::new(move || {
            let synced = sync(&log);
            let purged = log.purge_expired_files();
            // The groups that it names have checkpoints, and are trimmed by their next one.
            Outcome::Synced(synced.and(purged.map(drop).map_err(Into::into)))
        }))
    }

    fn load(&self, room: RoomId) -> Result<Option<State>, Failure> {
        let group = group(room);
        let mut state = newest([0, 1].map(|slot| self.log.get(group, &[slot])));
        let last = self.log.last_index(group);
        if last.is_none() && state.sequence == 0 {
            return Ok(None);
        }
        let end = last.map_or(0, |last| last + 1);
        if end > state.sequence + 1 {
            let mut entries = Vec::new();
            self.log.fetch_entries_to::<Numbered>(
                group,
                state.sequence + 1,
                end,
                None,
                &mut entries,
            )?;
            let records = entries.into_iter().map(|mut entry| {
                let number = Numbered::index(&entry);
                (number, entry.value.split_off(8))
            });
            state.records = records.collect();
        }
        Ok(Some(state))
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        sync(&self.log)
    }
}
