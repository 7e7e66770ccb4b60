//! What a run came to, ready for serde.

use std::fmt;

use serde::Serialize;

use crate::measure::Percentiles;
use crate::options::Mode;

/// Share of the planned reliable inputs that must be acknowledged: below it the run was not played
/// as planned, however correct it was.
pub(crate) const ACKNOWLEDGED_SHARE_MIN: f64 = 0.95;

/// The result of a run of bots.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Kind of room.
    pub kind: &'static str,
    /// How inputs travelled.
    pub mode: Mode,
    /// Seed of what bots did.
    pub seed: u64,
    /// Inputs per second and bot.
    pub input_hz: u32,
    /// Bots wanted.
    pub bots: usize,
    /// Bots that took a seat.
    pub joined: usize,
    /// Rooms they played in.
    pub rooms: usize,
    /// How long they played, in seconds.
    pub played_s: f64,
    /// What they sent.
    pub inputs: Inputs,
    /// What rooms showed.
    pub snapshots: Snapshots,
    /// Events that rooms sent.
    pub events: u64,
    /// What went over the network, without UDP and IP headers.
    pub traffic: Traffic,
    /// From the first hello to the seat.
    pub join: Percentiles,
    /// Round-trip time of the links, sampled twice a second.
    pub rtt: Percentiles,
    /// From an input's planned time until the bot saw that the room has it.
    pub input: Percentiles,
    /// How late bots acted after their planned times.
    pub lateness: Percentiles,
    /// True if bots were so late that the figures speak of the tester rather than of the server.
    pub late: bool,
    /// From the end of play until all members of every room first held the same view.
    pub agreed_after_ms: Option<f64>,
    /// From the end of play until every reliable input was covered and all members agreed.
    pub settled_after_ms: Option<f64>,
    /// Failures in all.
    pub failures_total: u64,
    /// The first kinds of them.
    pub failures: Vec<Failure>,
}

/// Counts of inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// Steps that were due.
    pub planned: u64,
    /// Reliable inputs sent.
    pub reliable: u64,
    /// Reliable inputs that the rooms' cursors cover.
    pub acknowledged: u64,
    /// Latest inputs sent.
    pub latest: u64,
    /// Inputs not taken because a send queue was full, or the connection over.
    pub refused: u64,
}

/// Counts of snapshots received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshots {
    /// Whole views.
    pub full: u64,
    /// Changes against an earlier view.
    pub delta: u64,
    /// Views compared byte for byte with what another member saw.
    pub compared: u64,
}

/// Counts of datagrams and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Datagrams to the server.
    pub datagrams_up: u64,
    /// Datagrams from the server.
    pub datagrams_down: u64,
    /// Bytes to the server.
    pub bytes_up: u64,
    /// Bytes from the server.
    pub bytes_down: u64,
    /// Datagrams of bots declared lost.
    pub lost_up: u64,
}

/// Something that must not happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The bot that met it first, if it is about bots.
    pub bot: Option<usize>,
    /// How many met the same.
    pub times: u64,
    /// Of what kind.
    pub cause: Cause,
    /// One line for people.
    pub text: String,
}

/// Kinds of failures, in the order in which one explains another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// No answer from the server.
    Unreachable,
    /// No common protocol version.
    Version,
    /// The server said no.
    Refused,
    /// A connection or a room ended early.
    Lost,
    /// What a bot saw is wrong.
    Check,
}

impl Report {
    /// True if every bot joined and every check held.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.joined == self.bots && self.failures_total == 0
    }

    /// Share of planned inputs that rooms acknowledged; 1 if none was planned.
    #[must_use]
    pub fn acknowledged_share(&self) -> f64 {
        share(self.inputs.acknowledged, self.inputs.planned)
    }

    /// The failure that explains the others: the first of the most basic kind.
    #[must_use]
    pub fn root_failure(&self) -> Option<&Failure> {
        self.failures.iter().min_by_key(|failure| failure.cause)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of inputs are far below 2^53"
)]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bot, self.times) {
            (None, _) => f.write_str(&self.text),
            (Some(bot), 1) => write!(f, "bot {bot}: {}", self.text),
            (Some(_), times) => write!(f, "{times} bots: {}", self.text),
        }
    }
}
