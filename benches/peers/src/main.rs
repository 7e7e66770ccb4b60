//! Rejoin beside other game servers, under the load of the arena.
//!
//! ```sh
//! cargo run --profile dist -- --publish DIR                       # all that is published, into a folder
//! cargo run --profile dist -- --rooms 32 --servers rejoin,quinn   # as the arena, with the peers' names
//! ```
//!
//! `README.md` says how each peer is set up, and what is not alike.

use std::process::ExitCode;

use rejoin_arena::{Subject, own};

mod colyseus;
mod enet;
mod game;
mod netcode;
mod quic;
mod readiness;

/// All that can be asked for, in the order of the tables.
static SUBJECTS: &[&Subject] = &[
    &own::RAW2,
    &own::RAW2_AES,
    &own::REJOIN,
    &own::EXACT,
    &netcode::SUBJECT,
    &quic::SUBJECT,
    &enet::SUBJECT,
    &colyseus::SUBJECT,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let told: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let served = match told.as_slice() {
        [netcode::NAME, told @ ..] => netcode::serve(told),
        [quic::NAME, told @ ..] => quic::serve(told),
        [enet::NAME, told @ ..] => enet::serve(told),
        _ => return rejoin_arena::run("peers", SUBJECTS),
    };
    served.unwrap_or_else(|| {
        eprintln!("error: servers are started by the run that measures them");
        ExitCode::from(2)
    })
}
