//! Who is measured, and what the tables say of them.

use std::time::Duration;

use rejoin_arena::{Subject, own};

use crate::{colyseus, enet, netcode, quic};

/// A row of the tables.
pub(crate) struct Peer {
    pub(crate) subject: &'static Subject,
    /// What travels is encrypted.
    pub(crate) cipher: &'static str,
    /// It is ours: drawn apart from the others.
    pub(crate) is_ours: bool,
    /// More players it does not let in, whatever it is told.
    pub(crate) players_max: Option<usize>,
    /// Between two looks of a server that is built around frames: its round trips cannot be shorter at the 99th percentile,
    /// and as much more is allowed for when the most players are looked for.
    pub(crate) frame: Duration,
    /// Why it cannot be measured here.
    pub(crate) missing: fn() -> Option<String>,
}

/// In the order of the tables.
pub(crate) static PEERS: &[Peer] = &[
    peer(&own::RAW2, NONE),
    peer(&own::RAW2_AES, AES_128),
    Peer {
        is_ours: true,
        ..peer(&own::REJOIN, AES_128)
    },
    Peer {
        is_ours: true,
        ..peer(&own::EXACT, AES_128)
    },
    Peer {
        players_max: Some(netcode::CLIENTS_MAX),
        frame: netcode::FRAME,
        ..peer(&netcode::SUBJECT, "ChaCha20-Poly1305")
    },
    peer(&quic::SUBJECT, "AES-256-GCM"),
    Peer {
        players_max: Some(enet::PEERS_MAX),
        ..peer(&enet::SUBJECT, NONE)
    },
    Peer {
        missing: colyseus::missing,
        ..peer(&colyseus::SUBJECT, NONE)
    },
];

/// Of a server that sends in clear.
pub(crate) const NONE: &str = "none";
const AES_128: &str = "AES-128-GCM";

/// One that is here, lets everybody in, and looks at its sockets more often than round trips show.
const fn peer(subject: &'static Subject, cipher: &'static str) -> Peer {
    Peer {
        subject,
        cipher,
        is_ours: false,
        players_max: None,
        frame: Duration::ZERO,
        missing: || None,
    }
}

/// The same for the arena's own command.
pub(crate) static SUBJECTS: &[&Subject] = &[
    &own::RAW2,
    &own::RAW2_AES,
    &own::REJOIN,
    &own::EXACT,
    &netcode::SUBJECT,
    &quic::SUBJECT,
    &enet::SUBJECT,
    &colyseus::SUBJECT,
];

impl Peer {
    pub(crate) const fn name(&self) -> &'static str {
        self.subject.name
    }

    /// As many as asked for, or as it lets in.
    pub(crate) fn at_most(&self, players: usize) -> usize {
        self.players_max.map_or(players, |max| players.min(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_are_the_same() {
        let peers = PEERS.iter().map(Peer::name);
        assert!(peers.eq(SUBJECTS.iter().map(|subject| subject.name)));
    }
}
