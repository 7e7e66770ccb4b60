//! A folder of its own for one test, and tickets to put there.

use std::fs;
use std::path::PathBuf;

use rejoin_protocol::handshake::{Bearer, SealedTicket, Ticket, TicketKeys};
use rejoin_protocol::{Epoch, Incarnation};

use super::duet::SESSION;

/// Removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("rejoin-client-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What is in it, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What a server seals for the clients here.
pub(crate) fn sealed(seed: u8) -> SealedTicket {
    TicketKeys::of(&[7; 32]).seal(&Bearer {
        session: SESSION,
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        psk: [seed; 32],
        expires_unix_s: u64::MAX,
        name: "ana".into(),
        claims: Vec::new(),
    })
}

pub(crate) fn ticket(seed: u8) -> Ticket {
    Ticket {
        sealed: sealed(seed),
        psk: [seed; 32],
    }
}
