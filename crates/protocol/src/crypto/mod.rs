//! Cryptography, all of it from libraries: AEAD, key agreement, hashing, Noise.
//!
//! Two back ends with the same results: `aws-lc` (default) and `portable`. If both features
//! are on, `aws-lc` is used.

pub mod aead;
mod backend;
pub mod hash;
pub mod identity;
pub(crate) mod kdf;
pub(crate) mod noise;
mod suite;
#[cfg(feature = "planted-bugs")]
pub mod witness;

pub use aead::TrafficKey;
pub use identity::{PublicKey, StaticKeys};
pub use kdf::TrafficSecret;
pub use suite::Suite;
