//! Bots whose server is killed while they play: everybody plays on, and what would be lost is found.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

mod signal;
#[allow(dead_code, reason = "each test file uses its own part of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use signal::signal;
use support::{Ended, Process};

/// A folder for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("rejoin-kills-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn rejoin(arguments: &[&str]) -> Process {
    Process::of(Path::new(env!("CARGO_BIN_EXE_rejoin")), &[], arguments)
}

/// Bots that play with what they are told to be late by, and write what came of it.
fn bots(arguments: &[&str], json: &str) -> Process {
    let always = ["bots", "-n", "24", "--rooms", "3", "--lateness-max", "1m"];
    rejoin(&[&always, arguments, &["--json", json]].concat())
}

fn read(path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn number(record: &Value, pointer: &str) -> u64 {
    let value = record.pointer(pointer).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("{pointer} in {record}"))
}

/// What must hold of every run with kills.
fn nothing_is_lost(ended: &Ended, record: &Value, kills: u64) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(number(record, "/kills/done"), kills);
    for zero in [
        "/resumes/failed",
        "/recovery/ticks_lost",
        "/recovery/inputs_lost",
        "/recovery/inputs_duplicated",
        "/recovery/hash_mismatches",
    ] {
        assert_eq!(number(record, zero), 0, "{zero} in {record}");
    }
    // At least after the last kill all are back.
    assert!(number(record, "/resumes/ok") >= 24, "{record}");
}

/// Players saw their rooms stand still, and go on.
fn pauses_are_told(record: &Value) {
    let [p50, p99, max] =
        ["p50", "p99", "max"].map(|it| number(record, &format!("/pause_us/{it}")));
    assert!(0 < p50 && p50 <= p99 && p99 <= max, "{record}");
}

#[test]
fn everybody_plays_on_whenever_their_own_server_is_killed() {
    let folder = Folder::new("own");
    for threads in ["1", "2"] {
        let json = folder.path(threads);
        let html = folder.path("page.html");
        let kills = [
            "--kills",
            "4",
            "--kill-within",
            "0..800ms",
            "--kill-seed",
            "7",
        ];
        let more = [
            "--threads",
            threads,
            "--html",
            &html,
            "--check",
            "recovery.ticks_lost==0",
        ];
        let ended = bots(&[&kills[..], &more].concat(), &json).end();
        let record = read(&json);
        nothing_is_lost(&ended, &record, 4);
        pauses_are_told(&record);
        assert!(ended.stdout.contains("killed 4 times"), "{ended:?}");
        assert!(ended.stdout.contains("seed 7"), "{ended:?}");
        assert_eq!(number(&record, "/run/kill_seed"), 7);
        assert!(number(&record, "/recovery/rooms") >= 3, "{record}");
        assert_eq!(number(&record, "/run/kill_within_us/1"), 800_000);
        let page = fs::read_to_string(&html).unwrap();
        for shown in [
            "recovery.hash_mismatches",
            "kills.in_recovery",
            "<th>pause</th>",
        ] {
            assert!(page.contains(shown), "{shown}");
        }
    }
}

/// Each room is replayed from its first record, without any checkpoint: it has to be what its server has of it after all kills,
/// and to show what the bots saw.
#[test]
fn a_twin_that_is_replayed_from_the_first_record_is_the_room_that_was_killed() {
    let folder = Folder::new("twins");
    for kind in ["arena", "chat"] {
        let json = folder.path(kind);
        let kills = ["--kills", "4", "--kill-within", "0..800ms", "--twins"];
        let more = [
            "--kill-seed",
            "11",
            "--kind",
            kind,
            "--check",
            "twins.differ==0",
        ];
        let ended = bots(&[&kills[..], &more].concat(), &json).end();
        let record = read(&json);
        nothing_is_lost(&ended, &record, 4);
        assert_eq!(number(&record, "/twins/rooms"), 3, "{record}");
        assert_eq!(number(&record, "/twins/differ"), 0, "{record}");
        assert!(number(&record, "/twins/records") > 100, "{record}");
        assert!(number(&record, "/twins/views") > 100, "{record}");
        assert!(ended.stdout.contains("twins       3 rooms"), "{ended:?}");
    }
}

/// The second kill comes as soon as the server listens, while its players cannot have heard of it.
#[test]
fn kills_before_all_are_back_are_counted() {
    let folder = Folder::new("early");
    let json = folder.path("run.json");
    let kills = ["--kills", "3", "--kill-within", "0..1ms"];
    let ended = bots(&kills, &json).end();
    let record = read(&json);
    // All may come before a room has shown anything: then nobody saw it stand still.
    nothing_is_lost(&ended, &record, 3);
    assert!(number(&record, "/kills/in_recovery") >= 2, "{record}");
}

