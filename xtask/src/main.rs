//! Checks of this repository: `cargo xtask check` is what a change must pass.

mod attacks;
mod capture;
mod circles;
mod dependencies;
mod documents;
mod examples;
mod layers;
mod product;
mod sources;
mod steps;
mod two_machines;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask check | tidy | examples | two-machines
  check         format, clippy, docs, tidy, portable builds, tests, planted bugs, seeds, all below
  tidy          only: file sizes, words, module circles, layers, dependencies, the list of attacks
  examples      only: the programs of docs/permits.md mint, and a server takes their permits
  two-machines  only: the README's way to open a server to strangers, between two network
                namespaces (Linux, root)";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let outcome = match command.as_deref() {
        Some("check") => steps::check(&root()),
        Some("tidy") => tidy(&root()),
        Some("examples") => examples::check(&root()),
        Some("two-machines") => two_machines::check(&root()),
        Some("scan") => two_machines::scan(std::env::args().nth(2).as_deref()),
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say(&problem);
            ExitCode::FAILURE
        }
    }
}

/// Runs every tidy check and reports all complaints together.
fn tidy(root: &Path) -> Result<(), String> {
    let mut complaints = Vec::new();
    complaints.extend(sources::check(root)?);
    complaints.extend(circles::check(root)?);
    complaints.extend(layers::check(root)?);
    complaints.extend(dependencies::check(root)?);
    complaints.extend(attacks::check(root)?);
    if complaints.is_empty() {
        say("tidy: nothing to complain about");
        return Ok(());
    }
    Err(complaints.join("\n"))
}

/// The repository: this package's parent folder.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

#[expect(clippy::print_stdout, reason = "this is a command line tool")]
fn say(text: &str) {
    println!("{text}");
}
