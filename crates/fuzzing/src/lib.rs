//! Every parser and state machine under inputs that nobody sound would send.
//!
//! One function per parser and per machine takes any bytes and panics if something does not hold
//! that must hold for all. They have three callers, which need no code of their own:
//!
//! ```text
//! cargo test                         every file under fuzz/corpus, once
//! examples/generated.rs, the gate    changed copies of those files, by the million
//! fuzz/fuzz_targets                  libFuzzer, which looks for new paths through the code
//! ```
//!
//! A file that once failed stays in the corpus and so becomes a regression test.

pub mod bombs;
pub mod corpus;
pub mod generate;
pub mod mutate;
mod pair;
mod public;
mod script;
mod shard;
mod stranger;

pub use rejoin_protocol::fuzzing::{DECODERS, Decoder, Sender, Target};

/// Every parser.
#[must_use]
pub fn parsers() -> Vec<Target> {
    let protocol = rejoin_protocol::fuzzing::TARGETS;
    let coordinator = rejoin_coordinator::fuzzing::TARGETS;
    [&protocol[..], &coordinator, &public::TARGETS].concat()
}

/// A machine whose input is a sequence of steps.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Names the folder of its corpus and its fuzz target.
    pub name: &'static str,
    /// Plays the steps that some bytes stand for and gives their number. Panics if something
    /// does not hold.
    pub play: fn(&[u8]) -> u64,
}

/// Every machine.
pub const MACHINES: [Machine; 2] = [
    Machine {
        name: "connection",
        play: pair::play,
    },
    Machine {
        name: "shard",
        play: shard::play,
    },
];

/// Gives `bytes` to the parser or machine of that name.
///
/// # Panics
/// If there is none, or if something does not hold.
pub fn check(name: &str, bytes: &[u8]) {
    if let Some(machine) = MACHINES.iter().find(|machine| machine.name == name) {
        (machine.play)(bytes);
        return;
    }
    let parsers = parsers();
    let parser = parsers.iter().find(|parser| parser.name == name);
    (parser.expect("a parser or machine has that name").check)(bytes);
}
