//! Where it was measured, and which versions.

use std::collections::BTreeMap;
use std::process::Command;

use serde::Serialize;

use crate::colyseus;

#[derive(Serialize)]
pub(crate) struct Machine {
    /// Profile, processor, kernel and load, as the arena tells them.
    pub(crate) arena: String,
    pub(crate) memory_kib: u64,
    pub(crate) compiler: String,
    /// Of this repository; `dirty` if files differ from it.
    pub(crate) commit: String,
    pub(crate) versions: BTreeMap<String, String>,
}

/// Crates whose versions matter to the figures.
const CRATES: [&str; 8] = [
    "rejoin",
    "quinn",
    "quinn-proto",
    "rustls",
    "renet",
    "renet_netcode",
    "renetcode",
    "rusty_enet",
];
const PACKAGES: [&str; 2] = ["@colyseus/core", "@colyseus/ws-transport"];

impl Machine {
    pub(crate) fn of_this() -> Self {
        let crates = CRATES.map(|name| (name.to_owned(), of_crate(name)));
        let packages = PACKAGES.map(|name| (name.to_owned(), of_package(name)));
        let node = ("node".to_owned(), told("node", &["--version"]));
        let versions = crates.into_iter().chain(packages).chain([node]);
        let here = env!("CARGO_MANIFEST_DIR");
        Self {
            arena: rejoin_arena::machine(),
            memory_kib: memory_kib(),
            compiler: told("rustc", &["--version"]),
            commit: told("git", &["-C", here, "describe", "--always", "--dirty"]),
            versions: versions.collect(),
        }
    }
}

/// What a command says.
fn told(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let text = output.filter(|output| output.status.success());
    let text = text.and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn memory_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.unwrap_or_default()
}

/// The version in the lock file that this was built with.
fn of_crate(name: &str) -> String {
    let line = format!("name = \"{name}\"");
    let mut lines = include_str!("../../Cargo.lock").lines();
    let version = lines
        .find(|found| *found == line)
        .and_then(|_| lines.next())
        .and_then(|line| line.strip_prefix("version = "));
    version
        .map_or("unknown", |it| it.trim_matches('"'))
        .to_owned()
}

/// The version in the lock file that is installed from.
fn of_package(name: &str) -> String {
    let lock: serde_json::Value = serde_json::from_str(colyseus::LOCK).unwrap_or_default();
    let package = lock
        .get("packages")
        .and_then(|all| all.get(format!("node_modules/{name}")));
    let version = package.and_then(|package| package.get("version")?.as_str());
    version.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_files() {
        let starts_with_digit = |it: &String| it.starts_with(|first: char| first.is_ascii_digit());
        assert!(CRATES.map(of_crate).iter().all(starts_with_digit));
        assert!(PACKAGES.map(of_package).iter().all(starts_with_digit));
        assert_eq!(of_crate("nothing"), "unknown");
        assert_eq!(of_package("nothing"), "unknown");
    }
}
