//! What the log engine asks of a disk: one folder of files, and which calls survive what.
//!
//! The engine calls it; [`FileDisk`](super::FileDisk) does it with the system's files, and
//! [`SimulatedDisk`](super::SimulatedDisk) with memory. Two promises matter: what was written
//! outlives the process, and only what was synced outlives the power.

use std::fmt::Debug;
use std::sync::Arc;

/// One folder. Names are plain file names of the engine's choice.
pub trait Disk: Debug + Send + Sync {
    /// The names of all files, in no order.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn list(&self) -> Result<Vec<String>, DiskError>;

    /// Makes a file of `len` zeros whose place on the medium is taken: a later write within it
    /// does not find the disk full.
    ///
    /// # Errors
    /// It exists, or the disk is full; then no file is left.
    fn create(&self, name: &str, len: u64) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// There is none, or the system refuses.
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Gives a file another name, in place of the file that had it.
    ///
    /// # Errors
    /// The names are as they were.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Removes a file. Open handles still read it.
    ///
    /// # Errors
    /// It is still there, or was not.
    fn remove(&self, name: &str) -> Result<(), DiskError>;

    /// Puts all names on the medium as they are now.
    ///
    /// # Errors
    /// Nothing is known of what the medium holds.
    fn sync_folder(&self) -> Result<(), DiskError>;

    /// Keeps other processes out for as long as the lock lives.
    ///
    /// # Errors
    /// Another process has it.
    fn lock(&self, name: &str) -> Result<Box<dyn DiskLock>, LockError>;
}

/// An open file. Only one handle writes at a time.
pub trait DiskFile: Debug + Send + Sync {
    /// How long it is.
    ///
    /// # Errors
    /// The system refuses.
    fn size(&self) -> Result<u64, DiskError>;

    /// Writes at an offset, in one call to the system if that takes all.
    ///
    /// # Errors
    /// Any part of it may have been written.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Reads up to `len` bytes, fewer only at the end of the file.
    ///
    /// # Errors
    /// The medium cannot give them.
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError>;

    /// Puts what was written, and the length, on the medium.
    ///
    /// # Errors
    /// What was written since the last sync may be gone, even if a later one succeeds.
    fn sync(&self) -> Result<(), DiskError>;

    /// Cuts the file to a length below its own.
    ///
    /// # Errors
    /// The system refuses.
    fn cut(&self, len: u64) -> Result<(), DiskError>;
}

/// Held by one process; given up when it is dropped or the process ends.
pub trait DiskLock: Debug + Send + Sync {}

/// What a disk refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {what} {name}: {reason}")]
pub struct DiskError {
    /// What was tried.
    pub what: &'static str,
    /// With which file or folder.
    pub name: String,
    /// What the caller can act on.
    pub fault: DiskFault,
    /// The system's reason.
    pub reason: String,
}

/// What kind of refusal it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// There is no place left.
    Full,
    /// There is no such file.
    Missing,
    /// There is such a file already.
    Exists,
    /// Anything else: the medium or its driver.
    Other,
}

/// Why a folder is not ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// A live process has it.
    #[error("{name} is locked by process {holder}")]
    Held {
        /// The lock file.
        name: String,
        /// The process number that the holder wrote there, or what stands there instead.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
