//! What a sealed permit grants, in fixed binary, so that any backend can write it.
//!
//! ```text
//! format 1 | permit id 16 | expires 8, seconds since 1970 | client key 32
//!          | name length 1 | name | claims, to the end
//! ```
//!
//! Numbers are big-endian. `docs/permits.md` mints one in three languages.

use std::fmt;

use bytes::BufMut;
use data_encoding::HEXLOWER;

use super::permit::{PermitError, check_name};
use crate::crypto::PublicKey;
use crate::limits::CLAIMS_MAX;
use crate::wire::{Malformed, Reader};

const FORMAT: u8 = 1;

/// Who may open which session, until when, and what the backend says about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Names the session: another permit with the same id, minted later, leads to the same one.
    pub id: PermitId,
    /// Seconds since 1970 after which no session can be opened with it, by the server's clock.
    /// Sessions that are open by then go on.
    pub expires_unix_s: u64,
    /// The client that may use it: a permit seen on the wire is of no use without its key.
    pub client: PublicKey,
    /// The player's name, as [`Permit::Dev`](super::Permit::Dev) bounds it.
    pub name: String,
    /// The backend's own words about the player, told to room logic when it admits; at most
    /// [`CLAIMS_MAX`] bytes.
    pub claims: Vec<u8>,
}

/// Chosen by the backend: random, or derived from an account and a match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermitId(pub [u8; 16]);

/// Why a grant does not let a client in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Its time is over.
    #[error("the permit expired {} s ago", .0)]
    Expired(u64),
    /// It was minted for another client's key.
    #[error("the permit is for another client's key")]
    OtherClient,
}

impl Grant {
    /// Checks what the handshake must show: the client's key, and the time.
    ///
    /// # Errors
    /// See [`GrantError`].
    pub fn check(&self, client: &PublicKey, now_unix_s: u64) -> Result<(), GrantError> {
        if self.client != *client {
            return Err(GrantError::OtherClient);
        }
        match now_unix_s.checked_sub(self.expires_unix_s) {
            Some(past) if past > 0 => Err(GrantError::Expired(past)),
            Some(_) | None => Ok(()),
        }
    }

    /// The bytes that are sealed.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), PermitError> {
        check_name(&self.name)?;
        if self.claims.len() > CLAIMS_MAX {
            return Err(PermitError::ClaimsLength);
        }
        out.put_u8(FORMAT);
        out.put_slice(&self.id.0);
        out.put_u64(self.expires_unix_s);
        out.put_slice(&self.client.0);
        out.put_u8(u8::try_from(self.name.len()).expect("a name is short"));
        out.put_slice(self.name.as_bytes());
        out.put_slice(&self.claims);
        Ok(())
    }

    /// Reads what [`Grant::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, PermitError> {
        let mut reader = Reader::new(bytes);
        let grant = Self::read(&mut reader).map_err(|_| PermitError::Malformed)?;
        check_name(&grant.name)?;
        if grant.claims.len() > CLAIMS_MAX {
            return Err(PermitError::ClaimsLength);
        }
        Ok(grant)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.byte()? != FORMAT {
            return Err(Malformed);
        }
        let id = PermitId(reader.array()?);
        let expires_unix_s = u64::from_be_bytes(reader.array()?);
        let client = PublicKey(reader.array()?);
        let name_len = reader.byte()?;
        let name = str::from_utf8(reader.take(name_len.into())?).map_err(|_| Malformed)?;
        Ok(Self {
            id,
            expires_unix_s,
            client,
            name: name.to_owned(),
            claims: reader.rest().to_vec(),
        })
    }
}

impl std::str::FromStr for PermitId {
    type Err = PermitError;

    fn from_str(text: &str) -> Result<Self, PermitError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok();
        let id = bytes.and_then(|bytes| bytes.try_into().ok());
        id.map(Self).ok_or(PermitError::Malformed)
    }
}

impl fmt::Display for PermitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PermitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermitId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            id: PermitId([9; 16]),
            expires_unix_s: 1_000,
            client: PublicKey([3; 32]),
            name: "ana".into(),
            claims: b"team=red".to_vec(),
        }
    }

    #[test]
    fn a_grant_reads_back_and_any_cut_of_its_fixed_part_is_refused() {
        let mut bytes = Vec::new();
        grant().encode(&mut bytes).unwrap();
        assert_eq!(Grant::decode(&bytes), Ok(grant()));
        let fixed = bytes.len() - grant().claims.len();
        for len in 0..fixed {
            assert!(Grant::decode(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn claims_have_a_bound_on_both_sides() {
        let most = Grant {
            claims: vec![1; CLAIMS_MAX],
            ..grant()
        };
        let mut bytes = Vec::new();
        most.encode(&mut bytes).unwrap();
        assert_eq!(Grant::decode(&bytes), Ok(most));
        bytes.push(1);
        assert_eq!(Grant::decode(&bytes), Err(PermitError::ClaimsLength));
        let more = Grant {
            claims: vec![1; CLAIMS_MAX + 1],
            ..grant()
        };
        assert_eq!(more.encode(&mut bytes), Err(PermitError::ClaimsLength));
    }

    #[test]
    fn a_grant_is_for_one_client_and_one_time() {
        let client = PublicKey([3; 32]);
        assert_eq!(grant().check(&client, 1_000), Ok(()));
        assert_eq!(grant().check(&client, 1_001), Err(GrantError::Expired(1)));
        let other = PublicKey([4; 32]);
        assert_eq!(grant().check(&other, 1), Err(GrantError::OtherClient));
    }
}
