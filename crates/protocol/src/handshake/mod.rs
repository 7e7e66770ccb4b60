//! The join: `Noise_IK_25519_ChaChaPoly_BLAKE2s` in one round trip.
//!
//! ```text
//! client                                            server
//!   hello, padded to 1200 B: header, MAC1, permit,
//!   noise e es s ss {offer}                  ---->   gates, cheapest first, then Diffie-Hellman
//!                                            <----   reply: noise e ee se {welcome or refusal}
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
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientHandshake, Established, HandshakeError, HandshakeOptions, StartError};
pub use cookie::{COOKIE_PERIOD, Cookies};
pub use grant::{Grant, GrantError, PermitId};
pub use hello::{HELLO, Mac1Key, carries_cookie};
pub use permit::{Permit, PermitError, SealedPermit};
pub use permit_keys::{OpenPermitError, PermitKey, PermitKeyError, PermitKeyId, PermitKeys};
pub use reply::Welcome;
pub use server::{Accepted, HelloError, OpenHello, ReceivedHello, is_hello, open_hello};
