//! What a connection is made of.

use crate::crypto::TrafficKey;
use crate::ids::Epoch;

/// What a finished handshake hands to a connection.
#[derive(Debug)]
pub struct Setup {
    /// Seals what we send.
    pub seal: TrafficKey,
    /// Opens what we receive.
    pub open: TrafficKey,
    /// Label that the packets we send carry; the peer chose it.
    pub send_id: Option<[u8; 4]>,
    /// True if the packets we receive carry a label.
    pub labelled: bool,
    /// The server process; two bits of it travel in each packet.
    pub epoch: Epoch,
}
