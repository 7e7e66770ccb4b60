//! A [`SimulatedDisk`](super::SimulatedDisk) as one process has it: handles that fail once the
//! process has crashed, and do an operation in part if it stops within it.

use std::sync::{Arc, Mutex};

use super::medium::{Change, Content, Done, Medium, Write, locked, wide};
use super::seam::{Disk, DiskError, DiskFault, DiskFile, DiskLock, LockError};

/// The disk as one process has it.
#[derive(Debug)]
pub(super) struct Process {
    medium: Arc<Mutex<Medium>>,
    life: u64,
}

impl Process {
    pub(super) const fn new(medium: Arc<Mutex<Medium>>, life: u64) -> Self {
        Self { medium, life }
    }

    /// Changes a name, unless the process stops before it.
    fn change(&self, what: &'static str, name: &str, change: Change) -> Result<(), DiskError> {
        let mut medium = locked(&self.medium);
        let done = medium.begin(self.life).ok_or_else(|| gone(what, name))?;
        if done == Done::Wholly || medium.rng.chance(0.5) {
            medium.change(change);
        }
        finished(done, what, name)
    }

    fn file(&self, name: &str, id: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimulatedFile {
            medium: Arc::clone(&self.medium),
            life: self.life,
            id,
            name: name.to_owned(),
        })
    }
}

impl Disk for Process {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        let medium = locked(&self.medium);
        medium.check(self.life).ok_or_else(|| gone("list", "."))?;
        Ok(medium.names.keys().cloned().collect())
    }

    fn create(&self, name: &str, len: u64) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut medium = locked(&self.medium);
        let done = medium
            .begin(self.life)
            .ok_or_else(|| gone("create", name))?;
        if medium.names.contains_key(name) {
            return Err(refused("create", name, DiskFault::Exists));
        }
        if medium.used().saturating_add(len) > medium.capacity {
            return Err(refused("create", name, DiskFault::Full));
        }
        let mut len = usize::try_from(len).unwrap_or(usize::MAX);
        if done == Done::InPart {
            len = medium.rng.index(len + 1);
        }
        let id = medium.fresh(Vec::new(), Vec::new());
        medium.change(Change::Made(name.to_owned(), id));
        if let Some(content) = medium.files.get_mut(&id) {
            content.write(Write::Bytes(0, vec![0; len]));
        }
        finished(done, "create", name)?;
        Ok(self.file(name, id))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let medium = locked(&self.medium);
        medium.check(self.life).ok_or_else(|| gone("open", name))?;
        let missing = || refused("open", name, DiskFault::Missing);
        let id = medium.names.get(name).copied().ok_or_else(missing)?;
        Ok(self.file(name, id))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let id = locked(&self.medium).names.get(from).copied();
        let id = id.ok_or_else(|| refused("rename", from, DiskFault::Missing))?;
        let change = Change::Renamed(from.to_owned(), to.to_owned(), id);
        self.change("rename", from, change)
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        if !locked(&self.medium).names.contains_key(name) {
            return Err(refused("remove", name, DiskFault::Missing));
        }
        self.change("remove", name, Change::Removed(name.to_owned()))
    }

    fn sync_folder(&self) -> Result<(), DiskError> {
        let mut medium = locked(&self.medium);
        let done = medium.begin(self.life).ok_or_else(|| gone("sync", "."))?;
        if medium.failing_syncs {
            return Err(refused("sync", ".", DiskFault::Other));
        }
        if done == Done::Wholly || medium.rng.chance(0.5) {
            medium.sync_names();
        }
        finished(done, "sync", ".")
    }

    fn lock(&self, name: &str) -> Result<Box<dyn DiskLock>, LockError> {
        let mut medium = locked(&self.medium);
        medium.check(self.life).ok_or_else(|| gone("lock", name))?;
        if let Some(holder) = medium.locks.get(name) {
            let (name, holder) = (name.to_owned(), holder.to_string());
            return Err(LockError::Held { name, holder });
        }
        let number = medium.rng.next_u64();
        medium.locks.insert(name.to_owned(), number);
        Ok(Box::new(Held {
            medium: Arc::clone(&self.medium),
            name: name.to_owned(),
            number,
        }))
    }
}

