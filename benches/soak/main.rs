//! A long life: a server whose players come, play, leave and are killed, and what it holds on to.
//!
//! ```sh
//! cargo bench --bench soak -- --minutes 30      # waves of bots; some of them killed with kill -9
//! cargo bench --bench soak -- --cycles 20000    # one client after the other that connects and leaves
//! ```
//!
//! Linux only: it reads /proc. Nothing is timed, so a busy machine does not spoil it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a tool of its own, which may stop at the first surprise"
)]

mod looks;
#[path = "../hostile/server.rs"]
#[allow(dead_code, reason = "not every bench needs all of it")]
mod server;

use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rejoin::bots::{ArenaBot, Options, Unobserved, run};
use rejoin::client::{Client, Permit};

use crate::looks::{Look, Looks};
use crate::server::Server;

/// A wave of bots that join, play and leave; another process of them is killed in the middle.
const WAVE: Duration = Duration::from_secs(6);
/// The first waves fill buffers and tables up to what they keep: 5,120 hellos are remembered after six minutes.
const WARM: Duration = Duration::from_secs(600);
/// What memory may grow by in an hour.
const SLOPE_MAX: f64 = 1024.0 * 1024.0;
/// What all cycles may leave behind: pages of the allocator.
const LEFT_MAX: u64 = 256 * 1024;
/// Cycles before the first look: more than there are hellos that a server remembers.
const WARM_CYCLES: u64 = 6_000;
/// A budget for one address that connects thousands of times.
const LIMITS: [&str; 10] = [
    "--limit",
    "address_joins_per_s=100000",
    "--limit",
    "address_joins_burst=100000",
    "--limit",
    "takeovers_burst=1000000",
    // Who was killed is gone soon, or the server would be full of them.
    "--limit",
    "seat_hold=20s",
    "--limit",
    "idle_session_hold=20s",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name);
        let text = place.and_then(|place| arguments.get(place + 1));
        text.map(|text| text.parse::<u64>().expect("a whole number"))
    };
    let good = match (number("--minutes"), number("--cycles")) {
        (Some(minutes), _) => soak(Duration::from_secs(60 * minutes)),
        (None, Some(cycles)) => cycle(cycles),
        (None, None) => {
            println!("soak: say how long: --minutes N, or --cycles N");
            return ExitCode::SUCCESS;
        }
    };
    println!("{}", if good { "all held" } else { "FELL SHORT" });
    ExitCode::from(u8::from(!good))
}

fn soak(span: Duration) -> bool {
    let server = Server::start(&[LIMITS.as_slice(), &["--shards", "2"]].concat());
    let start = Instant::now();
    let (mut looks, mut failures, mut waves, mut killed) = (Looks::default(), 0, 0_u64, 0_u64);
    while start.elapsed() < span {
        let victim = start_victim(&server);
        failures += wave(&server, waves);
        killed += u64::from(kill(victim));
        waves += 1;
        let look = Look::of(server.id(), start.elapsed());
        if waves.is_multiple_of(10) {
            println!("{look}");
        }
        if start.elapsed() > WARM {
            looks.add(look);
        }
    }
    let ended = server.stop();
    println!("{waves} waves, {killed} crowds killed, {failures} failures");
    looks.judge(SLOPE_MAX) & ended & (failures == 0)
}

/// Bots join, play and leave. Gives how much went wrong.
fn wave(server: &Server, number: u64) -> u64 {
    let mut options = Options::new(server.address, server.key);
    options.bots = 60;
    options.rooms = 7;
    options.play_for = WAVE - Duration::from_secs(1);
    options.seed = number;
    // Only what is held is looked at here.
    options.lateness_max = Duration::from_secs(10);
    let report = run::<ArenaBot>(&options, &mut Unobserved).expect("the run starts");
    for failure in &report.failures {
        println!("failure in wave {number}: {failure:?}");
    }
    report.failures_total
}

/// Bots of a process of their own, for longer than they will live.
fn start_victim(server: &Server) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rejoin"))
        .args(["bots", "-n", "20", "--rooms", "3", "--for", "60s"])
        .arg(server.address.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("bots start")
}

/// True if it lived until then.
fn kill(mut victim: Child) -> bool {
    let lived = victim.try_wait().unwrap().is_none();
    victim.kill().ok();
    victim.wait().unwrap();
    lived
}

fn cycle(cycles: u64) -> bool {
    let server = Server::start(&LIMITS);
    let address = format!("{}", server.address);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let go = |count: u64| {
        runtime.block_on(async {
            for _ in 0..count {
                let client = Client::connect(&address, Permit::dev("ana")).await.unwrap();
                client.disconnect().await;
            }
        });
    };
    go(WARM_CYCLES);
    let before = Look::of(server.id(), Duration::ZERO);
    println!("{before}");
    let start = Instant::now();
    for _ in 0..10 {
        go(cycles / 10);
        println!("{}", Look::of(server.id(), start.elapsed()));
    }
    // The last sessions end.
    thread::sleep(Duration::from_secs(2));
    let after = Look::of(server.id(), start.elapsed());
    println!("{after}");
    let left = after.resident.saturating_sub(before.resident);
    println!(
        "{cycles} cycles left {left} bytes, {} in each",
        left / cycles.max(1)
    );
    let same = (before.files, before.threads) == (after.files, after.threads);
    server.stop() & same & (left <= LEFT_MAX)
}
