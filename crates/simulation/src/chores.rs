//! A shard's side of the store thread: what may block is done a little later, and what came of it comes back later still.
//!
//! The server of the simulator does as the real one does: a sync begins every 20 ms, or at once if players wait for it.

use std::collections::VecDeque;
use std::time::Duration;

use rejoin_coordinator::{MemoryDirectory, Shard};
use rejoin_protocol::{Rng, Timestamp};
use rejoin_store::{Chore, Finished, Store, StoreError};

use crate::model::Witnessed;

/// A shard, with a directory that the model sees and all shards share.
pub(crate) type SimulatedShard = Shard<Box<dyn Store>, Witnessed<MemoryDirectory>>;

/// See the module page.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    under_way: Option<Errand>,
    /// When the next one may begin.
    next: Timestamp,
    /// What is written and not synced, by when its turn was: how far the store was written then.
    unsynced: VecDeque<(Timestamp, u64)>,
    written: u64,
}

/// A chore on the other thread.
#[derive(Debug)]
enum Errand {
    ToDo(Chore),
    Done(Finished),
}

impl Chores {
    /// Hands over the next chore after a turn. Tells when it will be back.
    pub(crate) fn begin(
        &mut self,
        shard: &mut SimulatedShard,
        (longest, chance): (Duration, &mut Rng),
        now: Timestamp,
    ) -> Option<Timestamp> {
        let written = shard.store().journalled();
        if written > self.written {
            self.written = written;
            self.unsynced.push_back((now, written));
        }
        self.look_at_synced(shard);
        let waits = now < self.next && !shard.is_sync_awaited();
        if self.under_way.is_some() || waits {
            return None;
        }
        self.next = now + SYNC_EVERY;
        let chore = shard.take_chore()?;
        // The process may end before the medium has it, or after it and before anybody knows.
        self.under_way = Some(match chance.chance(0.5) {
            true => Errand::Done(chore.run()),
            false => Errand::ToDo(chore),
        });
        let slow = if chance.chance(SLOW_SHARE) {
            SLOW_SYNC
        } else {
            1
        };
        Some(now + (longest * slow).mul_f64(chance.unit()))
    }

    /// The chore is back.
    ///
    /// # Errors
    /// The store takes nothing any more.
    pub(crate) fn end(
        &mut self,
        shard: &mut SimulatedShard,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let finished = match self.under_way.take() {
            Some(Errand::ToDo(chore)) => chore.run(),
            Some(Errand::Done(finished)) => finished,
            None => return Ok(()),
        };
        shard.on_chore(finished, now)?;
        self.look_at_synced(shard);
        Ok(())
    }

    /// When a turn is needed for what is not synced.
    pub(crate) fn due(&self, shard: &SimulatedShard) -> Option<Timestamp> {
        (self.under_way.is_none() && shard.is_unsynced()).then_some(self.next)
    }

    /// All that was told before then is on the medium.
    pub(crate) fn durable_until(&self, now: Timestamp) -> Timestamp {
        self.unsynced.front().map_or(now, |(at, _)| *at)
    }

    fn look_at_synced(&mut self, shard: &SimulatedShard) {
        let synced = shard.store().synced();
        while self
            .unsynced
            .front()
            .is_some_and(|(_, mark)| *mark <= synced)
        {
            self.unsynced.pop_front();
        }
    }
}

/// How long what is written waits for its sync.
const SYNC_EVERY: Duration = Duration::from_millis(20);
/// Share of those that are slow, and how much longer they take.
const SLOW_SHARE: f64 = 0.05;
pub(crate) const SLOW_SYNC: u32 = 10;
