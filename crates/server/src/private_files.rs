//! Files of the data folder that only the server's user may read: made whole, replaced whole, read to their end.
//!
//! What is written here is on the medium when the call returns, its name too: a server that has told anybody of a
//! key or an epoch has it after a power loss.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use rejoin_protocol::handshake::SealingKeyError;

use crate::entropy;

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
    /// The file holds no usable list of keys.
    #[error("{}: {}{problem}", path.display(), place(*line))]
    KeyList {
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

/// A fault of no single line is the file's.
fn place(line: usize) -> String {
    match line {
        0 => String::new(),
        line => format!("line {line}: "),
    }
}

/// Longest key file, in bytes: the most permit keys take some 500, and comments may take the rest. A
/// longer one is refused.
const FILE_LEN_MAX: usize = 4_096;

/// Reads a file that nobody else may read.
pub(crate) fn read_private(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let file = open(path)?;
    if exposed(&file).map_err(|source| failed("read", path, source))? {
        return Err(KeyFileError::Exposed(path.to_owned()));
    }
    read(file, path)
}

/// Reads a file that holds no secret.
pub(crate) fn read_public(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    read(open(path)?, path)
}

/// What a file held that need not be there.
pub(crate) fn if_there<T>(read: Result<T, KeyFileError>) -> Result<Option<T>, KeyFileError> {
    match read {
        Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

fn open(path: &Path) -> Result<File, KeyFileError> {
    // Before it is opened, as that alone waits for a pipe's writer.
    let kind = fs::metadata(path).map_err(|source| failed("open", path, source))?;
    if !kind.is_file() {
        return Err(KeyFileError::NotAFile(path.to_owned()));
    }
    File::open(path).map_err(|source| failed("open", path, source))
}

fn read(file: File, path: &Path) -> Result<Vec<u8>, KeyFileError> {
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
    let outcome = outcome.and_then(|()| sync_names(path));
    outcome.map_err(|source| failed("write", path, source))
}

/// Puts a new file in the place of `path`: whoever reads it sees the old one or the new one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let draft = draft_of(path)?;
    let outcome = write_new(&draft, text).and_then(|()| fs::rename(&draft, path));
    if outcome.is_err() {
        drop(fs::remove_file(&draft));
    }
    let outcome = outcome.and_then(|()| sync_names(path));
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

/// Puts the names in the folder of `path` on the medium.
#[cfg(unix)]
pub(crate) fn sync_names(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a folder cannot be synced.
#[cfg(not(unix))]
pub(crate) fn sync_names(_path: &Path) -> io::Result<()> {
    Ok(())
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
