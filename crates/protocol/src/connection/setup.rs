//! What a connection is made of.

use crate::crypto::TrafficSecret;
use crate::ids::Epoch;

/// What a finished handshake hands to a connection.
#[derive(Debug)]
pub struct Setup {
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
