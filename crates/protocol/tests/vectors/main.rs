//! Golden bytes of everything that travels or is derived, but whole data packets: what is written
//! today can be read by every later version that speaks this one, by either back end. And
//! `docs/protocol.md`, whose examples and tables are these bytes and the code's own numbers.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic in a test is its failure"
)]

mod binary;
mod control;
mod derivation;
mod document;
mod frames;
#[path = "../../../../tests/vectors/golden.rs"]
mod golden;
mod join;
mod noise;
mod protection;
mod resume;
