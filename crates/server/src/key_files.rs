//! The server's secrets on disk: made with mode 0600 at first use, never written again.
//!
//! ```text
//! DIR/server.key      secret half of the static key pair
//! DIR/session.secret  secret behind session ids
//! DIR/permit.keys     keys of permits, see `permit_files.rs`
//! ```
//!
//! Each of the first two holds 32 bytes as 43 characters of unpadded URL-safe base64 and a newline.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::handshake::SealingKeyError;

use crate::entropy;
use crate::identity::Identity;

/// Why the key files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Neither `XDG_STATE_HOME` nor `HOME` names a place.
    #[error("no folder for the server's key: set --data, XDG_STATE_HOME or HOME")]
    NoFolder,
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} does not hold a key of 43 base64url characters", .0.display())]
    Damaged(PathBuf),
    /// The file holds no usable permit keys.
    #[error("{}: line {line}: {problem}", path.display())]
    PermitKeys {
        /// Which file.
        path: PathBuf,
        /// Counts from 1; 0 if the fault is of no single line.
        line: usize,
        /// What is wrong.
        problem: SealingKeyError,
    },
    /// The file is longer than any that is read: what stands at its end would not be heeded.
    #[error("{} is longer than {FILE_LEN_MAX} bytes, which no key file needs to be", .0.display())]
    TooLong(PathBuf),
    /// A folder, a pipe or a device: what stands there could make the reader wait for ever.
    #[error("{} is no plain file", .0.display())]
    NotAFile(PathBuf),
    /// Others can read the secret.
    #[error("{} is open to other users: run `chmod 600 {}`", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// The system has no entropy.
    #[error("no entropy from the system: {0}")]
    Entropy(#[from] getrandom::Error),
}

/// Longest key file, in bytes: the most permit keys take some 500, and comments may take the rest. A
/// longer one is refused.
const FILE_LEN_MAX: usize = 4_096;

/// Where a server keeps its files unless told otherwise: `$XDG_STATE_HOME/rejoin`, else
/// `~/.local/state/rejoin`.
///
/// # Errors
/// Neither variable names an absolute path.
pub fn default_folder() -> Result<PathBuf, KeyFileError> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("rejoin"))
        .ok_or(KeyFileError::NoFolder)
}

/// Reads the secrets in `folder`, and first makes those that are missing.
///
/// # Errors
/// See [`KeyFileError`]. An existing file is never changed.
pub fn load_or_make(folder: &Path) -> Result<Identity, KeyFileError> {
    make_folder(folder)?;
    let fresh = Identity::generate(&mut entropy::rng()?);
    let secret = secret_file(folder.join("server.key"), fresh.keys.secret())?;
    let session_secret = secret_file(folder.join("session.secret"), &fresh.session_secret)?;
    Ok(Identity {
        keys: StaticKeys::from_secret(secret),
        session_secret,
    })
}

/// The secret in the file, which holds `fresh` if it had to be made.
fn secret_file(path: PathBuf, fresh: &[u8; 32]) -> Result<[u8; 32], KeyFileError> {
    match read(&path) {
        Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            make(&path, &text_of(fresh))?;
            read(&path)
        }
        outcome => outcome,
    }
}

fn read(path: &Path) -> Result<[u8; 32], KeyFileError> {
    BASE64URL_NOPAD
        .decode(read_private(path)?.trim_ascii_end())
        .ok()
        .and_then(|secret| secret.try_into().ok())
        .ok_or_else(|| KeyFileError::Damaged(path.to_owned()))
}

fn text_of(secret: &[u8; 32]) -> String {
    format!("{}\n", BASE64URL_NOPAD.encode(secret))
}

/// Reads a file that nobody else may read.
pub(crate) fn read_private(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    // Before it is opened, as that alone waits for a pipe's writer.
    let kind = fs::metadata(path).map_err(|source| failed("open", path, source))?;
    if !kind.is_file() {
        return Err(KeyFileError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(|source| failed("open", path, source))?;
    if exposed(&file).map_err(|source| failed("read", path, source))? {
        return Err(KeyFileError::Exposed(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(FILE_LEN_MAX).unwrap_or(u64::MAX);
    // One more, to tell a longer file from one of just that length.
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| failed("read", path, source))?;
    if bytes.len() > FILE_LEN_MAX {
        return Err(KeyFileError::TooLong(path.to_owned()));
    }
    Ok(bytes)
}

/// Writes beside `path`, then gives the whole file its name. Two processes that start at once
/// both come here; the first name wins and both then read it.
pub(crate) fn make(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let draft = draft_of(path)?;
    let outcome = write_new(&draft, text).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // The draft has served in every case; one that cannot be removed is only untidy.
    drop(fs::remove_file(&draft));
    outcome.map_err(|source| failed("write", path, source))
}

/// Puts a new file in the place of `path`: whoever reads it sees the old one or the new one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let draft = draft_of(path)?;
    let outcome = write_new(&draft, text).and_then(|()| fs::rename(&draft, path));
    if outcome.is_err() {
        drop(fs::remove_file(&draft));
    }
    outcome.map_err(|source| failed("write", path, source))
}

fn draft_of(path: &Path) -> Result<PathBuf, KeyFileError> {
    let label: [u8; 8] = entropy::rng()?.bytes();
    Ok(path.with_extension(HEXLOWER.encode(&label)))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), KeyFileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|source| failed("make", folder, source))
}

#[cfg(unix)]
fn exposed(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn exposed(_file: &File) -> io::Result<bool> {
    Ok(false)
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> KeyFileError {
    KeyFileError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("rejoin-key-files-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn secrets_are_made_once_and_read_back() {
        let folder = Folder::new("once");
        let first = load_or_make(&folder.0).unwrap();
        let second = load_or_make(&folder.0).unwrap();
        assert_eq!(first.keys.public(), second.keys.public());
        assert_eq!(first.session_secret, second.session_secret);
        assert_ne!(first.keys.public(), StaticKeys::development().public());
        assert_ne!(*first.keys.secret(), first.session_secret);
        let mut names: Vec<_> = fs::read_dir(&folder.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["server.key", "session.secret"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_them_and_an_open_file_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("mode");
        load_or_make(&folder.0).unwrap();
        let path = folder.0.join("server.key");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            matches!(load_or_make(&folder.0), Err(KeyFileError::Exposed(file)) if file == path)
        );
    }

    #[test]
    fn a_damaged_file_is_named_and_kept() {
        let folder = Folder::new("damaged");
        load_or_make(&folder.0).unwrap();
        let path = folder.0.join("session.secret");
        for damage in ["", "short\n", &"x".repeat(1_000)] {
            fs::write(&path, damage).unwrap();
            let error = load_or_make(&folder.0).unwrap_err();
            assert!(
                matches!(&error, KeyFileError::Damaged(file) if *file == path),
                "{error}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), damage);
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = Folder::new("kinds");
        load_or_make(&folder.0).unwrap();
        let path = folder.0.join("server.key");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(
            matches!(load_or_make(&folder.0), Err(KeyFileError::NotAFile(file)) if file == path)
        );
        fs::remove_dir(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert!(
            matches!(load_or_make(&folder.0), Err(KeyFileError::NotAFile(file)) if file == path)
        );
    }

    #[test]
    fn servers_that_start_at_once_agree_on_one_key() {
        let folder = Folder::new("race");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| load_or_make(&folder.0).map(|it| it.keys.public())))
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        let first = keys[0].as_ref().unwrap();
        assert!(
            keys.iter()
                .all(|key| key.as_ref().is_ok_and(|key| key == first)),
            "{keys:?}"
        );
    }
}
