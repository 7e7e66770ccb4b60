//! What a run is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{CommandFactory, FromArgMatches, Parser};
use serde::Serialize;

use crate::subject::Subject;
use crate::workload::{MEMBERS, QUARTER, WHOLE};

/// Game servers under one load, in turns.
#[derive(Parser, Debug)]
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
    /// The servers, in their order [default: raw2,raw2+aes,rejoin; with --lone echo,raw2,rejoin]
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// All that can be asked for.
    #[arg(skip)]
    known: &'static [&'static Subject],
    /// Pings a second of each player [default: 5; with --lone 50]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    ping_hz: Option<u64>,
    /// Only a quarter of the players move, so that deltas are shorter; the raw servers send all
    #[arg(long)]
    deltas: bool,
    /// One player alone, beside a plain echo
    #[arg(long, conflicts_with_all = ["rooms", "idle", "joins", "resumes", "refusals", "deltas"])]
    pub(crate) lone: bool,
    /// Memory and CPU of so many sessions that do nothing
    #[arg(long, conflicts_with_all = ["rooms", "joins", "resumes", "refusals", "deltas"],
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub(crate) idle: Option<usize>,
    /// With --idle: each has a seat in a room that shows 100 bytes once a second
    #[arg(long, requires = "idle")]
    pub(crate) seated: bool,
    /// CPU of so many joins
    #[arg(long, conflicts_with_all = ["rooms", "deltas"],
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub(crate) joins: Option<usize>,
    /// CPU of so many resumes: sessions that other clients take up with their tickets
    #[arg(long, conflicts_with_all = ["rooms", "deltas", "joins"],
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=4_000))]
    pub(crate) resumes: Option<usize>,
    /// CPU of so many refusals of a hello without a cookie, beside as many echoes of it
    #[arg(long, conflicts_with_all = ["rooms", "deltas", "joins", "resumes"],
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=40_000))]
    pub(crate) refusals: Option<usize>,
    /// How cost grows with players, rooms, seats, state, ticks, shards and idle sessions: curves.json, curves.md and
    /// curves.svg in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["rooms", "idle", "joins", "resumes", "refusals", "deltas", "lone", "json", "servers"])]
    pub(crate) curves: Option<PathBuf>,
    /// Takes disturbed rounds in too: for a machine that is never quiet
    #[arg(long)]
    pub(crate) rough: bool,
    /// Writes what was measured to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Options {
    /// Ends this process if the arguments are wrong, or ask for help.
    pub(crate) fn parse(
        program: &'static str,
        arguments: &[String],
        known: &'static [&'static Subject],
    ) -> Self {
        let names = known
            .iter()
            .map(|subject| PossibleValue::new(subject.name).help(subject.about));
        let names = PossibleValuesParser::new(names);
        let command = Self::command().name(program);
        let mut command = command.mut_arg("servers", |servers| servers.value_parser(names));
        let name = std::iter::once(program.to_owned());
        let matches = command
            .try_get_matches_from_mut(name.chain(arguments.iter().cloned()))
            .unwrap_or_else(|error| error.exit());
        let options = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        Self { known, ..options }
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

    /// Writes what was measured, if a file was asked for.
    pub(crate) fn write_json(&self, figures: &impl Serialize) {
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(figures).expect("figures can be written");
            std::fs::write(file, text).expect("the file can be written");
        }
    }

    /// The servers asked for, else those of `default`.
    pub(crate) fn subjects(&self, default: &[&'static Subject]) -> Vec<&'static Subject> {
        if self.servers.is_empty() {
            return default.to_vec();
        }
        let named = |name: &String| self.known.iter().find(|subject| subject.name == name);
        self.servers.iter().filter_map(named).copied().collect()
    }
}

/// What the figures depend on besides the code.
#[must_use]
pub fn machine() -> String {
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

/// The cargo profile that all servers were built with: the folder that cargo put this program in, above that of benches.
fn profile() -> String {
    let own = std::env::current_exe().unwrap_or_default();
    let mut folders = own.ancestors().skip(1).filter_map(Path::file_name);
    let folder = folders.find(|folder| *folder != "deps");
    folder.unwrap_or_default().to_string_lossy().into_owned()
}
