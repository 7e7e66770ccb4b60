//! Rejoin's log engine beside others, under the journal and checkpoints of a shard.
//!
//! `README.md` says what is measured, how each engine is set up, and what is not alike.

use std::fs::{File, create_dir, create_dir_all, remove_dir_all};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use engine::Failure;
use kind::Kind;
use options::Options;
use report::{Described, Report, Run};
use run::Load;
use system::{Machine, settle};

mod engine;
mod kill;
mod kind;
mod lsm;
mod options;
mod own;
mod raft;
mod read;
mod report;
mod run;
mod system;
mod tree;
mod units;
mod workload;

fn main() -> ExitCode {
    let options = Options::parse();
    match measure(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: an engine did not give back what it was given");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every engine gave back what it was given.
fn measure(options: &Options) -> Result<bool, Failure> {
    if let (Some(folder), Some(kind)) = (&options.victim, options.victim_engine) {
        kill::write(kind, options.plan(Load::Checkpoints), folder)?;
        return Ok(false);
    }
    create_dir_all(&options.dir).map_err(|error| named("--dir", error))?;
    // Made first: a name that cannot be is told before the measuring, not after it.
    let json = options.json.as_ref().map(File::create).transpose();
    let json = json.map_err(|error| named("--json", error))?;
    let folder = Folder::new(&options.dir)?;
    let loads = options.loads.iter();
    let mut report = Report {
        machine: Machine::of(&folder.0),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        rough: options.rough,
        rounds: options.rounds,
        loads: loads
            .map(|load| Described::of(options.plan(*load)))
            .collect(),
        kills: Vec::new(),
        runs: Vec::new(),
    };
    print!("{}", report.head());
    kill_each(options, &folder, &mut report)?;
    print!("{}", report.kills());
    for load in &options.loads {
        for round in 1..=options.rounds {
            for kind in &options.engines {
                let figures =
                    folder.with(*kind, |folder| run::run(*kind, options.plan(*load), folder))?;
                report.runs.push(Run {
                    round,
                    load: load.name(),
                    engine: kind.name(),
                    figures,
                });
            }
        }
        print!("{}", report.table(*load, &options.engines));
    }
    if let Some(mut file) = json {
        let text = serde_json::to_string_pretty(&report)?;
        writeln!(file, "{text}").map_err(|error| named("--json", error))?;
    }
    Ok(report.is_sound())
}

fn kill_each(options: &Options, folder: &Folder, report: &mut Report) -> Result<(), Failure> {
    for kind in options.engines.iter().filter(|kind| kind.keeps()) {
        let plan = options.plan(Load::Checkpoints);
        let kill = folder.with(*kind, |folder| kill::kill(*kind, plan, folder))?;
        report.kills.push(kill);
    }
    Ok(())
}

fn named(name: &str, error: impl std::fmt::Display) -> Failure {
    format!("{name}: {error}").into()
}

/// A folder of this run alone, removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(parent: &Path) -> Result<Self, Failure> {
        let folder = parent.join(format!("engines-{}", std::process::id()));
        create_dir(&folder).map_err(|error| named("--dir", error))?;
        Ok(Self(folder))
    }

    /// Gives an engine an empty folder on a disk that has nothing else to do for this run.
    fn with<T>(
        &self,
        kind: Kind,
        then: impl FnOnce(&Path) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let folder = self.0.join(kind.name());
        create_dir(&folder)?;
        let done = then(&folder.join("store")).map_err(|error| named(kind.name(), error))?;
        remove_dir_all(&folder)?;
        settle(&self.0)?;
        Ok(done)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(remove_dir_all(&self.0));
    }
}
