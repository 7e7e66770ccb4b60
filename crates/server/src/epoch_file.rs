//! The epoch of a data folder: how many processes have served from it, this one among them.
//!
//! `DIR/epoch` holds a decimal number and a newline. It is raised before anything is served: tickets and resets
//! tell by it what came of an earlier process, so no two processes may have the same: who raises it holds the lock of
//! the rooms beside it.

use std::path::{Path, PathBuf};

use rejoin_protocol::Epoch;

use crate::private_files::{KeyFileError, if_there, make_folder, read_public, replace};

/// Why a process cannot have an epoch of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpochError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// It holds something else than a number that can be raised. To begin again at 1 would make this
    /// process older than those before it.
    #[error("{} does not hold the number of a start: run `{}`", .0.display(), remedy(.0))]
    Damaged(PathBuf),
    /// It is gone, although the folder has been served from.
    #[error("{} is missing, but not the keys or rooms beside it: run `{}`", .0.display(), remedy(.0))]
    Missing(PathBuf),
}

/// Raises the epoch in `folder` by one and puts it on the medium. The first is 1. `used` says that the folder has
/// been served from, so that there must be one.
///
/// # Errors
/// See [`EpochError`]. The file is then as it was, or raised.
pub(crate) fn raise_epoch(folder: &Path, used: bool) -> Result<Epoch, EpochError> {
    let path = folder.join("epoch");
    let before = match if_there(read_public(&path))? {
        Some(bytes) => number(&bytes).ok_or_else(|| EpochError::Damaged(path.clone()))?,
        None if used => return Err(EpochError::Missing(path)),
        None => 0,
    };
    let Some(epoch) = before.checked_add(1) else {
        return Err(EpochError::Damaged(path));
    };
    make_folder(folder)?;
    replace(&path, &format!("{epoch}\n"))?;
    Ok(Epoch(epoch))
}

/// A number as it was written: digits alone.
fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.trim_ascii_end();
    let plain = digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// There were fewer starts than seconds since 1970.
fn remedy(path: &Path) -> String {
    let path = path.display().to_string().replace('\'', r"'\''");
    format!("date +%s > '{path}'")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder of its own for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("rejoin-epoch-file-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn file(&self) -> PathBuf {
            self.0.join("epoch")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn each_start_has_the_next_number() {
        let folder = Folder::new("grows");
        for number in 1..=5 {
            let epoch = raise_epoch(&folder.0, number > 1).unwrap();
            assert_eq!(epoch, Epoch(number));
            let text = fs::read_to_string(folder.file()).unwrap();
            assert_eq!(text, format!("{number}\n"));
        }
        let files = fs::read_dir(&folder.0).unwrap().count();
        assert_eq!(files, 1, "no draft is left");
    }

    #[test]
    fn what_is_no_number_is_named_and_kept_with_the_command_that_mends_it() {
        let folder = Folder::new("damaged");
        raise_epoch(&folder.0, false).unwrap();
        let most = u64::MAX.to_string();
        for damage in ["", "\n", "one\n", "-1\n", "+1\n", "1 2\n", "\0\0", &most] {
            fs::write(folder.file(), damage).unwrap();
            let error = raise_epoch(&folder.0, true).unwrap_err();
            assert!(matches!(&error, EpochError::Damaged(_)), "{error}");
            let path = folder.file().display().to_string();
            let told =
                format!("{path} does not hold the number of a start: run `date +%s > '{path}'`");
            assert_eq!(error.to_string(), told);
            assert_eq!(fs::read_to_string(folder.file()).unwrap(), damage);
        }
    }

    #[test]
    fn what_the_remedy_writes_can_be_raised() {
        let folder = Folder::new("remedy");
        raise_epoch(&folder.0, false).unwrap();
        fs::write(folder.file(), "1795773600\n").unwrap();
        assert_eq!(raise_epoch(&folder.0, true).unwrap(), Epoch(1_795_773_601));
    }

    #[test]
    fn a_number_that_is_gone_does_not_begin_again() {
        let folder = Folder::new("missing");
        raise_epoch(&folder.0, false).unwrap();
        fs::remove_file(folder.file()).unwrap();
        let error = raise_epoch(&folder.0, true).unwrap_err();
        assert!(matches!(&error, EpochError::Missing(_)), "{error}");
        assert!(error.to_string().contains("date +%s > "), "{error}");
        assert!(!folder.file().exists());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_or_write_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("mode");
        let mode = || fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777;
        raise_epoch(&folder.0, false).unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).unwrap();
        raise_epoch(&folder.0, true).unwrap();
        assert_eq!(mode(), 0o600, "it holds no secret, and is closed again");
    }
}
