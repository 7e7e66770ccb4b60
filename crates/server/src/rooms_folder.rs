//! The rooms of a data folder: `DIR/rooms`, a log for each shard.
//!
//! Held by one process at a time. What is found there that is not as it should be is told in a line each.

use std::path::Path;
use std::sync::Arc;

use rejoin_protocol::{Epoch, Rng, RoomId};
use rejoin_store::StoreError;
use rejoin_store::disk::{Disk, DiskError, DiskLock, FileDisk, LockError};
use rejoin_store::log::{self, Limits, LogStore, OpenError, Opening, Recovery};

use crate::epoch_file::EpochError;

/// Why a process cannot own a data folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnError {
    /// Its keys or its epoch cannot be had.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// The system has no entropy.
    #[error("no entropy from the system: {0}")]
    Entropy(getrandom::Error),
    /// Another process has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The folder of the rooms cannot be made.
    #[error(transparent)]
    Folder(#[from] DiskError),
    /// The rooms cannot be read.
    #[error(transparent)]
    Rooms(#[from] OpenError),
    /// They take nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OwnError {
    /// True if a later process owns the folder: its epoch is above the one that this process raised.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        matches!(
            self,
            Self::Rooms(OpenError::Fenced { .. }) | Self::Store(StoreError::Fenced { .. })
        )
    }
}

/// A folder of rooms that this process has for itself.
#[derive(Debug)]
pub(crate) struct RoomsFolder {
    disk: Arc<dyn Disk>,
    lock: Arc<dyn DiskLock>,
}

impl RoomsFolder {
    /// Takes the rooms of a data folder, until this is dropped or the process ends.
    ///
    /// # Errors
    /// Another process has them, or the folder cannot be made.
    pub(crate) fn lock(folder: &Path) -> Result<Self, OwnError> {
        let disk = FileDisk::open(&folder.join("rooms"))?;
        let lock = Arc::from(disk.lock("lock")?);
        let disk = Arc::new(disk);
        Ok(Self { disk, lock })
    }

    /// True if some process has kept rooms there. One that cannot be read will be told when they are opened.
    pub(crate) fn is_used(&self) -> bool {
        self.disk
            .list()
            .is_ok_and(|files| files.iter().any(|file| file != "lock"))
    }

    /// Opens a store for each shard. The folder stays with them.
    ///
    /// # Errors
    /// The rooms cannot be read, or belong to a later epoch.
    pub(crate) fn open(
        self,
        epoch: Epoch,
        shards: u8,
        rng: &mut Rng,
    ) -> Result<Vec<LogStore>, OwnError> {
        let opening = Opening {
            disk: self.disk,
            lock: Some(self.lock),
            epoch,
            shards: u16::from(shards),
            limits: Limits::default(),
        };
        let shard_of = |RoomId([first, ..]): RoomId| u16::from(first % shards.max(1));
        let (stores, recovery) = log::open(opening, shard_of, rng)?;
        tell(&recovery);
        Ok(stores)
    }
}

fn tell(recovery: &Recovery) {
    for line in recovery.to_string().lines() {
        if recovery.is_sound() {
            tracing::info!("{line}");
        } else {
            tracing::warn!("{line}");
        }
    }
}
