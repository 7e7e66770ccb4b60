//! Open loop: what is sent when, whatever the server does.

use std::time::Duration;

use rejoin::protocol::Timestamp;

const SECOND_NANOS: u128 = 1_000_000_000;

/// Sends spread evenly over time: number `n` of all falls to player `n` modulo their number.
pub(crate) struct Schedule {
    start: Timestamp,
    players: u64,
    hz: u64,
    done: u64,
}

/// A send that is due.
#[derive(Clone, Copy)]
pub(crate) struct Due {
    pub(crate) player: usize,
    pub(crate) planned: Timestamp,
}

impl Schedule {
    /// Each of `players` sends `hz` times a second; with 0 nobody ever does.
    pub(crate) const fn new(players: usize, hz: u64, start: Timestamp) -> Self {
        Self {
            start,
            players: players as u64,
            hz,
            done: 0,
        }
    }

    pub(crate) fn next_due(&mut self, now: Timestamp) -> Option<Due> {
        let per_second = u128::from(self.hz * self.players);
        let nanos = (u128::from(self.done) * SECOND_NANOS).checked_div(per_second)?;
        let planned = self.start + Duration::from_nanos(nanos as u64);
        if planned > now {
            return None;
        }
        let player = (self.done % self.players) as usize;
        self.done += 1;
        Some(Due { player, planned })
    }
}
