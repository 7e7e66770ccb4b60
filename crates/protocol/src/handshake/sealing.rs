//! Keys with which a server, or a game's backend, seals what a client keeps and cannot read: permits and tickets.
//!
//! ```text
//! mark 1 | key id 4 | nonce 12 | content, encrypted | tag 16
//! ```
//!
//! Sealing is ChaCha20-Poly1305 under the key, with what stands before the content as associated
//! data. Nonces are random: one key seals at most 2^32 times (NIST SP 800-38D, section 8.3), which
//! at 1,000 a second is 49 days.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use crate::crypto::{Suite, TrafficKey, hash};
use crate::limits::{SEALING_KEYS_MAX, TAG_LEN};
use crate::random::Rng;

/// Tells the keys of one file apart; travels in clear.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealingKeyId(pub [u8; KEY_ID_LEN]);

/// One key. Its text is `ID:KEY`, 8 hexadecimal digits and 43 base64url characters.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKey {
    /// Its name.
    pub id: SealingKeyId,
    secret: [u8; 32],
}

/// All keys that are in use, at least one. The first one seals; every one opens, so that what was
/// sealed before a rotation stays good until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKeys {
    keys: Vec<SealingKey>,
}

/// Text or keys that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealingKeyError {
    /// Not `ID:KEY`.
    #[error("expected a key ID:KEY, 8 hexadecimal digits and 43 base64url characters")]
    Text,
    /// There is none.
    #[error("there is no key")]
    Empty,
    /// More than are kept.
    #[error("at most {SEALING_KEYS_MAX} keys are in use at once")]
    TooMany,
    /// Two keys under one id.
    #[error("two keys have the id {0}")]
    Twice(SealingKeyId),
}

/// Why sealed bytes do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// Sealed with a key that is not here, or no longer.
    UnknownKey(SealingKeyId),
    /// Changed, or sealed with another key of the same id.
    NotAuthentic(SealingKeyId),
}

pub(super) const KEY_ID_LEN: usize = 4;
pub(super) const NONCE_LEN: usize = 12;
/// Bytes before the sealed content: mark, key id, nonce.
pub(super) const SEALED_HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
/// Bytes of something sealed that holds nothing.
pub(super) const SEALED_LEN_MIN: usize = SEALED_HEAD_LEN + TAG_LEN;

impl SealingKey {
    /// A new key.
    #[must_use]
    pub fn generate(rng: &mut Rng) -> Self {
        Self {
            id: SealingKeyId(rng.bytes()),
            secret: rng.bytes(),
        }
    }

    /// The text that a key file or a backend's configuration holds.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}:{}", self.id, BASE64URL_NOPAD.encode(&self.secret))
    }

    fn seal(&self, mark: u8, content: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut bytes = [&[mark], self.id.0.as_slice(), &nonce, content].concat();
        // Number 0 leaves the nonce as it is.
        self.cipher(nonce).seal(0, &mut bytes, 0, SEALED_HEAD_LEN);
        bytes
    }

    fn cipher(&self, nonce: [u8; NONCE_LEN]) -> TrafficKey {
        TrafficKey::new(Suite::ChaCha20Poly1305, &self.secret, nonce)
    }
}

impl SealingKeys {
    /// Keys in order: the first one seals.
    ///
    /// # Errors
    /// There are none, too many, or two of one id.
    pub fn new(keys: Vec<SealingKey>) -> Result<Self, SealingKeyError> {
        if keys.is_empty() {
            return Err(SealingKeyError::Empty);
        }
        if keys.len() > SEALING_KEYS_MAX {
            return Err(SealingKeyError::TooMany);
        }
        for (index, key) in keys.iter().enumerate() {
            if keys.iter().take(index).any(|other| other.id == key.id) {
                return Err(SealingKeyError::Twice(key.id));
            }
        }
        Ok(Self { keys })
    }

