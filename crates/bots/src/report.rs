//! What a run came to, ready for serde.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

use crate::marks::Marks;
use crate::measure::{Bucket, Percentiles};
use crate::options::{Conduct, Mode};
use crate::rebinds::Rebinds;
use crate::recovery::{Kills, RecoveryCounts, Twins};
use crate::series::Window;
use crate::silences::Silences;

/// Share of the planned reliable inputs that must be acknowledged: below it the run was not played
/// as planned, however correct it was.
pub(crate) const ACKNOWLEDGED_SHARE_MIN: f64 = 0.95;

/// The result of a run of bots.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Kind of room.
    pub kind: &'static str,
    /// What bots did.
    pub conduct: Conduct,
    /// How inputs travelled.
    pub mode: Mode,
    /// Seed of what bots did.
    pub seed: u64,
    /// Inputs per second and bot.
    pub input_hz: u32,
    /// Bots wanted.
    pub bots: usize,
    /// Bots that took a seat, or opened a session if they take none, by the start of play.
    pub joined: usize,
    /// Bots that still had it at the end of play.
    pub connected: usize,
    /// How their joins went.
    pub joins: Joins,
    /// Rooms they played in.
    pub rooms: usize,
    /// Threads they were spread over.
    pub threads: usize,
    /// How long they played.
    pub played: Duration,
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
    /// From a probe's planned time to its answer: a request that the server answers at once. What was
    /// never answered counts for as long as it waited.
    pub rtt: Percentiles,
    /// From an input's planned time until the bot saw that the room has it: the room's tick included.
    /// A reliable input that was never covered counts for as long as it waited.
    pub input: Percentiles,
    /// Age of what bots see: at the planned time of each step, how long ago the newest view came.
    pub snapshot_age: Percentiles,
    /// The probes that the round trips are of.
    pub probes: Probes,
    /// Changes of their addresses, and the pauses that these made.
    pub rebinds: Rebinds,
    /// Times that they were out of reach, and the ways back.
    pub silences: Silences,
    /// Losses of their connections and clients, and the ways back.
    pub resumes: Resumes,
    /// What became of rooms whose server was killed or started again.
    pub recovery: RecoveryCounts,
    /// Kills of the server: filled in by whoever made them.
    pub kills: Kills,
    /// Twins of its rooms: filled in by whoever replayed them.
    pub twins: Twins,
    /// What members saw, if [`Options::keep_marks`](crate::Options::keep_marks) asked for it.
    #[serde(skip)]
    pub marks: Option<Marks>,
    /// How late bots acted after their planned times.
    pub lateness: Percentiles,
    /// Why the figures say nothing of the server, if they do not: the bots themselves were late.
    pub invalid: Option<String>,
    /// The play over time.
    pub windows: Vec<Window>,
    /// How the round trips are spread.
    pub rtt_buckets: Vec<Bucket>,
    /// Microseconds from the end of play until all members of every room first held the same view.
    pub agreed_after_us: Option<u64>,
    /// Microseconds from the end of play until every reliable input was covered and all members agreed.
    pub settled_after_us: Option<u64>,
    /// Failures in all.
    pub failures_total: u64,
    /// The first kinds of them.
    pub failures: Vec<Failure>,
}

/// Counts of joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Joins {
    /// Bots that took a seat, or opened a session if they take none.
    pub ok: u64,
    /// Bots that tried and did not.
    pub failed: u64,
}

/// Counts of inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// Steps that were due, of bots whose client was there.
    pub planned: u64,
    /// Reliable inputs sent.
    pub reliable: u64,
    /// Reliable inputs that the rooms' cursors cover.
    pub acknowledged: u64,
    /// Reliable inputs that no cursor covered by the end, or that the room did not apply although its
    /// cursor passed them, where it shows how many it applied.
    pub lost: u64,
    /// Reliable inputs that cursors and rooms count beyond those that were sent.
    pub duplicated: u64,
    /// Latest inputs sent.
    pub latest: u64,
    /// Inputs not taken because a send queue was full, or the connection over.
    pub refused: u64,
}

/// Counts of probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Probes {
    /// Probes that were due.
    pub planned: u64,
    /// Probes that the server answered.
    pub answered: u64,
}

/// What came of the ways back of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resumes {
    /// How many there were.
    pub counts: ResumeCounts,
    /// From the loss of a connection, or a relaunch, to the first view applied after it. What was not over by
    /// the end counts for as long as it had been.
    pub resume: Percentiles,
    /// From the loss of a connection until there was one again.
    pub away: Percentiles,
    /// Between the last view before the loss of a connection and the first one after it, less a tick of the room's
    /// clock. What was not over by the end counts for as long as it had been. Not of clients that were killed.
    pub pause: Percentiles,
}

/// Counts of ways back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResumeCounts {
    /// Bots that were back in their seat (idle: session), each time.
    pub ok: u64,
    /// Bots that were not.
    pub failed: u64,
    /// Clients that were killed.
    pub killed: u64,
    /// Reliable inputs that died with their client: the room had not applied them, and never did.
    pub died: u64,
    /// Datagrams to the server on ways back that were made: from the first hello that was answered to the
    /// first view.
    pub datagrams_up: u64,
    /// The same from the server.
    pub datagrams_down: u64,
}

impl AddAssign for ResumeCounts {
    fn add_assign(&mut self, other: Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.killed += other.killed;
        self.died += other.died;
        self.datagrams_up += other.datagrams_up;
        self.datagrams_down += other.datagrams_down;
    }
}

/// Counts of snapshots received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshots {
    /// Whole views.
    pub full: u64,
    /// Changes against an earlier view.
    pub delta: u64,
    /// Bytes of both, as they came.
    pub bytes: u64,
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
    /// True if the figures speak of the server. What was checked holds or fails either way.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.invalid.is_none()
    }

    /// True if every bot joined and every check held.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.joined == self.bots && self.failures_total == 0
    }

    /// Adds something that must not happen, which the bots could not see.
    pub fn fail(&mut self, text: String) {
        self.failures_total += 1;
        self.failures.push(Failure {
            bot: None,
            times: 1,
            cause: Cause::Check,
            text,
        });
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

impl AddAssign for Inputs {
    fn add_assign(&mut self, other: Self) {
        self.planned += other.planned;
        self.reliable += other.reliable;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.latest += other.latest;
        self.refused += other.refused;
    }
}

impl AddAssign for Joins {
    fn add_assign(&mut self, other: Self) {
        self.ok += other.ok;
        self.failed += other.failed;
    }
}

impl AddAssign for Probes {
    fn add_assign(&mut self, other: Self) {
        self.planned += other.planned;
        self.answered += other.answered;
    }
}

impl AddAssign for Snapshots {
    fn add_assign(&mut self, other: Self) {
        self.full += other.full;
        self.delta += other.delta;
        self.bytes += other.bytes;
        self.compared += other.compared;
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.datagrams_up += other.datagrams_up;
        self.datagrams_down += other.datagrams_down;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.lost_up += other.lost_up;
    }
}
