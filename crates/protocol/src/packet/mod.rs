//! Data packets as a stranger sees them: the clear header, short packet numbers, and the
//! window that drops replays.
//!
//! ```text
//! flags 1 | connection id 0 or 4 | packet number 1..4 | sealed frames | tag 16
//! ```
//!
//! Connections read and write whole packets; a server that has yet to find the connection
//! asks [`label`] only.

mod header;
mod number;
mod replay;

pub use header::{EPOCHS_TOLD_APART, Header, LABELLED_BITS, LABELLED_MASK, SHARD_AT};
pub use number::{NUMBER_MAX, TruncatedNumber};
pub use replay::ReplayWindow;

use crate::ids::ConnectionId;

/// The connection that a datagram claims to belong to, or `None` if it is no labelled data packet.
///
/// Nothing is authenticated here: whoever is found decides by decrypting.
#[must_use]
pub fn label(datagram: &[u8]) -> Option<ConnectionId> {
    let (header, _) = Header::decode(datagram).ok()?;
    header.label.map(ConnectionId)
}

/// The two bits of its server's epoch in a data packet; `None` if it is none.
#[must_use]
pub fn epoch_bits(datagram: &[u8]) -> Option<u8> {
    let flags = datagram.first()?;
    (flags & header::TYPE_MASK == 0).then_some(flags >> header::EPOCH_SHIFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labelled_data_packets_name_a_connection() {
        let number = TruncatedNumber::shortest(0, None);
        let mut header = Header {
            epoch_bits: 1,
            key_phase: false,
            label: Some([9; 4]),
            number,
        };
        let mut packet = Vec::new();
        header.encode(&mut packet);
        assert_eq!(label(&packet), Some(ConnectionId([9; 4])));
        assert_eq!(label(&packet[..5]), None);

        header.label = None;
        assert_eq!(epoch_bits(&packet), Some(1));
        assert_eq!((epoch_bits(&[0x40]), epoch_bits(&[])), (None, None));
        packet.clear();
        header.encode(&mut packet);
        assert_eq!(label(&packet), None);
        assert_eq!(label(&[0xff; 40]), None);
    }
}
