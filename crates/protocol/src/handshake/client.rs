//! The client's side of a join or resume.

use std::fmt;

use snow::HandshakeState;

use super::hello::{self, Body, Head, MAC1_LEN, Purpose};
use super::permit::{Permit, PermitError};
use super::reply::{self, Answer, COOKIE, Offer, REPLY, TICKET_REFUSAL, VERSION_REFUSAL, Welcome};
use super::ticket::Ticket;
use crate::connection::{Role, Setup};
use crate::crypto::kdf::Shared;
use crate::crypto::{PublicKey, StaticKeys, Suite, noise};
use crate::limits::{DATAGRAM_MAX, VERSION_MAX, VERSION_MIN};
use crate::messagepack;
use crate::random::Rng;
use crate::refusal::Refusal;

/// What a client brings to a join. A resume needs neither identity nor permit.
#[derive(Clone, Debug)]
pub struct HandshakeOptions {
    /// The server's pinned key.
    pub server: PublicKey,
    /// The client's own pair; a permit may be bound to it.
    pub identity: StaticKeys,
    /// Leave to enter.
    pub permit: Permit,
    /// The data suites to offer, the one liked best first. A suite that is not offered is not used.
    pub suites: Vec<Suite>,
    /// Wanted when one socket carries several sessions: the server then labels its packets with it.
    pub receive_id: Option<[u8; 4]>,
    /// Orders the hellos of one identity; larger than in any hello before. Wall clock in
    /// microseconds, but any growing number does that is less than a day ahead of it.
    pub moment: u64,
}

/// A hello under way.
pub struct ClientHandshake {
    hello: Vec<u8>,
    mac1: [u8; MAC1_LEN],
    labelled: bool,
    suites: Vec<Suite>,
    /// `None` once a reply has been taken.
    noise: Option<HandshakeState>,
}

/// A join that the server accepted: what is needed to make a connection.
pub struct Established {
    /// For [`Connection::new`](crate::Connection::new).
    pub setup: Setup,
    /// What the server said.
    pub welcome: Welcome,
    /// Shared with the server by this handshake alone: authenticates a later resume.
    pub resume_psk: [u8; 32],
}

/// Why no hello can be made: the caller's own input is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The permit's form is wrong.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// The server's key cannot be a key.
    #[error("the server key is not usable")]
    ServerKey,
}

/// Why a reply does not establish a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Not a reply to this hello: ignore it and go on waiting.
    #[error("not a reply to this hello")]
    NotForUs,
    /// The server asks whether we receive at our address. [`ClientHandshake::hello`] now holds the
    /// answer: send it again.
    #[error("the server wants the hello again, with its cookie")]
    Cookie,
    /// The server speaks none of our versions. Not authenticated, but bound to the hello.
    #[error("{}", version_text(*server_min, *server_max))]
    Version {
        /// The server's oldest.
        server_min: u8,
        /// The server's newest.
        server_max: u8,
    },
    /// The server refused, with its reason.
    #[error("{0}")]
    Refused(Refusal),
    /// The ticket opens nothing at this server: it expired, or is of another server. Not authenticated, but
    /// bound to the hello.
    #[error("the server does not take the ticket")]
    TicketRefused,
    /// The server's reply is authentic but makes no sense: the server is broken.
    #[error("the server's reply makes no sense")]
    Broken,
}

fn version_text(server_min: u8, server_max: u8) -> String {
    let old = if server_max < VERSION_MIN {
        "server"
    } else {
        "client"
    };
    format!(
        "the server speaks protocol versions {server_min} to {server_max}, \
         this client {VERSION_MIN} to {VERSION_MAX}: update the {old}"
    )
}

impl ClientHandshake {
    /// Prepares the hello.
    ///
    /// # Errors
    /// The permit or the server's key cannot be used.
    pub fn new(options: &HandshakeOptions, rng: &mut Rng) -> Result<Self, StartError> {
        let permit = options.permit.encode()?;
        let head = Head::of_this_build(Purpose::Join, options.receive_id);
        let prologue = hello::prologue(&head.encode(), &permit);
        let noise = noise::join_initiator(&options.identity, &options.server, &prologue, rng);
        Self::begin(options, &head, &permit, noise).ok_or(StartError::ServerKey)
    }

    /// Prepares the hello of a resume.
    #[must_use]
    pub fn resume(options: &HandshakeOptions, ticket: &Ticket, rng: &mut Rng) -> Self {
        let sealed = ticket.sealed.as_bytes();
        let head = Head::of_this_build(Purpose::Resume, options.receive_id);
        let prologue = hello::prologue(&head.encode(), sealed);
        let noise = noise::resume_initiator(&ticket.psk, &prologue, rng);
        Self::begin(options, &head, sealed, noise)
            .expect("the first message needs no key of others")
    }

