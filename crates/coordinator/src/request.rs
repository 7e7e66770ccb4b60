//! A request of a session, between its datagram and the turn.

use rejoin_protocol::message::ClientMessage;

use crate::keys::{SessionKey, Slot};

/// A request that waits for the turn.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) session: SessionKey,
    /// The connection it came over. Its answer is for that client alone.
    pub(crate) slot: Slot,
    pub(crate) message: ClientMessage,
    /// True if a room of another shard was tried and had no seat: the next one is opened here.
    pub(crate) tried: bool,
}
