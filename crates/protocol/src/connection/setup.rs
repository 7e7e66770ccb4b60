//! What a connection is made of.

use crate::crypto::TrafficSecret;
use crate::ids::Epoch;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one that asked to join.
    Client,
    /// The one that lets in.
    Server,
}

impl Role {
    /// The other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What a finished handshake hands to a connection.
#[derive(Debug)]
pub struct Setup {
    /// Our end: how much we hold for the peer, and it for us.
    pub role: Role,
    /// For what we send.
    pub seal: TrafficSecret,
    /// For what we receive.
    pub open: TrafficSecret,
    /// Label that the packets we send carry; the peer chose it.
    pub send_id: Option<[u8; 4]>,
    /// True if the packets we receive carry a label.
    pub labelled: bool,
    /// The server process; two bits of it travel in each packet.
    pub epoch: Epoch,
}
