//! AEAD and X25519 by aws-lc-rs.

use aws_lc_rs::aead::{AES_128_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};

use crate::crypto::suite::Suite;
use crate::limits::TAG_LEN;

/// One AEAD key.
pub(in crate::crypto) struct Cipher(LessSafeKey);

/// One X25519 secret.
pub(in crate::crypto) struct Secret(PrivateKey);

impl Cipher {
    /// The key of `suite` at the front of `material`.
    pub(in crate::crypto) fn new(suite: Suite, material: &[u8; 32]) -> Self {
        let (algorithm, len) = match suite {
            Suite::Aes128Gcm => (&AES_128_GCM, 16),
            Suite::ChaCha20Poly1305 => (&CHACHA20_POLY1305, 32),
        };
        let (key, _) = material.split_at(len);
        Self(LessSafeKey::new(
            UnboundKey::new(algorithm, key).expect("the key has the suite's length"),
        ))
    }

    /// Encrypts in place and gives the tag.
    pub(in crate::crypto) fn seal(
        &self,
        nonce: [u8; 12],
        header: &[u8],
        body: &mut [u8],
    ) -> [u8; TAG_LEN] {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(header), body)
            .expect("a datagram is far below the longest message of an AEAD");
        *tag.as_ref()
            .first_chunk()
            .expect("both suites have tags of 16 bytes")
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
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0
            .open_in_place_separate_tag(nonce, Aad::from(header), tag, body)
            .is_ok()
    }
}

impl Secret {
    /// The secret of these bytes; any 32 do (RFC 7748, section 5).
    pub(in crate::crypto) fn new(secret: &[u8; 32]) -> Self {
        Self(PrivateKey::from_private_key(&X25519, secret).expect("any 32 bytes are a secret"))
    }

    /// Its public half.
    pub(in crate::crypto) fn public(&self) -> [u8; 32] {
        let public = self
            .0
            .compute_public_key()
            .expect("every secret has a public half");
        *public
            .as_ref()
            .first_chunk()
            .expect("a public key has 32 bytes")
    }

    /// The secret shared with a peer, `None` if the peer's key contributes nothing.
    pub(in crate::crypto) fn agree(&self, peer: &[u8; 32]) -> Option<[u8; 32]> {
        agree(
            &self.0,
            UnparsedPublicKey::new(&X25519, peer),
            (),
            |shared| shared.first_chunk().copied().ok_or(()),
        )
        .ok()
    }
}
