//! The medium of a [`SimulatedDisk`](super::SimulatedDisk): what is there, what was synced, and
//! what a power loss makes of the difference.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rejoin_protocol::Rng;

use super::seam::DiskFault;

/// A panic elsewhere does not make the bytes wrong.
pub(super) fn locked(medium: &Mutex<Medium>) -> MutexGuard<'_, Medium> {
    medium.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Debug)]
pub(super) struct Medium {
    pub(super) names: BTreeMap<String, usize>,
    pub(super) synced_names: BTreeMap<String, usize>,
    /// What happened to names since the last sync of the folder, in order.
    pub(super) changes: Vec<Change>,
    pub(super) files: BTreeMap<usize, Content>,
    pub(super) next_file: usize,
    /// Who holds a lock: the life and a number of its own.
    pub(super) locks: BTreeMap<String, u64>,
    /// Raised by each crash; handles of an earlier life fail.
    pub(super) life: u64,
    pub(super) operations: u64,
    pub(super) stop_at: Option<u64>,
    pub(super) capacity: u64,
    pub(super) failing_syncs: bool,
    pub(super) failing_writes: Option<DiskFault>,
    pub(super) rng: Rng,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Made(String, usize),
    /// From a name to another, and which file.
    Renamed(String, String, usize),
    Removed(String),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// As processes see it.
    pub(super) now: Vec<u8>,
    /// As it was at the last sync.
    synced: Vec<u8>,
    /// What happened since, in order.
    writes: Vec<Write>,
}

#[derive(Clone, Debug)]
pub(super) enum Write {
    Bytes(usize, Vec<u8>),
    Cut(usize),
}

impl Write {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Bytes(offset, written) => {
                let end = offset + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                if let Some(place) = bytes.get_mut(*offset..end) {
                    place.copy_from_slice(written);
                }
            }
            Self::Cut(len) => bytes.truncate(*len),
        }
    }

    /// What a power loss keeps of it if it keeps some sectors.
    fn tear(&self, rng: &mut Rng, bytes: &mut Vec<u8>) {
        let Self::Bytes(offset, written) = self else {
            if rng.chance(0.5) {
                self.apply(bytes);
            }
            return;
        };
        let mut from = 0;
        while from < written.len() {
            let to_border = SECTOR - (offset + from) % SECTOR;
            let to = written.len().min(from + to_border);
            if rng.chance(0.5)
                && let Some(sector) = written.get(from..to)
            {
                Self::Bytes(offset + from, sector.to_vec()).apply(bytes);
            }
            from = to;
        }
    }
}

impl Content {
    pub(super) fn write(&mut self, write: Write) {
        write.apply(&mut self.now);
        self.writes.push(write);
    }

    pub(super) fn sync(&mut self) {
        for write in self.writes.drain(..) {
            write.apply(&mut self.synced);
        }
    }

    pub(super) fn flip(&mut self, offset: usize, mask: u8) {
        for bytes in [&mut self.now, &mut self.synced] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= mask;
            }
        }
    }

    /// Keeps all, nothing, the first few and a part of the next, or any sectors.
    fn lose_power(&mut self, rng: &mut Rng) {
        let mut kept = std::mem::take(&mut self.synced);
        let writes = std::mem::take(&mut self.writes);
        match rng.below(4) {
            0 => {}
            1 => writes.iter().for_each(|write| write.apply(&mut kept)),
            2 if !writes.is_empty() => {
                let (whole, rest) = writes.split_at(rng.index(writes.len()));
                whole.iter().for_each(|write| write.apply(&mut kept));
                if let Some(write) = rest.first() {
                    write.tear(rng, &mut kept);
                }
            }
            _ => writes.iter().for_each(|write| write.tear(rng, &mut kept)),
        }
        self.synced.clone_from(&kept);
        self.now = kept;
    }
}

impl Medium {
    pub(super) const fn new(rng: Rng) -> Self {
        Self {
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            changes: Vec::new(),
            files: BTreeMap::new(),
            next_file: 0,
            locks: BTreeMap::new(),
            life: 0,
            operations: 0,
            stop_at: None,
            capacity: u64::MAX,
            failing_syncs: false,
            failing_writes: None,
            rng,
        }
    }

    pub(super) fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|id| self.files.get(id));
        let bytes: usize = files.map(|file| file.now.len()).sum();
        wide(bytes)
    }

    pub(super) fn fresh(&mut self, now: Vec<u8>, synced: Vec<u8>) -> usize {
        let id = self.next_file;
        self.next_file += 1;
        let writes = Vec::new();
        let content = Content {
            now,
            synced,
            writes,
        };
        self.files.insert(id, content);
        id
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    pub(super) fn sync_names(&mut self) {
        for change in self.changes.drain(..) {
            change.apply(&mut self.synced_names);
        }
        self.drop_unnamed();
    }

    /// Any of the changes that can still be made may have reached the medium.
    pub(super) fn lose_power(&mut self) {
        let keep_all = self.rng.chance(0.3);
        for change in std::mem::take(&mut self.changes) {
            if keep_all || self.rng.chance(0.5) {
                change.apply(&mut self.synced_names);
            }
        }
        self.names.clone_from(&self.synced_names);
        for content in self.files.values_mut() {
            content.lose_power(&mut self.rng);
        }
        self.drop_unnamed();
    }

    /// Frees what no name leads to any more. Open handles of it are rare and read nothing.
    fn drop_unnamed(&mut self) {
        let (names, synced) = (&self.names, &self.synced_names);
        let named = |id: &usize| names.values().chain(synced.values()).any(|it| it == id);
        self.files.retain(|id, _| named(id));
    }

    /// Counts an operation of a process of `life`: to be done, or in part only.
    pub(super) fn begin(&mut self, life: u64) -> Option<Done> {
        self.check(life)?;
        self.operations += 1;
        match self.stop_at {
            Some(at) if self.operations == at => Some(Done::InPart),
            _ => Some(Done::Wholly),
        }
    }

    pub(super) fn check(&self, life: u64) -> Option<()> {
        let stopped = self.stop_at.is_some_and(|at| self.operations >= at);
        (life == self.life && !stopped).then_some(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Wholly,
    InPart,
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Made(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Renamed(from, to, id) => {
                if names.get(from) == Some(id) {
                    names.remove(from);
                }
                names.insert(to.clone(), *id);
            }
            Self::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

pub(super) fn wide(len: usize) -> u64 {
    u64::try_from(len).expect("a length in memory fits 64 bits")
}

/// Bytes that a medium writes whole or not at all.
const SECTOR: usize = 512;
