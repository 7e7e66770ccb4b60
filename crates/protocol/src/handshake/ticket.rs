//! Tickets: what lets a client take its session up again, whatever became of the connection.
//!
//! A server seals what it has to know of a session and hands it to the client, which cannot read it. So a
//! ticket outlives the process that sealed it, and nothing has to be stored for it. The content, in fixed
//! binary, numbers big-endian:
//!
//! ```text
//! format 1 | session 16 | incarnation 4 | epoch 8 | psk 32 | expires 8, seconds since 1970
//!          | name length 1 | name | claims, to the end
//! ```
//!
//! A ticket may be used more than once: each use has to prove the psk, and raises the incarnation.

use std::fmt;

use bytes::BufMut;
use data_encoding::BASE64URL_NOPAD;

use super::permit::{PermitError, check_name};
use super::sealing::{SEALED_LEN_MIN, SealingKey, SealingKeyError, SealingKeys};
use crate::crypto::hash;
use crate::ids::{Epoch, Incarnation, SessionId};
use crate::limits::{CLAIMS_MAX, TICKET_MAX};
use crate::planted::{self, Bug};
use crate::random::Rng;
use crate::wire::{Malformed, Reader};

const FORMAT: u8 = 1;
/// First byte of a sealed ticket: permits begin with 0 and 1.
const MARK: u8 = 2;

/// Whoever holds a ticket, as the server that sealed it knew them.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The session.
    pub session: SessionId,
    /// Its incarnation when the ticket was sealed.
    pub incarnation: Incarnation,
    /// The server process that sealed it. A later one is no other server; an earlier one would be a server
    /// that was replaced.
    pub epoch: Epoch,
    /// What the client has to prove to know.
    pub psk: [u8; 32],
    /// Seconds since 1970 after which the ticket opens nothing, by the server's clock.
    pub expires_unix_s: u64,
    /// The player's name.
    pub name: String,
    /// What the game's backend says about the player.
    pub claims: Vec<u8>,
}

/// The bytes of a sealed ticket, as they travel.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedTicket(Vec<u8>);

/// What a client keeps to resume a session: secret, for whoever has it is the player.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// For the server alone.
    pub sealed: SealedTicket,
    /// Shared with the server by the connection on which the ticket came.
    pub psk: [u8; 32],
}

/// The keys that seal and open the tickets of one server and its successors. The first one seals; every one
/// opens, so that a rotation ends no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketKeys(SealingKeys);

/// Why a ticket opens nothing. On the wire all are one refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The bytes are no ticket, or too many.
    #[error("malformed ticket")]
    Malformed,
    /// Changed, or sealed with a key that is not here, or no longer.
    #[error("the ticket is not sealed with a key of this server")]
    NotAuthentic,
    /// Its time is over.
    #[error("the ticket expired {0} s ago")]
    Expired(u64),
}

impl TicketKeys {
    /// Keys in order: the first one seals.
    ///
    /// # Errors
    /// There are none, too many, or two of one id.
    pub fn new(keys: Vec<SealingKey>) -> Result<Self, SealingKeyError> {
        SealingKeys::new(keys).map(Self)
    }

    /// The one key that comes of a server's secret, for a server that keeps no others.
    #[must_use]
    pub fn of(secret: &[u8; 32]) -> Self {
        let mut rng = Rng::from_seed(hash::keyed(secret, &[b"rejoin ticket key"]));
        let key = SealingKey::generate(&mut rng);
        Self::new(vec![key]).expect("one key is neither none nor too many")
    }

    /// The keys, in order.
    pub fn iter(&self) -> impl Iterator<Item = &SealingKey> {
        self.0.iter()
    }

    /// Seals a ticket with the first key.
    ///
    /// # Panics
    /// If name or claims are out of bounds: a permit was read with them.
    #[must_use]
    pub fn seal(&self, bearer: &Bearer) -> SealedTicket {
        let mut content = Vec::new();
        let written = bearer.encode(&mut content);
        written.expect("a bearer's name and claims came of a permit");
        SealedTicket(self.0.seal_by_content(MARK, &content))
    }

