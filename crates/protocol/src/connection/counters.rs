//! What a connection counts, and what it tells of its link.

use super::Connection;
use crate::link::LinkStats;

/// What is counted of [`LinkStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    pub(crate) dropped: u64,
}

impl Connection {
    /// Link estimates and counters.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        LinkStats {
            rtt: self.recovery.rtt.smoothed(),
            rtt_min: self.recovery.rtt.min(),
            jitter: self.recovery.rtt.jitter(),
            loss: self.recovery.loss_share(),
            sent: self.counters.sent,
            received: self.counters.received,
            sent_bytes: self.counters.sent_bytes,
            received_bytes: self.counters.received_bytes,
            lost: self.recovery.lost(),
            dropped: self.counters.dropped,
        }
    }
}
