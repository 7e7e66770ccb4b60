//! Auth: who may open a session, and as whom.
//!
//! A permit is looked at twice: before Diffie-Hellman, which a forged one does not deserve, and
//! after it, when the client has shown its key.

use rejoin_protocol::crypto::{PublicKey, hash};
use rejoin_protocol::handshake::{Grant, Permit, PermitKeys};
use rejoin_protocol::{Incarnation, Refusal, RefusalCode, SessionId};

/// Who may open a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// Everyone: for loopback only.
    Dev,
    /// Whoever holds a permit sealed with one of these keys.
    Token(PermitKeys),
}

/// A permit that was read and, if sealed, opened. Not yet shown to be the client's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OpenPermit {
    Dev { name: String },
    Token(Grant),
}

/// Whom a permit lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    pub(crate) session: SessionId,
    pub(crate) name: String,
    /// What the game's backend says about the player.
    pub(crate) claims: Vec<u8>,
    /// The session's incarnation as a ticket tells it; with a permit nothing is known of one.
    pub(crate) incarnation: Incarnation,
}

/// The client behind a permit, the moment, and what turns both into a session.
#[derive(Clone, Copy)]
pub(crate) struct Proof<'a> {
    pub(crate) identity: PublicKey,
    pub(crate) now_unix_s: u64,
    pub(crate) session_secret: &'a [u8; 32],
}

impl Auth {
    /// Reads a permit before anything is known of who presents it.
    pub(crate) fn open(&self, permit: Permit) -> Result<OpenPermit, Refusal> {
        match (self, permit) {
            (Self::Dev, Permit::Dev { name }) if name.trim().is_empty() => {
                Err(refused("a player's name is not blank"))
            }
            (Self::Dev, Permit::Dev { name }) => Ok(OpenPermit::Dev { name }),
            (Self::Dev, _) => Err(refused("this server takes only development permits")),
            (Self::Token(keys), Permit::Sealed(permit)) => {
                let grant = keys.open(&permit);
                grant
                    .map(OpenPermit::Token)
                    .map_err(|problem| refused(problem.to_string()))
            }
            (Self::Token(_), _) => Err(refused(
                "this server takes only permits that its game's backend minted",
            )),
        }
    }
}

impl OpenPermit {
    /// Checks the permit against the client that presents it. The session is the same one for the
    /// same permit id (in `dev` auth: name and key), after a restart too.
    pub(crate) fn admit(self, proof: Proof<'_>) -> Result<Visitor, Refusal> {
        let session = |parts: &[&[u8]]| SessionId(hash::keyed_short(proof.session_secret, parts));
        match self {
            Self::Dev { name } => Ok(Visitor {
                session: session(&[b"dev", name.as_bytes(), &proof.identity.0]),
                name,
                claims: Vec::new(),
                incarnation: Incarnation::default(),
            }),
            Self::Token(grant) => {
                let checked = grant.check(&proof.identity, proof.now_unix_s);
                checked.map_err(|problem| refused(problem.to_string()))?;
                Ok(Visitor {
                    session: session(&[b"permit", &grant.id.0]),
                    name: grant.name,
                    claims: grant.claims,
                    incarnation: Incarnation::default(),
                })
            }
        }
    }
}

fn refused(text: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::PermitRefused, text)
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;
    use rejoin_protocol::handshake::{PermitId, SealingKey};

    use super::*;

    const CLIENT: PublicKey = PublicKey([3; 32]);

    fn proof(identity: PublicKey, now_unix_s: u64) -> Proof<'static> {
        Proof {
            identity,
            now_unix_s,
            session_secret: &[7; 32],
        }
    }

    fn keys(seed: u64) -> PermitKeys {
        PermitKeys::new(vec![SealingKey::generate(&mut Rng::from_number(seed))]).unwrap()
    }

    fn minted(id: u8, client: PublicKey, nonce: u64) -> Permit {
        let grant = Grant {
            id: PermitId([id; 16]),
            expires_unix_s: 1_000,
            client,
            name: "ana".into(),
            claims: b"red".to_vec(),
        };
        let permit = keys(1).mint(&grant, &mut Rng::from_number(nonce));
        permit.unwrap()
    }

    fn admit(permit: Permit, proof: Proof<'_>) -> Result<Visitor, Refusal> {
        Auth::Token(keys(1)).open(permit)?.admit(proof)
    }

    #[test]
    fn a_permit_names_its_session_however_often_it_is_minted() {
        let first = admit(minted(1, CLIENT, 1), proof(CLIENT, 1_000)).unwrap();
        assert_eq!(
            (first.name.as_str(), first.claims.as_slice()),
            ("ana", b"red".as_slice())
        );
        let device = PublicKey([4; 32]);
        let again = admit(minted(1, device, 2), proof(device, 1)).unwrap();
        assert_eq!(again.session, first.session);
        let other = admit(minted(2, CLIENT, 1), proof(CLIENT, 1)).unwrap();
        assert_ne!(other.session, first.session);
    }

    #[test]
    fn a_permit_is_for_its_own_client_and_time() {
        let thief = admit(minted(1, CLIENT, 1), proof(PublicKey([4; 32]), 1)).unwrap_err();
        assert!(thief.text.contains("another client's key"), "{thief}");
        let late = admit(minted(1, CLIENT, 1), proof(CLIENT, 1_060)).unwrap_err();
        assert!(late.text.contains("expired 60 s ago"), "{late}");
        assert_eq!(late.code, RefusalCode::PermitRefused);
    }

    #[test]
    fn each_mode_takes_its_own_permits_and_says_so() {
        let text = |auth: &Auth, permit| auth.open(permit).unwrap_err().text;
        let token = Auth::Token(keys(2));
        assert!(text(&token, Permit::dev("ana")).contains("backend"));
        assert!(text(&token, minted(1, CLIENT, 1)).contains("no permit key"));
        assert!(text(&Auth::Dev, minted(1, CLIENT, 1)).contains("development permits"));
        assert!(text(&Auth::Dev, Permit::dev("  ")).contains("blank"));
        assert!(Auth::Dev.open(Permit::dev("ana")).is_ok());
    }
}
