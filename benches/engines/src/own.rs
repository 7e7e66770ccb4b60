//! Rejoin's log engine, as the server uses it: one shard, all limits as they are by default.
//!
//! Its chores make segments ahead and sync as well, and there is no way to have the one without the
//! other. Where nothing is to be synced it runs on a disk whose syncs do nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rejoin_protocol::{Epoch, Rng, RoomId};
use rejoin_store::Store;
use rejoin_store::disk::{Disk, DiskError, DiskFile, DiskLock, FileDisk, LockError};
use rejoin_store::log::{Limits, LogStore, Opening, open};

use crate::engine::{Engine, Failure, Job, Outcome, State, Syncs, Turn};

/// One shard's log.
pub(crate) struct Own {
    store: LogStore,
    syncs: Syncs,
    folder: PathBuf,
}

impl Own {
    pub(crate) fn open(folder: &Path, syncs: Syncs) -> Result<Self, Failure> {
        let disk = FileDisk::open(folder)?;
        let disk: Arc<dyn Disk> = match syncs {
            Syncs::Grouped => Arc::new(disk),
            Syncs::AtTheEnd => Arc::new(Unsynced(disk)),
        };
        let opening = Opening {
            disk,
            lock: None,
            epoch: next_epoch(folder)?,
            shards: 1,
            limits: Limits::default(),
        };
        let mut rng = Rng::from_number(1);
        let (mut stores, recovery) = open(opening, |_| 0, &mut rng)?;
        if let Some((room, loss)) = recovery.losses.first() {
            return Err(format!("room {room} lacks {loss:?}").into());
        }
        let store = stores.pop().ok_or("a store without a shard")?;
        Ok(Self {
            store,
            syncs,
            folder: folder.to_owned(),
        })
    }
}

/// The epoch is the caller's, raised and synced before: here it is a number in a file beside.
fn next_epoch(folder: &Path) -> Result<Epoch, Failure> {
    let path = folder.with_extension("epoch");
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text.parse()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0_u64,
        Err(error) => return Err(error.into()),
    };
    std::fs::write(&path, (before + 1).to_string())?;
    std::fs::File::open(&path)?.sync_all()?;
    Ok(Epoch(before + 1))
}

impl Engine for Own {
    fn turn(&mut self, turn: &Turn<'_>) -> Result<(), Failure> {
        self.store.append(turn.records)?;
        for checkpoint in turn.checkpoints {
            // It keeps the one before, and reclaims, by itself.
            let body = Bytes::copy_from_slice(checkpoint.body);
            self.store
                .checkpoint(checkpoint.room, checkpoint.sequence, body)?;
        }
        Ok(())
    }

    fn upkeep(&mut self, _syncs: Syncs) -> Option<Job> {
        let chore = self.store.chore()?;
        Some(Box::new(|| Outcome::Chore(chore.run())))
    }

    fn on_upkeep(&mut self, outcome: Outcome) -> Result<(), Failure> {
        match outcome {
            Outcome::Chore(finished) => Ok(self.store.on_chore(finished)?),
            Outcome::Synced(result) => result,
        }
    }

    fn load(&self, room: RoomId) -> Result<Option<State>, Failure> {
        let Some(stored) = self.store.load(room)? else {
            return Ok(None);
        };
        if let Some(loss) = stored.loss {
            return Err(format!("room {room} lacks {loss:?}").into());
        }
        let records = stored.records.into_iter();
        Ok(Some(State {
            sequence: stored.checkpoint_sequence,
            checkpoint: stored.checkpoint.into(),
            records: records
                .map(|(sequence, body)| (sequence, body.into()))
                .collect(),
        }))
    }

    fn close(mut self: Box<Self>) -> Result<(), Failure> {
        self.store.sync_now()?;
        if self.syncs == Syncs::AtTheEnd {
            crate::system::sync_files(&self.folder)?;
        }
        Ok(())
    }
}

/// A disk whose syncs do nothing.
#[derive(Debug)]
struct Unsynced(FileDisk);

/// A file of it.
#[derive(Debug)]
struct UnsyncedFile(Arc<dyn DiskFile>);

fn unsynced(file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
    Arc::new(UnsyncedFile(file))
}

impl Disk for Unsynced {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.0.list()
    }

    fn create(&self, name: &str, len: u64) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.0.create(name, len).map(unsynced)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.0.open(name).map(unsynced)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.0.remove(name)
    }

    fn sync_folder(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<Box<dyn DiskLock>, LockError> {
        self.0.lock(name)
    }
}

impl DiskFile for UnsyncedFile {
    fn size(&self) -> Result<u64, DiskError> {
        self.0.size()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.0.write(offset, bytes)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        self.0.read(offset, len)
    }

    fn sync(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn cut(&self, len: u64) -> Result<(), DiskError> {
        self.0.cut(len)
    }
}
