//! Lists of sealing keys on disk: the form that `permit.keys` and `ticket.keys` share.
//!
//! One `ID:KEY` a line, the newest first; empty lines and those that begin with `#` are passed over. The first
//! key seals, all open.

use std::path::Path;

use rejoin_protocol::handshake::{SealingKey, SealingKeyError};

use crate::entropy;
use crate::private_files::{KeyFileError, if_there, make, make_folder, read_private, replace};

/// Keys that a rotation keeps beside the new one, so that what was sealed before stays good until it expires.
const OLD_KEYS_KEPT: usize = 2;

/// What a file holds.
#[derive(Debug)]
pub(crate) struct KeyList<K> {
    /// The keys, found good together.
    pub(crate) keys: K,
    /// All of the file, for whoever finds more in its comments.
    pub(crate) text: String,
}

/// Reads the list in a file, as `check` takes it.
///
/// # Errors
/// See [`KeyFileError`].
pub(crate) fn load<K>(
    path: &Path,
    check: impl FnOnce(Vec<SealingKey>) -> Result<K, SealingKeyError>,
) -> Result<KeyList<K>, KeyFileError> {
    let bytes = read_private(path)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = line.parse();
        keys.push(key.map_err(|problem| wrong(path, index + 1, problem))?);
    }
    let keys = check(keys).map_err(|problem| wrong(path, 0, problem))?;
    Ok(KeyList { keys, text })
}

/// Makes a file with one new key and `comment` after it, if there is none.
///
/// # Errors
/// See [`KeyFileError`]. An existing file is never changed.
pub(crate) fn make_if_missing(path: &Path, comment: &str) -> Result<(), KeyFileError> {
    if if_there(read_private(path))?.is_some() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), make_folder)?;
    let key = SealingKey::generate(&mut entropy::rng()?);
    make(path, &text_of([&key], comment))?;
    tracing::info!(file = %path.display(), "made the first key here");
    Ok(())
}

/// Puts a new key before `keys` and `comment` after them, and keeps the two newest of the others, and nothing
/// else: other comments go.
///
/// # Errors
/// See [`KeyFileError`].
pub(crate) fn rotate<'a>(
    path: &Path,
    keys: impl Iterator<Item = &'a SealingKey>,
    comment: &str,
) -> Result<(), KeyFileError> {
    let fresh = SealingKey::generate(&mut entropy::rng()?);
    let kept = text_of(keys.take(OLD_KEYS_KEPT), comment);
    replace(path, &(text_of([&fresh], "") + &kept))
}

/// The ids of keys, for a line of the log.
#[must_use]
pub fn key_ids<'a>(keys: impl Iterator<Item = &'a SealingKey>) -> String {
    let ids: Vec<_> = keys.map(|key| key.id.to_string()).collect();
    ids.join(" ")
}

fn text_of<'a>(keys: impl IntoIterator<Item = &'a SealingKey>, comment: &str) -> String {
    let lines: String = keys.into_iter().map(|key| key.to_text() + "\n").collect();
    lines + comment
}

fn wrong(path: &Path, line: usize, problem: SealingKeyError) -> KeyFileError {
    KeyFileError::KeyList {
        path: path.to_owned(),
        line,
        problem,
    }
}
