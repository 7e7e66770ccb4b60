//! Whether the machine stopped under the process before: then what was not synced may be lost, and nothing in the
//! rooms' own files need show it.
//!
//! `DIR/running` is there while a process serves from the folder, and names the machine's start. One that is left behind by
//! another start was not removed by an orderly end.

use std::fs;
use std::path::{Path, PathBuf};

use crate::private_files::{KeyFileError, if_there, read_public, replace};

/// What names the machine's start, on Linux.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The mark of a process that serves.
#[derive(Debug)]
pub(crate) struct RunningFile {
    path: PathBuf,
    /// The machine stopped under the process before.
    pub(crate) lost_power: bool,
}

impl RunningFile {
    /// Marks the folder, and tells what the mark before says.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) fn mark(folder: &Path) -> Result<Self, KeyFileError> {
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default();
        Self::mark_as(folder, boot.trim())
    }

    fn mark_as(folder: &Path, boot: &str) -> Result<Self, KeyFileError> {
        let path = folder.join("running");
        let before = if_there(read_public(&path))?;
        // Where starts have no names, a mark that is left behind may be of another.
        let same = |before: Vec<u8>| !boot.is_empty() && before.trim_ascii() == boot.as_bytes();
        let lost_power = before.is_some_and(|before| !same(before));
        replace(&path, &format!("{boot}\n"))?;
        Ok(Self { path, lost_power })
    }

    /// All is on the medium: whatever happens to the machine now takes nothing.
    pub(crate) fn clear(self) {
        if let Err(problem) = fs::remove_file(&self.path) {
            let path = self.path.display();
            tracing::warn!(%path, %problem, "the mark of a running server cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mark_of_another_start_tells_of_a_loss() {
        let name = format!("rejoin-running-file-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let mark = |boot| RunningFile::mark_as(&folder, boot).unwrap();
        assert!(!mark("a").lost_power, "the first");
        assert!(!mark("a").lost_power, "its process was killed");
        let after = mark("b");
        assert!(after.lost_power);
        after.clear();
        assert!(!mark("c").lost_power, "it ended in order");
        assert!(mark("").lost_power && mark("").lost_power, "nobody knows");
        fs::remove_dir_all(&folder).unwrap();
    }
}
