//! What the commands of a server are told on the command line: `serve`, `config` and `doctor`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use rejoin_room::Durability;
use rejoin_server::{LimitError, Limits};

/// Flags that are settings, and the file that holds others. None has a default of its own: what is not
/// said here is said in the environment, in the file or nowhere.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SettingsArgs {
    /// Read settings from FILE [default: as $REJOIN_CONFIG says, else none]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on; without a port: 7777 [default: 127.0.0.1:7777]
    #[arg(long, value_name = "ADDR")]
    pub(crate) bind: Option<String>,
    /// Who may enter: dev (anyone, on loopback only) or token (whoever holds a permit) [default: dev]
    #[arg(long, value_name = "MODE", hide_possible_values = true)]
    pub(crate) auth: Option<AuthMode>,
    /// Keep the server's keys and its rooms in DIR [default: with --auth dev the well-known development key and
    /// nothing on disk, else $XDG_STATE_HOME/rejoin or ~/.local/state/rejoin]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Answer operators at ADDR, on this machine alone: /livez, /readyz, /metrics, /rooms
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Serve with N threads, each on a processor of its own where it can be [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<u64>,
    /// Keep rooms of all kinds as LEVEL says: none, checkpoint, exact or synced [default: as each kind says, exact]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) durability: Option<Durability>,
    /// For the development of room logic: replay each room at each checkpoint, and log what differs
    #[arg(long)]
    pub(crate) check_determinism: bool,
    /// Change a limit, such as inputs_per_s=2000; repeatable. docs/limits.md names them all
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = parse_limit)]
    pub(crate) limits: Vec<String>,
}

/// `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// What can be set.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Run the server as a child and start it again when it dies: at once, and after a pause if it
    /// dies again soon
    #[arg(long)]
    pub(crate) supervise: bool,
    /// Be the child of the supervisor with this process id: do not outlive it
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) supervised_by: Option<u32>,
    /// Listen there, where the process before did, and not where --bind says
    #[arg(long, value_name = "ADDR", hide = true)]
    pub(crate) again_at: Option<SocketAddr>,
    /// Kill the process that has the data folder, if there is one, and take its place (Linux)
    #[arg(long)]
    pub(crate) take_over: bool,
    /// Begin without the rooms that are in the data folder: they are moved aside, to rooms.old-EPOCH
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Stop as by SIGTERM when standard input closes: for a parent that may be killed
    #[arg(long, hide = true)]
    pub(crate) until_stdin_closes: bool,
    /// Keep what is not synced in memory, so that it dies with the process: for tests of what a loss of power takes
    #[arg(long, hide = true)]
    pub(crate) unsynced_in_memory: bool,
    /// Let no journal record go, so that each room can be replayed from its first: for tests
    #[arg(long, hide = true)]
    pub(crate) keep_all_records: bool,
    /// Print `listening on rejoin://…` as the first line of standard output
    #[arg(long, hide = true)]
    pub(crate) print_address: bool,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say `ok`, or the first thing that is wrong with the settings of `serve` with the same flags
    Check(CheckArgs),
    /// Print every setting of `serve` with the same flags, as a file for --config
    Show(ShowArgs),
    /// Print a file with every key in a comment: its default and what it is for
    Example,
}

/// `config check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// What can be set.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

/// `config show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// What can be set.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Say where each value comes from: a flag, a variable, a line of the file, or the default
    #[arg(long)]
    pub(crate) origin: bool,
}

/// `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// What can be set.
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl ConfigCommand {
    /// The settings that are asked about.
    pub(crate) const fn settings(&self) -> Option<&SettingsArgs> {
        match self {
            Self::Check(args) => Some(&args.settings),
            Self::Show(args) => Some(&args.settings),
            Self::Example => None,
        }
    }
}

/// Who may open a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AuthMode {
    /// Anyone.
    Dev,
    /// Whoever holds a permit.
    Token,
}

/// A limit and its value, checked so that a slip is a usage error.
fn parse_limit(text: &str) -> Result<String, LimitError> {
    Limits::default().set(text).map(|()| text.to_owned())
}