#[test]
fn a_data_folder_is_kept_if_it_is_named_and_else_nothing_is_left() {
    let folder = Folder::new("data");
    let (data, json) = (folder.path("kept"), folder.path("run.json"));
    let kills = ["--kills", "2", "--kill-every", "500ms"];
    let ended = bots(&[&kills[..], &["--data", &data]].concat(), &json).end();
    nothing_is_lost(&ended, &read(&json), 2);
    assert_eq!(
        fs::read_to_string(folder.path("kept/epoch")).unwrap(),
        "3\n"
    );

    let temporary = folder.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let arguments = ["bots", "-n", "4", "--kills", "1", "--kill-every", "300ms"];
    let late = ["--lateness-max", "1m"];
    let variables = [("TMPDIR", temporary.as_str())];
    let ended = Process::of(program, &variables, &[&arguments[..], &late].concat()).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn the_server_of_another_supervisor_is_killed_if_it_is_named() {
    let folder = Folder::new("supervised");
    let (data, json) = (folder.path("data"), folder.path("run.json"));
    let serve = [
        "serve",
        "--supervise",
        "--bind",
        "127.0.0.1:0",
        "--print-address",
    ];
    let mut server = rejoin(&[&serve[..], &["--data", &data]].concat());
    let line = server.line();
    let address = line.strip_prefix("listening on ").unwrap();
    let process = server.id().to_string();
    let kills = [
        "--kills",
        "3",
        "--kill-every",
        "700ms",
        "--kill-pid",
        &process,
    ];
    let ended = bots(&[&[address], &kills[..]].concat(), &json).end();
    nothing_is_lost(&ended, &read(&json), 3);
    assert_eq!(
        fs::read_to_string(folder.path("data/epoch")).unwrap(),
        "4\n"
    );
    signal(server.id(), "TERM");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn what_kills_cannot_be_made_is_said_before_anybody_plays() {
    let refused = |arguments: &[&str], words: &str| {
        let ended = rejoin(&[&["bots", "--kills", "2"], arguments].concat()).end();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(ended.stderr.contains(words), "{ended:?}");
    };
    refused(&["rejoin://127.0.0.1:7777"], "--kill-pid PID");
    refused(&["--for", "4s", "--kill-every", "2s"], "5s are needed");
    refused(&["--permits", "-"], "dev auth");
    let unjournalled = ["--twins", "--durability", "checkpoint"];
    refused(&unjournalled, "exact or synced");
    let other = if cfg!(target_os = "linux") {
        "serve --supervise"
    } else {
        "Linux"
    };
    refused(&["--kill-pid", "4294967295"], other);
}

/// The process that has a data folder.
fn holder(data: &str) -> u32 {
    let lock = fs::read_to_string(Path::new(data).join("rooms/lock")).unwrap();
    lock.trim().parse().unwrap()
}

#[test]
fn a_server_that_ends_although_nobody_killed_it_fails_the_run() {
    let folder = Folder::new("crash");
    let (data, json) = (folder.path("data"), folder.path("run.json"));
    let kills = ["--kills", "1", "--kill-every", "50s", "--data", &data];
    let mut bots = bots(&kills, &json);
    while !bots.line().starts_with("playing") {}
    signal(holder(&data), "ABRT");
    let ended = bots.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("SIGABRT"), "{ended:?}");
}

/// A server that comes back on an older copy of its rooms has lost what its players saw since.
#[test]
fn a_server_that_goes_back_is_found_out() {
    let folder = Folder::new("back");
    let (data, json) = (folder.path("data"), folder.path("run.json"));
    let serve = |bind: &str| {
        let serve = ["serve", "--bind", bind, "--print-address", "--data", &data];
        let mut server = rejoin(&serve);
        let line = server.line();
        (
            server,
            line.strip_prefix("listening on ").unwrap().to_owned(),
        )
    };
    let (server, address) = serve("127.0.0.1:0");
    let mut bots = bots(&[&address, "--for", "6s"], &json);
    while !bots.line().starts_with("playing") {}
    let (rooms, copy) = (Path::new(&data).join("rooms"), folder.0.join("copy"));
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(&rooms).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    std::thread::sleep(Duration::from_millis(1_500));
    drop(server);
    fs::remove_dir_all(&rooms).unwrap();
    fs::rename(&copy, &rooms).unwrap();
    let (_server, _) = serve(address.rsplit_once('@').unwrap().1);
    let ended = bots.end();
    // Their clients hold more than the rooms: to them these are others, and the seats are gone.
    assert_eq!(ended.code, Some(6), "{ended:?}");
    let record = read(&json);
    assert_eq!(number(&record, "/resumes/failed"), 24, "{record}");
    assert!(number(&record, "/recovery/inputs_lost") > 0, "{record}");
}
