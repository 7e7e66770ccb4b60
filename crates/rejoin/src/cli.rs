//! The command line: what can be asked for, read and checked by clap.
//!
//! A wrong line becomes one [`Failure`] of code 2 that names the flag and the value.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use rejoin_bots::parse_duration;
use rejoin_protocol::crypto::PublicKey;
use rejoin_protocol::handshake::PermitId;
use tracing_subscriber::filter::LevelFilter;

use crate::app::App;
use crate::bots_args::BotsArgs;
use crate::exit::{Exit, Failure};
use crate::server_args::{ConfigCommand, DoctorArgs, ServeArgs, SettingsArgs};
use crate::store_args::StoreCommand;

/// Multiplayer game sessions that players rejoin where they left off
#[derive(Debug, Parser)]
#[command(
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// Least severity to log: off, error, warn, info, debug or trace [default: of a server as its
    /// settings say, else as $RUST_LOG says]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<LevelFilter>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the command can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server
    Serve(ServeArgs),
    /// Check or show the settings of a server
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at what a server needs of this machine, and say how to get it
    Doctor(DoctorArgs),
    /// Let bots play on a server and report what they saw
    Bots(Box<BotsArgs>),
    /// Watch bots play on a server of their own
    Demo(DemoArgs),
    /// Show the server's public key and address; makes the key at first use
    Key(KeyArgs),
    /// Mint permits for players, look into one, or change the key that mints
    #[command(subcommand)]
    Token(TokenCommand),
    /// Look at the rooms of a data folder, take one out, or forget some
    #[command(subcommand)]
    Store(StoreCommand),
    /// Play seeded matches over a bad network inside one thread, and check them
    Simulate(SimulateArgs),
}

impl Command {
    /// What is logged if nobody says. A server tells of its life. What a simulated one tells
    /// happened to nobody, and bots and picture speak for themselves.
    pub(crate) const fn log_level(&self) -> LevelFilter {
        match self {
            Self::Serve(_)
            | Self::Config(_)
            | Self::Doctor(_)
            | Self::Key(_)
            | Self::Token(_)
            | Self::Store(_) => LevelFilter::INFO,
            Self::Bots(_) | Self::Demo(_) => LevelFilter::WARN,
            Self::Simulate(_) => LevelFilter::ERROR,
        }
    }

    /// The flags that are settings, of the commands that have a server's.
    pub(crate) const fn settings(&self) -> Option<&SettingsArgs> {
        match self {
            Self::Serve(args) => Some(&args.settings),
            Self::Config(command) => command.settings(),
            Self::Doctor(args) => Some(&args.settings),
            Self::Bots(_)
            | Self::Demo(_)
            | Self::Key(_)
            | Self::Token(_)
            | Self::Store(_)
            | Self::Simulate(_) => None,
        }
    }
}

/// `token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Print permits, one a line, each with the secret key of its client
    Mint(MintArgs),
    /// Show what a permit says and whether it is good here
    Inspect(InspectArgs),
    /// Put a new key before the one that mints; permits of the last two stay good, and comments in the file go
    Rotate(RotateArgs),
}

/// `token mint`.
#[derive(Debug, Args)]
pub(crate) struct MintArgs {
    /// The player's name; with --count a number is added
    #[arg(long, value_name = "NAME")]
    pub(crate) player: String,
    /// How long the permit opens sessions, such as 30s or 10m
    #[arg(long = "for", value_name = "T", default_value = "10m", value_parser = parse_duration)]
    pub(crate) lifetime: Duration,
    /// What room logic is told of the player, at most 128 bytes
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) claims: String,
    /// Names the session: permits with the same id lead to the same one [default: random]
    #[arg(long, value_name = "HEX", value_parser = parse_permit_id, conflicts_with = "count")]
    pub(crate) id: Option<PermitId>,
    /// The client's public key, if the client made its own; only the permit is printed then
    #[arg(long, value_name = "KEY")]
    pub(crate) client: Option<PublicKey>,
    /// How many permits, each for a session of its own
    #[arg(long, value_name = "N", default_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,
    /// Where the permit keys are [default: $XDG_STATE_HOME/rejoin or ~/.local/state/rejoin]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `token inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The permit, with or without its secret; - reads standard input
    pub(crate) permit: String,
    /// Where the permit keys are [default: $XDG_STATE_HOME/rejoin or ~/.local/state/rejoin]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `token rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Where the permit keys are [default: $XDG_STATE_HOME/rejoin or ~/.local/state/rejoin]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

fn parse_permit_id(text: &str) -> Result<PermitId, String> {
    let wrong = || "expected a permit id of 32 hexadecimal digits".to_owned();
    text.parse().map_err(|_| wrong())
}

