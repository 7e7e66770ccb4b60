//! The server's mind: one [`Shard`] of sessions, seats and rooms, without a socket or a clock.
//!
//! ```text
//! 1 collect   datagrams -> connections -> inputs and requests; due ticks and timers; seat changes
//! 2 journal   one record per room touched, all in one write
//! 3 apply     the calls, in that order
//! 4 encode    view -> snapshot ring -> delta per distinct baseline
//! 5 release   datagrams, packed and sealed
//! ```
//!
//! Nothing leaves a shard before step 2 of its turn is done.

mod addresses;
mod admission;
mod answers;
mod auth;
mod awaited;
pub mod budgets;
mod calls;
pub mod cards;
pub mod config;
mod connection_ids;
mod connections;
mod credentials;
mod determinism;
pub mod directory;
mod dormant;
mod ending;
mod entrance;
mod fetch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod goodbyes;
mod hellos;
mod hibernation;
mod holdings;
mod house;
mod inbound;
pub mod inspect;
mod invariants;
mod keep;
mod keys;
mod limits;
#[cfg(test)]
#[path = "../tests/shard/lines.rs"]
mod lines;
mod listing;
mod lobby;
mod mail;
mod news;
mod outbox;
mod oversight;
mod overtime;
mod pace;
mod paths;
mod pausing;
mod pending_joins;
mod presence;
mod purse;
mod recovery;
mod request;
pub mod requests;
mod returning;
mod rooms;
mod schedule;
mod seating;
mod sessions;
pub mod shard;
mod sites;
mod slab;
mod spending;
pub mod stats;
pub mod stopwatch;
mod storing;
mod syncing;
mod tickets;
mod turn;
pub mod twin;
mod waking;
mod wheel;

pub use auth::Auth;
pub use budgets::Budgets;
pub use cards::Cards;
pub use config::Config;
pub use directory::{Directory, MemoryDirectory};
pub use limits::TICKET_LIFE;
pub use mail::Letter;
pub use oversight::SessionCard;
pub use requests::Requests;
pub use shard::Shard;
pub use stats::ShardStats;
pub use stopwatch::{Stopwatch, Unmeasured};
