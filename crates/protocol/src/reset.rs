//! The warm reset: a server says that a connection is not there any more, and proves that it may say so.
//!
//! ```text
//! type 0x46 1 | connection id 4 | token 16
//! ```
//!
//! A token is a keyed hash of the epoch and the connection id (the idea of RFC 9000, section 10.3). The client
//! is told its own when it joins, under its keys; the server needs to remember nothing, so that one which was
//! just restarted can answer the first datagram of a client it has never seen. Whoever has not seen the
//! welcome guesses 128 bits. A reset ends no session: the client resumes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::crypto::hash;
use crate::ids::{ConnectionId, Epoch};
use crate::packet::EPOCHS_TOLD_APART;

/// The first byte of a reset.
pub const RESET: u8 = 0x46;
/// Bytes of a reset: fewer than any data packet to a server has.
pub const RESET_LEN: usize = 1 + size_of::<ConnectionId>() + TOKEN_LEN;
const TOKEN_LEN: usize = 16;

/// Shows that a reset comes from the server.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct ResetToken(#[serde(with = "serde_bytes")] [u8; TOKEN_LEN]);

/// What makes the tokens of one server and its successors.
#[derive(Clone)]
pub struct ResetKey([u8; 32]);

impl ResetKey {
    /// The key that comes of a server's secret.
    #[must_use]
    pub fn of(secret: &[u8; 32]) -> Self {
        Self(hash::keyed(secret, &[b"rejoin reset"]))
    }

    /// The token of one connection.
    #[must_use]
    pub fn token(&self, epoch: Epoch, connection: ConnectionId) -> ResetToken {
        let parts: [&[u8]; 2] = [&epoch.0.to_be_bytes(), &connection.0];
        ResetToken(hash::keyed_short(&self.0, &parts))
    }
}

/// The epoch that a packet's two bits may mean to a server of epoch `own`: for round 0 its own or one of the three
/// before, for each further round four epochs earlier. The first is 1.
#[must_use]
pub const fn epoch_meant(bits: u8, own: Epoch, round: u8) -> Option<Epoch> {
    let back = own.0.wrapping_sub(bits as u64) % EPOCHS_TOLD_APART;
    match own.0.checked_sub(back + round as u64 * EPOCHS_TOLD_APART) {
        Some(0) | None => None,
        Some(epoch) => Some(Epoch(epoch)),
    }
}

/// The datagram that resets a connection.
#[must_use]
pub fn encode(connection: ConnectionId, token: ResetToken) -> [u8; RESET_LEN] {
    let mut out = [RESET; RESET_LEN];
    let (id, rest) = out.split_at_mut(1).1.split_at_mut(connection.0.len());
    id.copy_from_slice(&connection.0);
    rest.copy_from_slice(&token.0);
    out
}

/// Reads what [`encode`] wrote; `None` if it is anything else.
#[must_use]
pub fn decode(datagram: &[u8]) -> Option<(ConnectionId, ResetToken)> {
    let datagram: &[u8; RESET_LEN] = datagram.try_into().ok()?;
    let [RESET, a, b, c, d, token @ ..] = *datagram else {
        return None;
    };
    Some((ConnectionId([a, b, c, d]), ResetToken(token)))
}

impl PartialEq for ResetToken {
    /// In a time that does not tell where they differ.
    fn eq(&self, other: &Self) -> bool {
        hash::equal(&self.0, &other.0)
    }
}

impl Eq for ResetToken {}

impl fmt::Debug for ResetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetToken")
    }
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_server_epoch_and_connection() {
        let (key, other) = (ResetKey::of(&[1; 32]), ResetKey::of(&[2; 32]));
        let (id, next) = (ConnectionId([0, 1, 2, 3]), ConnectionId([0, 1, 2, 4]));
        let token = key.token(Epoch(5), id);
        assert_eq!(token, key.token(Epoch(5), id));
        for different in [
            other.token(Epoch(5), id),
            key.token(Epoch(6), id),
            key.token(Epoch(5), next),
        ] {
            assert_ne!(token, different);
        }
        assert_eq!(decode(&encode(id, token)), Some((id, token)));
    }

    #[test]
    fn only_a_whole_reset_reads_as_one() {
        let bytes = encode(ConnectionId([9; 4]), ResetToken([7; 16]));
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None);
        }
        assert_eq!(decode(&[bytes.as_slice(), &[0]].concat()), None);
        let mut other = bytes;
        other[0] = 0x44;
        assert_eq!(decode(&other), None);
    }

    #[test]
    fn two_bits_mean_one_of_four_epochs_in_each_round() {
        for own in [17, 18, 19, 20, u64::MAX] {
            for back in 0..16 {
                let bits = u8::try_from((own - back) % 4).unwrap();
                let round = u8::try_from(back / 4).unwrap();
                assert_eq!(
                    epoch_meant(bits, Epoch(own), round),
                    Some(Epoch(own - back))
                );
            }
        }
        for bits in [0, 2, 3] {
            assert_eq!(
                epoch_meant(bits, Epoch(1), 0),
                None,
                "there was none before 1"
            );
        }
        assert_eq!(epoch_meant(1, Epoch(5), 1), Some(Epoch(1)));
        assert_eq!(epoch_meant(1, Epoch(5), 2), None);
    }
}
