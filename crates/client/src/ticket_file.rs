//! The file that holds a client's ticket, so that the game finds its seats when its process is started again.
//!
//! ```text
//! # Whoever has this ticket is the player.
//! server KEY
//! ticket TICKET
//! check HASH
//! ```
//!
//! `KEY` is the server's, so that no other server is shown the ticket. `HASH` is of both: a ticket that was
//! damaged would be met with silence. All in base64url.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use rejoin_protocol::crypto::{PublicKey, hash};
use rejoin_protocol::handshake::Ticket;
use rejoin_protocol::limits::TICKET_MAX;

/// Longest file that is read, in bytes.
const FILE_LEN_MAX: usize = 4_096;
const _: () = assert!((TICKET_MAX + 32) * 4 / 3 + 512 < FILE_LEN_MAX);

const HEAD: &str = "# Whoever has this ticket is the player.";

/// The ticket of one server in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketFile {
    path: PathBuf,
    server: PublicKey,
}

/// Why a ticket file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TicketFileError {
    /// The system refused.
    #[error("cannot {what} the ticket file {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("the ticket file {} is no plain file", .0.display())]
    NotAFile(PathBuf),
    /// Others can read the secret.
    #[error("the ticket file {} is open to other users: run `chmod 600 {}`", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// Something else, or not all of it. Nothing can come of it but a new start.
    #[error("the ticket file {} is damaged: remove it to begin anew", .0.display())]
    Damaged(PathBuf),
    /// The ticket is another server's, who alone may see it.
    #[error("the ticket file {} is of the server with key {server}: each server needs its own", path.display())]
    OtherServer {
        /// Which file.
        path: PathBuf,
        /// Whose ticket it holds.
        server: PublicKey,
    },
}

impl TicketFile {
    /// The file at `path` for tickets of the server with that key. Nothing is read or made yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, server: PublicKey) -> Self {
        Self {
            path: path.into(),
            server,
        }
    }

    /// The ticket in the file; `None` if there is no file.
    ///
    /// # Errors
    /// See [`TicketFileError`].
    pub fn read(&self) -> Result<Option<Ticket>, TicketFileError> {
        // Before it is opened, as that alone waits for a pipe's writer.
        match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("open", error)),
            Ok(kind) if !kind.is_file() => {
                return Err(TicketFileError::NotAFile(self.path.clone()));
            }
            Ok(_) => {}
        }
        let file = File::open(&self.path).map_err(|error| self.failed("open", error))?;
        if is_exposed(&file).map_err(|error| self.failed("read", error))? {
            return Err(TicketFileError::Exposed(self.path.clone()));
        }
        let mut bytes = Vec::new();
        // One more than there may be, to tell a longer file.
        let most = u64::try_from(FILE_LEN_MAX + 1).unwrap_or(u64::MAX);
        let read = file.take(most).read_to_end(&mut bytes);
        read.map_err(|error| self.failed("read", error))?;
        let (server, ticket) = parse(&bytes).ok_or(TicketFileError::Damaged(self.path.clone()))?;
        if server == self.server {
            Ok(Some(ticket))
        } else {
            let path = self.path.clone();
            Err(TicketFileError::OtherServer { path, server })
        }
    }

    /// Puts a ticket in the place of what the file holds: after a crash at any moment the file holds one of
    /// the two, whole. Waits for the disk.
    ///
    /// # Errors
    /// [`TicketFileError::Io`]; the file is as it was.
    pub fn write(&self, ticket: &Ticket) -> Result<(), TicketFileError> {
        let draft = self.draft();
        let text = text(self.server, ticket);
        let written = write_draft(&draft, &text).and_then(|()| fs::rename(&draft, &self.path));
        if written.is_err() {
            // One that cannot be removed is only untidy.
            drop(fs::remove_file(&draft));
        }
        written.map_err(|error| self.failed("write", error))?;
        // The name is on the disk only then. Not every file system can be asked.
        if let Ok(folder) = File::open(self.folder()) {
            drop(folder.sync_all());
        }
        Ok(())
    }

    /// Removes the file, if it is there.
    ///
    /// # Errors
    /// [`TicketFileError::Io`].
    pub fn remove(&self) -> Result<(), TicketFileError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed("remove", error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn folder(&self) -> &Path {
        let parent = self.path.parent();
        parent
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
    }

    /// A file of this process alone: two that share a ticket file do not write into each other's draft.
    fn draft(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}.draft", std::process::id()));
        PathBuf::from(name)
    }

    fn failed(&self, what: &'static str, source: io::Error) -> TicketFileError {
        let path = self.path.clone();
        TicketFileError::Io { what, path, source }
    }
}

