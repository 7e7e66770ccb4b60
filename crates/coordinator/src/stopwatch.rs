//! How long room logic takes, told from outside: a core reads no clock.

use std::time::Duration;

use rejoin_protocol::RoomId;

/// Measures the calls that a turn makes to room logic. One is under way at a time.
///
/// Whoever implements it also knows, from [`begin`](Self::begin) on, which room the shard is in: a call that never comes
/// back can be found from another thread.
pub trait Stopwatch {
    /// Logic of this room, which is of `kind`, is about to be called.
    fn begin(&mut self, room: RoomId, kind: &'static str);

    /// It came back. Tells how long it took.
    fn end(&mut self) -> Duration;
}

/// Measures nothing: each call takes no time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmeasured;

impl Stopwatch for Unmeasured {
    fn begin(&mut self, _room: RoomId, _kind: &'static str) {}

    fn end(&mut self) -> Duration {
        Duration::ZERO
    }
}
