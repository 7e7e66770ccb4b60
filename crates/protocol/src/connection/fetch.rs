//! Memory that will be needed is asked for ahead.
//!
//! A server touches each of its connections now and then, and all others in between: most of the time of a
//! datagram is waiting for memory, one line after the other. Read for many connections in a row, the lines of
//! all come at once, and are there when the datagrams are taken.

use std::hint::black_box;

use super::Connection;

impl Connection {
    /// Reads a little of each part that a datagram needs, and does nothing with it.
    pub fn fetch_ahead(&self) {
        let counters = self.counters.sent ^ self.counters.dropped;
        let parts = [
            counters,
            self.acks.fetch_ahead(),
            self.recovery.fetch_ahead(),
            self.ladder.fetch_ahead(),
            self.outgoing.fetch_ahead(),
            self.incoming.fetch_ahead(),
            self.protection.fetch_ahead(),
            u64::from(self.budget.is_some()),
        ];
        black_box(parts.iter().fold(0, |all, part| all ^ part));
    }
}
