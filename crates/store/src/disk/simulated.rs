//! A disk in memory that does what real ones do on a bad day.
//!
//! The simulator and the engine's own tests hold a [`SimulatedDisk`] and give processes handles
//! to it. What was written and not synced is kept apart: a killed process loses none of it, a
//! power loss keeps any sectors of it, in any order. It can stop a process at a chosen
//! operation, fail syncs and writes, be full, and flip bits.

use std::sync::{Arc, Mutex, MutexGuard};

use rejoin_protocol::Rng;

use super::medium::{Medium, locked};
use super::process::Process;
use super::seam::{Disk, DiskFault};

/// The medium and its faults. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    medium: Arc<Mutex<Medium>>,
}

/// What ends all processes that use the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// They are killed; the system keeps what they wrote.
    Process,
    /// The machine stops; of what was not synced, any sectors and names may be there.
    Power,
}

impl SimulatedDisk {
    /// An empty disk. `rng` decides what a crash keeps.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        let medium = Medium::new(rng);
        Self {
            medium: Arc::new(Mutex::new(medium)),
        }
    }

    /// What a process uses until the next crash.
    #[must_use]
    pub fn process(&self) -> Arc<dyn Disk> {
        let life = self.medium().life;
        Arc::new(Process::new(Arc::clone(&self.medium), life))
    }

    /// Ends all processes. Their handles fail from now on.
    pub fn crash(&self, crash: Crash) {
        let mut medium = self.medium();
        medium.life += 1;
        medium.stop_at = None;
        medium.locks.clear();
        if crash == Crash::Power {
            medium.lose_power();
        }
    }

    /// Operations that changed anything, so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.medium().operations
    }

    /// Stops the process within the operation of that number: it is done in part, and all after
    /// it fail until [`SimulatedDisk::crash`].
    pub fn stop_at(&self, operation: u64) {
        self.medium().stop_at = Some(operation);
    }

    /// Has all syncs fail, or no more.
    pub fn fail_syncs(&self, failing: bool) {
        self.medium().failing_syncs = failing;
    }

    /// Has all writes fail in part, or no more.
    pub fn fail_writes(&self, fault: Option<DiskFault>) {
        self.medium().failing_writes = fault;
    }

    /// Bounds the bytes of all files together.
    pub fn set_capacity(&self, bytes: u64) {
        self.medium().capacity = bytes;
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.medium().used()
    }

    /// Forgets who holds locks, as a file system that does not know them.
    pub fn break_locks(&self) {
        self.medium().locks.clear();
    }

    /// The files there are, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.medium().names.keys().cloned().collect()
    }

    /// What a file holds.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let medium = self.medium();
        let id = medium.names.get(name)?;
        Some(medium.files.get(id)?.now.clone())
    }

    /// Puts bytes on the medium in place of a file's own: rot, or an operator.
    pub fn replace(&self, name: &str, bytes: &[u8]) {
        let mut medium = self.medium();
        let id = medium.fresh(bytes.to_vec(), bytes.to_vec());
        medium.names.insert(name.to_owned(), id);
        medium.synced_names.insert(name.to_owned(), id);
    }

    /// Takes a file off the medium.
    pub fn lose(&self, name: &str) {
        let mut medium = self.medium();
        medium.names.remove(name);
        medium.synced_names.remove(name);
    }

    /// Flips the bits of `mask` in one byte, for open handles too. Beyond the end nothing happens.
    pub fn flip(&self, name: &str, offset: usize, mask: u8) {
        let mut medium = self.medium();
        let id = medium.names.get(name).copied();
        let content = id.and_then(|id| medium.files.get_mut(&id));
        if let Some(content) = content {
            content.flip(offset, mask);
        }
    }

    /// A disk of its own that holds the same, with other chances.
    #[must_use]
    pub fn fork(&self, rng: Rng) -> Self {
        let mut medium = self.medium().clone();
        medium.rng = rng;
        Self {
            medium: Arc::new(Mutex::new(medium)),
        }
    }

    fn medium(&self) -> MutexGuard<'_, Medium> {
        locked(&self.medium)
    }
}
