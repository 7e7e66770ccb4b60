//! The server's four answers to a hello, and what is sealed inside.
//!
//! ```text
//! cookie   type 0x42 1 | the hello's MAC1 16 | cookie 16
//! version  type 0x43 1 | the hello's MAC1 16 | server min 1 | server max 1
//! reply    type 0x44 1 | first 8 bytes of the hello's MAC1 | noise message 2
//! ticket   type 0x45 1 | the hello's MAC1 16
//! ```
//!
//! All are shorter than the hello. Only the reply is authenticated: a cookie has to be cheap, and without
//! a common version, or a ticket that the server can open, there are no keys in common. The last says that
//! the ticket opens nothing here and not why. The echoed MAC1 shows that their sender saw the hello.

use serde::{Deserialize, Serialize};

use super::cookie::COOKIE_LEN;
use super::hello::MAC1_LEN;
use crate::crypto::Suite;
use crate::ids::{Epoch, Incarnation, SessionId};
use crate::limits::{DATAGRAM_MAX, VERSION_MAX, VERSION_MIN};
use crate::messagepack::{self, Bounds};
use crate::refusal::Refusal;
use crate::reset::ResetToken;
use crate::wire::Reader;

/// The first byte of an answer that asks for a cookie.
pub(super) const COOKIE: u8 = 0x42;
/// The first byte of a version refusal.
pub(super) const VERSION_REFUSAL: u8 = 0x43;
/// The first byte of a reply.
pub(super) const REPLY: u8 = 0x44;
/// The first byte of an answer to a ticket that opens nothing.
pub(super) const TICKET_REFUSAL: u8 = 0x45;
/// Bytes of MAC1 that a reply repeats: enough to tell hellos apart, since Noise authenticates.
const ECHO_LEN: usize = 8;

/// What a server tells a client whose join it accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol version spoken from here on.
    pub version: u8,
    /// Number of the data suite (see [`crate::crypto::Suite`]).
    pub suite: u8,
    /// Connection id that the client puts in its packets.
    #[serde(with = "serde_bytes")]
    pub connection: [u8; 4],
    /// The session.
    pub session: SessionId,
    /// Its incarnation, once a packet has confirmed the join.
    pub incarnation: Incarnation,
    /// The server process.
    pub epoch: Epoch,
    /// What a reset of this connection will show.
    pub reset_token: ResetToken,
}

/// What a client seals into its hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offer {
    /// Orders the hellos of one identity.
    pub(super) moment: u64,
    /// Numbers of the data suites it can use.
    pub(super) suites: Vec<u8>,
}

/// What a server seals into its reply.
pub(super) type Verdict = Result<Welcome, Refusal>;

/// An answer as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// The second message of the Noise pattern.
    Reply(&'a [u8]),
    /// The server wants the hello again, with this.
    Cookie([u8; COOKIE_LEN]),
    /// The server's oldest and newest version.
    Version {
        /// Its oldest.
        server_min: u8,
        /// Its newest.
        server_max: u8,
    },
    /// The ticket opens nothing here.
    TicketRefused,
}

impl<'a> Answer<'a> {
    /// Reads an answer to the hello of this MAC1; `None` if it is anything else.
    pub(super) fn decode(datagram: &'a [u8], mac1: &[u8; MAC1_LEN]) -> Option<Self> {
        let mut reader = Reader::new(datagram);
        match reader.byte().ok()? {
            REPLY if datagram.len() < DATAGRAM_MAX => {
                let echo: [u8; ECHO_LEN] = reader.array().ok()?;
                mac1.starts_with(&echo)
                    .then_some(Self::Reply(reader.rest()))
            }
            COOKIE => {
                let echo: [u8; MAC1_LEN] = reader.array().ok()?;
                let cookie = reader.rest().try_into().ok()?;
                (echo == *mac1).then_some(Self::Cookie(cookie))
            }
            VERSION_REFUSAL => {
                let echo: [u8; MAC1_LEN] = reader.array().ok()?;
                let [server_min, server_max] = reader.rest().try_into().ok()?;
                (echo == *mac1).then_some(Self::Version {
                    server_min,
                    server_max,
                })
            }
            TICKET_REFUSAL => {
                let echo: [u8; MAC1_LEN] = reader.rest().try_into().ok()?;
                (echo == *mac1).then_some(Self::TicketRefused)
            }
            _ => None,
        }
    }
}

