//! Sessions that only are there: memory of each, and CPU of all.

use std::time::Duration;

use serde::Serialize;

use crate::figures::Spread;
use crate::options::Options;
use crate::own::{RAW2_AES, REJOIN};
use crate::play;
use crate::players::Clock;
use crate::server::Server;
use crate::subject::{Size, Subject};
use crate::workload::STILL;

/// Sessions that warm the server up before memory is counted: what is made once is made then.
pub const WARM: usize = 128;

/// One server in one round.
#[derive(Clone, Serialize)]
pub struct Idle {
    pub round: u16,
    pub server: &'static str,
    /// Growth of its resident memory.
    pub kib_per_session: f64,
    /// Share of a core, of all sessions.
    pub cpu_share: f64,
    /// Per session and second, as the players see them.
    pub datagrams_up: f64,
    pub datagrams_down: f64,
}

/// How many sessions do nothing, and for how long that is watched.
#[derive(Clone, Copy)]
pub struct Stillness {
    /// Those that are counted. [`WARM`] more are there before them.
    pub sessions: usize,
    /// Each has a seat in a room.
    pub seated: bool,
    pub span: Duration,
}

/// Runs all rounds. True if every server ended well.
pub(crate) fn run(options: &Options, sessions: usize) -> bool {
    println!(
        "{} idle sessions {}, {:?} a turn, {} rounds",
        sessions,
        if options.seated {
            "with a seat in a room that shows 100 bytes once a second"
        } else {
            "without a seat (the raw servers still send 100 bytes a second)"
        },
        options.span(),
        options.rounds
    );
    let stillness = Stillness {
        sessions,
        seated: options.seated,
        span: options.span(),
    };
    let subjects = options.subjects(&[&RAW2_AES, &REJOIN]);
    let (mut all, mut good) = (Vec::new(), true);
    for round in 1..=options.rounds {
        for subject in &subjects {
            let (idle, ended_well) = measure(round, subject, stillness);
            println!(
                "round {round:>2} {:<9} {:.2} KiB per session, {:.2} % of a core, \
                 datagrams per session and second {:.2} up, {:.2} down",
                idle.server,
                idle.kib_per_session,
                idle.cpu_share * 100.0,
                idle.datagrams_up,
                idle.datagrams_down
            );
            good &= ended_well;
            all.push(idle);
        }
    }
    println!("\n| server | KiB per session | CPU, % of a core |\n|---|---|---|");
    for subject in subjects {
        let own = || all.iter().filter(|idle| idle.server == subject.name);
        let kib = Spread::of(own().map(|idle| idle.kib_per_session)).expect("a round each");
        let cpu = Spread::of(own().map(|idle| idle.cpu_share * 100.0)).expect("a round each");
        println!("| {} | {kib:.2} | {cpu:.2} |", subject.name);
    }
    options.write_json(&all);
    good
}

/// One turn, and whether the server ended well.
///
/// # Panics
/// If the server does not start, or not all sessions can begin.
pub fn measure(round: u16, subject: &'static Subject, stillness: Stillness) -> (Idle, bool) {
    let Stillness {
        sessions,
        seated,
        span,
    } = stillness;
    let size = Size {
        players: WARM + sessions,
        shape: seated.then_some(STILL),
    };
    let server = Server::start(subject, size);
    let (mut players, clock) = (server.players(), Clock::start());
    let pause = Duration::from_secs(2);
    play::begin(players.as_mut(), WARM, clock);
    play::rest(players.as_mut(), pause, clock);
    let before = server.resident();
    play::begin(players.as_mut(), WARM + sessions, clock);
    play::rest(players.as_mut(), pause, clock);
    let (cpu, traffic, from) = (server.cpu(), players.traffic(), clock.now());
    play::rest(players.as_mut(), span, clock);
    let span = clock.now().since(from).as_secs_f64();
    let (ran, traffic) = (
        server.cpu().since(cpu).ran,
        players.traffic().since(traffic),
    );
    let grown = server.resident().saturating_sub(before) as f64;
    let session_seconds = span * size.players as f64;
    let idle = Idle {
        round,
        server: subject.name,
        kib_per_session: grown / 1_024.0 / sessions as f64,
        cpu_share: ran as f64 / 1e9 / span,
        datagrams_up: traffic.up as f64 / session_seconds,
        datagrams_down: traffic.down as f64 / session_seconds,
    };
    (idle, server.stop())
}
