//! What makes a server the same server to its players: static keys and session secret.

use std::fmt;

use rejoin_protocol::Rng;
use rejoin_protocol::crypto::StaticKeys;

/// A server's secrets. Whoever has them can stand in for the server.
#[derive(Clone)]
pub struct Identity {
    /// The key pair that clients pin.
    pub keys: StaticKeys,
    /// Turns permits into session ids: the same one after a restart gives the same sessions.
    pub session_secret: [u8; 32],
}

impl Identity {
    /// Fresh secrets.
    #[must_use]
    pub fn generate(rng: &mut Rng) -> Self {
        Self {
            keys: StaticKeys::generate(rng),
            session_secret: rng.bytes(),
        }
    }

    /// The well-known pair, for `dev` auth on loopback, and sessions that end with the process.
    ///
    /// # Errors
    /// The system has no entropy.
    pub fn development() -> Result<Self, getrandom::Error> {
        let session_secret = crate::entropy::rng()?.bytes();
        Ok(Self {
            keys: StaticKeys::development(),
            session_secret,
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.keys.public())
    }
}
