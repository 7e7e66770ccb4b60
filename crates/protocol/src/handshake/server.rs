//! The server's side of a join or resume: the gates, and the two answers.

use std::fmt;
use std::net::SocketAddr;

use snow::HandshakeState;

use super::cookie::Cookies;
use super::hello::{HELLO_BITS, HELLO_MASK, Head, Hello, MAC1_LEN, Mac1Key, Purpose, prologue};
use super::permit::Permit;
use super::reply::{self, Offer, Verdict, Welcome};
use super::ticket::SealedTicket;
use crate::connection::{Role, Setup};
use crate::crypto::{PublicKey, StaticKeys, Suite, noise};
use crate::limits::{DATAGRAM_MAX, REFUSAL_TEXT_MAX};
use crate::messagepack::{self, Bounds};
use crate::random::Rng;
use crate::refusal::Refusal;
use crate::text;
use crate::time::Timestamp;

/// A hello that passed all gates up to and including Diffie-Hellman.
#[derive(Debug)]
pub struct OpenHello {
    /// The client's static key; none in a resume, which proves the ticket's psk.
    pub identity: Option<PublicKey>,
    /// Orders the hellos of one identity, or of one session's tickets.
    pub moment: u64,
    /// Names this very hello: equal for the same bytes sent again.
    pub fingerprint: [u8; 16],
    /// The highest version both sides speak.
    pub version: u8,
    /// The suite to use: the first of those the client offers that we know.
    pub suite: Suite,
    receive_id: Option<[u8; 4]>,
    noise: HandshakeState,
}

/// A join accepted: what the server keeps of it.
pub struct Accepted {
    /// For [`Connection::new`](crate::Connection::new).
    pub setup: Setup,
    /// Shared with the client by this handshake alone: authenticates a later resume.
    pub resume_psk: [u8; 32],
}

/// Why a hello goes no further. Except for `Version`, the answer is silence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// Shorter than a full datagram, or cut short inside.
    #[error("malformed hello")]
    Malformed,
    /// Not made for this server's key.
    #[error("hello for another server key")]
    WrongKey,
    /// The permit or ticket cannot be read.
    #[error("malformed permit or ticket")]
    Credential,
    /// The handshake does not authenticate.
    #[error("hello does not authenticate")]
    NotAuthentic,
    /// Authentic, but what it offers cannot be read or holds no suite we know.
    #[error("hello offers nothing we can use")]
    Offer,
    /// No common version. `answer` is for the sender: shorter than its hello.
    #[error("no common protocol version: the client speaks {client_min} to {client_max}")]
    Version {
        /// The client's oldest.
        client_min: u8,
        /// The client's newest.
        client_max: u8,
        /// The datagram that says so.
        answer: Vec<u8>,
    },
}

/// True if a datagram claims to be a hello.
#[must_use]
pub fn is_hello(datagram: &[u8]) -> bool {
    let kind = datagram.first();
    kind.is_some_and(|kind| kind & HELLO_MASK == HELLO_BITS)
}

/// Takes the hello of a join through all gates at once; for callers that keep none of their own between them.
///
/// # Errors
/// See [`HelloError`].
pub fn open_hello(
    datagram: &[u8],
    keys: &StaticKeys,
    rng: &mut Rng,
) -> Result<OpenHello, HelloError> {
    ReceivedHello::read(datagram, &Mac1Key::of(&keys.public()))?.open(keys, rng)
}

/// A hello that passed the gates which need neither memory nor Diffie-Hellman: length, MAC1, version
/// and form. Its sender is still anyone who knows the server's public key.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedHello<'a> {
    hello: Hello<'a>,
    version: u8,
}

impl<'a> ReceivedHello<'a> {
    /// Takes a datagram through the first gates, cheapest first. Nothing is allocated, unless a
    /// version refusal is to be sent.
    ///
    /// # Errors
    /// See [`HelloError`].
    pub fn read(datagram: &'a [u8], server: &Mac1Key) -> Result<Self, HelloError> {
        let hello = Hello::decode(datagram).map_err(|_| HelloError::Malformed)?;
        if !hello.is_for(server) {
            return Err(HelloError::WrongKey);
        }
        let version = hello
            .head
            .common_version()
            .ok_or_else(|| no_common_version(&hello.head, &hello.mac1))?;
        if !hello.is_padded() {
            return Err(HelloError::Malformed);
        }
        Ok(Self { hello, version })
    }

    /// True if the sender has shown that it receives at the address it sends from.
    #[must_use]
    pub fn proves(&self, from: SocketAddr, cookies: &Cookies, now: Timestamp) -> bool {
        cookies.check(from, &self.hello.cookie, now)
    }

    /// Asks the sender to show that it receives at its address: 33 bytes, for any hello.
    #[must_use]
    pub fn ask_cookie(&self, from: SocketAddr, cookies: &Cookies, now: Timestamp) -> Vec<u8> {
        reply::cookie_demand(&self.hello.mac1, &cookies.make(from, now))
    }

