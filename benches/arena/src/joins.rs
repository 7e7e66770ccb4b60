//! What a join costs the server, or a resume: from the first hello until the client's first packet under the new keys.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::figures::Spread;
use crate::options::Options;
use crate::own::{RAW2_AES, REJOIN};
use crate::play;
use crate::players::{Clock, Players};
use crate::server::Server;
use crate::subject::{Size, Subject};

/// Joins before the count: the first find caches cold and buckets full.
pub const WARM: usize = 128;
/// How long a fresh session waits for its first ticket at most.
const TICKETS_COME: Duration = Duration::from_millis(500);

/// How players enter.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// As nobody known.
    Join,
    /// With the ticket of a session that another client of theirs opened.
    Resume,
}

/// One server in one round.
#[derive(Clone, Serialize)]
pub struct Joins {
    pub round: u16,
    pub server: &'static str,
    pub cpu_us_per_join: f64,
    pub joins_per_second_of_cpu: f64,
    /// What the players' core can do is in it.
    pub joins_per_second_seen: f64,
    /// As the players see them.
    pub datagrams_per_join: f64,
}

/// Runs all rounds. True if every server ended well.
pub(crate) fn run(options: &Options, entry: Entry, count: usize) -> bool {
    let (what, default): (_, &[&Subject]) = match entry {
        Entry::Join => ("join", &[&RAW2_AES, &REJOIN]),
        Entry::Resume => ("resume", &[&REJOIN]),
    };
    println!(
        "{count} {what}s a turn without a seat, {} rounds",
        options.rounds
    );
    let subjects = options.subjects(default);
    let (mut all, mut good) = (Vec::new(), true);
    for round in 1..=options.rounds {
        for subject in &subjects {
            let (joins, ended_well) = measure(round, subject, entry, count);
            println!(
                "round {round:>2} {:<9} {:.1} us of CPU a {what}: {:.0} {what}s a second of a core; \
                 {:.0} a second seen, {:.1} datagrams each",
                joins.server,
                joins.cpu_us_per_join,
                joins.joins_per_second_of_cpu,
                joins.joins_per_second_seen,
                joins.datagrams_per_join
            );
            good &= ended_well;
            all.push(joins);
        }
    }
    println!("\n| server | CPU us per {what} |\n|---|---|");
    for subject in subjects {
        let own = all.iter().filter(|joins| joins.server == subject.name);
        let cpu = Spread::of(own.map(|joins| joins.cpu_us_per_join)).expect("a round each");
        println!("| {} | {cpu:.1} |", subject.name);
    }
    options.write_json(&all);
    good
}

/// One turn of `count` entries after [`WARM`] others, and whether the server ended well.
///
/// # Panics
/// If the server does not start, or not all can enter.
pub fn measure(round: u16, subject: &'static Subject, entry: Entry, count: usize) -> (Joins, bool) {
    let all = WARM + count;
    let size = Size {
        players: all,
        shape: None,
    };
    let server = Server::start(subject, size);
    let (mut players, clock) = (server.players(), Clock::start());
    let enter = |players: &mut dyn Players, who: Range<usize>| match entry {
        Entry::Join => play::begin(players, who.end, clock),
        Entry::Resume => play::come_back(players, who, clock),
    };
    if matches!(entry, Entry::Resume) {
        play::begin(players.as_mut(), all, clock);
        play::rest(players.as_mut(), TICKETS_COME, clock);
    }
    enter(players.as_mut(), 0..WARM);
    play::rest(players.as_mut(), Duration::from_millis(200), clock);
    let (cpu, traffic, from) = (server.cpu(), players.traffic(), clock.now());
    enter(players.as_mut(), WARM..all);
    let seen = clock.now().since(from).as_secs_f64();
    // The last ones' first packets are still to be opened.
    play::rest(players.as_mut(), Duration::from_millis(50), clock);
    let (ran, traffic) = (
        server.cpu().since(cpu).ran,
        players.traffic().since(traffic),
    );
    let per_join = ran as f64 / count as f64;
    for player in 0..all {
        players.leave(player, clock.now());
    }
    let joins = Joins {
        round,
        server: subject.name,
        cpu_us_per_join: per_join / 1e3,
        joins_per_second_of_cpu: 1e9 / per_join,
        joins_per_second_seen: count as f64 / seen,
        datagrams_per_join: (traffic.up + traffic.down) as f64 / count as f64,
    };
    (joins, server.stop())
}
