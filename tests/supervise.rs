//! `serve --supervise`: a server that dies is started again, and nothing is left beside the next one.

#![cfg(target_os = "linux")]

mod signal;
#[allow(dead_code, reason = "each test file uses its own part of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use signal::signal;
use support::{Ended, PATIENCE, Process};

/// A data folder, removed when its test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("rejoin-supervise-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// `rejoin serve` on it, with all that it says.
    fn serve(&self, bind: &str, more: &[&str]) -> Process {
        let data = self.0.to_str().expect("a plain name");
        let serve = ["--log", "info", "serve", "--bind", bind, "--data", data];
        rejoin(&[&serve[..], &["--print-address"], more].concat())
    }

    fn supervised(&self, bind: &str) -> Process {
        self.serve(bind, &["--supervise"])
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

/// Where a server says that it listens.
fn listening(server: &mut Process) -> String {
    let line = server.line();
    let address = line.strip_prefix("listening on ").expect("its address");
    address.to_owned()
}

/// `HOST:PORT` of an address.
fn place(address: &str) -> &str {
    address.rsplit_once('@').expect("a pinned key").1
}

/// The one child of a process.
fn child_of(process: u32) -> u32 {
    let start = Instant::now();
    loop {
        let path = format!("/proc/{process}/task/{process}/children");
        let children = fs::read_to_string(path).expect("it runs");
        let children: Vec<u32> = children
            .split_whitespace()
            .map(|id| id.parse().expect("a number"))
            .collect();
        match children[..] {
            [child] => return child,
            [] => assert!(start.elapsed() < PATIENCE, "it has no child"),
            _ => panic!("it has more than one: {children:?}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until a process runs no more. One that ended but was not waited for does not.
fn gone(process: u32) {
    let start = Instant::now();
    loop {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        if matches!(state, None | Some('Z' | 'X')) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "process {process} runs on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The next line of the log with these words.
fn told(server: &mut Process, words: &str) -> String {
    loop {
        let line = server.log_line();
        if line.contains(words) {
            return line;
        }
    }
}

/// The one line of a command that failed, below its log.
fn last_line(ended: &Ended) -> &str {
    ended.stderr.lines().last().unwrap_or_default()
}

#[test]
fn a_server_that_is_killed_is_started_again_at_once_and_then_after_pauses() {
    let folder = Folder::new("again");
    let mut server = folder.supervised("127.0.0.1:0");
    let address = listening(&mut server);
    for (count, pause) in [(1, "0ns"), (2, "100ms"), (3, "200ms")] {
        let child = child_of(server.id());
        signal(child, "KILL");
        let line = told(&mut server, "the server died");
        let told = format!(r#"cause="signal: 9 (SIGKILL)" pause={pause} count={count}"#);
        assert!(line.contains(&told), "{line}");
        assert_eq!(listening(&mut server), address);
        assert_ne!(child_of(server.id()), child);
    }
    let epoch = fs::read_to_string(folder.0.join("epoch")).expect("the epoch");
    assert_eq!(epoch, "4\n");
    signal(server.id(), "TERM");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn an_abort_is_a_death_and_an_orderly_end_of_the_child_is_none() {
    let folder = Folder::new("ends");
    let mut server = folder.supervised("127.0.0.1:0");
    listening(&mut server);
    signal(child_of(server.id()), "ABRT");
    told(&mut server, "SIGABRT");
    listening(&mut server);
    signal(child_of(server.id()), "TERM");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("started again"), "{ended:?}");
}

#[test]
fn stopping_is_orderly_and_hangups_are_passed_on() {
    for (name, also_child) in [("TERM", false), ("INT", true)] {
        let folder = Folder::new(name);
        let mut server = folder.supervised("127.0.0.1:0");
        listening(&mut server);
        let child = child_of(server.id());
        signal(server.id(), "HUP");
        told(&mut server, "ticket keys read again");
        if also_child {
            // As by Ctrl-C on a terminal.
            signal(child, name);
        }
        signal(server.id(), name);
        let ended = server.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("stopped"), "{ended:?}");
        gone(child);
    }
}

#[test]
fn a_stop_does_not_wait_for_the_end_of_a_pause() {
    let folder = Folder::new("pause");
    let mut server = folder.supervised("127.0.0.1:0");
    for _ in 0..5 {
        listening(&mut server);
        signal(child_of(server.id()), "KILL");
        told(&mut server, "the server died");
    }
    // 800 ms without a child.
    let start = Instant::now();
    signal(server.id(), "TERM");
    assert_eq!(server.end().code, Some(0));
    assert!(start.elapsed() < Duration::from_millis(700), "it waited");
}

#[test]
fn a_child_does_not_outlive_its_supervisor_and_the_next_one_serves_in_its_place() {
    let folder = Folder::new("orphan");
    let mut server = folder.supervised("127.0.0.1:0");
    let address = listening(&mut server);
    for hangs in [false, true, false, true, false] {
        let child = child_of(server.id());
        if hangs {
            // It reads no pipe.
            signal(child, "STOP");
        }
        signal(server.id(), "KILL");
        let ended = server.end();
        assert_eq!(ended.signal, Some(9), "{ended:?}");
        // At once, as a service manager would.
        server = folder.supervised(place(&address));
        assert_eq!(listening(&mut server), address);
        gone(child);
    }
    signal(server.id(), "TERM");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn what_would_end_the_same_way_again_ends_with_its_own_code_and_line() {
    let (folder, other) = (Folder::new("held"), Folder::new("other"));
    let mut holder = folder.serve("127.0.0.1:0", &[]);
    let address = listening(&mut holder);
    let refused = |server: Process, code: i32, words: &str| {
        let ended = server.end();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(last_line(&ended).starts_with("rejoin: "), "{ended:?}");
        assert!(last_line(&ended).contains(words), "{ended:?}");
        assert!(!ended.stderr.contains("started again"), "{ended:?}");
    };
    let words = format!("locked by process {}", holder.id());
    refused(folder.supervised("127.0.0.1:0"), 2, &words);
    refused(other.supervised(place(&address)), 3, "in use");
    refused(
        other.serve("127.0.0.1:0", &["--supervise", "--shards", "0"]),
        2,
        "shards",
    );
}

#[test]
fn a_server_that_a_later_one_has_fenced_is_not_started_again() {
    let folder = Folder::new("fenced");
    let mut server = folder.supervised("127.0.0.1:0");
    let address = listening(&mut server);
    // Rooms that are written to all along.
    let bots = [
        "bots",
        &address,
        "-n",
        "4",
        "--for",
        "60s",
        "--resume-for",
        "0s",
    ];
    let mut bots = rejoin(&bots);
    while !bots.line().starts_with("playing") {}
    // Somebody makes the folder free although it is not.
    fs::remove_file(folder.0.join("rooms/lock")).expect("the lock");
    let mut later = folder.serve("127.0.0.1:0", &[]);
    listening(&mut later);
    let ended = server.end();
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(last_line(&ended).contains("fenced"), "{ended:?}");
    assert!(!ended.stderr.contains("started again"), "{ended:?}");
    assert_eq!(bots.end().code, Some(6), "its players are told");
}

/// A machine may stop a process and let it go on later, when another one has its rooms.
#[test]
fn a_server_that_was_stopped_while_a_later_one_took_over_changes_nothing_and_ends() {
    let folder = Folder::new("stopped");
    let mut older = folder.serve("127.0.0.1:0", &[]);
    let address = listening(&mut older);
    let play = |address: &str, seconds: &str, more: &[&str]| {
        let bots = ["bots", address, "-n", "4", "--for", seconds];
        rejoin(&[&bots[..], &["--lateness-max", "1m"], more].concat())
    };
    let mut lost = play(&address, "60s", &["--resume-for", "0s"]);
    while !lost.line().starts_with("playing") {}
    signal(older.id(), "STOP");
    fs::remove_file(folder.0.join("rooms/lock")).expect("the lock");
    let mut later = folder.serve("127.0.0.1:0", &[]);
    let address = listening(&mut later);
    told(&mut later, "rooms are restored");
    let mut players = play(&address, "3s", &[]);
    while !players.line().starts_with("playing") {}
    // It goes on in the middle of a match of the later one.
    signal(older.id(), "CONT");
    let ended = older.end();
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(last_line(&ended).contains("fenced"), "{ended:?}");
    assert_eq!(lost.end().code, Some(6), "its players are told");
    let ended = players.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    signal(later.id(), "TERM");
    let ended = later.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // What the older one wrote since is not taken for history.
    let data = folder.0.to_str().expect("a plain name");
    let ended = rejoin(&["store", "check", data]).end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