    /// What the hello asks for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.hello.head.purpose
    }

    /// The permit as presented. The handshake authenticates it only later, by [`ReceivedHello::open`].
    ///
    /// # Errors
    /// [`HelloError::Credential`].
    pub fn permit(&self) -> Result<Permit, HelloError> {
        if self.purpose() != Purpose::Join {
            return Err(HelloError::Credential);
        }
        Permit::decode(self.hello.body.credential).map_err(|_| HelloError::Credential)
    }

    /// The ticket as presented, as [`ReceivedHello::permit`].
    ///
    /// # Errors
    /// [`HelloError::Credential`].
    pub fn ticket(&self) -> Result<SealedTicket, HelloError> {
        if self.purpose() != Purpose::Resume {
            return Err(HelloError::Credential);
        }
        SealedTicket::from_bytes(self.hello.body.credential).map_err(|_| HelloError::Credential)
    }

    /// Says that the ticket opens nothing here: 17 bytes.
    #[must_use]
    pub fn refuse_ticket(&self) -> Vec<u8> {
        reply::ticket_refusal(&self.hello.mac1)
    }

    /// The last gates of a join: Diffie-Hellman and the offer. Chance is drawn only here.
    ///
    /// # Errors
    /// See [`HelloError`].
    pub fn open(self, keys: &StaticKeys, rng: &mut Rng) -> Result<OpenHello, HelloError> {
        self.permit()?;
        let mut open = self.listen(noise::join_responder(keys, &self.prologue(), rng))?;
        let identity = open.noise.get_remote_static();
        let identity = identity.and_then(|key| key.first_chunk().copied());
        open.identity = Some(identity.map(PublicKey).ok_or(HelloError::NotAuthentic)?);
        Ok(open)
    }

    /// The last gates of a resume: the psk of the ticket that it presents, and the offer.
    ///
    /// # Errors
    /// See [`HelloError`].
    pub fn open_resume(self, psk: &[u8; 32], rng: &mut Rng) -> Result<OpenHello, HelloError> {
        self.ticket()?;
        self.listen(noise::resume_responder(psk, &self.prologue(), rng))
    }

    fn prologue(&self) -> Vec<u8> {
        prologue(self.hello.head_bytes, self.hello.body.credential)
    }

    fn listen(self, mut noise: HandshakeState) -> Result<OpenHello, HelloError> {
        let mut payload = [0; DATAGRAM_MAX];
        let len = noise
            .read_message(self.hello.body.noise, &mut payload)
            .map_err(|_| HelloError::NotAuthentic)?;
        let (payload, _) = payload.split_at(len);
        let offer: Offer =
            messagepack::decode(payload, Bounds::CONTROL).map_err(|_| HelloError::Offer)?;
        let suite = offer.best_suite().ok_or(HelloError::Offer)?;
        Ok(OpenHello {
            identity: None,
            moment: offer.moment,
            fingerprint: self.hello.mac1,
            version: self.version,
            suite,
            receive_id: self.hello.head.receive_id,
            noise,
        })
    }
}

fn no_common_version(head: &Head, mac1: &[u8; MAC1_LEN]) -> HelloError {
    HelloError::Version {
        client_min: head.version_min,
        client_max: head.version_max,
        answer: reply::version_refusal(mac1),
    }
}

impl OpenHello {
    /// Accepts: appends the reply to `out` and gives what the server keeps.
    ///
    /// # Panics
    /// If `welcome` names another version or suite than this hello.
    #[must_use]
    pub fn accept(mut self, welcome: &Welcome, out: &mut Vec<u8>) -> Accepted {
        assert_eq!(
            welcome.version, self.version,
            "the welcome confirms the hello's version"
        );
        assert_eq!(
            welcome.suite,
            self.suite.number(),
            "the welcome confirms the hello's suite"
        );
        self.put_reply(&Ok(welcome.clone()), out);
        let keys = noise::finish(self.noise).expand(self.suite);
        let setup = Setup {
            role: Role::Server,
            seal: keys.to_client,
            open: keys.to_server,
            send_id: self.receive_id,
            labelled: true,
            epoch: welcome.epoch,
        };
        Accepted {
            setup,
            resume_psk: keys.resume_psk,
        }
    }

    /// Refuses, sealed: appends the reply to `out`.
    pub fn refuse(mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        let mut refusal = refusal.clone();
        refusal.text = text::cut(refusal.text, REFUSAL_TEXT_MAX);
        self.put_reply(&Err(refusal), out);
    }

    fn put_reply(&mut self, verdict: &Verdict, out: &mut Vec<u8>) {
        let mut message = [0; DATAGRAM_MAX / 2];
        let len = self
            .noise
            .write_message(&reply::encode_verdict(verdict), &mut message)
            .expect("the client's keys passed in the hello, and a verdict is bounded");
        let (message, _) = message.split_at(len);
        reply::put_reply_head(out, &self.fingerprint);
        out.extend_from_slice(message);
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}