/// `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long it plays, such as 30s or 2m
    #[arg(long = "for", value_name = "T", default_value = "20s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// Number of bots
    #[arg(short = 'n', long, value_name = "N", default_value = "48",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) bots: u32,
    /// Rooms to spread them over
    #[arg(long, value_name = "R", default_value = "6",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rooms: u32,
    /// Do without a terminal what a key would, and succeed only if everybody plays on: kill (the server
    /// is killed as by `kill -9` in the middle of play)
    #[arg(long, value_name = "WHAT", hide_possible_values = true)]
    pub(crate) script: Option<Script>,
    /// Print one JSON object of what came of the script
    #[arg(long, requires = "script")]
    pub(crate) json: bool,
}

/// What a demo does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Script {
    /// Kills the server.
    Kill,
}

/// `key`.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Where the server keeps its key [default: $XDG_STATE_HOME/rejoin or ~/.local/state/rejoin]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `simulate`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["seed", "seeds"]))]
pub(crate) struct SimulateArgs {
    /// The match of one seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The matches of seeds A up to and without B
    #[arg(long, value_name = "A..B", value_parser = parse_seeds)]
    pub(crate) seeds: Option<Seeds>,
    /// Simulated seconds of each match
    #[arg(long, value_name = "S", default_value = "60",
          value_parser = clap::value_parser!(u64).range(20..=86_400))]
    pub(crate) seconds: u64,
    /// Print the last N events of a match that fails
    #[arg(long, value_name = "N", default_value = "0",
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) log_events: u32,
}

/// A half-open range of seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    /// The first.
    pub(crate) from: u64,
    /// One beyond the last.
    pub(crate) to: u64,
}

fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let wrong = || "expected two numbers A..B with A < B, as in 0..1000".to_owned();
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let from = from.parse().map_err(|_| wrong())?;
    let to = to.parse().map_err(|_| wrong())?;
    if from < to {
        Ok(Seeds { from, to })
    } else {
        Err(wrong())
    }
}

/// What a command line comes to.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// Run this.
    Run(Box<Cli>),
    /// Asked for: print it and succeed.
    Answer(String),
    /// The line asks for nothing: help is printed, but nothing was done.
    Nothing(String),
}

/// Reads a command line; `program` is the name under which the binary runs, `app` what it can play.
///
/// # Errors
/// A wrong flag or value, as one line.
pub(crate) fn parse(
    program: &str,
    app: &App,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Parsed, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let made_with = if program == "rejoin" {
        String::new()
    } else {
        "made with rejoin ".to_owned()
    };
    let command = Cli::command()
        .name(program.to_owned())
        .bin_name(program.to_owned())
        .version(format!("{made_with}{version}"))
        .mut_subcommand("bots", |bots| {
            bots.mut_arg("kind", |kind| kind.help(kinds(app)))
        });
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let asked = arguments
        .iter()
        .skip(1)
        .find(|argument| command.find_subcommand(argument).is_some());
    let help = match asked {
        Some(subcommand) => format!("{program} {} --help", subcommand.display()),
        None => format!("{program} --help"),
    };
    let matches = command.try_get_matches_from(arguments);
    match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli))),
        Err(error) => outcome_of(&error, &help),
    }
}

/// The help of `bots --kind`: a game's binary knows kinds of its own.
fn kinds(app: &App) -> String {
    let known: Vec<&str> = app.behaviours().kinds().collect();
    format!(
        "Kind of room to play in, each as its bots do: {} [default: {}]",
        known.join(", "),
        app.default_kind()
    )
}

fn outcome_of(error: &clap::Error, help: &str) -> Result<Parsed, Failure> {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return Ok(Parsed::Answer(error.to_string().trim_end().to_owned()));
    }
    let bare = [
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    if bare.contains(&error.kind()) {
        return Ok(Parsed::Nothing(error.to_string()));
    }
    Err(Failure::new(Exit::Usage, one_line(error, help)))
}

/// clap's first paragraph without its prefix, with the suggestion if it has one.
fn one_line(error: &clap::Error, help: &str) -> String {
    let rendered = error.to_string();
    let mut words = rendered
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    if let Some(rest) = words.strip_prefix("error: ") {
        words = rest.to_owned();
    }
    let suggestion = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand]
        .into_iter()
        .find_map(|kind| error.get(kind))
        .and_then(first_text);
    match suggestion {
        Some(meant) => format!("{words}; did you mean `{meant}`?"),
        None => format!("{words}; see `{help}`"),
    }
}

fn first_text(value: &ContextValue) -> Option<String> {
    if let ContextValue::String(text) = value {
        return Some(text.clone());
    }
    if let ContextValue::Strings(texts) = value {
        return texts.first().cloned();
    }
    None
}

