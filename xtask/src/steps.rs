//! The steps of `cargo xtask check`, each a command that anyone can run alone.

use std::path::Path;
use std::process::Command;

use crate::capture::cargo_path;

/// Seeds that every change runs.
const SEEDS: &str = "0..200";
/// Generated inputs for each parser, and steps of each machine: half a minute on two slow cores.
const INPUTS: &str = "1000000";
/// See above.
const STEPS: &str = "200000";

/// Runs all steps in order and stops at the first that fails.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    cargo(root, &["fmt", "--all", "--check"])?;
    crate::tidy(root)?;
    cargo(
        root,
        &[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
    )?;
    docs(root)?;
    for package in ["rejoin-protocol", "rejoin-client"] {
        let portable = ["--no-default-features", "--features", "portable"];
        let mut arguments = vec!["check", "--locked", "--package", package];
        arguments.extend(portable);
        cargo(root, &arguments)?;
    }
    cargo(root, &["test", "--locked"])?;
    let others = ["--package", "rejoin-fuzzing", "--package", "xtask"];
    cargo(root, &[["test", "--locked"].as_slice(), &others].concat())?;
    crate::examples::check(root)?;
    crate::two_machines::check_if_possible(root)?;
    cargo(
        root,
        &[
            "test",
            "--locked",
            "--package",
            "rejoin-protocol",
            "--no-default-features",
            "--features",
            "portable",
        ],
    )?;
    let one_by_one = ["--package", "rejoin-datagram", "--features", "portable"];
    cargo(
        root,
        &[["test", "--locked"].as_slice(), &one_by_one].concat(),
    )?;
    for package in ["rejoin-protocol", "rejoin-fuzzing", "rejoin-simulation"] {
        let planted = ["--features", "planted-bugs", "--test"];
        let test = if package == "rejoin-protocol" {
            "connection"
        } else {
            "planted"
        };
        let mut arguments = vec!["test", "--locked", "--release", "--package", package];
        arguments.extend(planted);
        arguments.push(test);
        cargo(root, &arguments)?;
    }
    generated(root)?;
    paths(root)?;
    cargo(
        root,
        &[
            "run",
            "--locked",
            "--release",
            "--",
            "simulate",
            "--seeds",
            SEEDS,
        ],
    )
}

/// Inputs that nobody sound would send, from a fresh number that the report names.
fn generated(root: &Path) -> Result<(), String> {
    let mut arguments = vec!["run", "--locked", "--release", "--package"];
    arguments.extend(["rejoin-fuzzing", "--example", "generated", "--"]);
    arguments.extend(["--inputs", INPUTS, "--steps", STEPS]);
    cargo(root, &arguments)
}

/// Instructions of the hot paths.
fn paths(root: &Path) -> Result<(), String> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        crate::say("\n== hot paths: not counted here: valgrind is not installed");
        return Ok(());
    }
    let bench = ["bench", "--locked", "--package", "rejoin-hall"];
    cargo(root, &[bench.as_slice(), &["--bench", "paths"]].concat())
}

fn docs(root: &Path) -> Result<(), String> {
    let mut command = Command::new(cargo_path());
    command
        .current_dir(root)
        .env("RUSTDOCFLAGS", "--deny warnings")
        .args([
            "doc",
            "--locked",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ]);
    run(command, "cargo doc")
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(cargo_path());
    command.current_dir(root).args(arguments);
    run(command, &format!("cargo {}", arguments.join(" ")))
}

fn run(mut command: Command, name: &str) -> Result<(), String> {
    crate::say(&format!("\n== {name}"));
    let status = command
        .status()
        .map_err(|error| format!("{name}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name}: {status}"))
    }
}
