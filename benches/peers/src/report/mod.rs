//! All that is published, by one command: what is measured in which order, and the files it ends in.

mod chart;
mod limit;
mod machine;
mod options;
mod summary;
mod table;

use std::path::Path;
use std::process::ExitCode;

use rejoin_arena::idle::{Idle, Stillness};
use rejoin_arena::joins::{Entry, Joins};
use rejoin_arena::workload::PING_HZ;
use rejoin_arena::{Load, Subject, Turn, idle, joins, rounds, server};
use serde::Serialize;

use crate::peer::Peer;
use limit::Most;
use machine::Machine;
use options::{Options, Plan};

pub(crate) use options::asked_for;

/// What is in `peers.json`.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: Machine,
    command: String,
    plan: Plan,
    /// Who was not measured, and why.
    left_out: Vec<Failure>,
    /// What went wrong in a turn: its server or its players gave up.
    failures: Vec<Failure>,
    /// The arena at a number of players that all can take.
    turns: Vec<Turn>,
    /// Sessions that do nothing.
    idle: Vec<Idle>,
    joins: Vec<Joins>,
    /// The most players of a core.
    most: Vec<Most>,
    #[serde(skip)]
    peers: Vec<&'static Peer>,
}

/// One server's trouble.
#[derive(Clone, Serialize)]
struct Failure {
    server: &'static str,
    what: String,
}

/// Measures and writes. The exit code is 0 if every server has figures to be believed.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let options = Options::parse(arguments);
    let folder = options.publish.as_path();
    // Before the measuring, not after it.
    if let Err(error) = std::fs::create_dir_all(folder) {
        eprintln!("error: --publish: {}: {error}", folder.display());
        return ExitCode::from(2);
    }
    server::pin_self();
    let mut report = Report::new(&options, arguments);
    report.measure();
    match report.write(folder) {
        Ok(()) => ExitCode::from(u8::from(!report.is_complete())),
        Err(error) => {
            eprintln!("error: --publish: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

impl Report {
    fn new(options: &Options, arguments: &[String]) -> Self {
        let (mut peers, mut left_out) = (Vec::new(), Vec::new());
        for peer in options.peers() {
            match (peer.missing)() {
                None => peers.push(peer),
                Some(what) => {
                    println!("{} is left out: {what}", peer.name());
                    left_out.push(Failure {
                        server: peer.name(),
                        what,
                    });
                }
            }
        }
        Self {
            machine: Machine::of_this(),
            command: format!("rejoin-peers {}", arguments.join(" ")),
            plan: options.plan(),
            left_out,
            failures: Vec::new(),
            turns: Vec::new(),
            idle: Vec::new(),
            joins: Vec::new(),
            most: Vec::new(),
            peers,
        }
    }

    fn measure(&mut self) {
        println!("{}", self.machine.arena);
        for round in 1..=self.plan.rounds {
            for peer in self.peers.clone() {
                self.play(round, peer);
            }
        }
        for round in 1..=self.plan.rounds {
            for peer in self.peers.clone() {
                self.rest(round, peer);
                self.join(round, peer);
            }
        }
        for peer in self.peers.clone() {
            let most = Most::search(peer, &self.plan);
            println!("{}", most.line());
            self.most.push(most);
        }
    }

    fn play(&mut self, round: u16, peer: &'static Peer) {
        let load = self.plan.load(self.plan.players);
        if let Some(turn) = self.attempt(peer, |subject| rounds::measure(round, subject, load)) {
            println!(
                "round {round} {:<13} {:.1} us/player/s, rtt {:.2} / {:.2} ms{}",
                turn.server,
                turn.cpu_ns_per_player_second / 1e3,
                turn.rtt_p50_ms,
                turn.rtt_p99_ms,
                turn.invalid
                    .as_ref()
                    .map_or(String::new(), |why| format!(", INVALID: {why}")),
            );
            self.turns.push(turn);
        }
    }

    fn rest(&mut self, round: u16, peer: &'static Peer) {
        let stillness = Stillness {
            sessions: peer.at_most(self.plan.sessions + idle::WARM) - idle::WARM,
            seated: true,
            span: self.plan.span(),
        };
        if let Some(idle) = self.attempt(peer, |subject| idle::measure(round, subject, stillness)) {
            println!(
                "round {round} {:<13} {:.2} KiB a session",
                idle.server, idle.kib_per_session
            );
            self.idle.push(idle);
        }
    }

    fn join(&mut self, round: u16, peer: &'static Peer) {
        let count = peer.at_most(self.plan.joins + joins::WARM) - joins::WARM;
        if let Some(joins) = self.attempt(peer, |subject| {
            joins::measure(round, subject, Entry::Join, count)
        }) {
            println!(
                "round {round} {:<13} {:.1} us a join, {:.0} a second",
                joins.server, joins.cpu_us_per_join, joins.joins_per_second_seen
            );
            self.joins.push(joins);
        }
    }

    /// One turn. Trouble in it is noted, and the run goes on.
    fn attempt<T>(
        &mut self,
        peer: &'static Peer,
        measure: impl FnOnce(&'static Subject) -> (T, bool),
    ) -> Option<T> {
        match attempt(|| measure(peer.subject)) {
            Ok((figures, true)) => Some(figures),
            Ok((_, false)) => self.note(peer, "its server did not end well".to_owned()),
            Err(what) => self.note(peer, what),
        }
    }

    fn note<T>(&mut self, peer: &'static Peer, what: String) -> Option<T> {
        println!("{}: {what}", peer.name());
        self.failures.push(Failure {
            server: peer.name(),
            what,
        });
        None
    }

    fn write(&self, folder: &Path) -> std::io::Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(folder.join("peers.json"), json + "\n")?;
        std::fs::write(folder.join("peers.md"), self.tables())?;
        std::fs::write(folder.join("peers.svg"), self.chart())
    }

    fn is_complete(&self) -> bool {
        let all = self.peers.iter().all(|peer| self.summary(peer).is_some());
        all && self.failures.is_empty()
    }
}

/// What `measure` says, or why it stopped: servers that do not start and players that are thrown out end their turn.
fn attempt<T>(measure: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(measure)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("the turn was cut short").to_owned()
    })
}

impl Plan {
    /// The arena for so many.
    fn load(&self, players: usize) -> Load {
        Load {
            players,
            shape: rejoin_arena::workload::WHOLE,
            ping_hz: PING_HZ,
            span: self.span(),
        }
    }
}