/// Appends the front of a reply to the hello of this MAC1.
pub(super) fn put_reply_head(out: &mut Vec<u8>, mac1: &[u8; MAC1_LEN]) {
    out.push(REPLY);
    out.extend(mac1.iter().take(ECHO_LEN));
}

/// The whole demand for a cookie, which answers the hello of this MAC1.
pub(super) fn cookie_demand(mac1: &[u8; MAC1_LEN], cookie: &[u8; COOKIE_LEN]) -> Vec<u8> {
    [&[COOKIE], mac1.as_slice(), cookie].concat()
}

/// The whole version refusal to the hello of this MAC1.
pub(super) fn version_refusal(mac1: &[u8; MAC1_LEN]) -> Vec<u8> {
    [
        &[VERSION_REFUSAL],
        mac1.as_slice(),
        &[VERSION_MIN, VERSION_MAX],
    ]
    .concat()
}

/// The whole answer to a ticket that opens nothing, in the hello of this MAC1.
pub(super) fn ticket_refusal(mac1: &[u8; MAC1_LEN]) -> Vec<u8> {
    [&[TICKET_REFUSAL], mac1.as_slice()].concat()
}

impl Offer {
    /// An offer of these suites.
    pub(super) fn new(moment: u64, suites: &[Suite]) -> Self {
        Self {
            moment,
            suites: suites.iter().map(|suite| suite.number()).collect(),
        }
    }

    /// The first of those offered that we know. The client's order decides: it may lack AES in
    /// its processor, and a server has both suites at hand.
    pub(super) fn best_suite(&self) -> Option<Suite> {
        self.suites
            .iter()
            .find_map(|number| Suite::from_number(*number))
    }
}

/// The bytes of a verdict, shorter than the hello.
pub(super) fn encode_verdict(verdict: &Verdict) -> Vec<u8> {
    messagepack::encode(verdict).expect("a verdict holds nothing that MessagePack cannot write")
}

/// Reads what [`encode_verdict`] wrote; `None` if it makes no sense.
pub(super) fn decode_verdict(bytes: &[u8]) -> Option<Verdict> {
    messagepack::decode(bytes, Bounds::CONTROL).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_for_one_hello_only() {
        let (mac1, other) = ([7; 16], [8; 16]);
        let mut reply = Vec::new();
        put_reply_head(&mut reply, &mac1);
        reply.extend(b"noise");
        assert_eq!(Answer::decode(&reply, &mac1), Some(Answer::Reply(b"noise")));
        assert_eq!(Answer::decode(&reply, &other), None);
        let refusal = version_refusal(&mac1);
        let range = Answer::Version {
            server_min: VERSION_MIN,
            server_max: VERSION_MAX,
        };
        assert_eq!(Answer::decode(&refusal, &mac1), Some(range));
        assert_eq!(Answer::decode(&refusal, &other), None);
        for cut in 0..refusal.len() {
            assert_eq!(Answer::decode(&refusal[..cut], &mac1), None);
        }
        let refusal = ticket_refusal(&mac1);
        assert_eq!(Answer::decode(&refusal, &mac1), Some(Answer::TicketRefused));
        assert_eq!(Answer::decode(&refusal, &other), None);
        assert_eq!(Answer::decode(&refusal[..16], &mac1), None);
    }

    #[test]
    fn the_first_known_suite_is_taken() {
        let offer = |suites: &[u8]| {
            Offer {
                moment: 0,
                suites: suites.to_vec(),
            }
            .best_suite()
        };
        assert_eq!(offer(&[9, 1, 0]), Some(Suite::ChaCha20Poly1305));
        assert_eq!(offer(&[1]), Some(Suite::ChaCha20Poly1305));
        assert_eq!(offer(&[9]), None);
    }
}
