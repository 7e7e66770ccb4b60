//! A live server under attack, beside bots that play: what the attack costs them, and the server.
//!
//! ```sh
//! cargo bench --bench hostile -- malformed     # a million datagrams that are wrong in every way
//! cargo bench --bench hostile -- flood         # good hellos from spoofed addresses (root)
//! cargo bench --bench hostile -- memory        # half-open joins, fragments never finished (root)
//! cargo bench --bench hostile -- abuser        # one session at a hundred times its budget
//! ```
//!
//! Linux only: it reads /proc, and pins the server to core 0 and everything else to core 1.

#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a tool of its own, which may stop at the first surprise"
)]

mod abuser;
mod flood;
#[path = "../../tests/hostile_peer/mod.rs"]
mod hostile_peer;
mod malformed;
mod memory;
mod pace;
mod players;
mod raw_socket;
#[allow(dead_code, reason = "not every scenario needs all of it")]
mod server;

use crate::server::claim;

/// What a run is told: numbers by name, each with a default in its scenario.
struct Arguments(Vec<String>);

impl Arguments {
    /// The number after `--name`.
    fn number(&self, name: &str, default: u64) -> u64 {
        let flag = format!("--{name}");
        let position = self.0.iter().position(|argument| *argument == flag);
        position
            .and_then(|position| self.0.get(position + 1))
            .map_or(default, |text| {
                text.replace('_', "")
                    .parse()
                    .unwrap_or_else(|_| panic!("{flag} {text}: no number"))
            })
    }
}

fn main() {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if arguments.is_empty() {
        println!("hostile: name one of malformed, flood, memory, abuser");
        return;
    }
    let scenario = arguments.remove(0);
    let arguments = Arguments(arguments);
    let good = match scenario.as_str() {
        "malformed" => malformed::run(&arguments),
        "flood" => flood::run(&arguments),
        "memory" => memory::run(&arguments),
        "abuser" => abuser::run(&arguments),
        other => panic!("no scenario is named {other}"),
    };
    println!("{}", if good { "all held" } else { "FELL SHORT" });
    std::process::exit(i32::from(!good));
}
