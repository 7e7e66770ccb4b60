//! What a player brings to a server: a permit, and the key that it was minted for.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::handshake::Permit;

/// A permit with the client's own keys.
///
/// Written `PERMIT.SECRET`, or `PERMIT` if the caller has the keys elsewhere or needs none (`dev` auth).
/// A backend can make both halves and hand them over on its own secure channel; or the client makes
/// its keys, tells the backend the public half, and gets only the permit.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Leave to enter.
    pub permit: Permit,
    /// The keys that the permit was minted for; `None`: fresh ones, which only `dev` auth takes.
    pub identity: Option<StaticKeys>,
}

/// Text that is not `PERMIT` or `PERMIT.SECRET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a permit as `rejoin token mint` prints it, PERMIT.SECRET in base64url")]
pub struct CredentialsError;

impl Credentials {
    /// The text that [`Credentials::from_str`] reads. It holds a secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        match &self.identity {
            None => self.permit.to_string(),
            Some(keys) => {
                let secret = BASE64URL_NOPAD.encode(keys.secret());
                format!("{}.{secret}", self.permit)
            }
        }
    }
}

impl From<Permit> for Credentials {
    fn from(permit: Permit) -> Self {
        Self {
            permit,
            identity: None,
        }
    }
}

impl FromStr for Credentials {
    type Err = CredentialsError;

    fn from_str(text: &str) -> Result<Self, CredentialsError> {
        let (permit, secret) = match text.trim().split_once('.') {
            Some((permit, secret)) => (permit, Some(secret)),
            None => (text.trim(), None),
        };
        let permit = permit.parse().map_err(|_| CredentialsError)?;
        let identity = secret.map(|secret| {
            let bytes = BASE64URL_NOPAD.decode(secret.as_bytes()).ok();
            let secret: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
            secret.map(StaticKeys::from_secret).ok_or(CredentialsError)
        });
        Ok(Self {
            permit,
            identity: identity.transpose()?,
        })
    }
}

impl fmt::Debug for Credentials {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("permit", &self.permit)
            .field("identity", &self.identity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_read_back_from_their_text() {
        let keys = StaticKeys::from_secret([5; 32]);
        for identity in [None, Some(keys)] {
            let credentials = Credentials {
                permit: Permit::dev("ana"),
                identity,
            };
            let text = credentials.to_text();
            assert_eq!(format!(" {text}\n").parse(), Ok(credentials));
        }
    }

    #[test]
    fn other_text_is_refused_and_the_secret_is_not_shown() {
        let credentials = Credentials {
            permit: Permit::dev("ana"),
            identity: Some(StaticKeys::from_secret([5; 32])),
        };
        let text = credentials.to_text();
        let (_, secret) = text.split_once('.').unwrap();
        for wrong in [
            "",
            ".",
            "AGFuYQ.",
            "AGFuYQ.x",
            "no permit",
            &text[..text.len() - 1],
        ] {
            assert_eq!(
                wrong.parse::<Credentials>(),
                Err(CredentialsError),
                "{wrong}"
            );
        }
        assert!(!format!("{credentials:?}").contains(secret));
    }
}
