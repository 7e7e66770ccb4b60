//! From a finished handshake to traffic secrets, and from each to its key and its successor.

use super::aead::TrafficKey;
use super::backend::NONCE_LEN;
use super::hash;
use super::suite::Suite;

/// What one direction's present key is made from, and all keys after it; none before it, so that
/// a secret that leaks opens nothing that was sent under older keys.
#[derive(Clone)]
pub struct TrafficSecret {
    suite: Suite,
    secret: [u8; 32],
}

impl std::fmt::Debug for TrafficSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrafficSecret")
    }
}

impl TrafficSecret {
    /// The secret that both ends of one direction begin with.
    #[must_use]
    pub const fn new(suite: Suite, secret: [u8; 32]) -> Self {
        Self { suite, secret }
    }

    /// The key and IV of this secret.
    #[must_use]
    pub fn key(&self) -> TrafficKey {
        let iv = self.expand("key iv");
        let iv: &[u8; NONCE_LEN] = iv.first_chunk().expect("12 bytes are a part of 32");
        TrafficKey::new(self.suite, &self.expand("key"), *iv)
    }

    /// The secret after this one.
    #[must_use]
    pub fn next(&self) -> Self {
        Self::new(self.suite, self.expand("next secret"))
    }

    fn expand(&self, label: &str) -> [u8; 32] {
        hash::keyed(&self.secret, &[label.as_bytes(), &[self.suite.number()]])
    }
}

/// What both ends of a finished handshake share and nobody else knows.
pub(crate) struct Shared {
    /// The two keys of Noise's own split.
    pub(crate) split: ([u8; 32], [u8; 32]),
    /// Hash of every handshake byte, so that an edited handshake ends in different keys.
    pub(crate) transcript: [u8; 32],
}

/// The secrets of a connection, and the seed of the next one.
pub(crate) struct Keys {
    /// For what the client sends.
    pub(crate) to_server: TrafficSecret,
    /// For what the server sends.
    pub(crate) to_client: TrafficSecret,
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
        Keys {
            to_server: TrafficSecret::new(suite, expand("to server")),
            to_client: TrafficSecret::new(suite, expand("to client")),
            resume_psk: expand("resume psk"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_packet(secret: &TrafficSecret) -> Vec<u8> {
        let mut packet = vec![0; 32];
        secret.key().seal(0, &mut packet, 0, 0);
        packet
    }

    #[test]
    fn a_chain_of_secrets_never_repeats_and_is_the_same_at_both_ends() {
        for suite in Suite::ALL {
            let (mut one, mut other) = (
                TrafficSecret::new(suite, [7; 32]),
                TrafficSecret::new(suite, [7; 32]),
            );
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..50 {
                assert_eq!(first_packet(&one), first_packet(&other));
                assert!(seen.insert(first_packet(&one)));
                (one, other) = (one.next(), other.next());
            }
        }
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
