//! From all turns to one row for each server.

use rejoin_arena::workload::MESSAGES;
use rejoin_arena::{Spread, Turn, own};

use super::Report;
use crate::peer::Peer;

/// One server at a number of players that all can take.
pub(crate) struct Summary {
    /// Turns that count.
    pub(crate) turns: usize,
    pub(crate) cpu_us: Spread,
    /// To `raw2` in the same round.
    pub(crate) ratio: Option<Spread>,
    pub(crate) ns_per_message: f64,
    pub(crate) wire_bytes: f64,
    pub(crate) rtt_p50_ms: f64,
    pub(crate) rtt_p99_ms: f64,
    /// Of players who play.
    pub(crate) kib_per_player: f64,
}

impl Report {
    /// Of the turns to be believed, or of all if told to take them. `None` if there are none.
    pub(crate) fn summary(&self, peer: &Peer) -> Option<Summary> {
        let all = || self.turns.iter().filter(|turn| self.counts(turn));
        let of = |name: &'static str| all().filter(move |turn| turn.server == name);
        let cpu = |turn: &Turn| turn.cpu_ns_per_player_second;
        let median = |figure: fn(&Turn) -> f64| {
            let spread = Spread::of(of(peer.name()).map(figure));
            spread.map(|spread| spread.median)
        };
        let beside = |turn: &Turn| {
            let mut raw2 = of(own::RAW2.name);
            let raw2 = raw2.find(|other| other.round == turn.round);
            raw2.map(|other| cpu(turn) / cpu(other))
        };
        let cpu_us = Spread::of(of(peer.name()).map(|turn| cpu(turn) / 1e3))?;
        Some(Summary {
            turns: of(peer.name()).count(),
            cpu_us,
            ratio: Spread::of(of(peer.name()).filter_map(beside)),
            ns_per_message: cpu_us.median * 1e3 / MESSAGES as f64,
            wire_bytes: median(|turn| turn.wire_carried)?,
            rtt_p50_ms: median(|turn| turn.rtt_p50_ms)?,
            rtt_p99_ms: median(|turn| turn.rtt_p99_ms)?,
            kib_per_player: median(|turn| turn.kib_per_player)?,
        })
    }

    pub(crate) fn counts(&self, turn: &Turn) -> bool {
        self.plan.rough || turn.invalid.is_none()
    }

    /// Resident memory of a session that does nothing.
    pub(crate) fn idle_kib(&self, peer: &Peer) -> Option<Spread> {
        let own = self.idle.iter().filter(|idle| idle.server == peer.name());
        Spread::of(own.map(|idle| idle.kib_per_session))
    }

    /// Processor time of a join.
    pub(crate) fn join_us(&self, peer: &Peer) -> Option<Spread> {
        let own = self
            .joins
            .iter()
            .filter(|joins| joins.server == peer.name());
        Spread::of(own.map(|joins| joins.cpu_us_per_join))
    }

    /// Joins a second, as the players see them.
    pub(crate) fn joins_seen(&self, peer: &Peer) -> Option<Spread> {
        let own = self
            .joins
            .iter()
            .filter(|joins| joins.server == peer.name());
        Spread::of(own.map(|joins| joins.joins_per_second_seen))
    }
}