    /// Opens a ticket, unless its time is over.
    ///
    /// # Errors
    /// See [`TicketError`].
    pub fn open(&self, ticket: &SealedTicket, now_unix_s: u64) -> Result<Bearer, TicketError> {
        let mut bytes = ticket.0.clone();
        let content = self.0.open(&mut bytes);
        let content = content.map_err(|_| TicketError::NotAuthentic)?;
        let bearer = Bearer::decode(content)?;
        match now_unix_s.checked_sub(bearer.expires_unix_s) {
            Some(past) if past > 0 && !planted::is(Bug::ExpiredTicketOpens) => {
                Err(TicketError::Expired(past))
            }
            Some(_) | None => Ok(bearer),
        }
    }
}

impl Bearer {
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), PermitError> {
        check_name(&self.name)?;
        if self.claims.len() > CLAIMS_MAX {
            return Err(PermitError::ClaimsLength);
        }
        out.put_u8(FORMAT);
        out.put_slice(&self.session.0);
        out.put_u32(self.incarnation.0);
        out.put_u64(self.epoch.0);
        out.put_slice(&self.psk);
        out.put_u64(self.expires_unix_s);
        out.put_u8(u8::try_from(self.name.len()).expect("a name is short"));
        out.put_slice(self.name.as_bytes());
        out.put_slice(&self.claims);
        Ok(())
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, TicketError> {
        let bearer = Self::read(&mut Reader::new(bytes)).map_err(|_| TicketError::Malformed)?;
        if check_name(&bearer.name).is_err() || bearer.claims.len() > CLAIMS_MAX {
            return Err(TicketError::Malformed);
        }
        Ok(bearer)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.byte()? != FORMAT {
            return Err(Malformed);
        }
        let session = SessionId(reader.array()?);
        let incarnation = Incarnation(u32::from_be_bytes(reader.array()?));
        let epoch = Epoch(u64::from_be_bytes(reader.array()?));
        let psk = reader.array()?;
        let expires_unix_s = u64::from_be_bytes(reader.array()?);
        let name_len = reader.byte()?;
        let name = str::from_utf8(reader.take(name_len.into())?).map_err(|_| Malformed)?;
        Ok(Self {
            session,
            incarnation,
            epoch,
            psk,
            expires_unix_s,
            name: name.to_owned(),
            claims: reader.rest().to_vec(),
        })
    }
}

impl SealedTicket {
    /// Reads what a server sealed; only its length and first byte are looked at.
    ///
    /// # Errors
    /// [`TicketError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TicketError> {
        let fits = (SEALED_LEN_MIN..=TICKET_MAX).contains(&bytes.len());
        if !fits || bytes.first() != Some(&MARK) {
            return Err(TicketError::Malformed);
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes that travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Ticket {
    /// The text that a client's file holds: base64url. Whoever reads it is the player.
    #[must_use]
    pub fn to_text(&self) -> String {
        BASE64URL_NOPAD.encode(&[self.psk.as_slice(), self.sealed.as_bytes()].concat())
    }
}

impl std::str::FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
        let bytes = bytes.map_err(|_| TicketError::Malformed)?;
        let (psk, sealed) = bytes.split_first_chunk().ok_or(TicketError::Malformed)?;
        Ok(Self {
            sealed: SealedTicket::from_bytes(sealed)?,
            psk: *psk,
        })
    }
}

