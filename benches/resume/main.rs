//! Clients that come back: after their process was killed, and all of a server at once.
//!
//! ```sh
//! cargo bench --bench resume -- relaunch                  # --bots 200 --seconds 30 --every 10
//! cargo bench --bench resume -- storm                     # --bots 4000 --members 1 --shards 1
//! ```
//!
//! Linux only: it reads /proc, and pins the server to core 0 and the clients to core 1. What each does is
//! told in its module.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a tool of its own, which may stop at the first surprise"
)]

mod head;
mod ledger;
mod relaunch;
#[path = "../hostile/server.rs"]
#[allow(dead_code, reason = "not every bench needs all of it")]
mod server;
#[path = "../../tests/signal/mod.rs"]
mod signal;
mod storm;

use std::process::ExitCode;

use crate::ledger::Ledger;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let number = |name: &str, default: u64| {
        let place = arguments.iter().position(|argument| argument == name);
        let text = place.and_then(|place| arguments.get(place + 1));
        text.map_or(default, |text| text.parse().expect("a whole number"))
    };
    let count = |name, default| usize::try_from(number(name, default)).unwrap();
    let good = match arguments.first().map(String::as_str) {
        // This binary is the server too.
        Some("--log") => return rejoin::serve(|app| app.room::<Ledger>()),
        Some("relaunch") => {
            head::print(&arguments);
            relaunch::run(&relaunch::Size {
                bots: count("--bots", 200),
                seconds: number("--seconds", 30),
                every: number("--every", 10),
            })
        }
        Some("storm") => {
            head::print(&arguments);
            storm::run(&storm::Size {
                bots: count("--bots", 4_000),
                members: count("--members", 1),
                shards: number("--shards", 1),
            })
        }
        // What `cargo test --benches` does without being asked for anything.
        _ => {
            println!("resume: say which: relaunch or storm");
            return ExitCode::SUCCESS;
        }
    };
    println!("{}", if good { "all held" } else { "FELL SHORT" });
    ExitCode::from(u8::from(!good))
}
