//! The server's side of a join: the gates, and the two answers.

use std::fmt;
use std::net::SocketAddr;

use snow::HandshakeState;

use super::cookie::Cookies;
use super::hello::{HELLO, Head, Hello, MAC1_LEN, Mac1Key, prologue};
use super::permit::Permit;
use super::reply::{self, Offer, Verdict, Welcome};
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
    /// The client's static key.
    pub identity: PublicKey,
    /// Leave to enter, as presented. Whether it is good is the caller's to decide.
    pub permit: Permit,
    /// Orders the hellos of one identity.
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
    /// The permit cannot be read.
    #[error("malformed permit")]
    Permit,
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
    datagram.first() == Some(&HELLO)
}

/// Takes a hello through all gates at once; for callers that keep none of their own between them.
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

    /// The permit as presented. The handshake authenticates it only later, by [`ReceivedHello::open`].
    ///
    /// # Errors
    /// [`HelloError::Permit`].
    pub fn permit(&self) -> Result<Permit, HelloError> {
        Permit::decode(self.hello.body.permit).map_err(|_| HelloError::Permit)
    }

    /// The last gates: Diffie-Hellman and the offer. Chance is drawn only here.
    ///
    /// # Errors
    /// See [`HelloError`].
    pub fn open(self, keys: &StaticKeys, rng: &mut Rng) -> Result<OpenHello, HelloError> {
        let permit = self.permit()?;
        let prologue = prologue(self.hello.head_bytes, self.hello.body.permit);
        let mut noise = noise::join_responder(keys, &prologue, rng);
        let mut payload = [0; DATAGRAM_MAX];
        let len = noise
            .read_message(self.hello.body.noise, &mut payload)
            .map_err(|_| HelloError::NotAuthentic)?;
        let identity = noise
            .get_remote_static()
            .and_then(|key| key.first_chunk().copied())
            .map(PublicKey)
            .ok_or(HelloError::NotAuthentic)?;

        let (payload, _) = payload.split_at(len);
        let offer: Offer =
            messagepack::decode(payload, Bounds::CONTROL).map_err(|_| HelloError::Offer)?;
        let suite = offer.best_suite().ok_or(HelloError::Offer)?;
        Ok(OpenHello {
            identity,
            permit,
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
    /// If `welcome` names another version or suite than this hello, or its ticket exceeds
    /// [`TICKET_MAX`](crate::limits::TICKET_MAX).
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
