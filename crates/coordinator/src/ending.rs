//! The end of connections, and of all sessions of a shard.

use rejoin_protocol::{CloseReason, Timestamp};

use crate::connections::Stage;
use crate::house::House;
use crate::keys::Slot;
use crate::schedule::Schedule;
use crate::sessions::Sessions;

impl House {
    /// The close packet of a connection leaves: its peer may not hear it.
    pub(crate) fn remember_goodbye(&mut self, slot: Slot, packet: &[u8]) {
        let (id, path) = (self.connections.id(slot), self.connections.path(slot));
        if let (Some(id), Some(path)) = (id, path) {
            self.goodbyes.remember(id, path, packet);
        }
    }

    /// A connection that ends itself, and may not say so because its path is not shown, ends here: its
    /// close packet would never leave.
    pub(crate) fn end_mute(&mut self, slot: Slot, now: Timestamp) {
        if let Some(peer) = self.connections.get(slot)
            && !peer.path_shown
            && matches!(peer.stage, Stage::Active(_))
            && let Some(reason) = peer.connection.closing()
        {
            self.close(slot, reason, now);
        }
    }

    /// Says goodbye on every connection and forgets all sessions. The rooms are gone already.
    pub(crate) fn end_sessions(&mut self, reason: CloseReason, now: Timestamp) {
        self.schedule = Schedule::new();
        self.requests.clear();
        self.dormant.stop();
        self.unsynced.clear();
        let slots: Vec<_> = self.connections.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let pending = self.connections.get(slot).map(|peer| &peer.stage);
            if matches!(pending, Some(Stage::Pending(_))) {
                self.forget_connection(slot);
            } else {
                self.end_connection(slot, reason, now);
            }
        }
        self.sessions = Sessions::new();
        self.addresses.clear();
    }
}
