//! Permits: leave to open a session, as a client presents it.
//!
//! ```text
//! dev     0 | name
//! sealed  1 | key id 4 | nonce 12 | grant, encrypted | tag 16
//! ```
//!
//! A client cannot read its own sealed permit: what is inside is between the game's backend, which
//! minted it, and the server (see [`Grant`](super::Grant)).

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use super::sealing::SEALED_LEN_MIN;
use crate::limits::{CLAIMS_MAX, NAME_MAX, PERMIT_MAX};

/// Leave to open a session, in the form that the server's auth mode demands.
///
/// Prints and parses as unpadded URL-safe base64.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permit {
    /// `dev` auth: whoever asks is who they say. Only servers on loopback accept it.
    Dev {
        /// The player's name, 1 to [`NAME_MAX`] bytes without control
        /// characters, since names are shown on terminals.
        name: String,
    },
    /// `token` auth: minted by the game's backend.
    Sealed(SealedPermit),
}

/// The bytes of a sealed permit.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedPermit(pub(super) Vec<u8>);

/// Why a permit cannot be used, by either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermitError {
    /// The name's length is out of bounds.
    #[error("a player's name has 1 to {NAME_MAX} bytes")]
    NameLength,
    /// The name would act on a terminal.
    #[error("a player's name holds no control characters")]
    NameControl,
    /// The claims are too long.
    #[error("claims have at most {CLAIMS_MAX} bytes")]
    ClaimsLength,
    /// The bytes are no permit, or too many.
    #[error("malformed permit")]
    Malformed,
}

pub(super) const DEV: u8 = 0;
pub(super) const SEALED: u8 = 1;

impl Permit {
    /// A permit for `dev` auth.
    #[must_use]
    pub fn dev(name: impl Into<String>) -> Self {
        Self::Dev { name: name.into() }
    }

    /// The bytes that travel.
    pub(super) fn encode(&self) -> Result<Vec<u8>, PermitError> {
        match self {
            Self::Dev { name } => {
                check_name(name)?;
                Ok([&[DEV], name.as_bytes()].concat())
            }
            Self::Sealed(SealedPermit(bytes)) => Ok(bytes.clone()),
        }
    }

    /// Reads what [`Permit::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PermitError> {
        if bytes.len() > PERMIT_MAX {
            return Err(PermitError::Malformed);
        }
        match bytes.split_first() {
            Some((&DEV, name)) => {
                let name = str::from_utf8(name).map_err(|_| PermitError::Malformed)?;
                check_name(name)?;
                Ok(Self::dev(name))
            }
            Some((&SEALED, _)) if bytes.len() >= SEALED_LEN_MIN => {
                Ok(Self::Sealed(SealedPermit(bytes.to_vec())))
            }
            _ => Err(PermitError::Malformed),
        }
    }
}

/// Checks what both sides demand of a player's name.
pub(super) fn check_name(name: &str) -> Result<(), PermitError> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(PermitError::NameLength);
    }
    if name.chars().any(char::is_control) {
        return Err(PermitError::NameControl);
    }
    Ok(())
}

impl fmt::Debug for Permit {
    /// A sealed permit is worth something to whoever reads a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dev { name } => f.debug_struct("Dev").field("name", name).finish(),
            Self::Sealed(permit) => permit.fmt(f),
        }
    }
}

impl fmt::Debug for SealedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedPermit({} bytes)", self.0.len())
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match self {
            Self::Dev { name } => &[&[DEV], name.as_bytes()].concat(),
            Self::Sealed(SealedPermit(bytes)) => bytes,
        };
        f.write_str(&BASE64URL_NOPAD.encode(bytes))
    }
}

impl FromStr for Permit {
    type Err = PermitError;

    fn from_str(text: &str) -> Result<Self, PermitError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
        Self::decode(&bytes.map_err(|_| PermitError::Malformed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_reads_back_from_bytes_and_text() {
        for permit in [
            Permit::dev("a"),
            Permit::dev("Zoë"),
            Permit::dev("x".repeat(NAME_MAX)),
            Permit::Sealed(SealedPermit([&[SEALED], [7; 60].as_slice()].concat())),
        ] {
            let bytes = permit.encode().unwrap();
            assert_eq!(Permit::decode(&bytes), Ok(permit.clone()));
            assert_eq!(permit.to_string().parse(), Ok(permit));
        }
    }

    #[test]
    fn names_out_of_bounds_are_refused_on_both_sides() {
        for (name, error) in [
            (String::new(), PermitError::NameLength),
            ("x".repeat(NAME_MAX + 1), PermitError::NameLength),
            ("\u{1b}[2J".into(), PermitError::NameControl),
        ] {
            let bytes = [&[DEV], name.as_bytes()].concat();
            assert_eq!(Permit::decode(&bytes), Err(error));
            assert_eq!(Permit::dev(name).encode(), Err(error));
        }
    }

    #[test]
    fn what_is_no_permit_is_refused() {
        let long = [SEALED; PERMIT_MAX + 1];
        let cut = [SEALED; SEALED_LEN_MIN - 1];
        for bytes in [[].as_slice(), &[2], &[DEV, 0xff], &long, &cut] {
            assert_eq!(Permit::decode(bytes), Err(PermitError::Malformed));
        }
        assert_eq!(Permit::decode(&[DEV]), Err(PermitError::NameLength));
        assert_eq!(Permit::decode(b"\0a\n"), Err(PermitError::NameControl));
        assert_eq!("a permit".parse::<Permit>(), Err(PermitError::Malformed));
    }

    #[test]
    fn a_sealed_permit_stays_out_of_logs() {
        let permit = Permit::Sealed(SealedPermit(vec![SEALED; 60]));
        assert_eq!(format!("{permit:?}"), "SealedPermit(60 bytes)");
    }
}
