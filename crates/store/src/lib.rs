//! Journal and checkpoints: the contract that every engine meets, and the memory engine.
//!
//! A room's history is a row of records numbered from 1, each holding every call of one turn.
//! A checkpoint at sequence `n` stands for records `1..=n`; what is older may be reclaimed.

pub mod conformance;
mod contract;
pub mod disk;
mod memory;

pub use contract::{Record, Store, StoreError, Stored};
pub use memory::MemoryStore;
