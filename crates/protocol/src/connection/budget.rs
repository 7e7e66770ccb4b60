//! What one peer may send: authentic datagrams and their bytes. Only a server sets a budget.
//!
//! Charged after a packet proved who sent it, so nobody can spend what is another's, and before its
//! frames are read. What goes over it is dropped and not acknowledged, like a lost packet: a
//! sound peer slows down. Who goes on regardless is closed.

use super::{Connection, PacketError};
use crate::bucket::{Bucket, Rate, Spending};
use crate::close::CloseReason;
use crate::limit::Limit;
use crate::time::Timestamp;

/// What one peer may send.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    datagrams: (Bucket, Rate),
    bytes: (Bucket, Rate),
}

impl Budget {
    /// A whole budget.
    #[must_use]
    pub fn new(datagrams: Rate, bytes: Rate) -> Self {
        Self {
            datagrams: (Bucket::default(), datagrams),
            bytes: (Bucket::default(), bytes),
        }
    }

    fn charge(&mut self, len: usize, now: Timestamp) -> (Spending, Limit) {
        let (bucket, rate) = &mut self.datagrams;
        let datagrams = bucket.charge(1, *rate, now);
        let (bucket, rate) = &mut self.bytes;
        let bytes = bucket.charge(u32::try_from(len).unwrap_or(u32::MAX), *rate, now);
        match (datagrams, bytes) {
            (Spending::Out, _) => (datagrams, Limit::Datagrams),
            (_, Spending::Out) => (bytes, Limit::Bytes),
            (Spending::Over, _) => (datagrams, Limit::Datagrams),
            (Spending::Within, _) => (bytes, Limit::Bytes),
        }
    }
}

impl Connection {
    /// Holds the peer to `budget` from now on.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = Some(budget);
    }

    /// Charges the peer for an authentic datagram.
    pub(super) fn charge(&mut self, len: usize, now: Timestamp) -> Result<(), PacketError> {
        let Some(budget) = &mut self.budget else {
            return Ok(());
        };
        let (spending, limit) = budget.charge(len, now);
        match spending {
            Spending::Within => return Ok(()),
            Spending::Over => {}
            Spending::Out => self.close(CloseReason::OverLimit(limit)),
        }
        self.counters.dropped += 1;
        Err(PacketError::OverBudget(limit))
    }
}
