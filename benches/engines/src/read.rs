//! Reads an engine's folder after it was closed or killed, and compares it with what was written.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::engine::{Failure, Syncs};
use crate::kind::Kind;
use crate::units::ns;
use crate::workload::{Workload, digest};

/// What reading all back showed.
pub(crate) struct Read {
    /// Opening, with what was read or written last still in memory.
    pub(crate) open_ms: f64,
    /// Loading every room after that.
    pub(crate) load_ms: f64,
    /// What is missing or wrong in the first room of which anything is.
    pub(crate) fault: Option<String>,
}

/// Opens an engine again, loads every room and compares it with what was written.
pub(crate) fn read(
    kind: Kind,
    workload: &Workload,
    folder: &Path,
    turns: u64,
) -> Result<Read, Failure> {
    let begun = Instant::now();
    let engine = kind.open(folder, Syncs::Grouped)?;
    let open_ms = ns(begun.elapsed()) / 1e6;
    let mut loading = Duration::ZERO;
    let mut fault = None;
    for (index, room) in workload.rooms().iter().enumerate() {
        let begun = Instant::now();
        let state = engine.load(*room)?.unwrap_or_default();
        loading += begun.elapsed();
        if digest(&state) != workload.expected(index, turns) {
            let newest = state.records.last().map_or(state.sequence, |last| last.0);
            let told = format!("room {index} ends at record {newest}, and {turns} were written");
            fault.get_or_insert(told);
        }
    }
    engine.close()?;
    Ok(Read {
        open_ms,
        load_ms: ns(loading) / 1e6,
        fault,
    })
}

/// What is there after a kill.
pub(crate) struct Survivors {
    /// The newest turn of which every room has its record.
    pub(crate) turns: u64,
    /// Opening after the kill.
    pub(crate) open_ms: f64,
}

/// Opens an engine after a kill, and finds how far it was written.
pub(crate) fn survivors(
    kind: Kind,
    workload: &Workload,
    folder: &Path,
) -> Result<Survivors, Failure> {
    let begun = Instant::now();
    let engine = kind.open(folder, Syncs::Grouped)?;
    let open_ms = ns(begun.elapsed()) / 1e6;
    let mut turns = u64::MAX;
    for room in workload.rooms() {
        let state = engine.load(*room)?.unwrap_or_default();
        let newest = state.records.last().map_or(state.sequence, |last| last.0);
        turns = turns.min(newest);
    }
    engine.close()?;
    Ok(Survivors { turns, open_ms })
}
