//! Journal and checkpoints: the contract that every engine meets, the log engine, and the memory
//! engine.
//!
//! A room's history is a row of records numbered from 1, each holding every call of one turn.
//! A checkpoint at sequence `n` stands for records `1..=n`; what is older may be reclaimed.

mod boxed;
mod chore;
pub mod conformance;
mod contract;
pub mod disk;
pub mod log;
mod memory;

pub use chore::{Chore, Finished};
pub use contract::{
    BODY_LEN_MAX, LOAD_ATTEMPTS_MAX, Loss, Record, Standing, Store, StoreError, Stored,
};
pub use memory::MemoryStore;
