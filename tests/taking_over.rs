//! Starts on a data folder that somebody has, or that cannot be used as it is.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses its own part of it")]
mod kept_rooms;
mod signal;
#[allow(dead_code, reason = "each test file uses its own part of it")]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use kept_rooms::{Folder, play, program, refusal, run};
use signal::signal;
use support::Process;

#[test]
fn the_process_that_has_the_folder_is_killed_and_its_rooms_go_on_at_the_same_port() {
    let folder = Folder::new("taken");
    let (first, address) = folder.serve("127.0.0.1:0", &[]);
    play(&address);
    let (_, place) = address.rsplit_once('@').expect("an address");
    let refused = refusal(&folder.start("127.0.0.1:0", &[]).end(), 2);
    let told = format!(
        "is locked by process {}; stop it first, or start with --take-over, which kills it",
        first.id()
    );
    assert!(refused.ends_with(&told), "{refused}");
    let (second, again) = folder.serve(place, &["--take-over"]);
    assert_eq!(again, address);
    assert_eq!(first.end().signal, Some(9));
    let listed = run(&["store", "ls", folder.text()]);
    assert_eq!(listed.stdout.lines().count(), 3, "{listed:?}");
    // Nobody is there to be killed.
    signal(second.id(), "KILL");
    second.end();
    let (third, _) = folder.serve(place, &["--take-over"]);
    signal(third.id(), "TERM");
    assert_eq!(third.end().code, Some(0));
}

#[test]
fn a_stranger_whose_number_stands_in_the_lock_file_is_not_killed() {
    let folder = Folder::new("stranger");
    folder.fill("TERM");
    let stranger = Process::spawn_plain(Path::new("sleep"), &["600"]);
    let lock = folder.file("rooms").join("lock");
    let locked = lock.to_str().expect("a plain name");
    // It becomes what it runs, so that its end gives up the lock.
    let held = ["-F", locked, "sh", "-c", "echo held; exec sleep 600"];
    let mut holder = Process::spawn_plain(Path::new("flock"), &held);
    assert_eq!(holder.line(), "held");
    fs::write(&lock, format!("{}\n", stranger.id())).expect("it is ours");
    let refused = refusal(&folder.start("127.0.0.1:0", &["--take-over"]).end(), 2);
    let told = format!("does not say that process {} has the lock", stranger.id());
    assert!(refused.contains(&told), "{refused}");
    assert!(
        Path::new(&format!("/proc/{}", stranger.id())).exists(),
        "it lives"
    );
    signal(stranger.id(), "TERM");
    assert_eq!(stranger.end().signal, Some(15), "nothing else ended it");
}

#[test]
fn a_fresh_start_sets_the_rooms_aside_and_keeps_the_keys() {
    let folder = Folder::new("fresh");
    folder.fill("KILL");
    let key = fs::read(folder.file("ticket.keys")).expect("it is there");
    // Also if nobody can read them.
    fs::write(folder.file("rooms").join("manifest"), "rotten").expect("it is ours");
    let before = folder.rooms();
    let (mut server, _) = folder.serve("127.0.0.1:0", &["--fresh", "--log", "warn"]);
    let line = server.log_line();
    assert!(
        line.contains("begins without the rooms that were there"),
        "{line}"
    );
    assert!(line.contains("rooms.old-2"), "{line}");
    assert_eq!(
        fs::read(folder.file("ticket.keys")).expect("it is there"),
        key
    );
    let listed = run(&["store", "ls", folder.text()]);
    assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
    for (name, bytes) in before.iter().filter(|(name, _)| name != "lock") {
        let aside = fs::read(folder.file("rooms.old-2").join(name));
        assert!(aside.expect("nothing is deleted") == *bytes, "{name}");
    }
    let refused = refusal(&folder.start("127.0.0.1:0", &["--fresh"]).end(), 2);
    assert!(refused.contains("is locked by process"), "{refused}");
    assert!(!folder.file("rooms.old-3").exists(), "it is no start");
}

