//! The server's secrets on disk: made with mode 0600 at first use, never written again.
//!
//! ```text
//! DIR/server.key      secret half of the static key pair
//! DIR/session.secret  secret behind session ids and resets
//! DIR/permit.keys     keys of permits, see `permit_files.rs`
//! DIR/ticket.keys     keys of tickets, see `ticket_files.rs`
//! DIR/epoch           how many processes served from here, see `epoch_file.rs`
//! ```
//!
//! Each of the first two holds 32 bytes as 43 characters of unpadded URL-safe base64 and a newline.

use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use rejoin_protocol::crypto::StaticKeys;

use crate::entropy;
use crate::identity::Identity;
use crate::private_files::{KeyFileError, if_there, make, make_folder, read_private};

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
    let used = folder.join("epoch").exists();
    let lost = used.then_some("clients that pin the old key stay out");
    let secret = secret_file(folder.join("server.key"), fresh.keys.secret(), lost)?;
    let lost = used.then_some("players come back as new ones");
    let session_secret = secret_file(folder.join("session.secret"), &fresh.session_secret, lost)?;
    Ok(Identity {
        keys: StaticKeys::from_secret(secret),
        session_secret,
    })
}

/// The secret in the file, which holds `fresh` if it had to be made. `lost` says what comes of that where there was one.
fn secret_file(
    path: PathBuf,
    fresh: &[u8; 32],
    lost: Option<&str>,
) -> Result<[u8; 32], KeyFileError> {
    if let Some(secret) = if_there(read(&path))? {
        return Ok(secret);
    }
    if let Some(lost) = lost {
        tracing::warn!(file = %path.display(), "made anew, though there was one: put back a copy, or {lost}");
    }
    make(&path, &text_of(fresh))?;
    read(&path)
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

#[cfg(test)]
mod tests {
    use std::fs;

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
