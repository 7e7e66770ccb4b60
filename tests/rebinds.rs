//! Bots whose addresses change while they play: the server follows each, and what that costs is told.

#[allow(dead_code, reason = "not every test needs all of it")]
mod in_process;
mod support;

use std::path::Path;
use std::time::Duration;

use in_process::InProcess;
use rejoin::bots::{ArenaBot, Change, Impairment, Options, Silence, Unobserved, run};
use rejoin::room::Kinds;
use rejoin::room::builtin::arena::Arena;
use support::Process;

const BOTS: usize = 8;
/// Each of them, in the two seconds before the last.
const EACH: usize = 8;

/// Every 250 ms for three seconds.
fn restless(server: &InProcess) -> Options {
    let mut options = server.options();
    options.bots = BOTS;
    options.play_for = Duration::from_secs(3);
    options.rebind_every = Some(Duration::from_millis(250));
    options
}

#[test]
fn a_server_follows_every_bot_to_every_new_address() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let report = run::<ArenaBot>(&restless(&server), &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    let done = u64::try_from(BOTS * EACH).unwrap();
    assert_eq!(report.rebinds.counts.done, done);
    // Who rebinds as the play begins may not have seen anything yet.
    let pauses = report.rebinds.pause.count;
    assert!(pauses + BOTS as u64 >= done, "{:?}", report.rebinds);
    #[cfg(target_os = "linux")]
    assert_eq!(report.rebinds.change, Some(Change::AddressAndPort));
    // A machine that stands still may take two for one.
    let moves = server.stop().shard.moves;
    assert!(moves <= done && moves * 4 >= done * 3, "{moves} of {done}");
}

#[test]
fn a_server_follows_bots_behind_a_relay_and_what_it_sends_behind_them_is_lost() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let mut options = restless(&server);
    options.net = Some(Impairment::parse("delay=20ms,loss=5%,seed=3").unwrap());
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    let rebinds = report.rebinds;
    // It goes on to the old address for a round trip at least: two views of each.
    assert!(rebinds.counts.missed > rebinds.counts.done, "{rebinds:?}");
    // There and back twice, and nobody is faster than the network.
    assert!(rebinds.pause.p50_us > 80_000, "{rebinds:?}");
    let moves = server.stop().shard.moves;
    assert!(moves <= rebinds.counts.done, "{moves} of {rebinds:?}");
    assert!(moves * 2 > rebinds.counts.done, "{moves} of {rebinds:?}");
}

/// The value of a field of the record, as it is written.
fn field<'a>(record: &'a str, path: &[&str]) -> &'a str {
    let found = path.iter().try_fold(record, |rest, name| {
        Some(rest.split_once(&format!("\"{name}\": "))?.1)
    });
    let found = found.unwrap_or_else(|| panic!("{path:?} in {record}"));
    found
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches(',')
}

#[test]
fn a_record_tells_the_rebinds_and_a_check_bounds_their_pauses() {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let arguments = ["serve", "--bind", "127.0.0.1:0", "--print-address"];
    let mut server = Process::of(program, &[], &arguments);
    let line = server.line();
    let address = line.strip_prefix("listening on ").expect("an address");
    let bots = |span: &str, more: &[&str]| {
        let usual = ["bots", address, "-n", "4", "--for", span];
        let rebinds = ["--rebind-every", "500ms", "--lateness-max", "1m"];
        Process::of(program, &[], &[&usual[..], &rebinds, more].concat()).end()
    };
    let held = bots("2s", &["--json", "-", "--check", "rebind.pause.p99<60s"]);
    assert_eq!(held.code, Some(0), "{held:?}");
    let record = &held.stdout;
    assert_eq!(field(record, &["run", "rebind_every_us"]), "500000");
    assert_eq!(field(record, &["rebinds", "done"]), "8");
    let figures = ["p50", "p90", "p99", "max"];
    let figures = figures.map(|name| field(record, &["rebinds", "pause_us", name]));
    let figures = figures.map(|figure| figure.parse::<u64>().expect("microseconds"));
    assert!(figures[0] > 0 && figures.is_sorted(), "{figures:?}");

    let missed = bots("2s", &["--check", "rebinds.pause.max<1us"]);
    assert_eq!(missed.code, Some(99), "{missed:?}");
    assert!(missed.stdout.contains("\nrebinds     8 of "), "{missed:?}");
    let short = bots("1s", &[]);
    assert_eq!(short.code, Some(2), "{short:?}");
    assert!(short.stderr.contains("leaves no time"), "{short:?}");
}

#[test]
fn bots_that_were_out_of_reach_come_back_and_their_seats_were_suspect() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let mut options = server.options();
    options.bots = 4;
    options.play_for = Duration::from_secs(6);
    let (every, span) = (Duration::from_millis(2_500), Duration::from_secs(2));
    options.silence = Some(Silence { every, span });
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    let silences = report.silences;
    // One of each in the three seconds before the last silence may end.
    assert_eq!((silences.counts.done, silences.pause.count), (4, 4));
    assert!(silences.counts.suspect > 0, "{silences:?}");
    assert_eq!(silences.counts.detached, 0, "{silences:?}");
}

/// A client that was started anew asks from the socket that it had: its answer comes there, whatever was due meanwhile.
#[test]
fn bots_whose_clients_are_killed_while_their_addresses_change_come_back() {
    let server = InProcess::serve(Kinds::new().with::<Arena>());
    let mut options = server.options();
    options.bots = 8;
    options.play_for = Duration::from_secs(4);
    options.rebind_every = Some(Duration::from_millis(300));
    options.client_crash_every = Some(Duration::from_millis(1_500));
    options.net = Some("delay=25ms".parse().unwrap());
    let report = run::<ArenaBot>(&options, &mut Unobserved).unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert!(report.resumes.counts.failed == 0 && report.rebinds.counts.done > 0);
}
