//! Counters of a shard since it started.

/// What a shard has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Sessions now.
    pub sessions: usize,
    /// Joins now whose keys no packet has confirmed.
    pub joins_pending: usize,
    /// Rooms now.
    pub rooms: usize,
    /// Joins confirmed.
    pub joins: u64,
    /// Hellos that were asked for a cookie.
    pub cookies_asked: u64,
    /// Hellos that got no answer or a refusal.
    pub hellos_refused: u64,
    /// Datagrams taken.
    pub received: u64,
    /// Datagrams dropped: no such connection, replayed, not authentic.
    pub dropped: u64,
    /// Datagrams handed out.
    pub sent: u64,
    /// Ticks run.
    pub ticks: u64,
    /// Ticks skipped because the shard was late.
    pub ticks_skipped: u64,
    /// Reliable inputs applied.
    pub inputs: u64,
    /// Inputs dropped because their session holds no such seat any more.
    pub inputs_ignored: u64,
    /// Snapshots sent whole.
    pub snapshots_full: u64,
    /// Snapshots sent as deltas.
    pub snapshots_delta: u64,
    /// Whole views asked for by clients who lost what a delta builds on. On a sound server
    /// almost never: deltas build on what a client is known to have.
    pub resyncs: u64,
    /// Inputs and requests refused or dropped because their sender, room or address went over its
    /// budget.
    pub over_budget: u64,
    /// Calls of room logic, and views it made, that took longer than they may.
    pub calls_over_budget: u64,
    /// Ticks after which a room's next one was put off, because several in succession took too long.
    pub ticks_slowed: u64,
    /// Calls taken out because room logic panicked in them.
    pub voids: u64,
    /// Rooms closed because their logic failed.
    pub rooms_failed: u64,
}
