//! `colyseus`: rooms on Node, over WebSocket.

mod players;

use std::path::{Path, PathBuf};
use std::process::Command;

use rejoin_arena::Subject;
use rejoin_arena::workload::{SHAPES, Shape};

use crate::game;

pub(crate) const NAME: &str = "colyseus";

pub(crate) const SUBJECT: Subject = Subject {
    name: NAME,
    about: "Colyseus on Node: WebSocket without TLS, bytes instead of a schema",
    command: |size| {
        let shape = SHAPES.get(game::shape(size));
        let Shape {
            hz,
            state_len,
            one_moves_in,
            ..
        } = shape.expect("one of the workload's");
        let mut command = Command::new("node");
        command.arg(folder().join("server.js"));
        command.args([*state_len, *hz as usize, *one_moves_in].map(|number| number.to_string()));
        command
    },
    players: |target, size| Box::new(players::ColyseusPlayers::new(target, size)),
    has_rooms: true,
};

/// The versions that are installed.
pub(crate) const LOCK: &str = include_str!("../../colyseus/package-lock.json");

/// Why it cannot be measured, in a line.
pub(crate) fn missing() -> Option<String> {
    let output = Command::new("node").arg("--version").output();
    if !output.is_ok_and(|output| output.status.success()) {
        return Some("there is no node, at least version 20".to_owned());
    }
    let installed = folder().join("node_modules/@colyseus/core").exists();
    (!installed).then(|| "not installed: npm ci --prefix benches/peers/colyseus".to_owned())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("colyseus")
}
