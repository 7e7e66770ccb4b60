//! What a server tells of itself: when it ends, and to its operators while it runs.

use std::time::{Duration, Instant};

use rejoin_coordinator::ShardStats;

/// What a server did, told when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerReport {
    /// The shards' counters, together. `sessions` and `rooms` are those left at the end.
    pub shard: ShardStats,
    /// Turns taken.
    pub turns: u64,
    /// Datagrams received.
    pub received: u64,
    /// Datagrams dropped because they were longer than any of ours.
    pub received_too_long: u64,
    /// Datagrams the system took.
    pub sent: u64,
    /// Datagrams dropped because the send buffer was full.
    pub sends_blocked: u64,
    /// Datagrams the system refused.
    pub sends_refused: u64,
}

impl ServerReport {
    /// Adds what another shard did.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            shard,
            turns,
            received,
            received_too_long,
            sent,
            sends_blocked,
            sends_refused,
        } = other;
        self.shard.add(shard);
        self.turns += turns;
        self.received += received;
        self.received_too_long += received_too_long;
        self.sent += sent;
        self.sends_blocked += sends_blocked;
        self.sends_refused += sends_refused;
    }
}

/// Where a shard stands, as it tells the server's operators.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    /// False once it has begun to stop.
    pub(crate) serves: bool,
    /// When the newest turn ended.
    pub(crate) turned: Instant,
    pub(crate) report: ServerReport,
}

impl Status {
    /// Of a shard that is about to take its first turn.
    pub(crate) fn at_start() -> Self {
        Self {
            serves: true,
            turned: Instant::now(),
            report: ServerReport::default(),
        }
    }
}

/// How often a driver tells its status. A page that is asked for more often shows the same.
pub(crate) const TOLD_EVERY: Duration = Duration::from_millis(100);
/// How long a shard without work may go without a turn while operators watch.
pub(crate) const TURN_EVERY: Duration = Duration::from_secs(1);
