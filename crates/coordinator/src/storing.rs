//! What whoever runs a shard does with its store: blocking work goes to another thread, and comes back as a word.

use rejoin_protocol::Timestamp;
use rejoin_store::{Chore, Finished, Store, StoreError};

use crate::directory::Directory;
use crate::shard::Shard;

impl<S: Store, D: Directory> Shard<S, D> {
    /// Why the store takes nothing any more: nothing that came of this turn may leave, and the process must end.
    #[must_use]
    pub const fn store_failure(&self) -> Option<&StoreError> {
        self.house.store_failure.as_ref()
    }

    /// True if something is written that a loss of power would take.
    #[must_use]
    pub fn is_unsynced(&self) -> bool {
        self.keep.store.synced() < self.keep.store.journalled()
    }

    /// True if players wait for that: it is worth a sync at once.
    #[must_use]
    pub fn is_sync_awaited(&self) -> bool {
        !self.house.unsynced.is_empty()
    }

    /// Takes what the store has to do that may block, to be run on another thread; see [`Store::chore`].
    pub fn take_chore(&mut self) -> Option<Chore> {
        self.keep.store.chore()
    }

    /// Takes in what came of a chore.
    ///
    /// # Errors
    /// The store takes nothing any more: the process must end.
    pub fn on_chore(&mut self, finished: Finished, now: Timestamp) -> Result<(), StoreError> {
        self.keep.store.on_chore(finished)?;
        self.house.on_synced(&self.keep, now);
        Ok(())
    }

    /// Puts all that is written on the medium, and blocks meanwhile: for the end of the process.
    ///
    /// # Errors
    /// As [`Shard::on_chore`]; or a chore is under way.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.keep.store.sync_now()
    }

    /// What it keeps rooms in.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.keep.store
    }

    /// Gives up what it keeps rooms in, for the next process to take them up.
    #[must_use]
    pub fn into_store(self) -> S {
        self.keep.store
    }
}