#[test]
fn of_the_children_of_a_supervisor_only_the_first_begins_afresh() {
    let folder = Folder::new("supervised");
    folder.fill("KILL");
    let (supervisor, _) = folder.serve("127.0.0.1:0", &["--supervise", "--fresh"]);
    let holder = || {
        let lock = fs::read_to_string(folder.file("rooms").join("lock"));
        lock.ok()?.trim().parse::<u32>().ok()
    };
    let first = holder().expect("the child has the folder");
    assert!(folder.file("rooms.old-2").is_dir());
    signal(first, "KILL");
    let start = std::time::Instant::now();
    while fs::read_to_string(folder.file("epoch")).ok().as_deref() != Some("3\n")
        || holder().is_none_or(|now| now == first)
        || !folder.file("rooms").join("manifest").exists()
    {
        assert!(start.elapsed() < support::PATIENCE, "no other child serves");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(!folder.file("rooms.old-3").exists(), "its rooms are kept");
    signal(supervisor.id(), "TERM");
    assert_eq!(supervisor.end().code, Some(0));
    assert!(!folder.file("rooms.old-3").exists(), "its rooms are kept");
}

#[test]
fn what_needs_a_data_folder_says_so() {
    for flag in ["--fresh", "--take-over"] {
        let started = ["serve", "--bind", "127.0.0.1:0", flag];
        let refused = refusal(&run(&started), 2);
        assert!(refused.ends_with("say which, with --data DIR"), "{refused}");
    }
}

#[test]
fn a_store_that_cannot_be_opened_says_what_to_do() {
    let folder = Folder::new("refused");
    folder.fill("TERM");
    let manifest = folder.file("rooms").join("manifest");
    let good = fs::read(&manifest).expect("it is there");
    let mut later = good.clone();
    later[9] = 2;
    let half = later.len() / 2;
    later[half + 9] = 2;
    let cases: [(Option<&[u8]>, [&str; 2]); 3] = [
        (
            Some(&later),
            [
                "manifest is of format 2, this version reads 1: run the newer version",
                "--fresh",
            ],
        ),
        (
            Some(b"rotten"),
            ["manifest is damaged in both its copies", "--fresh"],
        ),
        (None, ["manifest is missing", "--fresh"]),
    ];
    for (bytes, words) in cases {
        match bytes {
            Some(bytes) => fs::write(&manifest, bytes).expect("it is ours"),
            None => fs::remove_file(&manifest).expect("it is ours"),
        }
        let refused = refusal(&folder.start("127.0.0.1:0", &[]).end(), 2);
        let rooms = folder.file("rooms").display().to_string();
        assert!(refused.starts_with(&rooms), "{refused}");
        assert!(words.iter().all(|it| refused.contains(it)), "{refused}");
        let checked = refusal(&run(&["store", "check", folder.text()]), 2);
        assert!(checked.contains(words[0]), "{checked}");
    }
    fs::write(&manifest, &good).expect("it is ours");
    // Rooms of a later epoch than the folder's: a file that was put back.
    fs::write(folder.file("epoch"), "1\n").expect("it is ours");
    for _ in 0..2 {
        drop(folder.serve("127.0.0.1:0", &[]));
    }
    fs::write(folder.file("epoch"), "1\n").expect("it is ours");
    let refused = refusal(&folder.start("127.0.0.1:0", &[]).end(), 8);
    let remedy = refused.split('`').nth(1).expect("a command");
    let ran = Command::new("sh").args(["-c", remedy]).status();
    assert!(ran.expect("there is a shell").success(), "{remedy}");
    drop(folder.serve("127.0.0.1:0", &[]));
}

#[test]
fn a_start_on_a_full_disk_says_so_and_changes_no_room() {
    let folder = Folder::new("full");
    folder.fill("TERM");
    let before = folder.rooms();
    // No file may grow beyond 4 KiB: the first segment of the epoch finds no place.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let rejoin = program().to_str().expect("a plain name");
    let serve = [
        rejoin,
        "--log",
        "error",
        "serve",
        "--bind",
        "127.0.0.1:0",
        "--data",
        folder.text(),
    ];
    let started = [&["-c", script, "sh"][..], &serve].concat();
    let ended = Process::spawn_plain(Path::new("/bin/sh"), &started).end();
    // A supervisor tries again.
    let refused = refusal(&ended, 70);
    assert!(refused.contains("cannot write"), "{refused}");
    assert!(
        refused.ends_with("the disk is full: make room there, then start again"),
        "{refused}"
    );
    let after = folder.rooms();
    let kept = |files: &[(String, Vec<u8>)]| {
        files
            .iter()
            .filter(|(name, _)| name != "lock")
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(
        kept(&after) == kept(&before),
        "a start that fails changes no room"
    );
    drop(folder.serve("127.0.0.1:0", &[]));
}