    fn begin(
        options: &HandshakeOptions,
        head: &Head,
        credential: &[u8],
        mut noise: HandshakeState,
    ) -> Option<Self> {
        let suites = &options.suites;
        let offer = messagepack::encode(&Offer::new(options.moment, suites))
            .expect("an offer holds nothing that MessagePack cannot write");
        let mut message = [0; DATAGRAM_MAX];
        let len = noise.write_message(&offer, &mut message).ok()?;
        let (message, _) = message.split_at(len);
        let hello = hello::encode(
            &options.server,
            head,
            Body {
                credential,
                noise: message,
            },
        );
        let mac1 = hello::Hello::decode(&hello)
            .expect("our own hello is well formed")
            .mac1;
        let labelled = options.receive_id.is_some();
        Some(Self {
            hello,
            mac1,
            labelled,
            suites: suites.clone(),
            noise: Some(noise),
        })
    }

    /// The datagram to send, and to send again while no reply comes.
    #[must_use]
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// True if the first bytes look like an answer to a hello rather than a data packet.
    #[must_use]
    pub fn is_reply(datagram: &[u8]) -> bool {
        matches!(
            datagram.first(),
            Some(&(REPLY | VERSION_REFUSAL | COOKIE | TICKET_REFUSAL))
        )
    }

    /// Takes the server's answer. May be called again after [`HandshakeError::NotForUs`].
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub fn handle_reply(&mut self, datagram: &[u8]) -> Result<Established, HandshakeError> {
        match Answer::decode(datagram, &self.mac1).ok_or(HandshakeError::NotForUs)? {
            Answer::Version {
                server_min,
                server_max,
            } => {
                let common = server_min <= VERSION_MAX && VERSION_MIN <= server_max;
                if common || server_min > server_max {
                    return Err(HandshakeError::NotForUs);
                }
                Err(HandshakeError::Version {
                    server_min,
                    server_max,
                })
            }
            // Once there are keys, nobody needs a cookie.
            Answer::Cookie(_) if self.noise.is_none() => Err(HandshakeError::NotForUs),
            Answer::Cookie(cookie) => {
                hello::put_cookie(&mut self.hello, &cookie);
                Err(HandshakeError::Cookie)
            }
            Answer::TicketRefused if self.noise.is_none() => Err(HandshakeError::NotForUs),
            Answer::TicketRefused => Err(HandshakeError::TicketRefused),
            Answer::Reply(message) => self.on_reply(message),
        }
    }

    fn on_reply(&mut self, message: &[u8]) -> Result<Established, HandshakeError> {
        let mut noise = self.noise.take().ok_or(HandshakeError::NotForUs)?;
        let mut payload = [0; DATAGRAM_MAX];
        let Ok(len) = noise.read_message(message, &mut payload) else {
            // A forgery: the state is as before, and the true reply may still come.
            self.noise = Some(noise);
            return Err(HandshakeError::NotForUs);
        };
        let (payload, _) = payload.split_at(len);
        let welcome = reply::decode_verdict(payload)
            .ok_or(HandshakeError::Broken)?
            .map_err(HandshakeError::Refused)?;
        self.establish(noise::finish(noise), welcome)
    }

    fn establish(&self, shared: Shared, welcome: Welcome) -> Result<Established, HandshakeError> {
        let suite = Suite::from_number(welcome.suite)
            .filter(|suite| self.suites.contains(suite))
            .ok_or(HandshakeError::Broken)?;
        if !(VERSION_MIN..=VERSION_MAX).contains(&welcome.version) {
            return Err(HandshakeError::Broken);
        }
        let keys = shared.expand(suite);
        let setup = Setup {
            role: Role::Client,
            seal: keys.to_server,
            open: keys.to_client,
            send_id: Some(welcome.connection),
            labelled: self.labelled,
            epoch: welcome.epoch,
        };
        Ok(Established {
            setup,
            welcome,
            resume_psk: keys.resume_psk,
        })
    }
}

impl fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandshake")
            .field("suites", &self.suites)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Established")
            .field("welcome", &self.welcome)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_refusal_says_which_side_is_old() {
        assert_eq!(
            HandshakeError::Version {
                server_min: 2,
                server_max: 3
            }
            .to_string(),
            "the server speaks protocol versions 2 to 3, this client 1 to 1: update the client"
        );
        assert_eq!(
            HandshakeError::Version {
                server_min: 0,
                server_max: 0
            }
            .to_string(),
            "the server speaks protocol versions 0 to 0, this client 1 to 1: update the server"
        );
    }
}
