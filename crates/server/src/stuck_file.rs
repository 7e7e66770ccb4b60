//! The room whose logic did not return, for the next process to leave alone.
//!
//! The call stands in the room's journal, so whoever replays it gets stuck as well. The watchdog writes `DIR/stuck` before it
//! ends the process; the next one quarantines the room, and removes the file.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use rejoin_protocol::RoomId;
use rejoin_store::{Store, StoreError};

/// Where the watchdog leaves its word; nowhere if rooms end with the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct StuckFile(Option<PathBuf>);

impl StuckFile {
    /// Of a data folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self(Some(folder.join("stuck")))
    }

    /// The process is about to end because of a room.
    pub(crate) fn write(&self, room: RoomId) {
        if let Some(path) = &self.0 {
            let text = format!("{}\n", HEXLOWER.encode(&room.0));
            // It is about to end: without the word the room is left alone after a few tries more.
            drop(fs::write(path, text));
        }
    }

    /// Quarantines the room of whose end there is a word, if it is one of these stores'.
    ///
    /// # Errors
    /// Its store takes nothing any more.
    pub(crate) fn heed<S: Store>(&self, stores: &mut [S]) -> Result<(), StoreError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let Ok(bytes) = fs::read(path) else {
            return Ok(());
        };
        let id = HEXLOWER.decode(bytes.trim_ascii());
        let id = id.ok().and_then(|id| id.try_into().ok()).map(RoomId);
        for store in stores {
            if let Some(room) = id.filter(|id| store.rooms().contains(id)) {
                store.quarantine(room)?;
                tracing::warn!(%room, "a room whose logic did not return is quarantined: `rejoin store ls` shows it");
            }
        }
        drop(fs::remove_file(path));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rejoin_store::{MemoryStore, Record, Standing};

    use super::*;

    #[test]
    fn the_room_that_is_named_is_quarantined_once() {
        let name = format!("rejoin-stuck-file-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let rooms = [RoomId([7; 16]), RoomId([8; 16])];
        let mut stores = [MemoryStore::default(), MemoryStore::default()];
        for (store, room) in stores.iter_mut().zip(rooms) {
            let record = Record {
                room,
                sequence: 1,
                body: &[1],
            };
            store.append(&[record]).unwrap();
        }
        let file = StuckFile::of(&folder);
        file.heed(&mut stores).unwrap();
        file.write(rooms[1]);
        file.heed(&mut stores).unwrap();
        assert!(!stores[0].standing(rooms[0]).quarantined);
        assert!(stores[1].standing(rooms[1]).quarantined);
        stores[1]
            .set_standing(rooms[1], Standing::default())
            .unwrap();
        file.heed(&mut stores).unwrap();
        assert!(!stores[1].standing(rooms[1]).quarantined, "once");
        for wrong in ["", "xyz", "00"] {
            fs::write(folder.join("stuck"), wrong).unwrap();
            file.heed(&mut stores).unwrap();
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
