//! A data folder that this process has for itself: to serve from it, or to forget rooms of it.
//!
//! Whoever writes to the rooms owns them: the lock first, then an epoch above all before, then the logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rejoin_protocol::{Epoch, Rng, RoomId};
use rejoin_store::Store;
use rejoin_store::disk::LockError;
use rejoin_store::log::LogStore;

use crate::entropy;
use crate::epoch_file::raise_epoch;
use crate::lock_holder::{TakeOverError, kill_holder};
use crate::private_files::sync_names;
use crate::rooms_folder::{OwnError, RoomsFolder};
use crate::ticket_files::has_ticket_keys;

/// See the module page. The lock is given up when this is dropped, or what comes of it is.
#[derive(Debug)]
pub struct LockedFolder {
    data: PathBuf,
    rooms: RoomsFolder,
    afresh: bool,
    volatile: bool,
    keeps_all: bool,
}

impl LockedFolder {
    /// Locks the rooms of a data folder. Nothing else is changed.
    ///
    /// # Errors
    /// Another process has them, or the folder cannot be made.
    pub fn lock(data: &Path) -> Result<Self, OwnError> {
        Ok(Self {
            data: data.to_owned(),
            rooms: RoomsFolder::lock(data)?,
            afresh: false,
            volatile: false,
            keeps_all: false,
        })
    }

    /// The same; a process that has them is killed first, if the system says that it does.
    ///
    /// # Errors
    /// As of [`LockedFolder::lock`], and see [`TakeOverError`].
    pub fn take_over(data: &Path) -> Result<Self, OwnError> {
        let start = Instant::now();
        let mut killed = None;
        loop {
            let (lock, holder) = match Self::lock(data) {
                Err(OwnError::Lock(LockError::Held { name, holder })) => (name, holder),
                outcome => return outcome,
            };
            let problem = match killed {
                Some(killed) => TakeOverError::Again { killed, holder },
                None => match kill_holder(Path::new(&lock), &holder) {
                    Ok(process) => {
                        tracing::warn!(
                            process,
                            lock,
                            "killed the process that had the data folder"
                        );
                        killed = Some(process);
                        continue;
                    }
                    Err(problem) => problem,
                },
            };
            // A process that has just locked it has not written its number yet, and one may be about to end.
            if start.elapsed() >= LOCK_PATIENCE {
                return Err(problem.into());
            }
            thread::sleep(LOCK_PAUSE);
        }
    }

    /// Begins without the rooms that are there: they are moved to `rooms.old-EPOCH` once the epoch is raised, and
    /// nothing is deleted. Keys stay.
    #[must_use]
    pub fn afresh(mut self) -> Self {
        self.afresh = true;
        self
    }

