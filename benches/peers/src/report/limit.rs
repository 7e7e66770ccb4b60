//! The most players of a core: upward until a server is too busy or too slow.

use rejoin_arena::{Turn, rounds};
use serde::Serialize;

use super::attempt;
use super::options::Plan;
use crate::peer::Peer;

/// Share of its core that a server may use.
const CPU_MAX: f64 = 0.90;
/// Round trips at the 99th percentile, in milliseconds, of a server without frames.
pub(crate) const RTT_MAX_MS: f64 = 10.0;
/// Share of the snapshots that must come.
const SHOWN_MIN: f64 = 0.97;
/// Runs that must fail, one after the other, before a number counts as too many.
const FAILURES: u16 = 2;

/// How far one server came.
#[derive(Clone, Serialize)]
pub(crate) struct Most {
    pub(crate) server: &'static str,
    /// The largest number that passed, if any did.
    pub(crate) players: Option<usize>,
    /// What round trips had to stay below at the 99th percentile.
    pub(crate) rtt_max_ms: f64,
    /// Why no more.
    pub(crate) ended: String,
    steps: Vec<Step>,
}

/// One run.
#[derive(Clone, Serialize)]
struct Step {
    players: usize,
    /// Why it does not pass.
    fault: Option<String>,
    turn: Option<Turn>,
}

impl Most {
    pub(crate) fn search(peer: &'static Peer, plan: &Plan) -> Self {
        let mut most = Self {
            server: peer.name(),
            players: None,
            rtt_max_ms: RTT_MAX_MS + peer.frame.as_secs_f64() * 1e3,
            ended: "no more was tried".to_owned(),
            steps: Vec::new(),
        };
        for players in &plan.ladder {
            if peer.at_most(*players) < *players {
                let max = peer.at_most(*players);
                most.ended = format!("it lets in {max} at most");
                break;
            }
            if let Err(fault) = most.try_players(peer, plan, *players) {
                most.ended = format!("{players}: {fault}");
                break;
            }
            most.players = Some(*players);
        }
        most
    }

    /// The fault of the last run, if all failed.
    fn try_players(
        &mut self,
        peer: &'static Peer,
        plan: &Plan,
        players: usize,
    ) -> Result<(), String> {
        let mut last = Ok(());
        for run in 1..=FAILURES {
            let load = plan.load(players);
            let step = match attempt(|| rounds::measure(run, peer.subject, load)) {
                Ok((turn, _)) => Step {
                    players,
                    fault: fault(&turn, self.rtt_max_ms),
                    turn: Some(turn),
                },
                Err(what) => Step {
                    players,
                    fault: Some(what),
                    turn: None,
                },
            };
            last = step.fault.clone().map_or(Ok(()), Err);
            println!("{:<13} {players} players: {}", peer.name(), step.line());
            self.steps.push(step);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    pub(crate) fn line(&self) -> String {
        let most = self.players.map_or("-".to_owned(), |it| it.to_string());
        format!(
            "{:<13} at most {most} players ({})",
            self.server, self.ended
        )
    }
}

impl Step {
    fn line(&self) -> String {
        let figures = self.turn.as_ref().map(|turn| {
            format!(
                "{:.0} % of a core, rtt {:.2} / {:.2} ms",
                turn.cpu_share * 100.0,
                turn.rtt_p50_ms,
                turn.rtt_p99_ms
            )
        });
        let fault = self.fault.as_ref().map(|fault| format!("FAILS: {fault}"));
        let parts: Vec<String> = figures.into_iter().chain(fault).collect();
        parts.join(", ")
    }
}

/// Why a run does not pass. Players who were late themselves are named: then it is their core that is full.
fn fault(turn: &Turn, rtt_max_ms: f64) -> Option<String> {
    let mut faults = Vec::new();
    if turn.cpu_share >= CPU_MAX {
        faults.push(format!("{:.0} % of a core", turn.cpu_share * 100.0));
    }
    if turn.rtt_p99_ms >= rtt_max_ms {
        faults.push(format!("p99 {:.1} ms", turn.rtt_p99_ms));
    }
    if turn.snapshots_share < SHOWN_MIN {
        let shown = turn.snapshots_share * 100.0;
        faults.push(format!("{shown:.0} % of the snapshots came"));
    }
    if !faults.is_empty() && turn.late_p99_ms > 1.0 {
        faults.push(format!("players late by {:.1} ms", turn.late_p99_ms));
    }
    (!faults.is_empty()).then(|| faults.join(", "))
}
