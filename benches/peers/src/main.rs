//! Rejoin beside other game servers, under the load of the arena.
//!
//! ```sh
//! cargo run --profile dist -- --publish DIR                       # all that is published, into a folder
//! cargo run --profile dist -- --rooms 32 --servers rejoin,quinn   # as the arena, with the peers' names
//! ```
//!
//! `README.md` says how each peer is set up, and what is not alike.

use std::process::ExitCode;

mod colyseus;
mod enet;
mod game;
mod netcode;
mod peer;
mod quic;
mod readiness;
mod report;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let told: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let served = match told.as_slice() {
        [netcode::NAME, told @ ..] => netcode::serve(told),
        [quic::NAME, told @ ..] => quic::serve(told),
        [enet::NAME, told @ ..] => enet::serve(told),
        told if report::asked_for(told) => return report::run(&arguments),
        told => return arena(told),
    };
    served.unwrap_or_else(|| {
        eprintln!("error: servers are started by the run that measures them");
        ExitCode::from(2)
    })
}

/// As the arena, with the peers' names.
fn arena(told: &[&str]) -> ExitCode {
    let names_colyseus = told.iter().any(|it| it.contains(colyseus::NAME));
    match colyseus::missing().filter(|_| names_colyseus) {
        Some(why) => {
            eprintln!("error: {}: {why}", colyseus::NAME);
            ExitCode::from(2)
        }
        None => rejoin_arena::run("peers", peer::SUBJECTS),
    }
}
