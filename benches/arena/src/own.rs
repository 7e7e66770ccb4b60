//! The servers of this program: Rejoin, and the least that could be in its place.

use std::path::PathBuf;
use std::process::Command;

use crate::raw_players::RawPlayers;
use crate::rejoin_players::RejoinPlayers;
use crate::subject::{Size, Subject};
use crate::workload::STILL;

/// All of them.
pub const SUBJECTS: &[&Subject] = &[&RAW2, &RAW2_AES, &ECHO, &REJOIN, &REJOIN2, &EXACT, &SYNCED];

/// One thread, recvmmsg and sendmmsg, nothing else.
pub const RAW2: Subject = Subject {
    name: "raw2",
    about: "one thread, recvmmsg and sendmmsg, nothing else",
    command: |size| raw(size, "plain"),
    players: |target, size| Box::new(RawPlayers::new(target, false, true, size)),
    has_rooms: true,
};

/// The same, sealed.
pub const RAW2_AES: Subject = Subject {
    name: "raw2+aes",
    about: "the same, every datagram sealed with AES-128-GCM",
    command: |size| raw(size, "aes"),
    players: |target, size| Box::new(RawPlayers::new(target, true, true, size)),
    has_rooms: true,
};

/// The plainest.
pub const ECHO: Subject = Subject {
    name: "echo",
    about: "a plain echo, one system call each way, woken by each datagram",
    command: |_| told("echo"),
    players: |target, size| Box::new(RawPlayers::new(target, false, false, size)),
    has_rooms: false,
};

/// Rejoin.
pub const REJOIN: Subject = Subject {
    name: "rejoin",
    about: "Rejoin, which keeps nothing on disk",
    command: |size| rejoin(size, 1, None),
    players: |target, size| Box::new(RejoinPlayers::new(target, size)),
    has_rooms: true,
};

/// With two shards.
pub const REJOIN2: Subject = Subject {
    name: "rejoin2",
    about: "Rejoin with two shards, both on the server's core",
    command: |size| rejoin(size, 2, None),
    ..REJOIN
};

/// Durable against the end of the process.
pub const EXACT: Subject = Subject {
    name: "rejoin-exact",
    about: "Rejoin with a data folder on a disk: every call is journalled",
    command: |size| rejoin(size, 1, Some("exact")),
    ..REJOIN
};

/// Durable against a loss of power.
pub const SYNCED: Subject = Subject {
    name: "rejoin-synced",
    about: "the same, and inputs are acknowledged once they are on the medium",
    command: |size| rejoin(size, 1, Some("synced")),
    ..REJOIN
};

/// This program again.
#[must_use]
pub fn told(arguments: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this process has a program"));
    command.args(arguments.split_whitespace());
    command
}

fn raw(size: Size, cipher: &str) -> Command {
    let shape = size.shape.unwrap_or(STILL);
    told(&format!("raw {shape} {} {cipher}", size.rooms()))
}

/// With limits that a server of this size is given; all that bound one peer stay as they are.
fn rejoin(size: Size, shards: usize, durability: Option<&str>) -> Command {
    let rooms = size.rooms() + 64;
    let mut command = told(&format!(
        "serve --shards {shards} --log warn --bind 127.0.0.1:0 --print-address --until-stdin-closes \
         --limit sessions_max={} --limit rooms_max={} --limit address_rooms_max={rooms} \
         --limit address_room_creates_burst={rooms}",
        // Divided among the shards, and the players may not be.
        shards * (size.players + 64),
        shards * rooms,
    ));
    if let Some(level) = durability {
        command.arg("--data").arg(folder());
        command.args(["--durability", level]);
    }
    command
}

/// On the disk that holds temporary files, of this process alone: see [`clear`].
fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("rejoin-arena-{}", std::process::id()))
}

/// Removes what a server that ended has left.
pub(crate) fn clear() {
    std::fs::remove_dir_all(folder()).ok();
}
