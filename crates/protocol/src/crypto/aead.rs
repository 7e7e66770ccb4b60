//! Sealing of data packets: one key and IV per direction.

use super::backend::{Cipher, NONCE_LEN};
pub use super::suite::Suite;
use crate::limits::TAG_LEN;

/// Key and IV of one direction. The nonce is the IV xor the 64-bit packet number, as in TLS 1.3
/// (RFC 8446, section 5.3), so the caller must never seal two packets under one number.
pub struct TrafficKey {
    cipher: Cipher,
    iv: [u8; NONCE_LEN],
    #[cfg(feature = "planted-bugs")]
    name: u64,
}

impl std::fmt::Debug for TrafficKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrafficKey")
    }
}

/// A packet that did not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packet does not authenticate")]
pub struct OpenError;

impl TrafficKey {
    /// The key of one direction, for both ends alike. AES-128-GCM uses the first 16 bytes of
    /// `material`.
    #[must_use]
    pub fn new(suite: Suite, material: &[u8; 32], iv: [u8; NONCE_LEN]) -> Self {
        Self {
            cipher: Cipher::new(suite, material),
            iv,
            #[cfg(feature = "planted-bugs")]
            name: super::witness::name(suite, material),
        }
    }

    /// Seals the packet that begins at `start` and ends with the buffer: its first `header_len`
    /// bytes are authenticated, the rest is encrypted in place, and the tag is appended.
    ///
    /// # Panics
    /// If the buffer ends before the header does.
    pub fn seal(&self, number: u64, packet: &mut Vec<u8>, start: usize, header_len: usize) {
        let (_, sealed) = packet.split_at_mut(start);
        let (header, body) = sealed.split_at_mut(header_len);
        #[cfg(feature = "planted-bugs")]
        super::witness::note(self.name, self.nonce(number), header, body);
        let tag = self.cipher.seal(self.nonce(number), header, body);
        packet.extend_from_slice(&tag);
    }

    /// Opens `body` (ciphertext and tag) in place; the plaintext is its front.
    ///
    /// # Errors
    /// The packet was changed, or is of another key. What `body` then holds means nothing.
    pub fn open<'a>(
        &self,
        number: u64,
        header: &[u8],
        body: &'a mut [u8],
    ) -> Result<&'a mut [u8], OpenError> {
        let (text, tag) = body.split_last_chunk_mut::<TAG_LEN>().ok_or(OpenError)?;
        if self.cipher.open(self.nonce(number), header, text, tag) {
            Ok(text)
        } else {
            Err(OpenError)
        }
    }

    fn nonce(&self, number: u64) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        let (_, tail) = nonce.split_at_mut(NONCE_LEN - size_of::<u64>());
        for (byte, mask) in tail.iter_mut().zip(number.to_be_bytes()) {
            *byte ^= mask;
        }
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(key: &TrafficKey, number: u64) -> Vec<u8> {
        let mut packet = b"before|head|body".to_vec();
        key.seal(number, &mut packet, 7, 5);
        packet
    }

    #[test]
    fn a_packet_opens_under_its_own_key_number_and_header_only() {
        for suite in Suite::ALL {
            let key = TrafficKey::new(suite, &[1; 32], [2; 12]);
            let packet = sealed(&key, 9);
            assert_eq!(&packet[..12], b"before|head|");
            assert_ne!(&packet[12..16], b"body");
            let open = |key: &TrafficKey, number, header: &[u8]| {
                let mut body = packet[12..].to_vec();
                key.open(number, header, &mut body)
                    .map(|text| text.to_vec())
            };
            assert_eq!(open(&key, 9, b"head|"), Ok(b"body".to_vec()));
            assert_eq!(open(&key, 10, b"head|"), Err(OpenError));
            assert_eq!(open(&key, 9, b"heap|"), Err(OpenError));
            for other in [
                TrafficKey::new(suite, &[3; 32], [2; 12]),
                TrafficKey::new(suite, &[1; 32], [3; 12]),
            ] {
                assert_eq!(open(&other, 9, b"head|"), Err(OpenError));
            }
        }
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let key = TrafficKey::new(Suite::Aes128Gcm, &[1; 32], [2; 12]);
        let packet = sealed(&key, 9);
        for index in 12..packet.len() {
            let mut body = packet[12..].to_vec();
            body[index - 12] ^= 1;
            assert_eq!(key.open(9, b"head|", &mut body), Err(OpenError));
            let mut cut = packet[12..index].to_vec();
            assert_eq!(key.open(9, b"head|", &mut cut), Err(OpenError));
        }
    }

    #[test]
    fn numbers_and_directions_do_not_share_a_nonce() {
        let key = TrafficKey::new(Suite::Aes128Gcm, &[1; 32], [0xff; 12]);
        assert_eq!(key.nonce(0), [0xff; 12]);
        assert_eq!(
            key.nonce(0x0102)[..],
            [[0xff; 10].as_slice(), &[0xfe, 0xfd]].concat()
        );
    }
}
