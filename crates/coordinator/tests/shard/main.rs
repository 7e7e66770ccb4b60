//! A shard and real clients in virtual time: what players are promised.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected fails"
)]

mod abroad;
mod addresses;
mod budgets;
mod clock;
mod cluster;
mod faults;
mod hibernation;
mod hostile;
mod inputs;
mod intruder;
mod joins;
mod ladder;
mod letters;
mod levels;
mod lines;
mod lobby;
mod overtime;
mod paths;
mod presence;
mod private;
mod queues;
mod raw;
mod restored;
mod resume;
mod returning;
mod rooms;
mod sizes;
mod stage;
mod stays;
mod strangers;
mod streams;
mod tickets;
mod views;
mod world;
