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
    demo_with(&[], play_for)
}

fn demo_with(variables: &[(&str, &str)], play_for: &str) -> Process {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let mut demo = Process::of(program, variables, &["demo", "--for", play_for]);
    demo.close_stdin();
    demo
}

/// Starts a demo and waits until it plays. The process id of its server is in its first line.
#[cfg(unix)]
fn playing_demo(variables: &[(&str, &str)]) -> (Process, u32) {
    let mut demo = demo_with(variables, "60s");
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
    // Nobody is left to remove the folder of its rooms.
    let folder = format!("rejoin-demo-{}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let temporary = folder.to_str().expect("a plain name");
    let (demo, server) = playing_demo(&[("TMPDIR", temporary)]);
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
    std::fs::remove_dir_all(&folder).expect("the server has it no more");
}

#[cfg(unix)]
#[test]
fn a_terminated_demo_ends_early_and_is_still_checked() {
    let (demo, _) = playing_demo(&[]);
    let start = Instant::now();
    signal(demo.id(), "TERM");
    let ended = demo.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("checks      all held"), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(30), "{ended:?}");
}

/// Whoever kills its server.
#[cfg(unix)]
#[test]
fn a_demo_whose_server_is_killed_goes_on_with_everybody() {
    let mut demo = demo("4s");
    let line = demo.line();
    let server = line.rsplit(' ').next().and_then(|word| word.parse().ok());
    while !demo.line().starts_with("playing") {}
    signal(server.expect("its process id"), "KILL");
    let ended = demo.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = [
        "kills       the server 1 time",
        "6 rooms went on; 0 ticks and 0 inputs lost",
    ];
    for told in told {
        assert!(ended.stdout.contains(told), "{told} in {ended:?}");
    }
}

#[test]
fn the_script_kills_the_server_and_succeeds_if_all_are_back() {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let script = [
        "demo", "--script", "kill", "--json", "--for", "4s", "-n", "12",
    ];
    let ended = Process::of(program, &[], &script).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let record: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one object");
    let expected = serde_json::json!({ "ok": 12, "failed": 0 });
    assert_eq!(record["resumes"], expected, "{record}");
    let expected = serde_json::json!({
        "rooms": 6, "ticks_lost": 0, "inputs_lost": 0, "inputs_duplicated": 0, "hash_mismatches": 0,
    });
    assert_eq!(record["recovery"], expected, "{record}");
    assert_eq!(record["kills"], 1, "{record}");
    assert!(record["pause_us"]["max"].as_u64() > Some(0), "{record}");
    let short = Process::of(program, &[], &["demo", "--script", "kill", "--for", "1s"]).end();
    assert_eq!(short.code, Some(2), "{short:?}");
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

/// On a terminal that `script` of util-linux makes: the key is pressed until somebody plays.
#[cfg(target_os = "linux")]
#[test]
fn the_key_kills_the_server_and_the_picture_goes_on() {
    let demo = format!(
        "stty cols 80 rows 24; '{}' demo --for 7s",
        env!("CARGO_BIN_EXE_rejoin")
    );
    let keys = "for _ in 1 2 3; do sleep 1.2; printf k; done; sleep 5";
    let shell = format!("({keys}) | script --return --quiet --command \"{demo}\" /dev/null");
    let variables = [("TERM", "xterm"), ("SHELL", "/bin/sh")];
    let ended = Process::bare(Path::new("sh"), &variables, &["-c", &shell]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Of a picture only what is new is drawn; this is, as a whole.
    for told in [
        "sessions resumed",
        "kills       the server 3 times",
        "0 ticks and 0 inputs lost",
        "48 of 48 took a seat",
    ] {
        assert!(ended.stdout.contains(told), "{told} in {ended:?}");
    }
}
