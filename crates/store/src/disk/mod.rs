//! The seam to files: everything the log engine asks of a disk, the system's files, and a disk
//! that tears, loses and fails.

mod file;
mod medium;
mod process;
mod seam;
mod simulated;
mod volatile;

pub use file::FileDisk;
pub use seam::{Disk, DiskError, DiskFault, DiskFile, DiskLock, LockError};
pub use simulated::{Crash, SimulatedDisk};
pub use volatile::VolatileDisk;
