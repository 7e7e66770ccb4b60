//! The process's clock: the only place where time enters.

use std::time::{Duration, Instant, SystemTime};

use rejoin_protocol::Timestamp;

/// Moments since the server started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The moment now.
    pub(crate) fn now(self) -> Timestamp {
        Timestamp::ZERO + self.origin.elapsed()
    }

    /// The same moment as the runtime's timers name it. What lies too far ahead for them is
    /// brought forward: the loop then only wakes once for nothing.
    pub(crate) fn instant(self, moment: Timestamp) -> Instant {
        let ahead =
            Duration::from_nanos(moment.as_nanos()).min(LONGEST_SLEEP + self.origin.elapsed());
        self.origin + ahead
    }
}

/// The wall clock, read once at the start. One that stands before 1970 reads as 1970.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Longest sleep of the loop.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
