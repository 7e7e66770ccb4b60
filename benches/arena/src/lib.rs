//! One load for any game server, and what it costs: rooms of players who act, ping, and are shown a state.
//!
//! Linux only: it reads /proc, and pins each server to core 0 and the players to core 1. Our own servers are the
//! running program, started again under another name.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a tool of its own, which may stop at the first surprise"
)]

mod curves;
mod echo;
mod figures;
pub mod idle;
pub mod joins;
mod load;
pub mod net;
mod options;
pub mod own;
mod play;
pub mod players;
mod raw;
mod raw_players;
mod raw_wire;
mod refusals;
mod rejoin_players;
pub mod rounds;
mod schedule;
pub mod server;
mod subject;

use std::process::ExitCode;

pub use rejoin_hall::workload;

pub use crate::figures::{Spread, Turn};
pub use crate::load::Load;
pub use crate::options::machine;
pub use crate::rejoin_players::RejoinPlayers;
pub use crate::subject::{Size, Subject};

use rejoin_hall::room::Arena;

use crate::joins::Entry;
use crate::options::Options;
use crate::workload::SHAPES;

/// What a program that measures `subjects` does with its arguments: it measures, or is one of our own servers.
#[must_use]
pub fn run(program: &'static str, subjects: &'static [&'static Subject]) -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let named: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match named.as_slice() {
        ["serve" | "--log", ..] => rejoin::serve(rooms),
        ["raw", told @ ..] => raw::run(told),
        ["echo"] => echo::run(),
        // What `cargo bench` and `cargo test --benches` do without being asked for anything.
        [] | ["--test"] => {
            println!(
                "{program}: say what to measure: --rooms N, --lone, --idle N, --joins N, --resumes N, --refusals N or --curves DIR"
            );
            ExitCode::SUCCESS
        }
        _ => measure(&Options::parse(program, &arguments, subjects)),
    }
}

/// Every shape of the workload.
fn rooms(app: rejoin::App) -> rejoin::App {
    macro_rules! with {
        ($($shape:literal)*) => {{
            const { assert!([$($shape),*].len() == SHAPES.len()) };
            app $(.room::<Arena<$shape>>())*
        }};
    }
    with!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17)
}

fn measure(options: &Options) -> ExitCode {
    server::pin_self();
    println!("{}", machine());
    let good = if let Some(sessions) = options.idle {
        idle::run(options, sessions)
    } else if let Some(count) = options.joins {
        joins::run(options, Entry::Join, count)
    } else if let Some(count) = options.resumes {
        joins::run(options, Entry::Resume, count)
    } else if let Some(count) = options.refusals {
        refusals::run(options, count)
    } else if let Some(folder) = &options.curves {
        curves::run(options, folder)
    } else {
        rounds::run(options)
    };
    ExitCode::from(u8::from(!good))
}
