//! What a run is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use crate::server::Kind;
use crate::workload::{MEMBERS, QUARTER, WHOLE};

/// Rejoin beside the least that a UDP game server can be.
#[derive(Parser, Debug)]
#[command(name = "arena")]
pub(crate) struct Options {
    /// Rooms of 16 players
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=400))]
    rooms: u16,
    /// How often each server has its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// Measured seconds of each turn; one more before it warms up
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// The servers, in their order [default: raw2,raw2+aes,rejoin; with --lone also echo]
    #[arg(long, value_delimiter = ',')]
    servers: Vec<Kind>,
    /// Pings a second of each player [default: 5; with --lone 50]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    ping_hz: Option<u64>,
    /// Only a quarter of the players move, so that deltas are shorter; the raw servers send all
    #[arg(long)]
    deltas: bool,
    /// One player alone, beside a plain echo
    #[arg(long, conflicts_with_all = ["rooms", "idle", "joins", "deltas"])]
    pub(crate) lone: bool,
    /// Memory and CPU of so many sessions that do nothing
    #[arg(long, conflicts_with_all = ["rooms", "joins", "deltas"],
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub(crate) idle: Option<usize>,
    /// With --idle: each has a seat in a room that shows 100 bytes once a second
    #[arg(long, requires = "idle")]
    pub(crate) seated: bool,
    /// CPU of so many joins
    #[arg(long, conflicts_with_all = ["rooms", "deltas"],
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub(crate) joins: Option<usize>,
    /// Takes disturbed rounds in too: for a machine that is never quiet
    #[arg(long)]
    pub(crate) rough: bool,
    /// Writes what was measured to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Self {
        let name = std::iter::once("arena".to_owned());
        Self::parse_from(name.chain(arguments.iter().cloned()))
    }

    pub(crate) fn players(&self) -> usize {
        if self.lone {
            1
        } else {
            usize::from(self.rooms) * MEMBERS
        }
    }

    pub(crate) fn shape(&self) -> usize {
        if self.deltas { QUARTER } else { WHOLE }
    }

    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(crate) fn ping_hz(&self) -> u64 {
        self.ping_hz.unwrap_or(if self.lone { 50 } else { 5 })
    }

    /// The servers asked for, else those of `default`.
    pub(crate) fn servers(&self, default: &[Kind]) -> Vec<Kind> {
        if self.servers.is_empty() {
            default.to_vec()
        } else {
            self.servers.clone()
        }
    }

    /// What the figures depend on besides the code.
    pub(crate) fn machine(&self) -> String {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let models = || cpus.lines().filter(|line| line.starts_with("model name"));
        let model = models().next().and_then(|line| line.split_once(": "));
        format!(
            "profile {}; {} cores of {}; Linux {}; load average {}",
            profile(),
            models().count(),
            model.map_or("an unknown model", |(_, model)| model),
            read("/proc/sys/kernel/osrelease").trim(),
            read("/proc/loadavg").trim(),
        )
    }
}

/// The cargo profile that all servers were built with: the folder that cargo put this program in.
fn profile() -> String {
    let own = std::env::current_exe().unwrap_or_default();
    let folder = own
        .parent()
        .and_then(Path::parent)
        .and_then(Path::file_name);
    folder.unwrap_or_default().to_string_lossy().into_owned()
}
