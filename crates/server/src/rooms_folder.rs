//! The rooms of a data folder: `DIR/rooms`, a log for each shard.
//!
//! Held by one process at a time. What is found there that is not as it should be is told in a line each.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rejoin_protocol::{Epoch, Rng, RoomId};
use rejoin_store::StoreError;
use rejoin_store::disk::{Disk, DiskError, DiskLock, FileDisk, LockError, VolatileDisk};
use rejoin_store::log::{self, Limits, LogStore, OpenError, Opening, Recovery};

use crate::epoch_file::EpochError;
use crate::lock_holder::TakeOverError;

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
    #[error("{}: {problem}", folder.display())]
    Rooms {
        /// Their folder.
        folder: PathBuf,
        /// Why.
        problem: OpenError,
    },
    /// The process that has it cannot be ended.
    #[error("the data folder is not taken over: {0}")]
    TakeOver(#[from] TakeOverError),
    /// The rooms cannot be moved aside.
    #[error("the rooms cannot be moved to {}: {source}", to.display())]
    SetAside {
        /// Where they were to be.
        to: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What was to be written is not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OwnError {
    /// True if a later process owns the folder: its epoch is above the one that this process raised.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        let Self::Rooms { problem, .. } = self else {
            return false;
        };
        matches!(problem, OpenError::Fenced { .. })
    }
}

/// A folder of rooms that this process has for itself.
#[derive(Debug)]
pub(crate) struct RoomsFolder {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    lock: Arc<dyn DiskLock>,
}

impl RoomsFolder {
    /// Takes the rooms of a data folder, until this is dropped or the process ends.
    ///
    /// # Errors
    /// Another process has them, or the folder cannot be made.
    pub(crate) fn lock(folder: &Path) -> Result<Self, OwnError> {
        let path = folder.join("rooms");
        let disk = FileDisk::open(&path)?;
        let lock = Arc::from(disk.lock("lock")?);
        let disk = Arc::new(disk);
        Ok(Self { path, disk, lock })
    }

    /// The same, but what is not synced dies with the process.
    pub(crate) fn volatile(self) -> Self {
        let disk = Arc::new(VolatileDisk::new(self.disk));
        Self { disk, ..self }
    }

    /// True if some process has kept rooms there. One that cannot be read will be told when they are opened.
    pub(crate) fn is_used(&self) -> bool {
        self.disk
            .list()
            .is_ok_and(|files| files.iter().any(|file| file != "lock"))
    }

    /// Opens a store for each shard. The folder stays with them. Tells whether the end of a log was cut off: a killed process
    /// leaves none but that of a write in which it was stopped, and nobody knows what else was there. If `keeps_all`, no record is let go.
    ///
    /// # Errors
    /// The rooms cannot be read, or belong to a later epoch.
    pub(crate) fn open(
        self,
        epoch: Epoch,
        (shards, keeps_all): (u8, bool),
        rng: &mut Rng,
    ) -> Result<(Vec<LogStore>, bool), OwnError> {
        let opening = Opening {
            disk: self.disk,
            lock: Some(self.lock),
            epoch,
            shards: u16::from(shards),
            limits: Limits::default(),
        };
        let shard_of = |RoomId([first, ..]): RoomId| u16::from(first % shards.max(1));
        let opened = if keeps_all {
            log::open_keeping_all(opening, shard_of, rng)
        } else {
            log::open(opening, shard_of, rng)
        };
        let (stores, recovery) = opened.map_err(|problem| OwnError::Rooms {
            folder: self.path,
            problem,
        })?;
        tell(&recovery);
        Ok((stores, !recovery.cuts.is_empty()))
    }
}

fn tell(recovery: &Recovery) {
    for line in recovery.to_string().lines() {
        if recovery.is_sound() && recovery.cuts.is_empty() {
            tracing::info!("{line}");
        } else {
            tracing::warn!("{line}");
        }
    }
}
