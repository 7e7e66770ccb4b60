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
    /// Rooms that are paused now, since the disk is full.
    pub rooms_paused: usize,
    /// Rooms that hibernate now.
    pub rooms_asleep: usize,
    /// Rooms of an earlier process that are yet to be taken up.
    pub rooms_to_come: usize,
    /// Joins confirmed.
    pub joins: u64,
    /// Hellos that were asked for a cookie.
    pub cookies_asked: u64,
    /// Joins confirmed with a ticket.
    pub resumes: u64,
    /// Clients told that their connection is no more.
    pub resets: u64,
    /// Hellos that got no answer or a refusal.
    pub hellos_refused: u64,
    /// Datagrams taken.
    pub received: u64,
    /// Datagrams dropped: no such connection, replayed, not authentic.
    pub dropped: u64,
    /// Datagrams handed out.
    pub sent: u64,
    /// Datagrams handed to the shard that they are for.
    pub forwarded: u64,
    /// Letters to other shards.
    pub letters: u64,
    /// Clients that went on from another address.
    pub moves: u64,
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

impl ShardStats {
    /// Adds what another shard has done and holds.
    pub fn add(&mut self, other: &Self) {
        let Self {
            sessions,
            joins_pending,
            rooms,
            rooms_paused,
            rooms_asleep,
            rooms_to_come,
            joins,
            cookies_asked,
            resumes,
            resets,
            hellos_refused,
            received,
            dropped,
            sent,
            forwarded,
            letters,
            moves,
            ticks,
            ticks_skipped,
            inputs,
            inputs_ignored,
            snapshots_full,
            snapshots_delta,
            resyncs,
            over_budget,
            voids,
            rooms_failed,
            calls_over_budget,
            ticks_slowed,
        } = other;
        self.sessions += sessions;
        self.joins_pending += joins_pending;
        self.rooms += rooms;
        self.rooms_paused += rooms_paused;
        self.rooms_asleep += rooms_asleep;
        self.rooms_to_come += rooms_to_come;
        self.joins += joins;
        self.cookies_asked += cookies_asked;
        self.resumes += resumes;
        self.resets += resets;
        self.hellos_refused += hellos_refused;
        self.received += received;
        self.dropped += dropped;
        self.sent += sent;
        self.forwarded += forwarded;
        self.letters += letters;
        self.moves += moves;
        self.ticks += ticks;
        self.ticks_skipped += ticks_skipped;
        self.inputs += inputs;
        self.inputs_ignored += inputs_ignored;
        self.snapshots_full += snapshots_full;
        self.snapshots_delta += snapshots_delta;
        self.resyncs += resyncs;
        self.over_budget += over_budget;
        self.voids += voids;
        self.rooms_failed += rooms_failed;
        self.calls_over_budget += calls_over_budget;
        self.ticks_slowed += ticks_slowed;
    }
}
