//! AEAD and X25519 in Rust alone, by RustCrypto and dalek.

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use chacha20poly1305::ChaCha20Poly1305;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::crypto::suite::Suite;
use crate::limits::TAG_LEN;

/// One AEAD key.
pub(in crate::crypto) enum Cipher {
    /// AES-128-GCM. Boxed: its key schedule is much larger than the other's key.
    Aes(Box<Aes128Gcm>),
    /// ChaCha20-Poly1305.
    ChaCha(ChaCha20Poly1305),
}

/// One X25519 secret.
pub(in crate::crypto) struct Secret(StaticSecret);

impl Cipher {
    /// The key of `suite` at the front of `material`.
    pub(in crate::crypto) fn new(suite: Suite, material: &[u8; 32]) -> Self {
        match suite {
            Suite::Aes128Gcm => {
                let key: &[u8; 16] = material.first_chunk().expect("16 bytes are a part of 32");
                Self::Aes(Box::new(Aes128Gcm::new(key.into())))
            }
            Suite::ChaCha20Poly1305 => Self::ChaCha(ChaCha20Poly1305::new(material.into())),
        }
    }

    /// Encrypts in place and gives the tag.
    pub(in crate::crypto) fn seal(
        &self,
        nonce: [u8; 12],
        header: &[u8],
        body: &mut [u8],
    ) -> [u8; TAG_LEN] {
        let (nonce, body) = ((&nonce).into(), InOutBuf::from(body));
        match self {
            Self::Aes(cipher) => cipher.encrypt_inout_detached(nonce, header, body),
            Self::ChaCha(cipher) => cipher.encrypt_inout_detached(nonce, header, body),
        }
        .expect("a datagram is far below the longest message of an AEAD")
        .into()
    }

    /// Decrypts in place; false, with `body` of no meaning, if the tag is wrong.
    #[must_use]
    pub(in crate::crypto) fn open(
        &self,
        nonce: [u8; 12],
        header: &[u8],
        body: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> bool {
        let (nonce, body, tag) = ((&nonce).into(), InOutBuf::from(body), tag.into());
        match self {
            Self::Aes(cipher) => cipher.decrypt_inout_detached(nonce, header, body, tag),
            Self::ChaCha(cipher) => cipher.decrypt_inout_detached(nonce, header, body, tag),
        }
        .is_ok()
    }
}

impl Secret {
    /// The secret of these bytes; any 32 do (RFC 7748, section 5).
    pub(in crate::crypto) fn new(secret: &[u8; 32]) -> Self {
        Self(StaticSecret::from(*secret))
    }

    /// Its public half.
    pub(in crate::crypto) fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// The secret shared with a peer, `None` if the peer's key contributes nothing.
    pub(in crate::crypto) fn agree(&self, peer: &[u8; 32]) -> Option<[u8; 32]> {
        let shared = self.0.diffie_hellman(&PublicKey::from(*peer));
        shared.was_contributory().then(|| shared.to_bytes())
    }
}
