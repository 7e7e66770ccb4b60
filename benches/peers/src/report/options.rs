//! What the report is told, and the plan it follows.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use rejoin_arena::workload::MEMBERS;
use serde::Serialize;

use crate::peer::{PEERS, Peer};

/// Measures Rejoin beside its peers, and writes peers.md, peers.json and peers.svg
#[derive(Parser, Debug)]
#[command(name = "peers")]
pub(crate) struct Options {
    /// Folder for what is written
    #[arg(long, value_name = "DIR")]
    pub(crate) publish: PathBuf,
    /// How often each server has its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Measured seconds of each turn; one more before it warms up
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// The servers, in the order of the tables [default: all]
    #[arg(long, value_delimiter = ',', value_parser = names())]
    servers: Vec<String>,
    /// A short try of everything, whose figures say nothing
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Takes disturbed turns in too, and says so
    #[arg(long)]
    rough: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(PEERS.iter().map(Peer::name))
}

/// Whether these arguments ask for a report.
pub(crate) fn asked_for(arguments: &[&str]) -> bool {
    let is_named = |argument: &&str| *argument == "--publish" || argument.starts_with("--publish=");
    arguments.iter().any(is_named)
}

/// What is done, as `peers.json` tells it.
#[derive(Clone, Serialize)]
pub(crate) struct Plan {
    pub(crate) rounds: u16,
    seconds: u64,
    /// Of the arena at a number that all can take.
    pub(crate) players: usize,
    /// Numbers of players that are tried for the most of a core.
    pub(crate) ladder: Vec<usize>,
    /// That do nothing.
    pub(crate) sessions: usize,
    pub(crate) joins: usize,
    pub(crate) quick: bool,
    pub(crate) rough: bool,
    /// What the load is drawn from. It is not: who sends what when follows from its number.
    seed: Option<u64>,
}

/// Rooms of 16, from few players to what the least of servers can take: 64, 128, 256, 352, 448, 512, 800, 1,024, 2,000,
/// 2,592, 3,200, 3,600, 4,000, 4,496 and 4,800 players.
const LADDER: [usize; 15] = [
    4, 8, 16, 22, 28, 32, 50, 64, 125, 162, 200, 225, 250, 281, 300,
];

impl Options {
    /// Ends this process if the arguments are wrong, or ask for help.
    pub(crate) fn parse(arguments: &[String]) -> Self {
        let name = std::iter::once("peers".to_owned());
        Self::parse_from(name.chain(arguments.iter().cloned()))
    }

    /// Those asked for.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &'static Peer> {
        let is_asked_for = |peer: &&Peer| {
            self.servers.is_empty() || self.servers.iter().any(|it| it == peer.name())
        };
        PEERS.iter().filter(is_asked_for)
    }

    pub(crate) fn plan(&self) -> Plan {
        let players = |rooms: &usize| rooms * MEMBERS;
        let plan = Plan {
            rounds: self.rounds,
            seconds: self.seconds,
            players: 512,
            ladder: LADDER.iter().map(players).collect(),
            sessions: 1_000,
            joins: 1_000,
            quick: self.quick,
            rough: self.rough,
            seed: None,
        };
        if !self.quick {
            return plan;
        }
        Plan {
            rounds: 2,
            seconds: 1,
            players: 64,
            ladder: LADDER.iter().take(2).map(players).collect(),
            sessions: 100,
            joins: 100,
            ..plan
        }
    }
}

impl Plan {
    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
