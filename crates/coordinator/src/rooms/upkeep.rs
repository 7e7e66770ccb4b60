//! What a hosted room owes its store and its neighbours.

use std::collections::VecDeque;

use rejoin_protocol::{Bucket, Timestamp};
use rejoin_room::Durability;

use crate::limits::{
    CHECKPOINT_AFTER, CHECKPOINT_BYTES_MIN, CHECKPOINT_BYTES_MIN_NONE, CHECKPOINT_GROWTH,
    VOID_WINDOW, VOIDS_MAX,
};

/// What the room owes its store and its neighbours.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Size of the newest checkpoint.
    pub(crate) checkpoint_bytes: usize,
    /// When the oldest call was applied that no checkpoint covers.
    pub(crate) dirty_since: Option<Timestamp>,
    /// When the room closes unless someone enters.
    pub(crate) empty_until: Option<Timestamp>,
    /// The directory shows an old card, or none yet.
    pub(crate) card_stale: bool,
    /// Something is told once a checkpoint covers it.
    pub(crate) checkpoint_wanted: bool,
    /// A checkpoint was refused: the next try is not before.
    pub(crate) checkpoint_after: Timestamp,
    /// Its calls cannot be stored: they wait, time stands still, and they are tried again then.
    pub(crate) paused_until: Option<Timestamp>,
    /// It is to leave memory with this turn.
    pub(crate) drowsy: bool,
    /// It is listed among those that wait for the medium.
    pub(crate) unsynced: bool,
    /// What its members may still send.
    pub(crate) inputs: Bucket,
    pub(super) voids: VecDeque<Timestamp>,
}

impl Upkeep {
    /// True if a checkpoint is worth its price.
    pub(crate) fn is_checkpoint_due(
        &self,
        level: Durability,
        journal_bytes: usize,
        now: Timestamp,
    ) -> bool {
        let growth = self.checkpoint_bytes.saturating_mul(CHECKPOINT_GROWTH);
        let least = match level {
            Durability::None => CHECKPOINT_BYTES_MIN_NONE,
            Durability::Checkpoint | Durability::Exact | Durability::Synced => CHECKPOINT_BYTES_MIN,
        };
        let grown = journal_bytes > growth.max(least);
        let aged = self.dirty_since;
        let aged = aged.is_some_and(|since| now.since(since) >= CHECKPOINT_AFTER);
        let wanted = grown || aged || self.checkpoint_wanted;
        wanted && now >= self.checkpoint_after && self.paused_until.is_none()
    }

    /// Notes a call that had to be taken out. True if there were too many.
    pub(crate) fn on_void(&mut self, now: Timestamp) -> bool {
        self.voids.push_back(now);
        if self.voids.len() > VOIDS_MAX {
            self.voids.pop_front();
        }
        let first = self.voids.front().copied().unwrap_or(now);
        self.voids.len() >= VOIDS_MAX && now.since(first) < VOID_WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_voids_within_a_minute_are_too_many() {
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
        let mut upkeep = Upkeep::default();
        assert!(!upkeep.on_void(at(0)) && !upkeep.on_void(at(30)) && !upkeep.on_void(at(60)));
        assert!(upkeep.on_void(at(89)));
    }
}
