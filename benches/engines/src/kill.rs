//! What a killed process leaves: a writer that is killed with `kill -9`, and its folder read after.
//!
//! The writer is this program again. It syncs nothing, says when its last turn has returned, and
//! waits to be killed; it ends by itself if whoever would kill it is gone.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rejoin_store::Record;

use crate::engine::{Failure, Syncs, Turn};
use crate::kind::Kind;
use crate::read::{read, survivors};
use crate::run::Plan;
use crate::workload::Workload;

/// What one engine kept.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Kill {
    pub(crate) engine: &'static str,
    /// Turns that had returned when the process was killed.
    pub(crate) written: u64,
    /// Turns that were there afterwards.
    pub(crate) kept: u64,
    /// Opening after the kill.
    pub(crate) open_ms: f64,
    /// A room that is at no turn's state, or turns that are gone and were promised.
    pub(crate) fault: Option<String>,
}

/// Starts a writer in the folder, kills it, and tells what it left.
pub(crate) fn kill(kind: Kind, plan: Plan, folder: &Path) -> Result<Kill, Failure> {
    let mut writer = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--victim")
        .arg(folder)
        .args(["--victim-engine", kind.name()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let told = match writer.stdout.take() {
        Some(output) => BufReader::new(output).read_line(&mut line),
        None => Ok(0),
    };
    writer.kill()?;
    writer.wait()?;
    told?;
    if line.trim() != WRITTEN {
        return Err("the writer ended before it was killed".into());
    }
    let workload = Workload::new(plan.shape);
    // How far it came must be found out first: an opened engine may go on with what it found.
    let kept = survivors(kind, &workload, folder)?;
    let read = read(kind, &workload, folder, kept.turns)?;
    let lost = kind.outlives_kills() && kept.turns < TURNS;
    let lost = lost.then(|| format!("it promises to keep all {TURNS} turns"));
    Ok(Kill {
        engine: kind.name(),
        written: TURNS,
        kept: kept.turns,
        open_ms: kept.open_ms,
        fault: read.fault.or(lost),
    })
}

/// The writer: does not return before it is killed, or nobody is there to do so.
pub(crate) fn write(kind: Kind, plan: Plan, folder: &Path) -> Result<(), Failure> {
    let workload = Workload::new(plan.shape);
    let mut engine = kind.open(folder, Syncs::Grouped)?;
    let mut checkpoints = Vec::new();
    for turn in 1..=TURNS {
        let records = workload.rooms().iter().map(|room| Record {
            room: *room,
            sequence: turn,
            body: workload.record(*room, turn),
        });
        let records: Vec<_> = records.collect();
        workload.checkpoints(turn, &mut checkpoints);
        engine.turn(&Turn {
            records: &records,
            checkpoints: &checkpoints,
        })?;
    }
    let mut output = std::io::stdout().lock();
    writeln!(output, "{WRITTEN}")?;
    output.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Err("nobody is there to kill the writer".into())
}

/// Turns of a writer.
const TURNS: u64 = 500;
const WRITTEN: &str = "written";