/// A lock that its process has.
#[derive(Debug)]
struct Held {
    medium: Arc<Mutex<Medium>>,
    name: String,
    number: u64,
}

impl DiskLock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        let mut medium = locked(&self.medium);
        if medium.locks.get(&self.name) == Some(&self.number) {
            medium.locks.remove(&self.name);
        }
    }
}

/// A file as one process has it open.
#[derive(Debug)]
struct SimulatedFile {
    medium: Arc<Mutex<Medium>>,
    life: u64,
    id: usize,
    name: String,
}

impl SimulatedFile {
    fn content<T>(
        &self,
        what: &'static str,
        then: impl FnOnce(&mut Content) -> T,
    ) -> Result<T, DiskError> {
        let mut medium = locked(&self.medium);
        medium
            .check(self.life)
            .ok_or_else(|| gone(what, &self.name))?;
        let content = medium.files.get_mut(&self.id);
        Ok(then(content.ok_or_else(|| gone(what, &self.name))?))
    }

    fn change(&self, what: &'static str, mut write: Write) -> Result<(), DiskError> {
        let mut medium = locked(&self.medium);
        let begun = medium.begin(self.life);
        let done = begun.ok_or_else(|| gone(what, &self.name))?;
        let fault = medium.failing_writes.filter(|_| what == "write");
        let in_part = done == Done::InPart || fault.is_some();
        match &mut write {
            Write::Bytes(_, bytes) if in_part => {
                let kept = medium.rng.index(bytes.len() + 1);
                bytes.truncate(kept);
            }
            Write::Cut(_) if in_part && medium.rng.chance(0.5) => {
                return finished(done, what, &self.name);
            }
            Write::Bytes(..) | Write::Cut(_) => {}
        }
        if let Some(content) = medium.files.get_mut(&self.id) {
            content.write(write);
        }
        match fault {
            Some(fault) => Err(refused(what, &self.name, fault)),
            None => finished(done, what, &self.name),
        }
    }
}

impl DiskFile for SimulatedFile {
    fn size(&self) -> Result<u64, DiskError> {
        self.content("measure", |content| wide(content.now.len()))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.change("write", Write::Bytes(offset, bytes.to_vec()))
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.content("read", |content| {
            let rest = content.now.get(offset..).unwrap_or_default();
            rest.get(..len).unwrap_or(rest).to_vec()
        })
    }

    fn sync(&self) -> Result<(), DiskError> {
        let mut medium = locked(&self.medium);
        let begun = medium.begin(self.life);
        let done = begun.ok_or_else(|| gone("sync", &self.name))?;
        if medium.failing_syncs {
            return Err(refused("sync", &self.name, DiskFault::Other));
        }
        let reaches = done == Done::Wholly || medium.rng.chance(0.5);
        if let Some(content) = medium.files.get_mut(&self.id).filter(|_| reaches) {
            content.sync();
        }
        finished(done, "sync", &self.name)
    }

    fn cut(&self, len: u64) -> Result<(), DiskError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.change("cut", Write::Cut(len))
    }
}

fn finished(done: Done, what: &'static str, name: &str) -> Result<(), DiskError> {
    match done {
        Done::Wholly => Ok(()),
        Done::InPart => Err(gone(what, name)),
    }
}

fn gone(what: &'static str, name: &str) -> DiskError {
    refused(what, name, DiskFault::Other)
}

fn refused(what: &'static str, name: &str, fault: DiskFault) -> DiskError {
    let reason = match fault {
        DiskFault::Full => "no space left on the simulated disk",
        DiskFault::Missing => "no such simulated file",
        DiskFault::Exists => "the simulated file exists",
        DiskFault::Other => "the simulated disk or its process is gone",
    };
    DiskError {
        what,
        name: name.to_owned(),
        fault,
        reason: reason.to_owned(),
    }
}
