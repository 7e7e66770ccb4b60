//! A B A B: every server once per round, each in a fresh process, under the same load.

use serde::Serialize;

use crate::figures::{About, Spread, Summary, Turn};
use crate::load::Load;
use crate::options::{Options, machine};
use crate::own::{ECHO, EXACT, RAW2, RAW2_AES, REJOIN, SYNCED};
use crate::play::{self, Plan};
use crate::players::Clock;
use crate::server::Server;
use crate::subject::{Size, Subject};
use crate::workload::SHAPES;

/// What `--json` writes.
#[derive(Serialize)]
struct Document<'a> {
    machine: String,
    players: usize,
    seconds: f64,
    kind: &'static str,
    ping_hz: u64,
    turns: &'a [Turn],
    summaries: &'a [Summary],
}

/// Runs all rounds. True if every server has a round to be believed.
pub(crate) fn run(options: &Options) -> bool {
    let subjects = options.subjects(if options.lone {
        &[&ECHO, &RAW2, &REJOIN]
    } else {
        &[&RAW2, &RAW2_AES, &REJOIN]
    });
    println!(
        "{} players, rooms of kind {}, {:?} a turn, {} rounds",
        options.players(),
        SHAPES[options.shape()].kind,
        options.span(),
        options.rounds
    );
    let load = Load {
        players: options.players(),
        shape: options.shape(),
        ping_hz: options.ping_hz(),
        span: options.span(),
    };
    let (mut turns, mut good) = (Vec::new(), true);
    for round in 1..=options.rounds {
        for subject in &subjects {
            let (turn, ended_well) = measure(round, subject, load);
            println!("{}", turn.line());
            good &= ended_well;
            turns.push(turn);
        }
    }
    let summaries: Vec<Summary> = subjects
        .iter()
        .filter_map(|subject| Summary::of(subject, &turns, options.rough))
        .collect();
    let disturbed = turns.iter().filter(|turn| turn.invalid.is_some()).count();
    if disturbed > 0 {
        let kept = if options.rough {
            "taken in"
        } else {
            "left out"
        };
        println!(
            "\n{disturbed} of {} turns were disturbed and are {kept}",
            turns.len()
        );
    }
    print_table(&summaries);
    print_durability(&turns, options.rough);
    options.write_json(&Document {
        machine: machine(),
        players: options.players(),
        seconds: options.span().as_secs_f64(),
        kind: SHAPES[options.shape()].kind,
        ping_hz: options.ping_hz(),
        turns: &turns,
        summaries: &summaries,
    });
    good && summaries.len() == subjects.len()
}

/// One turn, and whether the server ended well.
///
/// # Panics
/// If the server does not start, or not all players can begin.
pub fn measure(round: u16, subject: &'static Subject, load: Load) -> (Turn, bool) {
    let size = Size {
        players: load.players,
        shape: Some(load.shape),
    };
    let mut plan = Plan::of(load);
    if !subject.has_rooms {
        // It would send inputs back too.
        plan.input_hz = 0;
    }
    let server = Server::start(subject, size);
    let resident = server.resident();
    let (mut players, clock) = (server.players(), Clock::start());
    play::begin(players.as_mut(), plan.players, clock);
    let sample = play::play(players.as_mut(), &server, plan, clock);
    let about = About {
        round,
        subject,
        plan,
        tick_hz: SHAPES[load.shape].hz,
        resident,
    };
    let turn = Turn::new(about, &sample);
    (turn, server.stop())
}

/// What it costs to keep rooms, beside the turn of a server that keeps none in the same round.
fn print_durability(turns: &[Turn], rough: bool) {
    let sound = |turn: &&Turn| rough || turn.invalid.is_none();
    for subject in [&EXACT, &SYNCED] {
        let kept = || {
            turns
                .iter()
                .filter(sound)
                .filter(|it| it.server == subject.name)
        };
        let ratios = kept().filter_map(|turn| {
            let mut beside = turns.iter().filter(sound);
            let none = beside.find(|it| it.server == REJOIN.name && it.round == turn.round)?;
            Some(turn.cpu_ns_per_player_second / none.cpu_ns_per_player_second)
        });
        let written = Spread::of(kept().map(|turn| turn.written_per_input));
        if let Some((ratio, written)) = Spread::of(ratios).zip(written) {
            println!(
                "{}: {ratio:.3} of the CPU of rejoin in the same round; {:.0} bytes written an input",
                subject.name, written.median
            );
        }
    }
}

fn print_table(summaries: &[Summary]) {
    println!(
        "\n| server | rounds | CPU us/player/s | x raw2 | x raw2+aes | ns/datagram | wakes/s | datagrams up + down \
         | wire B up + down | carried B | RTT p50 / p99 ms | pings lost | deltas | KiB/player | late p99 ms |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let ratio = |spread: Option<Spread>| match spread {
        Some(spread) => format!("{spread:.2}"),
        None => "-".to_owned(),
    };
    for row in summaries {
        println!(
            "| {} | {} | {:.1} | {} | {} | {:.0} | {:.0} | {:.1} + {:.1} | {:.0} + {:.0} \
             | {:.0} | {:.2} / {:.2} | {} | {:.0} % | {:.1} | {:.2} |",
            row.server,
            row.rounds,
            row.cpu_us_per_player_second,
            ratio(row.ratio_to_raw2),
            ratio(row.ratio_to_raw2_aes),
            row.cpu_ns_per_datagram,
            row.wakes_per_s,
            row.datagrams_up,
            row.datagrams_down,
            row.wire_up,
            row.wire_down,
            row.wire_carried,
            row.rtt_p50_ms,
            row.rtt_p99_ms,
            row.pings_unanswered,
            row.deltas_share * 100.0,
            row.kib_per_player,
            row.late_p99_ms,
        );
    }
}
