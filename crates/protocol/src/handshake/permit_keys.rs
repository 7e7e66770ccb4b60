//! The keys that a game's backend and its servers share: they seal and open permits.
//!
//! Sealing is ChaCha20-Poly1305 under the key, with what stands before the grant as associated
//! data. Nonces are random: one key seals at most 2^32 permits (NIST SP 800-38D, section 8.3), which
//! at 1,000 a second is 49 days.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use super::grant::Grant;
use super::permit::{
    KEY_ID_LEN, NONCE_LEN, Permit, PermitError, SEALED, SEALED_HEAD_LEN, SealedPermit,
};
use crate::crypto::{Suite, TrafficKey};
use crate::limits::PERMIT_KEYS_MAX;
use crate::random::Rng;

/// Tells the keys of one backend apart; travels in clear.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermitKeyId(pub [u8; KEY_ID_LEN]);

/// One shared key. Its text is `ID:KEY`, 8 hexadecimal digits and 43 base64url characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PermitKey {
    /// Its name.
    pub id: PermitKeyId,
    secret: [u8; 32],
}

/// All keys that are in use, at least one. The first one mints; every one opens, so that permits
/// minted before a rotation stay good until they expire.
#[derive(Clone, PartialEq, Eq)]
pub struct PermitKeys {
    keys: Vec<PermitKey>,
}

/// Text or keys that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermitKeyError {
    /// Not `ID:KEY`.
    #[error("expected a permit key ID:KEY, 8 hexadecimal digits and 43 base64url characters")]
    Text,
    /// There is none.
    #[error("there is no permit key")]
    Empty,
    /// More than are kept.
    #[error("at most {PERMIT_KEYS_MAX} permit keys are in use at once")]
    TooMany,
    /// Two keys under one id.
    #[error("two permit keys have the id {0}")]
    Twice(PermitKeyId),
}

/// Why a sealed permit grants nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenPermitError {
    /// Sealed with a key that this server does not have, or no longer.
    #[error("no permit key {0} here")]
    UnknownKey(PermitKeyId),
    /// Changed on the way, or sealed with another key of the same id.
    #[error("the permit is not sealed with permit key {0}")]
    NotAuthentic(PermitKeyId),
    /// Authentic, but the backend wrote something else than a grant.
    #[error("what the backend sealed is of no use: {0}")]
    Grant(PermitError),
}

impl PermitKey {
    /// A new key.
    #[must_use]
    pub fn generate(rng: &mut Rng) -> Self {
        Self {
            id: PermitKeyId(rng.bytes()),
            secret: rng.bytes(),
        }
    }

    /// The text that a key file or a backend's configuration holds.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}:{}", self.id, BASE64URL_NOPAD.encode(&self.secret))
    }

    fn cipher(&self, nonce: [u8; NONCE_LEN]) -> TrafficKey {
        TrafficKey::new(Suite::ChaCha20Poly1305, &self.secret, nonce)
    }
}

impl PermitKeys {
    /// Keys in order: the first one mints.
    ///
    /// # Errors
    /// There are none, too many, or two of one id.
    pub fn new(keys: Vec<PermitKey>) -> Result<Self, PermitKeyError> {
        if keys.is_empty() {
            return Err(PermitKeyError::Empty);
        }
        if keys.len() > PERMIT_KEYS_MAX {
            return Err(PermitKeyError::TooMany);
        }
        for (index, key) in keys.iter().enumerate() {
            if keys.iter().take(index).any(|other| other.id == key.id) {
                return Err(PermitKeyError::Twice(key.id));
            }
        }
        Ok(Self { keys })
    }

    /// The keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = &PermitKey> {
        self.keys.iter()
    }

    /// Seals a grant with the first key.
    ///
    /// # Errors
    /// The grant's name or claims are out of bounds.
    pub fn mint(&self, grant: &Grant, rng: &mut Rng) -> Result<Permit, PermitError> {
        let key = self.keys.first().expect("there is at least one key");
        let nonce: [u8; NONCE_LEN] = rng.bytes();
        let mut bytes = [&[SEALED], key.id.0.as_slice(), &nonce].concat();
        grant.encode(&mut bytes)?;
        // Number 0 leaves the nonce as it is.
        key.cipher(nonce).seal(0, &mut bytes, 0, SEALED_HEAD_LEN);
        Ok(Permit::Sealed(SealedPermit(bytes)))
    }

    /// Opens a permit. Whether it is still good, and for whom, [`Grant::check`] tells.
    ///
    /// # Errors
    /// See [`OpenPermitError`].
    pub fn open(&self, permit: &SealedPermit) -> Result<Grant, OpenPermitError> {
        let mut bytes = permit.0.clone();
        let (head, body) = bytes
            .split_first_chunk_mut::<SEALED_HEAD_LEN>()
            .expect("a sealed permit was read with its head");
        let [_, rest @ ..] = *head;
        let (id, nonce) = rest
            .split_first_chunk::<KEY_ID_LEN>()
            .expect("the head holds a key id");
        let id = PermitKeyId(*id);
        let nonce = *nonce.first_chunk().expect("and a nonce");
        let known = self.keys.iter().find(|key| key.id == id);
        let key = known.ok_or(OpenPermitError::UnknownKey(id))?;
        let opened = key.cipher(nonce).open(0, head, body);
        let grant = opened.map_err(|_| OpenPermitError::NotAuthentic(id))?;
        Grant::decode(grant).map_err(OpenPermitError::Grant)
    }
}

