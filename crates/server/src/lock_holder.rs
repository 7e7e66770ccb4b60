//! Which process has the lock of a data folder, and its end.
//!
//! The number in the lock file alone proves nothing: it may be of a process that is long gone, and by now another's.
//! Linux tells in `/proc/locks` who has which lock; a process is named here only if it says the same.

use std::fs;
use std::io;
use std::path::Path;

/// The process that has the lock of this file, as far as the system tells: a number that stands in the file, and that
/// the system gives for its lock. None if nobody has it.
#[must_use]
pub(crate) fn lock_holder(lock: &Path) -> Option<u32> {
    let process = fs::read_to_string(lock).ok()?.trim().parse().ok()?;
    has_lock(process, lock).ok()?.then_some(process)
}

/// Why the process that has a data folder is not ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeOverError {
    /// What stands in the lock file is no process that is known to have the lock.
    #[error(
        "the system does not say that process {holder} has the lock: it may run in another container or on another machine"
    )]
    NotTheHolder {
        /// What stands in the lock file.
        holder: String,
    },
    /// The system does not let us.
    #[error("cannot end process {holder}: {source}")]
    Refused {
        /// Which one.
        holder: u32,
        /// The system's reason.
        source: io::Error,
    },
    /// It was killed and is still there.
    #[error("process {0} was killed and has not ended: it waits for its disk, perhaps")]
    StillThere(u32),
    /// Another one was faster.
    #[error(
        "process {killed} was killed, and process {holder} has the folder since: end what starts it first"
    )]
    Again {
        /// Which one was ended.
        killed: u32,
        /// What stands in the lock file now.
        holder: String,
    },
}

/// Kills the process that has the lock of a file, and returns once it has ended.
///
/// # Errors
/// It is not known to have the lock, or does not end.
#[cfg(target_os = "linux")]
pub(crate) fn kill_holder(lock: &Path, holder: &str) -> Result<u32, TakeOverError> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    let unknown = || TakeOverError::NotTheHolder {
        holder: holder.to_owned(),
    };
    let number: u32 = holder.parse().map_err(|_| unknown())?;
    let raw = i32::try_from(number).map_err(|_| unknown())?;
    let pid = Pid::from_raw(raw).ok_or_else(unknown)?;
    let refused = |source: io::Error| TakeOverError::Refused {
        holder: number,
        source,
    };
    // The handle first: what has the lock after it was made is the process that the handle is of.
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| unknown())?;
    if number == std::process::id() || !has_lock(number, lock).map_err(refused)? {
        return Err(unknown());
    }
    pidfd_send_signal(&process, Signal::KILL).map_err(|error| refused(error.into()))?;
    let patience = Timespec {
        tv_sec: PATIENCE_S,
        tv_nsec: 0,
    };
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    match poll(&mut ended, Some(&patience)) {
        Ok(0) => Err(TakeOverError::StillThere(number)),
        Ok(_) => Ok(number),
        Err(error) => Err(refused(error.into())),
    }
}

/// Elsewhere nobody tells who has a lock.
#[cfg(not(target_os = "linux"))]
pub(crate) fn kill_holder(_lock: &Path, holder: &str) -> Result<u32, TakeOverError> {
    let holder = holder.to_owned();
    Err(TakeOverError::NotTheHolder { holder })
}

/// How long a killed process may take to end, in seconds: the system may have to write what it had mapped.
#[cfg(target_os = "linux")]
const PATIENCE_S: i64 = 10;

/// Whether the system says that a process has the lock of this file.
#[cfg(target_os = "linux")]
fn has_lock(process: u32, lock: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(lock)?.ino();
    Ok(says(&fs::read_to_string("/proc/locks")?, process, inode))
}

#[cfg(not(target_os = "linux"))]
fn has_lock(_process: u32, _lock: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Whether a table of locks names a process with the exclusive lock of a file. The device is not compared: file
/// systems of layers show another one to users.
#[cfg(target_os = "linux")]
fn says(table: &str, process: u32, inode: u64) -> bool {
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // A process that only waits has an arrow in the second place.
        let [_, "FLOCK", _, "WRITE", holder, place, ..] = fields.as_slice() else {
            return false;
        };
        let file = place.rsplit(':').next().and_then(|it| it.parse().ok());
        holder.parse() == Ok(process) && file == Some(inode)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_the_lock_of_that_file_is_its_holder() {
        let table = "1: POSIX  ADVISORY  WRITE 70 fe:00:500 0 EOF\n\
                     2: FLOCK  ADVISORY  READ 71 fe:00:500 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 72 fe:00:500 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 73 fe:00:500 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 74 fe:00:501 0 EOF\n\
                     5: FLOCK  ADVISORY  WRITE -1 fe:00:502\n\
                     nonsense\n\n";
        let holders: Vec<u32> = (60..80).filter(|it| says(table, *it, 500)).collect();
        assert_eq!(holders, [72]);
        assert!(says(table, 74, 501));
        assert!(!says("", 72, 500));
    }

    #[test]
    fn a_number_that_somebody_left_is_nobodys_end() {
        let name = format!("rejoin-lock-holder-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        for left in ["1", "0", "-1", "", "4294967295", "nobody"] {
            fs::write(&path, left).expect("a temporary file");
            assert_eq!(lock_holder(&path), None);
            let error = kill_holder(&path, left).expect_err("nobody has it");
            let known = matches!(&error, TakeOverError::NotTheHolder { holder } if holder == left);
            assert!(known, "{error}");
        }
        // Not even we, who do have it.
        let file = fs::File::create(&path).expect("a temporary file");
        file.lock().expect("nobody has it");
        let own = std::process::id();
        fs::write(&path, own.to_string()).expect("a temporary file");
        assert_eq!(lock_holder(&path), Some(own));
        assert!(kill_holder(&path, &own.to_string()).is_err());
        fs::remove_file(&path).expect("it is ours");
    }
}
