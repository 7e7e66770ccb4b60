//! Asks the system. What it does not tell is none; what it refuses is told in its own words.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{Folder, FolderState, Machine};

/// Files of a server's folder that nobody else may read.
const SECRETS: [&str; 4] = ["server.key", "session.secret", "permit.keys", "ticket.keys"];
/// Steps of the clock that are looked at: a millisecond's worth, or a tenth of a second of a bad clock's.
const CLOCK_STEPS: usize = 1_000;
const CLOCK_TIME: Duration = Duration::from_millis(100);

/// All that is looked at.
pub(super) fn machine(folder: Option<PathBuf>) -> Machine {
    Machine {
        sockets: rejoin_server::abilities().map_err(|error| error.to_string()),
        descriptors: descriptors(),
        clock_step: clock_step(),
        wall: SystemTime::now(),
        cores: std::thread::available_parallelism().map(usize::from).ok(),
        folder: folder.map(|path| Folder {
            state: folder_state(&path).unwrap_or_else(FolderState::Unusable),
            path,
        }),
    }
}

/// Linux tells a process its limits in a file: `Max open files  SOFT  HARD  files`.
fn descriptors() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn clock_step() -> Duration {
    let start = Instant::now();
    let mut last = start;
    let mut smallest = CLOCK_TIME;
    let mut steps = 0;
    while steps < CLOCK_STEPS && last.duration_since(start) < CLOCK_TIME {
        let now = Instant::now();
        let step = now.duration_since(last);
        if !step.is_zero() {
            smallest = smallest.min(step);
            last = now;
            steps += 1;
        }
    }
    smallest
}

fn folder_state(path: &Path) -> Result<FolderState, String> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FolderState::Missing),
        other => other.map_err(|error| error.to_string())?,
    };
    if !metadata.is_dir() {
        return Err("it is no folder".to_owned());
    }
    try_to_write(path).map_err(|error| format!("nothing can be written there: {error}"))?;
    let exposed = SECRETS.iter().map(|name| path.join(name));
    Ok(FolderState::Usable {
        open: mode(path) & 0o022 != 0,
        exposed: exposed.filter(|file| mode(file) & 0o077 != 0).collect(),
        free: rejoin_server::free_space(path).ok(),
    })
}

/// Rights and owners do not tell all: a disk may be mounted for reading alone.
fn try_to_write(folder: &Path) -> io::Result<()> {
    let draft = folder.join(format!("doctor.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).open(&draft)?;
    fs::remove_file(&draft)
}

/// Rights of a file; none of one that is not there.
#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode())
}

#[cfg(not(unix))]
fn mode(_path: &Path) -> u32 {
    0
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder of its own for one test, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("rejoin-doctor-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn chmod(&self, name: &str, mode: u32) {
            fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn a_folder_is_seen_as_it_is_and_left_as_it_was() {
        let scratch = Scratch::new("folder");
        scratch.chmod("", 0o700);
        let state = folder_state(&scratch.0);
        assert!(
            matches!(&state, Ok(FolderState::Usable { open: false, exposed, .. }) if exposed.is_empty()),
            "{state:?}"
        );
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);

        fs::write(scratch.0.join("server.key"), "").unwrap();
        fs::write(scratch.0.join("permit.keys"), "").unwrap();
        scratch.chmod("server.key", 0o600);
        scratch.chmod("permit.keys", 0o640);
        scratch.chmod("", 0o770);
        let state = folder_state(&scratch.0);
        let expected = [scratch.0.join("permit.keys")];
        assert!(
            matches!(&state, Ok(FolderState::Usable { open: true, exposed, .. }) if *exposed == expected),
            "{state:?}"
        );

        let missing = folder_state(&scratch.0.join("none"));
        assert!(matches!(missing, Ok(FolderState::Missing)), "{missing:?}");
        let file = folder_state(&scratch.0.join("server.key")).unwrap_err();
        assert_eq!(file, "it is no folder");
        let unwritable = folder_state(Path::new("/proc")).unwrap_err();
        assert!(
            unwritable.starts_with("nothing can be written there"),
            "{unwritable}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_how_many_files_may_be_open() {
        assert!(descriptors().unwrap() > 3);
    }
}
