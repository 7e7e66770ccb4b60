//! Rejoin beside the least that a UDP game server can be, under one load, in turns.
//!
//! ```sh
//! cargo bench --bench arena -- --rooms 62 --rounds 5    # CPU, bytes and round trips beside raw2
//! cargo bench --bench arena -- --lone                   # one player's round trip beside a plain echo
//! cargo bench --bench arena -- --idle 1000              # memory and CPU of sessions that do nothing
//! cargo bench --bench arena -- --joins 2000             # CPU of a join
//! ```
//!
//! Linux only: it reads /proc, and pins each server to core 0 and the players to core 1. The servers are
//! this binary, started again under another name: `serve` is [`rejoin::serve`], `raw` and `echo` are
//! here. What is measured and what is not: `docs/benchmarks/README.md`.

#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a tool of its own, which may stop at the first surprise"
)]

mod echo;
mod figures;
mod idle;
mod joins;
mod net;
mod options;
mod play;
mod players;
mod raw;
mod raw_players;
mod raw_wire;
mod rejoin_players;
mod room;
mod rounds;
mod schedule;
mod server;
mod workload;

use std::process::ExitCode;

use crate::options::Options;
use crate::room::Arena;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let named: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match named.as_slice() {
        ["serve" | "--log", ..] => rejoin::serve(|app| {
            app.room::<Arena<{ workload::WHOLE }>>()
                .room::<Arena<{ workload::QUARTER }>>()
                .room::<Arena<{ workload::STILL }>>()
        }),
        ["raw", told @ ..] => raw::run(told),
        ["echo"] => echo::run(),
        // What `cargo bench` and `cargo test --benches` do without being asked for anything.
        [] | ["--test"] => {
            println!("arena: say what to measure: --rooms N, --lone, --idle N or --joins N");
            ExitCode::SUCCESS
        }
        _ => measure(&Options::parse(&arguments)),
    }
}

fn measure(options: &Options) -> ExitCode {
    server::pin_self();
    println!("{}", options.machine());
    let good = match (options.idle, options.joins) {
        (Some(sessions), _) => idle::run(options, sessions),
        (None, Some(joins)) => joins::run(options, joins),
        (None, None) => rounds::run(options),
    };
    ExitCode::from(u8::from(!good))
}
