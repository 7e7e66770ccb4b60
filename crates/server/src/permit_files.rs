//! The permit keys on disk: shared with the game's backend, rotated in place.
//!
//! `DIR/permit.keys` holds one `ID:KEY` a line. The first key mints, all open; empty lines and those
//! that begin with `#` are passed over. A backend that mints has the same first key.

use std::io;
use std::path::{Path, PathBuf};

use rejoin_protocol::handshake::{PermitKeys, SealingKey, SealingKeyError};

use crate::entropy;
use crate::key_files::{KeyFileError, make, make_folder, read_private, replace};

/// Keys that a rotation keeps beside the new one, so that permits minted before stay good until they
/// expire.
const OLD_KEYS_KEPT: usize = 2;

/// Reads the permit keys in `folder`, and first makes one if there is no file.
///
/// # Errors
/// See [`KeyFileError`]. An existing file is never changed.
pub fn load_or_make_permit_keys(folder: &Path) -> Result<PermitKeys, KeyFileError> {
    match load_permit_keys(folder) {
        Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            make_folder(folder)?;
            let key = SealingKey::generate(&mut entropy::rng()?);
            make(&path_in(folder), &text_of([&key]))?;
            tracing::info!(folder = %folder.display(), "made the first permit key here");
            load_permit_keys(folder)
        }
        outcome => outcome,
    }
}

/// Reads the permit keys in `folder`.
///
/// # Errors
/// See [`KeyFileError`].
pub fn load_permit_keys(folder: &Path) -> Result<PermitKeys, KeyFileError> {
    let path = path_in(folder);
    let bytes = read_private(&path)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key: SealingKey = line
            .parse()
            .map_err(|problem| wrong(&path, index + 1, problem))?;
        keys.push(key);
    }
    PermitKeys::new(keys).map_err(|problem| wrong(&path, 0, problem))
}

/// Puts a new key before those in `folder`, so that it mints from now on, and keeps the two newest of the
/// others, and nothing else: comments go. Servers learn of it by SIGHUP; backends must be given the new
/// key after them.
///
/// # Errors
/// See [`KeyFileError`]. The file is then as it was.
pub fn rotate_permit_keys(folder: &Path) -> Result<PermitKeys, KeyFileError> {
    let before = load_or_make_permit_keys(folder)?;
    let fresh = SealingKey::generate(&mut entropy::rng()?);
    let keys = std::iter::once(&fresh).chain(before.iter().take(OLD_KEYS_KEPT));
    replace(&path_in(folder), &text_of(keys))?;
    load_permit_keys(folder)
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("permit.keys")
}

fn text_of<'a>(keys: impl IntoIterator<Item = &'a SealingKey>) -> String {
    keys.into_iter().map(|key| key.to_text() + "\n").collect()
}

fn wrong(path: &Path, line: usize, problem: SealingKeyError) -> KeyFileError {
    KeyFileError::PermitKeys {
        path: path.to_owned(),
        line,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder of its own for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("rejoin-permit-files-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn write(&self, text: &str) {
            replace(&path_in(&self.0), text).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn ids(keys: &PermitKeys) -> Vec<String> {
        keys.iter().map(|key| key.id.to_string()).collect()
    }

    #[test]
    fn a_key_is_made_once() {
        let folder = Folder::new("once");
        let first = load_or_make_permit_keys(&folder.0).unwrap();
        assert_eq!(load_or_make_permit_keys(&folder.0).unwrap(), first);
        assert_eq!(load_permit_keys(&folder.0).unwrap(), first);
    }

    #[test]
    fn a_rotation_puts_a_new_key_first_and_keeps_two() {
        let folder = Folder::new("rotate");
        let mut seen = ids(&load_or_make_permit_keys(&folder.0).unwrap());
        for _ in 0..4 {
            let keys = ids(&rotate_permit_keys(&folder.0).unwrap());
            assert!(!seen.contains(&keys[0]));
            seen.insert(0, keys[0].clone());
            assert_eq!(keys, seen[..seen.len().min(3)]);
        }
        let files = fs::read_dir(&folder.0).unwrap().count();
        assert_eq!(files, 1, "no draft is left");
    }

    #[test]
    fn a_file_is_read_to_its_end_or_refused() {
        let folder = Folder::new("long");
        let good = load_or_make_permit_keys(&folder.0).unwrap();
        let first = good.iter().next().unwrap().to_text();
        let last = SealingKey::generate(&mut entropy::rng().unwrap()).to_text();
        let text = |len: usize| {
            let comment = "#".repeat(len - first.len() - last.len() - 3);
            format!("{first}\n{comment}\n{last}\n")
        };
        folder.write(&text(4_096));
        assert_eq!(load_permit_keys(&folder.0).unwrap().iter().count(), 2);
        folder.write(&text(4_097));
        for error in [
            load_or_make_permit_keys(&folder.0).unwrap_err(),
            rotate_permit_keys(&folder.0).unwrap_err(),
        ] {
            assert!(matches!(error, KeyFileError::TooLong(_)), "{error}");
            let told = "permit.keys is longer than 4096 bytes";
            assert!(error.to_string().contains(told), "{error}");
        }
        assert_eq!(fs::read_to_string(path_in(&folder.0)).unwrap(), text(4_097));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let folder = Folder::new("wrong");
        let good = load_or_make_permit_keys(&folder.0).unwrap();
        let key = good.iter().next().unwrap().to_text();
        for (text, told) in [
            (String::new(), "line 0: there is no permit key".to_owned()),
            (
                format!("# ours\n\n{key}\nnonsense\n"),
                "line 4: expected".into(),
            ),
            (format!("{key}\n{key}\n"), "line 0: two permit keys".into()),
        ] {
            folder.write(&text);
            let error = load_or_make_permit_keys(&folder.0).unwrap_err().to_string();
            assert!(error.contains(&told), "{error}");
            assert!(!error.contains(&key[9..]), "the secret is not repeated");
        }
    }
}
