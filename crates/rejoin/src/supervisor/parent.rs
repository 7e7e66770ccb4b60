//! The child's side: it does not outlive its supervisor, and waits a moment for what one that has just died held.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// For how long a child tries to have its port and folder: longer than a dying process needs to give them back.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries.
const EVERY: Duration = Duration::from_millis(20);

/// Has the system kill this process when the one with id `parent` dies, however that comes. False if that has
/// happened already. Elsewhere than on Linux the closed pipe to standard input alone tells it.
///
/// # Errors
/// The system does not do that.
#[cfg(target_os = "linux")]
pub(crate) fn die_with(parent: u32) -> io::Result<bool> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before it was asked for.
    let ours = getppid().map(|id| id.as_raw_nonzero().get());
    Ok(ours == i32::try_from(parent).ok())
}

/// See the other one.
#[cfg(not(target_os = "linux"))]
pub(crate) fn die_with(_parent: u32) -> io::Result<bool> {
    Ok(true)
}

/// Tries again and again for a second if what stands in the way may be a process that is about to end.
///
/// # Errors
/// Those of the last try.
pub(crate) fn patiently<T, E>(
    patient: bool,
    mut act: impl FnMut() -> Result<T, E>,
    may_pass: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let until = Instant::now() + PATIENCE;
    loop {
        match act() {
            Err(error) if patient && may_pass(&error) && Instant::now() < until => {
                thread::sleep(EVERY);
            }
            outcome => return outcome,
        }
    }
}
