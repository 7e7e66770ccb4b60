//! What a store has to do that may block: syncs, removals, reads of what is to be moved, and the
//! making of the next segment.
//!
//! The store makes a [`Chore`] on its shard's thread, the shell runs it on another, and the store
//! takes in what is [`Finished`]. So no shard waits for a medium. At most one is under way for each
//! store, and each does a bounded amount.

use std::sync::Arc;

use crate::disk::{Disk, DiskError, DiskFault, DiskFile};

/// Work for another thread.
#[derive(Debug)]
pub struct Chore {
    pub(crate) disk: Arc<dyn Disk>,
    /// Finds out whether a later process owns the folder.
    pub(crate) fence: Fence,
    /// Files with bytes that are not on the medium, oldest first.
    pub(crate) sync: Vec<Arc<dyn DiskFile>>,
    /// Names have changed since the last sync of the folder.
    pub(crate) sync_names: bool,
    /// Segments that nothing needs any more: removed in this order, each before the next.
    pub(crate) remove: Vec<Removal>,
    pub(crate) read: Option<Reading>,
    /// Name and length of a segment to make ahead.
    pub(crate) spare: Option<(String, u64)>,
    pub(crate) goal: Goal,
}

/// A way to tell the newest epoch of a folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fence {
    pub(crate) epoch: u64,
    pub(crate) newest: fn(&dyn Disk) -> Result<u64, DiskError>,
}

/// What is synced once the chore has succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Goal {
    pub(crate) stamp: u64,
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

/// A file to remove.
#[derive(Debug)]
pub(crate) struct Removal {
    pub(crate) name: String,
    /// Says that a segment of an earlier epoch is there: dropped once it is not.
    pub(crate) presence: Option<Arc<()>>,
}

/// Bytes of a segment that is to be emptied.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// What came of a chore: goes back to the store that it is of.
#[derive(Debug)]
pub struct Finished {
    pub(crate) goal: Goal,
    pub(crate) outcome: Result<Yield, Failure>,
}

/// What a chore brought.
#[derive(Debug)]
pub(crate) struct Yield {
    pub(crate) read: Option<Result<Vec<u8>, DiskError>>,
    pub(crate) spare: Option<Result<Spare, DiskError>>,
}

/// A segment made ahead.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) name: String,
    pub(crate) size: u64,
}

/// Why nothing is known to be synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Fenced(u64),
    Medium(DiskError),
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Self::Medium(error)
    }
}

impl Chore {
    /// Does it. Blocks for as long as the medium takes.
    #[must_use]
    pub fn run(mut self) -> Finished {
        let outcome = self.try_run();
        let goal = self.goal;
        Finished { goal, outcome }
    }

    fn try_run(&mut self) -> Result<Yield, Failure> {
        self.fence.check(&*self.disk)?;
        for file in &self.sync {
            file.sync()?;
        }
        if self.sync_names {
            self.disk.sync_folder()?;
        }
        // Asked again: what follows destroys, and a sync can take long.
        if !self.remove.is_empty() {
            self.fence.check(&*self.disk)?;
        }
        for removal in self.remove.drain(..) {
            match self.disk.remove(&removal.name) {
                Err(error) if error.fault != DiskFault::Missing => return Err(error.into()),
                Ok(()) | Err(_) => self.disk.sync_folder()?,
            }
            drop(removal.presence);
        }
        let read = self
            .read
            .take()
            .map(|reading| reading.file.read(reading.offset, reading.len));
        let spare = self.spare.take();
        let spare = spare.map(|(name, size)| make_spare(&*self.disk, name, size));
        Ok(Yield { read, spare })
    }
}

impl Fence {
    pub(crate) fn check(&self, disk: &dyn Disk) -> Result<(), Failure> {
        let newest = (self.newest)(disk)?;
        if newest > self.epoch {
            return Err(Failure::Fenced(newest));
        }
        Ok(())
    }
}

/// Its zeros are put on the medium, so that a later sync writes no more than what was added.
fn make_spare(disk: &dyn Disk, name: String, size: u64) -> Result<Spare, DiskError> {
    let file = disk.create(&name, size)?;
    if let Err(error) = file.sync() {
        // The name is free again for whoever tries next.
        drop(disk.remove(&name));
        return Err(error);
    }
    Ok(Spare { file, name, size })
}
