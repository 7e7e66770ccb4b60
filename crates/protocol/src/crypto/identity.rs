//! Static X25519 keys: the server's, which clients pin, and the client's, which permits name.

use std::fmt;
use std::str::FromStr;

use super::backend::Secret;
use crate::random::Rng;

/// A public X25519 key. Prints and parses as 43 characters of unpadded URL-safe base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// A static key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticKeys {
    secret: [u8; 32],
    public: PublicKey,
}

/// Text that is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a key of 43 base64url characters")]
pub struct KeyError;

impl StaticKeys {
    /// A new pair.
    pub fn generate(rng: &mut Rng) -> Self {
        Self::from_secret(rng.bytes())
    }

    /// The pair of a stored secret.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let public = PublicKey(Secret::new(&secret).public());
        Self { secret, public }
    }

    /// The well-known pair of `dev` auth on loopback. Everyone has it: it protects nothing.
    #[must_use]
    pub fn development() -> Self {
        Self::from_secret(*b"rejoin development key, not safe")
    }

    /// The half to hand out.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The half to keep: for storing it with mode 0600.
    #[must_use]
    pub const fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaticKeys({})", self.public)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = data_encoding::BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map_err(|_| KeyError)?;
        bytes.try_into().map(Self).map_err(|_| KeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_what_it_prints() {
        let key = StaticKeys::generate(&mut Rng::from_number(1)).public();
        assert_eq!(key.to_string().len(), 43);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!("short".parse::<PublicKey>(), Err(KeyError));
    }

    #[test]
    fn debug_shows_the_public_half_alone() {
        let keys = StaticKeys::from_secret([0x41; 32]);
        assert_eq!(
            format!("{keys:?}"),
            format!("StaticKeys({})", keys.public())
        );
    }
}
