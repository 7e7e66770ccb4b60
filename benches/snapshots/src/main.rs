//! Deltas of five games: bytes and time of each codec.
//!
//! ```sh
//! cargo run --release --manifest-path benches/snapshots/Cargo.toml -- --publish DIR
//! ```

mod codec;
mod games;
mod measure;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use measure::Plan;
use report::Report;

/// Deltas of five games: bytes and time of each codec
#[derive(Parser, Debug)]
#[command(name = "snapshots")]
struct Options {
    /// Folder for snapshots.md and snapshots.json
    #[arg(long, value_name = "DIR")]
    publish: Option<PathBuf>,
    /// How often each codec has its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Views of each game
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u16).range(10..=10_000))]
    views: u16,
    /// Views between one and its base: those of a round trip
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    behind: u16,
    /// What the games are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let plan = Plan {
        rounds: options.rounds,
        views: options.views.into(),
        behind: options.behind.into(),
        seed: options.seed,
    };
    let report = Report::new(plan);
    print!("{}", report.table());
    let Some(folder) = options.publish else {
        return ExitCode::SUCCESS;
    };
    match report.write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: --publish: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
