//! The keys that a game's backend and its servers share: they seal and open permits.

use super::grant::Grant;
use super::permit::{Permit, PermitError, SEALED, SealedPermit};
use super::sealing::{self, OpenError, SealingKey, SealingKeyError, SealingKeyId, SealingKeys};
use crate::random::Rng;

/// All keys that are in use, at least one. The first one mints; every one opens, so that permits
/// minted before a rotation stay good until they expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitKeys(SealingKeys);

/// Why a sealed permit grants nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenPermitError {
    /// Sealed with a key that this server does not have, or no longer.
    #[error("no permit key {0} here")]
    UnknownKey(SealingKeyId),
    /// Changed on the way, or sealed with another key of the same id.
    #[error("the permit is not sealed with permit key {0}")]
    NotAuthentic(SealingKeyId),
    /// Authentic, but the backend wrote something else than a grant.
    #[error("what the backend sealed is of no use: {0}")]
    Grant(PermitError),
}

impl PermitKeys {
    /// Keys in order: the first one mints.
    ///
    /// # Errors
    /// There are none, too many, or two of one id.
    pub fn new(keys: Vec<SealingKey>) -> Result<Self, SealingKeyError> {
        SealingKeys::new(keys).map(Self)
    }

    /// The keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = &SealingKey> {
        self.0.iter()
    }

    /// Seals a grant with the first key.
    ///
    /// # Errors
    /// The grant's name or claims are out of bounds.
    pub fn mint(&self, grant: &Grant, rng: &mut Rng) -> Result<Permit, PermitError> {
        let mut content = Vec::new();
        grant.encode(&mut content)?;
        let bytes = self.0.seal(SEALED, &content, rng);
        Ok(Permit::Sealed(SealedPermit(bytes)))
    }

    /// Opens a permit. Whether it is still good, and for whom, [`Grant::check`] tells.
    ///
    /// # Errors
    /// See [`OpenPermitError`].
    pub fn open(&self, permit: &SealedPermit) -> Result<Grant, OpenPermitError> {
        let mut bytes = permit.0.clone();
        let content = self.0.open(&mut bytes).map_err(|problem| match problem {
            OpenError::UnknownKey(id) => OpenPermitError::UnknownKey(id),
            OpenError::NotAuthentic(id) => OpenPermitError::NotAuthentic(id),
        })?;
        Grant::decode(content).map_err(OpenPermitError::Grant)
    }
}

impl SealedPermit {
    /// The key it names, as it stands in clear.
    #[must_use]
    pub fn key_id(&self) -> SealingKeyId {
        sealing::key_id(&self.0)
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

    fn key(seed: u64) -> SealingKey {
        SealingKey::generate(&mut Rng::from_number(seed))
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
        let namesake: SealingKey = key(2)
            .to_text()
            .replace(&key(2).id.to_string(), &key(1).id.to_string())
            .parse()
            .unwrap();
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
}
