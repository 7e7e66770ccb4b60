//! What the command takes, and its bounds.

use std::path::PathBuf;

use clap::Parser;

use crate::kind::Kind;
use crate::run::{Load, Plan};
use crate::workload::Shape;

/// Compares engines that keep the journal and the checkpoints of rooms.
#[derive(Parser, Debug)]
#[command(version, about)]
pub(crate) struct Options {
    /// How often each engine is measured, in turns with the others.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// Longest time of one measurement, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Folder on the file system that is to be measured. A folder in it is made, and removed at the end.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Engines, by comma, in the order in which they take turns.
    #[arg(long, value_delimiter = ',', value_parser = Kind::from_name,
        default_value = "floor,rejoin,raft-engine,fjall,redb,redb-immediate")]
    pub(crate) engines: Vec<Kind>,
    /// Loads, by comma: journal, synced, checkpoints.
    #[arg(long, value_delimiter = ',', value_parser = Load::from_name,
        default_value = "journal,synced,checkpoints")]
    pub(crate) loads: Vec<Load>,
    /// Rooms, each with one record a turn.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    rooms: u16,
    /// Bytes of a record.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=4096))]
    record_bytes: u16,
    /// Bytes of a checkpoint.
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    checkpoint_bytes: u32,
    /// Records of a room between its checkpoints: 150 are five seconds at 30 Hz.
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    checkpoint_every: u32,
    /// Turns a second of `journal`; 0 for as many as can be.
    #[arg(long, default_value_t = 10_000)]
    journal_hz: u32,
    /// Turns a second of `synced`; 0 for as many as can be.
    #[arg(long, default_value_t = 1_000)]
    synced_hz: u32,
    /// Turns a second of `checkpoints`; 0 for as many as can be.
    #[arg(long, default_value_t = 10_000)]
    checkpoints_hz: u32,
    /// Records at which `journal` ends before its time is over.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    records_max: u64,
    /// What bodies and the names of rooms are drawn from.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Writes all figures to a file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Says in the output that the machine did other work meanwhile.
    #[arg(long)]
    pub(crate) rough: bool,
    /// Writes in this folder until it is killed: how the test of kills starts its writers.
    #[arg(long, hide = true, requires = "victim_engine")]
    pub(crate) victim: Option<PathBuf>,
    /// The engine that it writes with.
    #[arg(long, hide = true, value_parser = Kind::from_name)]
    pub(crate) victim_engine: Option<Kind>,
}

impl Options {
    pub(crate) fn plan(&self, load: Load) -> Plan {
        let every = if load == Load::Checkpoints {
            self.checkpoint_every
        } else {
            0
        };
        let shape = Shape {
            rooms: self.rooms,
            record_bytes: self.record_bytes,
            checkpoint_bytes: self.checkpoint_bytes,
            checkpoint_every: every,
            seed: self.seed,
        };
        let turns_max = match load {
            Load::Journal => self.records_max.div_ceil(u64::from(self.rooms)),
            Load::Synced | Load::Checkpoints => u64::MAX,
        };
        let hz = match load {
            Load::Journal => self.journal_hz,
            Load::Synced => self.synced_hz,
            Load::Checkpoints => self.checkpoints_hz,
        };
        Plan {
            load,
            shape,
            seconds: self.seconds,
            turns_max,
            hz,
        }
    }
}
