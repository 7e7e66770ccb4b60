//! The demo as a real process, without a terminal.

#[cfg(unix)]
mod signal;
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

#[cfg(unix)]
use signal::signal;
use support::{PATIENCE, Process};

/// Starts a demo.
fn demo(play_for: &str) -> Process {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let mut demo = Process::of(program, &[], &["demo", "--for", play_for]);
    demo.close_stdin();
    demo
}

/// Starts a demo and waits until it plays. The process id of its server is in its first line.
#[cfg(unix)]
fn playing_demo() -> (Process, u32) {
    let mut demo = demo("60s");
    let line = demo.line();
    let number = line.rsplit(' ').next().and_then(|word| word.parse().ok());
    let server = number.unwrap_or_else(|| panic!("{line:?}"));
    while !demo.line().starts_with("playing") {}
    (demo, server)
}

#[test]
fn the_demo_plays_ends_by_itself_and_all_is_well() {
    let ended = demo("3s").end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("48 of 48 took a seat in 6 rooms"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("checks      all held"), "{ended:?}");
    assert!(
        !ended.stdout.contains('\u{1b}'),
        "no escape sequences without a terminal: {ended:?}"
    );
    assert_eq!(ended.stderr, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_demo_takes_its_server_with_it() {
    let (demo, server) = playing_demo();
    assert!(runs(server), "the server runs while the demo does");
    signal(demo.id(), "KILL");
    let start = Instant::now();
    while runs(server) {
        assert!(
            start.elapsed() < PATIENCE,
            "server {server} outlived its demo"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(unix)]
#[test]
fn a_terminated_demo_ends_early_and_is_still_checked() {
    let (demo, _) = playing_demo();
    let start = Instant::now();
    signal(demo.id(), "TERM");
    let ended = demo.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("checks      all held"), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(30), "{ended:?}");
}

/// A demo whose server was killed says so, and does not call it a success.
#[cfg(unix)]
#[test]
fn a_demo_that_loses_its_server_fails() {
    let (demo, server) = playing_demo();
    signal(server, "KILL");
    let ended = demo.end();
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

/// True while a process runs: one that ended but was not waited for does not.
#[cfg(target_os = "linux")]
fn runs(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}
