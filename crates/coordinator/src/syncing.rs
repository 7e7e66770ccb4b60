//! Once the medium has what rooms wait for: views are sent, who took a seat is told, and events go on.

use rejoin_protocol::Timestamp;
use rejoin_store::Store;

use crate::house::House;
use crate::keep::Keep;
use crate::keys::RoomKey;
use crate::news::Lines;
use crate::rooms::fanout;

impl House {
    /// A room's calls were applied, and are written.
    pub(crate) fn on_written<S: Store>(&mut self, keep: &Keep<S>, key: RoomKey) {
        if let Some(room) = self.rooms.get_mut(key)
            && room.kind.durability.is_journalled()
        {
            room.gate.on_written(keep.journalled());
        }
        self.await_sync(key);
    }

    /// A room waits for the medium, if it has something that does.
    pub(crate) fn await_sync(&mut self, key: RoomKey) {
        if let Some(room) = self.rooms.get_mut(key)
            && room.gate.waits()
            && !std::mem::replace(&mut room.upkeep.unsynced, true)
        {
            self.unsynced.push(key);
        }
    }

    /// Lets go what is on the medium now.
    pub(crate) fn on_synced<S: Store>(&mut self, keep: &Keep<S>, now: Timestamp) {
        if self.unsynced.is_empty() {
            return;
        }
        let synced = keep.synced();
        let mut waiting = std::mem::take(&mut self.unsynced);
        waiting.retain(|key| {
            let Some(room) = self.rooms.get_mut(*key) else {
                return false;
            };
            let opened = room.gate.on_synced(synced);
            let waits = room.gate.waits();
            room.upkeep.unsynced = waits;
            // The next one waited for it.
            let behind = opened.view && room.showing.stale;
            if opened.view {
                let mut scratch = std::mem::take(&mut self.scratch);
                self.send_views(*key, &mut scratch, now);
                self.scratch = scratch;
            }
            let is_answer = !opened.answers.is_empty();
            for asked in opened.answers {
                self.welcome(*key, asked, now);
            }
            if behind || is_answer {
                self.rooms.activate(*key);
            }
            for player in opened.players {
                self.catch_up(*key, player);
            }
            waits
        });
        self.unsynced = waiting;
    }

    /// Sends the members of a room what they lack of its newest view.
    pub(crate) fn send_views(&mut self, key: RoomKey, scratch: &mut Vec<u8>, now: Timestamp) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let mut lines = Lines {
            connections: &mut self.connections,
            mail: &mut self.mail,
        };
        let here = (self.config.shard, key);
        let all = fanout::send(room, here, &mut lines, scratch, &mut self.stats);
        room.showing.owe(!all, now);
    }
}
