//! Two connections and a network between them, in virtual time.
#![expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic in a test is its failure"
)]

mod budget;
mod close;
mod delivery;
mod hostile;
mod ladder;
mod lies;
mod path;
#[cfg(feature = "planted-bugs")]
mod planted;
mod quiet;
mod rekey;
mod sizes;
mod streams;
mod world;
