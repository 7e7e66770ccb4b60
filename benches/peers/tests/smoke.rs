//! Each server once with a room of 16: all get in, every ping comes back, and every player is shown the room.

#![allow(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, and helpers are not seen as tests"
)]

use std::path::PathBuf;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rejoin-peers");

/// Plays for a second. Lateness does not count: other tests run meanwhile.
fn play(server: &str) -> serde_json::Value {
    let name = format!("rejoin-peers-{server}-{}.json", std::process::id());
    let json = std::env::temp_dir().join(name);
    let output = run(server, &json);
    let told = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{trouble}");
    let text = std::fs::read_to_string(&json).unwrap();
    std::fs::remove_file(json).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn run(server: &str, json: &PathBuf) -> Output {
    Command::new(PROGRAM)
        .args(["--rooms", "1", "--rounds", "1", "--seconds", "1", "--rough"])
        .args(["--servers", server, "--json"])
        .arg(json)
        .output()
        .unwrap()
}

fn check(server: &str) {
    let document = play(server);
    let turn = document.pointer("/turns/0").unwrap();
    let figure = |name| turn.get(name).and_then(serde_json::Value::as_f64).unwrap();
    assert_eq!(figure("pings_unanswered"), 0.0, "{turn}");
    let shown = figure("snapshots_share");
    assert!((0.8..1.2).contains(&shown), "{turn}");
    assert!(figure("cpu_ns_per_player_second") > 0.0, "{turn}");
    let wire = figure("wire_carried");
    assert!(wire > 20_000.0, "{turn}");
}

#[test]
fn rejoin_serves_a_room() {
    check("rejoin");
}

#[test]
fn raw2_serves_a_room() {
    check("raw2");
}

#[test]
fn renet_serves_a_room() {
    check("renet");
}

#[test]
fn quinn_serves_a_room() {
    check("quinn");
}

#[test]
fn enet_serves_a_room() {
    check("enet");
}

#[test]
fn colyseus_serves_a_room_or_says_how_it_is_installed() {
    let json = std::env::temp_dir().join(format!("rejoin-peers-ask-{}.json", std::process::id()));
    let output = run("colyseus", &json);
    std::fs::remove_file(json).ok();
    if output.status.code() == Some(2) {
        let trouble = String::from_utf8_lossy(&output.stderr);
        assert!(
            trouble.contains("npm ci --prefix benches/peers/colyseus")
                || trouble.contains("no node")
        );
        assert_eq!(trouble.lines().count(), 1, "{trouble}");
    } else {
        check("colyseus");
    }
}

#[test]
fn servers_are_not_started_by_hand() {
    for server in ["renet", "quinn", "enet"] {
        let output = Command::new(PROGRAM).arg(server).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    }
}
