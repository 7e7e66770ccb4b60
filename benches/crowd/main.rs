//! A crowd on one shard: 1,000 bots in 64 rooms, whose every input is acknowledged, beside a plain UDP echo.
//!
//! ```sh
//! cargo bench --bench crowd -- --bots 1000 --rooms 64 --seconds 30
//! ```
//!
//! The same twice: once as it is, and once with the server stopped for 20 ms in each second, which has to show in
//! the round trips. Linux only: server and echo are pinned to core 0, bots and pings to core 1.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a tool of its own, which may stop at the first surprise"
)]

mod echo;
#[path = "../hostile/server.rs"]
#[allow(dead_code, reason = "not every bench needs all of it")]
mod server;
#[path = "../../tests/signal/mod.rs"]
mod signal;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rejoin::bots::{ArenaBot, Options, Report, Unobserved, run};

use crate::echo::{Echo, Pings};
use crate::server::{Server, claim};

/// How long the server is stopped in each second of the control.
const PAUSE: Duration = Duration::from_millis(20);
/// A fiftieth of all probes meet the pause and wait for half of it on average: so much of it must show in the 99th
/// percentile.
const SHOWN_AT_LEAST: Duration = Duration::from_millis(5);
/// Above the echo's median, Rejoin's may be this much.
const ABOVE_ECHO: Duration = Duration::from_millis(2);
/// Inputs of which the rooms' cursors must tell within the run.
const ACKNOWLEDGED: f64 = 0.95;

/// How much is played.
struct Size {
    bots: usize,
    rooms: usize,
    seconds: u64,
}

/// What was seen.
struct Seen {
    report: Report,
    echo: Pings,
    cpu: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |name: &str, default: u64| {
        let place = named.iter().position(|argument| *argument == name);
        let text = place.and_then(|place| named.get(place + 1));
        text.map_or(default, |text| text.parse().expect("a whole number"))
    };
    match named.as_slice() {
        ["echo"] => return echo::serve(),
        // What `cargo test --benches` does without being asked for anything.
        [] | ["--bench" | "--test"] => {
            println!("crowd: say how many: --bots N --rooms N --seconds N");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let size = Size {
        bots: usize::try_from(number("--bots", 1_000)).unwrap(),
        rooms: usize::try_from(number("--rooms", 64)).unwrap(),
        seconds: number("--seconds", 30),
    };
    let plain = measure(&size, None);
    tell("as it is", &plain);
    let paused = measure(&size, Some(PAUSE));
    tell("stopped for 20 ms in each second", &paused);
    let good = judge(&size, &plain, &paused);
    println!("{}", if good { "all held" } else { "FELL SHORT" });
    ExitCode::from(u8::from(!good))
}

fn measure(size: &Size, pause: Option<Duration>) -> Seen {
    let sessions = format!("sessions_max={}", size.bots + 64);
    let server = Server::start(&["--limit", &sessions]);
    let echo = Echo::start();
    let over = AtomicBool::new(false);
    let mut options = Options::new(server.address, server.key);
    options.bots = size.bots;
    options.rooms = size.rooms;
    options.play_for = Duration::from_secs(size.seconds);
    let before = server.cpu();
    let (report, pings) = thread::scope(|scope| {
        let pings = scope.spawn(|| echo.ping(&over));
        if let Some(pause) = pause {
            let (server, over) = (server.id(), &over);
            scope.spawn(move || interrupt(server, pause, over));
        }
        let report = run::<ArenaBot>(&options, &mut Unobserved).expect("the run starts");
        over.store(true, Ordering::Relaxed);
        (report, pings.join().unwrap())
    });
    let cpu = server.cpu() - before;
    assert!(server.stop(), "the server ends well");
    Seen {
        report,
        echo: pings,
        cpu,
    }
}

/// Stops the server for a while, once a second.
fn interrupt(server: u32, pause: Duration, over: &AtomicBool) {
    let mut next = Instant::now();
    while !over.load(Ordering::Relaxed) {
        signal::signal(server, "STOP");
        thread::sleep(pause);
        signal::signal(server, "CONT");
        next += Duration::from_secs(1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn tell(name: &str, seen: &Seen) {
    let Seen { report, echo, cpu } = seen;
    let rtt = report.rtt;
    println!(
        "\n{name}: {} of {} bots in {} rooms played {:.1} s; server {cpu:.1} s on its core",
        report.connected,
        report.bots,
        report.rooms,
        report.played.as_secs_f64()
    );
    println!(
        "  round trip of {} probes p50 {} p90 {} p99 {} p99.9 {} max {} us; bots late p99 {} us",
        rtt.count,
        rtt.p50_us,
        rtt.p90_us,
        rtt.p99_us,
        rtt.p999_us,
        rtt.max_us,
        report.lateness.p99_us
    );
    println!(
        "  echo of {} pings p50 {} p99 {} max {} us",
        echo.count, echo.p50_us, echo.p99_us, echo.max_us
    );
    println!(
        "  inputs {} planned, {} acknowledged, {} lost, {} doubled; failures {}",
        report.inputs.planned,
        report.inputs.acknowledged,
        report.inputs.lost,
        report.inputs.duplicated,
        report.failures_total
    );
    for failure in report.failures.iter().take(5) {
        println!("  failure: {failure:?}");
    }
    if let Some(invalid) = &report.invalid {
        println!("  not valid: {invalid}");
    }
}

fn judge(size: &Size, plain: &Seen, paused: &Seen) -> bool {
    let Seen { report, echo, .. } = plain;
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap();
    let share = report.acknowledged_share();
    let shown = paused.report.rtt.p99_us.saturating_sub(report.rtt.p99_us);
    println!();
    let claims = [
        (report.invalid.is_none(), "the bots were on time".to_owned()),
        (
            report.joins.failed == 0 && report.connected == size.bots,
            format!("{} joins failed", report.joins.failed),
        ),
        (
            report.is_ok(),
            "every check held: chains, order, views of all members".to_owned(),
        ),
        (
            share >= ACKNOWLEDGED,
            format!("{:.2} % of the inputs were acknowledged", share * 100.0),
        ),
        (
            report.rtt.p50_us <= echo.p50_us + micros(ABOVE_ECHO),
            format!(
                "p50 {} us beside {} us of the echo",
                report.rtt.p50_us, echo.p50_us
            ),
        ),
        (
            shown >= micros(SHOWN_AT_LEAST),
            format!("pauses of 20 ms raise p99 by {shown} us"),
        ),
    ];
    let mut good = true;
    for (holds, text) in claims {
        good &= claim(holds, text);
    }
    good
}
