//! The room that all benchmarks play, and a shard with clients of that room without a network.

#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a tool of its own, which may stop at the first surprise"
)]

mod hall;
pub mod room;
pub mod workload;

pub use crate::hall::Hall;
