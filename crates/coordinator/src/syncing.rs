//! Once the medium has what rooms wait for: inputs are acknowledged, who took a seat is told, and events go on.

use rejoin_protocol::Timestamp;
use rejoin_store::Store;

use crate::house::House;
use crate::keep::Keep;
use crate::keys::RoomKey;
use crate::rooms::entry::Entry;
use crate::rooms::queue::Origin;

impl House {
    /// A room's calls were applied, or a checkpoint was stored, and the store is written up to there.
    pub(crate) fn on_written<S: Store>(&mut self, keep: &Keep<S>, key: RoomKey) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if let Some(durable) = &room.durable {
            room.gate.on_applied(&durable.seats, keep.journalled());
        }
        if room.gate.waits() && !std::mem::replace(&mut room.upkeep.unsynced, true) {
            self.unsynced.push(key);
        }
    }

    /// Lets go what is on the medium now.
    pub(crate) fn on_synced<S: Store>(&mut self, keep: &Keep<S>, now: Timestamp) {
        if self.unsynced.is_empty() {
            return;
        }
        let (synced, written) = (keep.synced(), keep.journalled());
        let mut waiting = std::mem::take(&mut self.unsynced);
        waiting.retain(|key| {
            let Some(room) = self.rooms.get_mut(*key) else {
                return false;
            };
            let Some(durable) = &room.durable else {
                return false;
            };
            let opened = room.gate.on_synced(synced, &durable.seats, written);
            let waits = room.gate.waits();
            room.upkeep.unsynced = waits;
            // The next view tells it. A room without a clock makes one after a call: no timer may be due in this one.
            let tells = opened.acknowledged && room.kind.tick_hz == 0;
            if tells {
                self.rooms.push(*key, Entry::Timers, Origin::None);
            }
            for asked in opened.answers {
                self.welcome(*key, asked, now);
            }
            for player in opened.players {
                self.catch_up(*key, player);
            }
            waits
        });
        self.unsynced = waiting;
    }
}
