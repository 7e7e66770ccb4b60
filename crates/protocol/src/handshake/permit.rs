//! Permits: who may open a session, in the form the auth mode demands.

use serde::{Deserialize, Serialize};

use crate::limits::{NAME_MAX, PERMIT_MAX};
use crate::messagepack::{self, Bounds};

/// A permit in clear, as the Noise prologue carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Permit {
    /// `dev` auth: whoever asks is who they say. Only servers on loopback accept it.
    Dev {
        /// The player's name, 1 to [`NAME_MAX`] bytes without control
        /// characters, since names are shown on terminals.
        name: String,
    },
}

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
    /// The bytes are no permit, or too many.
    #[error("malformed permit")]
    Malformed,
}

impl Permit {
    /// A permit for `dev` auth.
    #[must_use]
    pub fn dev(name: impl Into<String>) -> Self {
        Self::Dev { name: name.into() }
    }

    /// Checks what both sides demand of a permit's form.
    ///
    /// # Errors
    /// Names the demand that is not met.
    pub fn check(&self) -> Result<(), PermitError> {
        match self {
            Self::Dev { name } if name.is_empty() || name.len() > NAME_MAX => {
                Err(PermitError::NameLength)
            }
            Self::Dev { name } if name.chars().any(char::is_control) => {
                Err(PermitError::NameControl)
            }
            Self::Dev { .. } => Ok(()),
        }
    }

    /// The bytes that travel.
    pub(super) fn encode(&self) -> Result<Vec<u8>, PermitError> {
        self.check()?;
        let bytes = messagepack::encode(self).map_err(|_| PermitError::Malformed)?;
        if bytes.len() <= PERMIT_MAX {
            Ok(bytes)
        } else {
            Err(PermitError::Malformed)
        }
    }

    /// Reads what [`Permit::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PermitError> {
        if bytes.len() > PERMIT_MAX {
            return Err(PermitError::Malformed);
        }
        let permit: Self =
            messagepack::decode(bytes, Bounds::PEER).map_err(|_| PermitError::Malformed)?;
        permit.check()?;
        Ok(permit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_reads_back_what_was_written() {
        for name in ["a", "Zoë", &"x".repeat(NAME_MAX)] {
            let permit = Permit::dev(name);
            assert_eq!(Permit::decode(&permit.encode().unwrap()), Ok(permit));
        }
    }

    #[test]
    fn names_out_of_bounds_are_refused_on_both_sides() {
        for (name, error) in [
            (String::new(), PermitError::NameLength),
            ("x".repeat(NAME_MAX + 1), PermitError::NameLength),
            ("\u{1b}[2J".into(), PermitError::NameControl),
        ] {
            let permit = Permit::dev(name);
            assert_eq!(permit.encode(), Err(error));
            let bytes = messagepack::encode(&permit).unwrap();
            assert_eq!(Permit::decode(&bytes), Err(error));
        }
        assert_eq!(Permit::decode(b""), Err(PermitError::Malformed));
        assert_eq!(
            Permit::decode(&[0x90; PERMIT_MAX + 1]),
            Err(PermitError::Malformed)
        );
    }
}