fn write_draft(path: &Path, text: &str) -> io::Result<()> {
    // What an earlier process of our number left, with whatever mode.
    drop(fs::remove_file(path));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn text(server: PublicKey, ticket: &Ticket) -> String {
    let (server, ticket) = (server.to_string(), ticket.to_text());
    let check = check(&server, &ticket);
    format!("{HEAD}\nserver {server}\nticket {ticket}\ncheck {check}\n")
}

/// The whole of it as it was written, or nothing.
fn parse(bytes: &[u8]) -> Option<(PublicKey, Ticket)> {
    let text = str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n').skip(1);
    let server = lines.next()?.strip_prefix("server ")?;
    let ticket = lines.next()?.strip_prefix("ticket ")?;
    let told = lines.next()?.strip_prefix("check ")?;
    let whole = lines.next().is_none() && told == check(server, ticket);
    whole.then_some(())?;
    Some((server.parse().ok()?, ticket.parse().ok()?))
}

fn check(server: &str, ticket: &str) -> String {
    let parts = [b"rejoin ticket file", server.as_bytes(), ticket.as_bytes()];
    BASE64URL_NOPAD.encode(&hash::short(&parts))
}

#[cfg(unix)]
fn is_exposed(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_file: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::folder::{Folder, ticket};

    fn file(folder: &Folder) -> TicketFile {
        TicketFile::new(folder.file("ana.ticket"), PublicKey([1; 32]))
    }

    #[test]
    fn a_ticket_reads_back_and_the_newest_is_in_the_file() {
        let folder = Folder::new("reads-back");
        let file = file(&folder);
        assert_eq!(file.read().unwrap(), None, "nothing is there at first");
        for seed in [1, 2] {
            file.write(&ticket(seed)).unwrap();
            assert_eq!(file.read().unwrap(), Some(ticket(seed)));
        }
        assert_eq!(folder.names(), ["ana.ticket"], "no draft stays");
        file.remove().unwrap();
        assert_eq!(file.read().unwrap(), None);
        file.remove().unwrap();
    }

    #[test]
    fn a_ticket_is_written_beside_and_then_put_in_its_place_or_not_at_all() {
        let folder = Folder::new("atomic");
        let file = file(&folder);
        file.write(&ticket(1)).unwrap();
        let before = File::open(folder.file("ana.ticket")).unwrap();
        file.write(&ticket(2)).unwrap();
        let mut seen = String::new();
        let mut reader = before;
        reader.read_to_string(&mut seen).unwrap();
        assert_eq!(
            seen,
            text(file.server, &ticket(1)),
            "who had opened it reads the old one, whole"
        );
        // The draft cannot be made: its name is a folder's.
        fs::create_dir(file.draft()).unwrap();
        let refused = file.write(&ticket(3)).unwrap_err();
        assert!(
            matches!(refused, TicketFileError::Io { what: "write", .. }),
            "{refused}"
        );
        assert_eq!(file.read().unwrap(), Some(ticket(2)));
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone_and_refused_if_it_is_not() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("modes");
        let file = file(&folder);
        file.write(&ticket(1)).unwrap();
        let mode = |mode| {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(&file.path, permissions).unwrap();
        };
        let written = fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(written & 0o777, 0o600);
        for open in [0o640, 0o604, 0o620, 0o611] {
            mode(open);
            let refused = file.read().unwrap_err();
            assert!(matches!(refused, TicketFileError::Exposed(_)), "{open:o}");
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
        }
        mode(0o400);
        assert_eq!(file.read().unwrap(), Some(ticket(1)));
        file.write(&ticket(2)).unwrap();
        let again = fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(again & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_an_error_whatever_is_missing_or_changed() {
        let folder = Folder::new("damaged");
        let file = file(&folder);
        file.write(&ticket(1)).unwrap();
        let whole = fs::read(&file.path).unwrap();
        let refused = |bytes: &[u8]| {
            fs::write(&file.path, bytes).unwrap();
            matches!(file.read(), Err(TicketFileError::Damaged(_)))
        };
        for len in 0..whole.len() {
            assert!(refused(&whole[..len]), "cut to {len} bytes");
        }
        for index in HEAD.len()..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 1;
            assert!(refused(&changed), "byte {index}");
        }
        let longer = [whole.as_slice(), &vec![b'\n'; FILE_LEN_MAX]].concat();
        assert!(refused(&longer) && refused(&[0xff; 9]));
        fs::write(&file.path, whole).unwrap();
        assert_eq!(file.read().unwrap(), Some(ticket(1)));
    }

    #[test]
    fn a_ticket_is_shown_to_no_other_server() {
        let folder = Folder::new("foreign");
        let ours = file(&folder);
        ours.write(&ticket(1)).unwrap();
        let other = TicketFile::new(ours.path.clone(), PublicKey([2; 32]));
        let refused = other.read().unwrap_err();
        let is_other = matches!(
            &refused,
            TicketFileError::OtherServer { server, .. } if *server == ours.server
        );
        assert!(is_other, "{refused}");
        assert!(refused.to_string().contains(&ours.server.to_string()));
    }

    #[test]
    fn what_is_no_file_is_an_error_at_once() {
        let folder = Folder::new("no-file");
        let file = TicketFile::new(folder.file(""), PublicKey([1; 32]));
        assert!(matches!(file.read(), Err(TicketFileError::NotAFile(_))));
        let file = TicketFile::new(folder.file("none/ana.ticket"), PublicKey([1; 32]));
        assert_eq!(file.read().unwrap(), None);
        assert!(file.write(&ticket(1)).is_err());
    }

    #[test]
    fn nothing_tells_the_ticket_but_the_file() {
        let folder = Folder::new("secret");
        let file = file(&folder);
        file.write(&ticket(9)).unwrap();
        let secret = ticket(9).to_text();
        let told = format!("{file:?} {:?}", file.read());
        assert!(!told.contains(&secret[..20]), "{told}");
    }
}