    /// The keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = &SealingKey> {
        self.keys.iter()
    }

    /// Seals `content` with the first key, under a nonce of chance.
    pub(super) fn seal(&self, mark: u8, content: &[u8], rng: &mut Rng) -> Vec<u8> {
        self.first().seal(mark, content, rng.bytes())
    }

    /// The same under a nonce that is a keyed hash of the content, for whoever has no chance at hand (as RFC 5297
    /// does). Contents that differ have nonces of chance; the same content gives the same bytes.
    pub(super) fn seal_by_content(&self, mark: u8, content: &[u8]) -> Vec<u8> {
        let key = self.first();
        let hash = hash::keyed(&key.secret, &[b"rejoin sealing nonce", content]);
        let nonce = hash.first_chunk().expect("12 bytes are a part of 32");
        key.seal(mark, content, *nonce)
    }

    fn first(&self) -> &SealingKey {
        self.keys.first().expect("there is at least one key")
    }

    /// Opens what was sealed, in place; gives the content. `bytes` are at least
    /// [`SEALED_LEN_MIN`].
    pub(super) fn open<'a>(&self, bytes: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        let id = key_id(bytes);
        let (head, body) = bytes
            .split_first_chunk_mut::<SEALED_HEAD_LEN>()
            .expect("what is sealed was read with its head");
        let nonce = *head.last_chunk().expect("the head ends with the nonce");
        let known = self.keys.iter().find(|key| key.id == id);
        let key = known.ok_or(OpenError::UnknownKey(id))?;
        let opened = key.cipher(nonce).open(0, head, body);
        opened
            .map(|content| &*content)
            .map_err(|_| OpenError::NotAuthentic(id))
    }
}

/// The key that sealed bytes name. They are at least [`SEALED_LEN_MIN`].
pub(super) fn key_id(sealed: &[u8]) -> SealingKeyId {
    let id = sealed.get(1..).and_then(|rest| rest.first_chunk());
    SealingKeyId(*id.expect("what is sealed was read with its head"))
}

impl FromStr for SealingKey {
    type Err = SealingKeyError;

    fn from_str(text: &str) -> Result<Self, SealingKeyError> {
        let (id, secret) = text.split_once(':').ok_or(SealingKeyError::Text)?;
        let id = HEXLOWER.decode(id.as_bytes()).ok();
        let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).ok();
        let id = id.and_then(|id| id.try_into().ok());
        let secret = secret.and_then(|secret| secret.try_into().ok());
        let (id, secret) = id.zip(secret).ok_or(SealingKeyError::Text)?;
        Ok(Self {
            id: SealingKeyId(id),
            secret,
        })
    }
}

impl fmt::Display for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeyId({self})")
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u64) -> SealingKey {
        SealingKey::generate(&mut Rng::from_number(seed))
    }

    #[test]
    fn keys_read_back_from_their_text_and_hide_it_elsewhere() {
        let text = key(1).to_text();
        assert_eq!(text.parse(), Ok(key(1)));
        assert_eq!(text.len(), 8 + 1 + 43);
        for wrong in [
            "",
            "a1b2c3d4",
            "a1b2c3d4:short",
            &text[1..],
            &text.replace(':', "."),
        ] {
            assert_eq!(
                wrong.parse::<SealingKey>(),
                Err(SealingKeyError::Text),
                "{wrong}"
            );
        }
        assert!(!format!("{:?}", SealingKeys::new(vec![key(1)])).contains(&text[9..]));
    }

    #[test]
    fn the_set_of_keys_has_bounds() {
        assert_eq!(SealingKeys::new(vec![]), Err(SealingKeyError::Empty));
        let twice = SealingKeyError::Twice(key(1).id);
        assert_eq!(SealingKeys::new(vec![key(1), key(2), key(1)]), Err(twice));
        let many = |count| SealingKeys::new((0..count).map(key).collect());
        let most = u64::try_from(SEALING_KEYS_MAX).unwrap();
        assert!(many(most).is_ok());
        assert_eq!(many(most + 1), Err(SealingKeyError::TooMany));
    }
}
