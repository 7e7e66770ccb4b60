//! The arguments of `bots`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rejoin_bots::{Impairment, Mode, parse_duration};
use rejoin_client::ServerAddress;

use crate::check::{Check, CheckError};
use rejoin_room::Durability;

use crate::kills::Window;

/// `bots`.
#[derive(Debug, Args)]
pub(crate) struct BotsArgs {
    /// The server
    /// [default: rejoin://127.0.0.1:7777, with --kills one of its own]
    pub(crate) address: Option<ServerAddress>,
    /// Number of bots [default: 16, or one for each permit]
    #[arg(short = 'n', long = "bots", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) bots: Option<u32>,
    /// Rooms to spread them over
    #[arg(long, value_name = "R", default_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rooms: u32,
    /// How long they play, such as 30s or 2m [default: 30s, with --kills as long as these take]
    #[arg(long = "for", value_name = "T", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Inputs per second of each bot
    #[arg(long, value_name = "HZ", default_value = "30",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) input_rate: u32,
    /// How inputs travel: reliable (in order, exactly once) or latest (the newest wins)
    #[arg(long, value_name = "MODE", default_value = "reliable")]
    pub(crate) input_mode: Mode,
    /// What they do, if they do not play in rooms: idle, to hold sessions and take no seat
    #[arg(long, value_name = "WHAT", value_parser = parse_behaviour,
          conflicts_with_all = ["rooms", "kind", "input_rate", "input_mode"])]
    pub(crate) behaviour: Option<BehaviourArg>,
    /// Kind of room to play in
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Let so many bots join per second [default: as many as the server takes, 64 at a time]
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) ramp: Option<u32>,
    /// Threads to spread the bots over, up to 64 [default: as many as there are cores, at most 8 and at
    /// most one per 64 bots]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) threads: Option<u32>,
    /// Latest that the bots may be themselves, at the 99th percentile: beyond it the run is not valid
    #[arg(long, value_name = "T", default_value = "10ms", value_parser = parse_duration)]
    pub(crate) lateness_max: Duration,
    /// Bound of a figure, such as 'rtt.p99<20ms' or 'inputs.lost==0'; repeatable. docs/bots.md names
    /// the figures
    #[arg(long = "check", value_name = "CHECK", value_parser = parse_check)]
    pub(crate) checks: Vec<Check>,
    /// Write all figures as JSON to FILE; - is standard output, and then nothing else is on it
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the run as a page with charts to FILE; it needs nothing else to be looked at
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Let each bot change its address once in this time while it plays, not all at once: another port,
    /// and towards a server on 127.0.0.1 another address too; at least 100ms
    #[arg(long, value_name = "T", value_parser = parse_interval)]
    pub(crate) rebind_every: Option<Duration>,
    /// Let each bot be out of reach once in this time while it plays, not all at once, as in a hole of the
    /// radio: for as long as --silence-for says; at least 100ms
    #[arg(long, value_name = "T", value_parser = parse_interval, requires = "silence_for")]
    pub(crate) silence_every: Option<Duration>,
    /// How long it is out of reach each time
    #[arg(long, value_name = "T", value_parser = parse_duration, requires = "silence_every")]
    pub(crate) silence_for: Option<Duration>,
    /// Seeds what the bots do
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
    /// Permits for a server with token auth, one a line as `token mint` prints them; - reads standard
    /// input
    #[arg(long, value_name = "FILE")]
    pub(crate) permits: Option<PathBuf>,
    /// For how long a bot that lost its connection tries to come back, 0s: it fails at once
    #[arg(long, value_name = "T", default_value = "120s", value_parser = parse_duration)]
    pub(crate) resume_for: Duration,
    /// Kill each bot's client once in this time while it plays, and start another from its ticket
    #[arg(long, value_name = "T", value_parser = parse_interval)]
    pub(crate) client_crash_every: Option<Duration>,
    /// Keep the bots' tickets in files in DIR instead of in memory
    #[arg(long, value_name = "DIR")]
    pub(crate) ticket_dir: Option<PathBuf>,
    /// Kill the server N times while they play, as `kill -9` does, and start it again at once: a server of
    /// their own on loopback, with a data folder
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) kills: Option<u32>,
    /// Time between two kills [default: 5s]
    #[arg(long, value_name = "T", value_parser = parse_interval, requires = "kills",
          conflicts_with = "kill_within")]
    pub(crate) kill_every: Option<Duration>,
    /// Kill at a random moment after the server serves again, such as 0..3s
    #[arg(long, value_name = "A..B", requires = "kills")]
    pub(crate) kill_within: Option<Window>,
    /// Seeds random moments [default: drawn, and told]
    #[arg(long, value_name = "N", requires = "kills")]
    pub(crate) kill_seed: Option<u64>,
    /// Kill the server of the `serve --supervise` with this process id, which starts the next one
    #[arg(long, value_name = "PID", requires = "kills", conflicts_with = "data")]
    pub(crate) kill_pid: Option<u32>,
    /// Keep the data folder of their own server in DIR [default: a temporary one]
    #[arg(long, value_name = "DIR", requires = "kills")]
    pub(crate) data: Option<PathBuf>,
    /// How their own server keeps rooms: none, checkpoint, exact or synced [default: exact]
    #[arg(
        long,
        value_name = "LEVEL",
        requires = "kills",
        conflicts_with = "kill_pid"
    )]
    pub(crate) durability: Option<Durability>,
    /// What their own server has not synced dies with it, as with a machine that loses power
    #[arg(long, hide = true, requires = "kills", conflicts_with = "kill_pid")]
    pub(crate) unsynced_in_memory: bool,
    /// Let their own server keep every record, and replay each room from its first after the run: it has to be what the
    /// server has, and to show what the bots saw
    #[arg(long, hide = true, requires = "kills", conflicts_with_all = ["kill_pid", "unsynced_in_memory"])]
    pub(crate) twins: bool,
    /// Worsen the network, such as delay=50ms±10ms,loss=5%,duplicate=1%,reorder=2%
    #[arg(long, value_name = "NET")]
    pub(crate) net: Option<Impairment>,
}

/// What bots do but play in rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BehaviourArg {
    /// They hold sessions.
    Idle,
}

fn parse_behaviour(text: &str) -> Result<BehaviourArg, String> {
    match text {
        "idle" => Ok(BehaviourArg::Idle),
        other => Err(format!(
            "expected idle; how they play a kind of room goes with the kind: --kind {other}"
        )),
    }
}

/// Shortest time between two rebinds, silences or deaths of a bot: more often it could hardly ever be reached.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

fn parse_interval(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).map_err(|error| error.to_string())?;
    if span < INTERVAL_MIN {
        return Err(format!("expected {INTERVAL_MIN:?} at least"));
    }
    Ok(span)
}

fn parse_check(text: &str) -> Result<Check, CheckError> {
    text.parse()
}
