//! The permit keys on disk: shared with the game's backend, rotated in place by an operator.
//!
//! `DIR/permit.keys` has the form of [`key_lists`]. A backend that mints has the same first key.

use std::path::{Path, PathBuf};

use rejoin_protocol::handshake::PermitKeys;

use crate::key_lists;
use crate::private_files::KeyFileError;

/// Reads the permit keys in `folder`, and first makes one if there is no file.
///
/// # Errors
/// See [`KeyFileError`]. An existing file is never changed.
pub fn load_or_make_permit_keys(folder: &Path) -> Result<PermitKeys, KeyFileError> {
    key_lists::make_if_missing(&path_in(folder), "")?;
    load_permit_keys(folder)
}

/// Reads the permit keys in `folder`.
///
/// # Errors
/// See [`KeyFileError`].
pub fn load_permit_keys(folder: &Path) -> Result<PermitKeys, KeyFileError> {
    Ok(key_lists::load(&path_in(folder), PermitKeys::new)?.keys)
}

/// Puts a new key before those in `folder`, so that it mints from now on, and keeps the two newest of the
/// others, and nothing else: comments go. Servers learn of it by SIGHUP; backends must be given the new
/// key after them.
///
/// # Errors
/// See [`KeyFileError`]. The file is then as it was.
pub fn rotate_permit_keys(folder: &Path) -> Result<PermitKeys, KeyFileError> {
    let before = load_or_make_permit_keys(folder)?;
    key_lists::rotate(&path_in(folder), before.iter(), "")?;
    load_permit_keys(folder)
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("permit.keys")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rejoin_protocol::handshake::SealingKey;

    use super::*;
    use crate::entropy;
    use crate::private_files::replace;

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
            (String::new(), "permit.keys: there is no key".to_owned()),
            (
                format!("# ours\n\n{key}\nnonsense\n"),
                "permit.keys: line 4: expected".into(),
            ),
            (format!("{key}\n{key}\n"), "permit.keys: two keys".into()),
        ] {
            folder.write(&text);
            let error = load_or_make_permit_keys(&folder.0).unwrap_err().to_string();
            assert!(error.contains(&told), "{error}");
            assert!(!error.contains(&key[9..]), "the secret is not repeated");
        }
    }
}
