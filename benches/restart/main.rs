//! A server that starts on a folder with rooms: how soon it serves, and what rooms cost that nobody is in.
//!
//! ```sh
//! cargo bench --bench restart -- --rooms 1000 --members 4       # rooms whose players come back
//! cargo bench --bench restart -- --rooms 100000 --asleep        # rooms that hibernate
//! ```
//!
//! Players are processes of their own that are killed, so that nobody leaves. The server is killed too, and the time
//! taken from the start of the next process: until it answers a datagram, until all rooms are taken up, until a player has a
//! seat in a room that slept. `--cold` drops the page cache before each start, which takes the rights of root. Linux only.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a tool of its own, which may stop at the first surprise"
)]

mod players;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::server::{Folder, Server};

/// See the module page.
#[derive(Parser, Debug)]
#[command(name = "restart")]
pub(crate) struct Options {
    /// Rooms in the folder
    #[arg(long, default_value_t = 0)]
    rooms: usize,
    /// Players of each room
    #[arg(long, default_value_t = 1)]
    members: usize,
    /// Rooms hibernate
    #[arg(long)]
    asleep: bool,
    /// Kills of the server
    #[arg(long, default_value_t = 5)]
    kills: usize,
    /// Read the folder from the disk and not from memory
    #[arg(long)]
    cold: bool,
    /// Folder for the server's files, removed at the end [default: a temporary one]
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().filter(|it| it != "--bench").collect();
    if let [_, word, told @ ..] = arguments.as_slice()
        && word == players::WORD
    {
        players::play(told);
        return ExitCode::SUCCESS;
    }
    let options = Options::parse_from(&arguments);
    if options.rooms == 0 {
        println!("restart: say how many rooms: --rooms N");
        return ExitCode::SUCCESS;
    }
    let good = run(&options);
    println!("{}", if good { "all held" } else { "FELL SHORT" });
    ExitCode::from(u8::from(!good))
}

/// Longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

fn run(options: &Options) -> bool {
    let folder = Folder::new(options.dir.clone());
    let server = Server::start(&folder, options, true);
    let empty = server.resident();
    println!("empty: {} KiB", empty / 1_024);
    let rooms = players::fill(&server, options);
    server.wait(
        PATIENCE,
        |it| if options.asleep { it.asleep } else { it.rooms } >= options.rooms,
    );
    let figures = server.figures();
    let full = server.resident();
    println!(
        "{} rooms up, {} asleep: {} KiB, {:.0} bytes for each beyond the empty server; {} KiB on the disk",
        figures.rooms,
        figures.asleep,
        full / 1_024,
        full.saturating_sub(empty) as f64 / options.rooms as f64,
        folder.bytes() / 1_024,
    );
    let mut good = figures.rooms + figures.asleep >= options.rooms;
    let mut server = server;
    for kill in 1..=options.kills {
        server.kill();
        if options.cold {
            server::drop_caches();
        }
        server = Server::start(&folder, options, false);
        let up = server.wait(PATIENCE, |figures| {
            figures.to_come == 0 && figures.rooms + figures.asleep >= options.rooms
        });
        let figures = server.figures();
        println!(
            "kill {kill}: serves after {:.1} ms, all {} up and {} asleep after {:.1} ms, {} KiB",
            millis(server.answered),
            figures.rooms,
            figures.asleep,
            millis(up),
            server.resident() / 1_024,
        );
        good &= figures.rooms + figures.asleep >= options.rooms;
    }
    if options.asleep {
        good &= wake(&server, &rooms);
    }
    server.kill();
    good
}

/// One room after the other is woken by somebody who asks for it.
fn wake(server: &Server, rooms: &[rejoin::room::RoomId]) -> bool {
    let mut took: Vec<Duration> = players::wake(server, rooms);
    took.sort_unstable();
    let at = |share: usize| {
        took.get(took.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{} rooms woken by a join each: p50 {:.2}, p99 {:.2}, max {:.2} ms",
        took.len(),
        millis(at(50)),
        millis(at(99)),
        took.last().copied().map_or(0.0, millis),
    );
    !took.is_empty()
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

/// Time since `start`, for those who wait.
fn since(start: Instant) -> Duration {
    start.elapsed()
}