    /// What is not synced dies with this process, as a loss of power takes it: for tests.
    #[must_use]
    pub fn with_unsynced_in_memory(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// No journal record is let go, so that each room can be replayed from its first: for tests.
    #[must_use]
    pub fn with_all_records(mut self) -> Self {
        self.keeps_all = true;
        self
    }

    /// True if a killed process loses what it has not synced.
    pub(crate) fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// Raises the epoch of the folder and puts it on the medium.
    pub(crate) fn raise_epoch(&self) -> Result<Epoch, OwnError> {
        let used = has_ticket_keys(&self.data) || self.rooms.is_used();
        Ok(raise_epoch(&self.data, used)?)
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Opens a store for each shard of an epoch that was raised. The folder stays with them. Tells whether the end of a log was
    /// cut off.
    pub(crate) fn open(
        self,
        epoch: Epoch,
        shards: u8,
        rng: &mut Rng,
    ) -> Result<(Vec<LogStore>, bool), OwnError> {
        let rooms = if self.afresh {
            set_aside(&self.data, self.rooms, epoch)?
        } else {
            self.rooms
        };
        let rooms = if self.volatile {
            rooms.volatile()
        } else {
            rooms
        };
        rooms.open(epoch, (shards, self.keeps_all), rng)
    }

    /// Forgets rooms for good, and gives up the folder. When it returns, that is on the medium. Gives the epoch in which it was
    /// done, and how many of the rooms were there.
    ///
    /// # Errors
    /// See [`OwnError`]. Some of the rooms may be forgotten then.
    pub fn forget(self, rooms: &[RoomId]) -> Result<(Epoch, usize), OwnError> {
        let epoch = self.raise_epoch()?;
        let mut rng = entropy::rng().map_err(OwnError::Entropy)?;
        let mut forgotten = 0;
        let (stores, _) = self.open(epoch, 1, &mut rng)?;
        for mut store in stores {
            let held = store.rooms();
            for room in rooms.iter().filter(|room| held.contains(room)) {
                store.forget(*room)?;
                forgotten += 1;
            }
            store.sync_now()?;
        }
        Ok((epoch, forgotten))
    }
}

/// Moves the rooms away under the lock, and takes the empty folder in their place. The epoch is raised before, so that a
/// process which comes between has a later one, and this one is told that it has the folder.
fn set_aside(data: &Path, rooms: RoomsFolder, epoch: Epoch) -> Result<RoomsFolder, OwnError> {
    if !rooms.is_used() {
        tracing::info!("there are no rooms to be set aside");
        return Ok(rooms);
    }
    let (from, to) = (
        data.join("rooms"),
        data.join(format!("rooms.old-{}", epoch.0)),
    );
    let moved = fs::rename(&from, &to).and_then(|()| sync_names(&to));
    moved.map_err(|source| OwnError::SetAside {
        to: to.clone(),
        source,
    })?;
    tracing::warn!(to = %to.display(), "begins without the rooms that were there: they are set aside");
    drop(rooms);
    let rooms = RoomsFolder::lock(data)?;
    sync_names(&from).map_err(|source| OwnError::SetAside { to, source })?;
    Ok(rooms)
}

/// How long a process that is killed, or about to end, may have the lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at it.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use rejoin_store::Record;

    use super::*;

    /// A folder of its own for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("rejoin-locked-folder-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn stores(&self) -> (Epoch, Vec<LogStore>) {
            let locked = LockedFolder::lock(&self.0).unwrap();
            let epoch = locked.raise_epoch().unwrap();
            (
                epoch,
                locked.open(epoch, 2, &mut Rng::from_number(1)).unwrap().0,
            )
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn record(number: u8) -> Record<'static> {
        Record {
            room: RoomId([number; 16]),
            sequence: 1,
            body: b"one",
        }
    }

    #[test]
    fn forgotten_rooms_are_gone_the_others_are_there_and_the_epoch_is_raised() {
        let folder = Folder::new("forget");
        let (epoch, mut stores) = folder.stores();
        assert_eq!(epoch, Epoch(1));
        stores[0].append(&[record(2), record(4)]).unwrap();
        stores[1].append(&[record(3)]).unwrap();
        let refused = LockedFolder::lock(&folder.0).unwrap_err();
        assert!(matches!(refused, OwnError::Lock(LockError::Held { .. })));
        drop(stores);
        let rooms = [2, 3, 9].map(|it| RoomId([it; 16]));
        let locked = LockedFolder::lock(&folder.0).unwrap();
        assert_eq!(locked.forget(&rooms).unwrap(), (Epoch(2), 2));
        let (epoch, stores) = folder.stores();
        let left: Vec<_> = stores.iter().flat_map(Store::rooms).collect();
        assert_eq!((epoch, left), (Epoch(3), vec![RoomId([4; 16])]));
    }

    #[test]
    fn a_fresh_beginning_keeps_the_rooms_that_were_there_aside() {
        let folder = Folder::new("fresh");
        let (_, mut stores) = folder.stores();
        stores[0].append(&[record(2)]).unwrap();
        drop(stores);
        for epoch in 2..=3 {
            let locked = LockedFolder::lock(&folder.0).unwrap().afresh();
            let raised = locked.raise_epoch().unwrap();
            assert_eq!(raised, Epoch(epoch));
            let (stores, _) = locked.open(raised, 1, &mut Rng::from_number(1)).unwrap();
            assert_eq!(stores[0].rooms(), []);
            assert!(folder.0.join(format!("rooms.old-{epoch}")).is_dir());
            assert!(LockedFolder::lock(&folder.0).is_err(), "it is held");
        }
        let back = fs::remove_dir_all(folder.0.join("rooms"));
        back.and_then(|()| fs::rename(folder.0.join("rooms.old-2"), folder.0.join("rooms")))
            .unwrap();
        let (_, stores) = folder.stores();
        assert_eq!(stores[0].rooms(), [RoomId([2; 16])]);
    }
}
