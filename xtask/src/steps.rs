//! The steps of `cargo xtask check`, each a command that anyone can run alone.

use std::path::Path;
use std::process::{Command, Stdio};

/// Seeds that every change runs.
const SEEDS: &str = "0..200";

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
    cargo(root, &["test", "--locked", "--package", "xtask"])?;
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
    for package in ["rejoin-protocol", "rejoin-simulation"] {
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

/// What a command prints; its own errors pass through.
pub(crate) fn capture(root: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let name = format!("{program} {}", arguments.join(" "));
    let program = if program == "cargo" {
        cargo_path()
    } else {
        program.to_owned()
    };
    let output = Command::new(program)
        .current_dir(root)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{name}: {error}"))
}

/// The cargo that runs us, so that a chosen toolchain stays chosen.
fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
