//! Joins and resumes, each in one round trip: `Noise_IK_25519_ChaChaPoly_BLAKE2s` with a permit opens a
//! session, `Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s` with a ticket takes it up again, for one Diffie-Hellman in
//! the place of four.
//!
//! ```text
//! client                                            server
//!   hello, padded to 1200 B: header, MAC1, permit,
//!   noise e es s ss {offer}                  ---->   gates, cheapest first, then Diffie-Hellman
//!   (or ticket, noise psk e {offer})
//!                                            <----   reply: noise e ee se {welcome or refusal}
//!                                                    (or noise e ee {..})
//!   first data packet under the new keys     ---->   only now does a session change
//! ```
//!
//! A hello that is lost is sent again unchanged; the server answers it with the same reply. A server
//! under load answers with a cookie first, and the client sends the same hello with the cookie in it.
//! The bytes are drawn in `hello.rs` and `reply.rs`.

mod client;
mod cookie;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod grant;
mod hello;
mod permit;
mod permit_keys;
mod reply;
mod sealing;
mod server;
#[cfg(test)]
mod tests;
mod ticket;

pub use client::{ClientHandshake, Established, HandshakeError, HandshakeOptions, StartError};
pub use cookie::{COOKIE_PERIOD, Cookies};
pub use grant::{Grant, GrantError, PermitId};
pub use hello::{HELLO_BITS, HELLO_MASK, JOIN, Mac1Key, Purpose, RESUME, carries_cookie};
pub use permit::{Permit, PermitError, SealedPermit};
pub use permit_keys::{OpenPermitError, PermitKeys};
pub use reply::Welcome;
pub use sealing::{SealingKey, SealingKeyError, SealingKeyId, SealingKeys};
pub use server::{Accepted, HelloError, OpenHello, ReceivedHello, is_hello, open_hello};
pub use ticket::{Bearer, SealedTicket, Ticket, TicketError, TicketKeys};
