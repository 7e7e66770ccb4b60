//! A disk that keeps what is not synced in the memory of its process: a killed process loses it, as a machine without power
//! would. For servers under test.
//!
//! Names are changed on the disk below at once, as if every folder were synced.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::seam::{Disk, DiskError, DiskFile, DiskLock, LockError};

/// See the module page.
#[derive(Debug)]
pub struct VolatileDisk {
    below: Arc<dyn Disk>,
    /// Files that were opened, by name: all handles of one see what any of them wrote.
    open: Mutex<BTreeMap<String, Arc<VolatileFile>>>,
}

#[derive(Debug)]
struct VolatileFile {
    below: Arc<dyn DiskFile>,
    /// What was written since the last sync, oldest first.
    unsynced: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl VolatileDisk {
    /// Syncs to `below`.
    #[must_use]
    pub fn new(below: Arc<dyn Disk>) -> Self {
        Self {
            below,
            open: Mutex::default(),
        }
    }

    fn take_in(&self, name: &str, below: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let mut open = locked(&self.open);
        let file = open.entry(name.to_owned()).or_insert_with(|| {
            let unsynced = Mutex::default();
            Arc::new(VolatileFile { below, unsynced })
        });
        Arc::clone(file) as Arc<dyn DiskFile>
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for VolatileDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.below.list()
    }

    fn create(&self, name: &str, len: u64) -> Result<Arc<dyn DiskFile>, DiskError> {
        let below = self.below.create(name, len)?;
        locked(&self.open).remove(name);
        Ok(self.take_in(name, below))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let below = self.below.open(name)?;
        Ok(self.take_in(name, below))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.below.rename(from, to)?;
        let mut open = locked(&self.open);
        open.remove(to);
        if let Some(file) = open.remove(from) {
            open.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.below.remove(name)?;
        locked(&self.open).remove(name);
        Ok(())
    }

    fn sync_folder(&self) -> Result<(), DiskError> {
        self.below.sync_folder()
    }

    fn lock(&self, name: &str) -> Result<Box<dyn DiskLock>, LockError> {
        self.below.lock(name)
    }
}

impl DiskFile for VolatileFile {
    fn size(&self) -> Result<u64, DiskError> {
        let unsynced = locked(&self.unsynced);
        let below = self.below.size()?;
        let ends = unsynced.iter().map(|(offset, bytes)| offset + wide(bytes));
        Ok(ends.fold(below, u64::max))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        locked(&self.unsynced).push((offset, bytes.to_vec()));
        Ok(())
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        // Before the disk below is read: a sync moves there what is unsynced.
        let unsynced = locked(&self.unsynced);
        let mut out = self.below.read(offset, len)?;
        for (start, bytes) in unsynced.iter() {
            for (at, byte) in (*start..).zip(bytes) {
                let place = at
                    .checked_sub(offset)
                    .and_then(|at| usize::try_from(at).ok());
                let Some(place) = place.filter(|place| *place < len) else {
                    continue;
                };
                if place >= out.len() {
                    out.resize(place + 1, 0);
                }
                if let Some(old) = out.get_mut(place) {
                    *old = *byte;
                }
            }
        }
        Ok(out)
    }

    fn sync(&self) -> Result<(), DiskError> {
        let mut unsynced = locked(&self.unsynced);
        for (offset, bytes) in unsynced.drain(..) {
            self.below.write(offset, &bytes)?;
        }
        drop(unsynced);
        self.below.sync()
    }

    fn cut(&self, len: u64) -> Result<(), DiskError> {
        let mut unsynced = locked(&self.unsynced);
        for (offset, bytes) in unsynced.iter_mut() {
            let left = usize::try_from(len.saturating_sub(*offset)).unwrap_or(usize::MAX);
            bytes.truncate(left);
        }
        self.below.cut(len)
    }
}

fn wide(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory fits 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::FileDisk;

    #[test]
    fn what_is_not_synced_is_seen_and_dies_with_the_process() {
        let name = format!("rejoin-volatile-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let start = || VolatileDisk::new(Arc::new(FileDisk::open(&folder).unwrap()));
        let disk = start();
        let file = disk.create("a", 8).unwrap();
        file.write(0, b"abcd").unwrap();
        file.sync().unwrap();
        file.write(2, b"xyz").unwrap();
        assert_eq!(disk.open("a").unwrap().read(0, 8).unwrap(), b"abxyz\0\0\0");
        disk.rename("a", "b").unwrap();
        assert_eq!(disk.open("b").unwrap().read(1, 3).unwrap(), b"bxy");
        // Another process.
        assert_eq!(
            start().open("b").unwrap().read(0, 8).unwrap(),
            b"abcd\0\0\0\0"
        );
        disk.open("b").unwrap().sync().unwrap();
        assert_eq!(
            start().open("b").unwrap().read(0, 8).unwrap(),
            b"abxyz\0\0\0"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
