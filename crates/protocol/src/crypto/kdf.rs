//! From a finished handshake to traffic keys.

use super::aead::TrafficKey;
use super::backend::NONCE_LEN;
use super::hash;
use super::suite::Suite;

/// What both ends of a finished handshake share and nobody else knows.
pub(crate) struct Shared {
    /// The two keys of Noise's own split.
    pub(crate) split: ([u8; 32], [u8; 32]),
    /// Hash of every handshake byte, so that an edited handshake ends in different keys.
    pub(crate) transcript: [u8; 32],
}

/// The keys of a connection, and the seed of the next one.
pub(crate) struct Keys {
    /// Seals what the client sends.
    pub(crate) to_server: TrafficKey,
    /// Seals what the server sends.
    pub(crate) to_client: TrafficKey,
    /// Authenticates a later resume.
    pub(crate) resume_psk: [u8; 32],
}

impl Shared {
    /// Expands to all keys: extract and expand as in HKDF (RFC 5869), with keyed BLAKE2s as
    /// the pseudo-random function.
    pub(crate) fn expand(&self, suite: Suite) -> Keys {
        let (first, second) = &self.split;
        let parts: [&[u8]; 3] = [b"rejoin traffic", second, &self.transcript];
        let root = hash::keyed(first, &parts);
        let expand = |label: &str| hash::keyed(&root, &[label.as_bytes(), &[suite.number()]]);
        let direction = |key: &str, iv: &str| {
            let iv: [u8; 32] = expand(iv);
            let iv: &[u8; NONCE_LEN] = iv.first_chunk().expect("12 bytes are a part of 32");
            TrafficKey::new(suite, &expand(key), *iv)
        };
        Keys {
            to_server: direction("to server key", "to server iv"),
            to_client: direction("to client key", "to client iv"),
            resume_psk: expand("resume psk"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_packet(key: &TrafficKey) -> Vec<u8> {
        let mut packet = vec![0; 32];
        key.seal(0, &mut packet, 0, 0);
        packet
    }

    #[test]
    fn every_input_changes_every_key() {
        let base = ([1; 32], [2; 32], [3; 32], Suite::Aes128Gcm);
        let variants = [
            base,
            ([9; 32], [2; 32], [3; 32], Suite::Aes128Gcm),
            ([1; 32], [9; 32], [3; 32], Suite::Aes128Gcm),
            ([1; 32], [2; 32], [9; 32], Suite::Aes128Gcm),
            ([1; 32], [2; 32], [3; 32], Suite::ChaCha20Poly1305),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for (first, second, transcript, suite) in variants {
            let keys = Shared {
                split: (first, second),
                transcript,
            }
            .expand(suite);
            assert!(seen.insert(first_packet(&keys.to_server)));
            assert!(seen.insert(first_packet(&keys.to_client)));
            assert!(seen.insert(keys.resume_psk.to_vec()));
        }
    }
}