impl SealedPermit {
    /// The key it names, as it stands in clear.
    #[must_use]
    pub fn key_id(&self) -> PermitKeyId {
        let id = self.0.get(1..).and_then(|rest| rest.first_chunk());
        PermitKeyId(*id.expect("a sealed permit was read with its head"))
    }
}

impl FromStr for PermitKey {
    type Err = PermitKeyError;

    fn from_str(text: &str) -> Result<Self, PermitKeyError> {
        let (id, secret) = text.split_once(':').ok_or(PermitKeyError::Text)?;
        let id = HEXLOWER.decode(id.as_bytes()).ok();
        let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).ok();
        let id = id.and_then(|id| id.try_into().ok());
        let secret = secret.and_then(|secret| secret.try_into().ok());
        let (id, secret) = id.zip(secret).ok_or(PermitKeyError::Text)?;
        Ok(Self {
            id: PermitKeyId(id),
            secret,
        })
    }
}

impl fmt::Display for PermitKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PermitKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermitKeyId({self})")
    }
}

impl fmt::Debug for PermitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermitKey({})", self.id)
    }
}

impl fmt::Debug for PermitKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PublicKey;
    use crate::handshake::PermitId;
    use crate::limits::{CLAIMS_MAX, NAME_MAX, PERMIT_MAX};

    fn grant() -> Grant {
        Grant {
            id: PermitId([9; 16]),
            expires_unix_s: 1_000,
            client: PublicKey([3; 32]),
            name: "ana".into(),
            claims: b"team=red".to_vec(),
        }
    }

    fn key(seed: u64) -> PermitKey {
        PermitKey::generate(&mut Rng::from_number(seed))
    }

    fn sealed(keys: &PermitKeys) -> SealedPermit {
        let Permit::Sealed(permit) = keys.mint(&grant(), &mut Rng::from_number(5)).unwrap() else {
            panic!("a minted permit is sealed");
        };
        permit
    }

    #[test]
    fn a_minted_permit_opens_with_the_same_key_only() {
        let keys = PermitKeys::new(vec![key(1)]).unwrap();
        let permit = sealed(&keys);
        assert_eq!(permit.key_id(), key(1).id);
        assert_eq!(keys.open(&permit), Ok(grant()));
        let other = PermitKeys::new(vec![key(2)]).unwrap();
        let unknown = OpenPermitError::UnknownKey(key(1).id);
        assert_eq!(other.open(&permit), Err(unknown));
        let namesake = PermitKey {
            id: key(1).id,
            ..key(2)
        };
        let other = PermitKeys::new(vec![namesake]).unwrap();
        let foreign = OpenPermitError::NotAuthentic(key(1).id);
        assert_eq!(other.open(&permit), Err(foreign));
    }

    #[test]
    fn a_rotated_key_opens_what_it_sealed_until_it_is_taken_out() {
        let before = PermitKeys::new(vec![key(1)]).unwrap();
        let during = PermitKeys::new(vec![key(2), key(1)]).unwrap();
        let after = PermitKeys::new(vec![key(2)]).unwrap();
        let (old, new) = (sealed(&before), sealed(&during));
        assert_eq!(new.key_id(), key(2).id);
        assert!(during.open(&old).is_ok() && during.open(&new).is_ok());
        assert!(after.open(&old).is_err() && after.open(&new).is_ok());
    }

    #[test]
    fn no_changed_bit_goes_unnoticed() {
        let keys = PermitKeys::new(vec![key(1)]).unwrap();
        let permit = sealed(&keys);
        // The first byte says that it is sealed at all; a client that changes it has no permit.
        for index in 1..permit.0.len() {
            let mut changed = permit.clone();
            changed.0[index] ^= 0x10;
            assert!(keys.open(&changed).is_err(), "byte {index}");
        }
    }

    #[test]
    fn the_longest_grant_fits_a_permit() {
        let grant = Grant {
            name: "x".repeat(NAME_MAX),
            claims: vec![1; CLAIMS_MAX],
            ..grant()
        };
        let keys = PermitKeys::new(vec![key(1)]).unwrap();
        let permit = keys.mint(&grant, &mut Rng::from_number(5)).unwrap();
        let bytes = permit.encode().unwrap();
        assert!(bytes.len() <= PERMIT_MAX, "{}", bytes.len());
        assert_eq!(Permit::decode(&bytes), Ok(permit));
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
                wrong.parse::<PermitKey>(),
                Err(PermitKeyError::Text),
                "{wrong}"
            );
        }
        assert!(!format!("{:?}", PermitKeys::new(vec![key(1)])).contains(&text[9..]));
    }

    #[test]
    fn the_set_of_keys_has_bounds() {
        assert_eq!(PermitKeys::new(vec![]), Err(PermitKeyError::Empty));
        let twice = PermitKeyError::Twice(key(1).id);
        assert_eq!(PermitKeys::new(vec![key(1), key(2), key(1)]), Err(twice));
        let many = |count| PermitKeys::new((0..count).map(key).collect());
        let most = u64::try_from(PERMIT_KEYS_MAX).unwrap();
        assert!(many(most).is_ok());
        assert_eq!(many(most + 1), Err(PermitKeyError::TooMany));
    }
}