impl fmt::Debug for Bearer {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer")
            .field("session", &self.session)
            .field("incarnation", &self.incarnation)
            .field("epoch", &self.epoch)
            .field("expires_unix_s", &self.expires_unix_s)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SealedTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedTicket({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::NAME_MAX;

    fn bearer() -> Bearer {
        Bearer {
            session: SessionId([9; 16]),
            incarnation: Incarnation(3),
            epoch: Epoch(7),
            psk: [5; 32],
            expires_unix_s: 1_000,
            name: "ana".into(),
            claims: b"team=red".to_vec(),
        }
    }

    fn key(seed: u64) -> SealingKey {
        SealingKey::generate(&mut Rng::from_number(seed))
    }

    fn keys(seeds: &[u64]) -> TicketKeys {
        TicketKeys::new(seeds.iter().map(|seed| key(*seed)).collect()).unwrap()
    }

    fn sealed(keys: &TicketKeys) -> SealedTicket {
        keys.seal(&bearer())
    }

    #[test]
    fn a_ticket_opens_until_it_expires_and_while_its_key_is_kept() {
        let ticket = sealed(&keys(&[1]));
        for seeds in [[1].as_slice(), &[2, 1], &[3, 2, 1]] {
            assert_eq!(keys(seeds).open(&ticket, 1_000), Ok(bearer()));
        }
        assert_eq!(
            keys(&[3, 2]).open(&ticket, 1),
            Err(TicketError::NotAuthentic)
        );
        assert_eq!(
            keys(&[1]).open(&ticket, 1_060),
            Err(TicketError::Expired(60))
        );
    }

    #[test]
    fn the_same_bearer_seals_to_the_same_bytes_and_another_to_others() {
        let keys = keys(&[1]);
        let nonce = |ticket: &SealedTicket| ticket.as_bytes()[5..17].to_vec();
        assert_eq!(sealed(&keys), sealed(&keys));
        let mut nonces = vec![nonce(&sealed(&keys))];
        for incarnation in 10..40 {
            let bearer = Bearer {
                incarnation: Incarnation(incarnation),
                ..bearer()
            };
            nonces.push(nonce(&keys.seal(&bearer)));
        }
        nonces.sort_unstable();
        nonces.dedup();
        assert_eq!(nonces.len(), 31);
    }

    #[test]
    fn no_changed_bit_goes_unnoticed() {
        let keys = keys(&[1]);
        let bytes = sealed(&keys).as_bytes().to_vec();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 0x10;
            let read = SealedTicket::from_bytes(&changed);
            assert!(
                read.and_then(|ticket| keys.open(&ticket, 1)).is_err(),
                "byte {index}"
            );
        }
    }

    #[test]
    fn what_is_too_short_or_long_or_a_permit_is_no_ticket() {
        let longest = Bearer {
            name: "x".repeat(NAME_MAX),
            claims: vec![1; CLAIMS_MAX],
            ..bearer()
        };
        let ticket = keys(&[1]).seal(&longest);
        assert!(ticket.as_bytes().len() <= TICKET_MAX, "the longest fits");
        let mut bytes = ticket.as_bytes().to_vec();
        assert_eq!(SealedTicket::from_bytes(&bytes), Ok(ticket));
        for wrong in [
            vec![],
            vec![MARK; SEALED_LEN_MIN - 1],
            vec![MARK; TICKET_MAX + 1],
        ] {
            assert_eq!(
                SealedTicket::from_bytes(&wrong),
                Err(TicketError::Malformed)
            );
        }
        bytes[0] = 1;
        assert_eq!(
            SealedTicket::from_bytes(&bytes),
            Err(TicketError::Malformed)
        );
    }

    #[test]
    fn a_cut_bearer_is_refused() {
        let mut bytes = Vec::new();
        bearer().encode(&mut bytes).unwrap();
        assert_eq!(Bearer::decode(&bytes), Ok(bearer()));
        for len in 0..bytes.len() - bearer().claims.len() {
            assert_eq!(
                Bearer::decode(&bytes[..len]),
                Err(TicketError::Malformed),
                "{len}"
            );
        }
    }

    #[test]
    fn a_clients_ticket_reads_back_from_its_text_and_hides_it_elsewhere() {
        let ticket = Ticket {
            sealed: sealed(&keys(&[1])),
            psk: [5; 32],
        };
        assert_eq!(ticket.to_text().parse(), Ok(ticket.clone()));
        assert_eq!(
            format!("{ticket:?} {:?}", bearer()).matches("psk").count(),
            0
        );
        for wrong in ["", "no ticket", &ticket.to_text()[1..]] {
            assert_eq!(
                wrong.parse::<Ticket>(),
                Err(TicketError::Malformed),
                "{wrong}"
            );
        }
    }
}