#[cfg(test)]
mod tests {
    use rejoin_bots::Mode;

    use super::*;

    fn failure(line: &str) -> Failure {
        parse(
            "rejoin",
            &App::builtin(),
            line.split(' ').map(OsString::from),
        )
        .unwrap_err()
    }

    fn run(line: &str) -> Cli {
        let Ok(Parsed::Run(cli)) = parse(
            "rejoin",
            &App::builtin(),
            line.split(' ').map(OsString::from),
        ) else {
            panic!("{line} should be accepted");
        };
        *cli
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_wrong_line_is_told_in_one_line_that_names_it() {
        let cases = [
            ("rejoin serv", "serv"),
            ("rejoin serve --bidn x", "--bidn"),
            ("rejoin bots -n 0", "--bots"),
            ("rejoin bots --for 30", "30s"),
            ("rejoin bots --input-mode fast", "fast"),
            ("rejoin bots --check rtts.p99<20ms", "`rtt.p99`"),
            ("rejoin bots --check inputs.lost=0", "`==`"),
            ("rejoin bots --check rtt.p99<20", "us, ms or s"),
            ("rejoin bots --behaviour idle --rooms 2", "--rooms <R>"),
            ("rejoin bots --behaviour chat", "--kind chat"),
            ("rejoin bots --ramp 0", "--ramp"),
            ("rejoin bots --lateness-max soon", "soon"),
            ("rejoin bots --threads 0", "--threads"),
            ("rejoin bots --kill-every 5s", "--kills"),
            ("rejoin bots --kills 2 --kill-within 3s", "A..B"),
            ("rejoin bots --kills 2 --kill-pid 1 --data x", "--data"),
            ("rejoin bots --threads 65", "--threads"),
            ("rejoin serve --limit input_per_s=9", "`inputs_per_s`"),
            ("rejoin serve --limit requests_per_s=0", "must be 1 to"),
            ("rejoin serve --limit bytes_per_s=unlimited", "unlimited"),
            ("rejoin serve --auth nobody", "nobody"),
            ("rejoin config shw", "`show`"),
            ("rejoin simulate", "--seed"),
            ("rejoin simulate --seeds 5..5", "A < B"),
            ("rejoin --log loud serve", "loud"),
        ];
        for (line, named) in cases {
            let failure = failure(line);
            assert_eq!(failure.exit, Exit::Usage, "{line}");
            assert!(failure.text.contains(named), "{line}: {}", failure.text);
            assert!(!failure.text.contains('\n'), "{line}: {}", failure.text);
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_answered_with_the_right_flag() {
        assert!(
            failure("rejoin serve --bidn x")
                .text
                .ends_with("did you mean `--bind`?")
        );
    }

    #[test]
    fn a_wrong_value_points_to_the_help_of_its_command() {
        assert!(
            failure("rejoin bots -n 0")
                .text
                .ends_with("see `rejoin bots --help`")
        );
        assert!(
            failure("rejoin --log loud")
                .text
                .ends_with("see `rejoin --help`")
        );
    }

    #[test]
    fn the_documented_bots_line_is_accepted() {
        let cli = run("rejoin bots -n 100 --rooms 8 --for 30s --input-rate 30 --input-mode latest");
        let Command::Bots(bots) = cli.command else {
            panic!("bots was asked for")
        };
        assert_eq!((bots.bots, bots.rooms, bots.input_rate), (Some(100), 8, 30));
        assert_eq!(bots.duration, Some(Duration::from_secs(30)));
        assert_eq!(bots.input_mode, Mode::Latest);
    }

    #[test]
    fn the_help_of_bots_names_all_that_they_can_do() {
        let line = ["rejoin", "bots", "--help"].map(OsString::from);
        let Ok(Parsed::Answer(help)) = parse("rejoin", &App::builtin(), line) else {
            panic!("help was asked for")
        };
        for named in ["arena, chat [default: arena]", "idle"] {
            assert!(help.contains(named), "{named} in {help}");
        }
    }

    #[test]
    fn an_own_binary_shows_whose_version_it_prints() {
        let line = ["duel", "--version"].map(OsString::from);
        let Ok(Parsed::Answer(text)) = parse("duel", &App::builtin(), line) else {
            panic!("a version was asked for")
        };
        assert_eq!(
            text,
            concat!("duel made with rejoin ", env!("CARGO_PKG_VERSION"))
        );
    }

    #[test]
    fn a_bare_command_gets_help_and_no_success() {
        let parsed = parse("rejoin", &App::builtin(), [OsString::from("rejoin")]);
        assert!(matches!(parsed, Ok(Parsed::Nothing(help)) if help.contains("serve")));
    }
}
