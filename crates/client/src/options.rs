//! What a client is told when it starts.

use std::time::Duration;

use rejoin_protocol::crypto::{PublicKey, StaticKeys, Suite};
use rejoin_protocol::handshake::{Permit, Ticket};
use rejoin_protocol::limits::{JOIN_TIMEOUT, SEAT_HOLD};

/// What a client is told when it starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's pinned key.
    pub server: PublicKey,
    /// The client's own keys.
    pub identity: StaticKeys,
    /// Leave to enter.
    pub permit: Permit,
    /// The data suites to offer, the one liked best first. Default: all, AES first.
    pub suites: Vec<Suite>,
    /// Label for this client's packets if its socket carries several.
    pub receive_id: Option<[u8; 4]>,
    /// How long to try to join. Default 10 s.
    pub join_timeout: Duration,
    /// For how long a client that lost its connection tries to come back; zero: not at all, the session is over then.
    /// [`Duration::MAX`]: until the caller gives up. Default 120 s, for as long as a server holds seats.
    pub resume_for: Duration,
    /// What an earlier client of the session left: taken in the permit's place, unless the server refuses it.
    pub ticket: Option<Ticket>,
    /// Orders the hellos of one identity: wall clock in microseconds since 1970, or any growing number
    /// below it. One that the server finds too small, or more than a day ahead of its own clock, costs
    /// a round trip more: the client starts anew with one that the server names.
    pub moment: u64,
}

impl Options {
    /// Options with the default timeout, for a socket that carries this client alone.
    #[must_use]
    pub fn new(server: PublicKey, identity: StaticKeys, permit: Permit, moment: u64) -> Self {
        Self {
            server,
            identity,
            permit,
            suites: Suite::ALL.to_vec(),
            receive_id: None,
            join_timeout: JOIN_TIMEOUT,
            resume_for: SEAT_HOLD,
            ticket: None,
            moment,
        }
    }
}
