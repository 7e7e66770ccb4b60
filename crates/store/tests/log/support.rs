//! Stores on a simulated disk, opened in the ways that tests need.

use std::sync::Arc;

use rejoin_protocol::{Epoch, Rng, RoomId};
use rejoin_store::disk::{Disk, DiskLock, SimulatedDisk};
use rejoin_store::log::{Limits, LogStore, OpenError, Opening, Recovery, open};
use rejoin_store::{Record, Store};

/// Small, so that little is enough to fill many segments.
pub(crate) const LIMITS: Limits = Limits {
    segment_bytes: 8 * 1024,
    first_segment_bytes: 4 * 1024,
    log_bytes: 4 * 1024 * 1024,
};

pub(crate) fn disk(seed: u64) -> SimulatedDisk {
    SimulatedDisk::new(Rng::from_number(seed))
}

/// Opens all logs of a folder.
pub(crate) fn try_open(
    disk: Arc<dyn Disk>,
    epoch: u64,
    shards: u16,
) -> Result<(Vec<LogStore>, Recovery), OpenError> {
    open_as(Opening {
        disk,
        lock: None,
        epoch: Epoch(epoch),
        shards,
        limits: LIMITS,
    })
}

/// Opens the only log of a folder, with other limits.
pub(crate) fn open_with(disk: &SimulatedDisk, epoch: u64, limits: Limits) -> (LogStore, Recovery) {
    let (mut stores, recovery) = open_as(Opening {
        disk: disk.process(),
        lock: None,
        epoch: Epoch(epoch),
        shards: 1,
        limits,
    })
    .expect("it opens");
    (stores.remove(0), recovery)
}

/// Opens all logs of a folder that is locked.
pub(crate) fn open_locked(
    disk: &SimulatedDisk,
    epoch: u64,
    shards: u16,
    lock: Arc<dyn DiskLock>,
) -> Vec<LogStore> {
    let opening = Opening {
        disk: disk.process(),
        lock: Some(lock),
        epoch: Epoch(epoch),
        shards,
        limits: LIMITS,
    };
    open_as(opening).expect("it opens").0
}

fn open_as(opening: Opening) -> Result<(Vec<LogStore>, Recovery), OpenError> {
    let (shards, epoch) = (opening.shards, opening.epoch.0);
    let shard_of = |room: RoomId| u16::from(room.0[0]) % shards;
    open(opening, shard_of, &mut Rng::from_number(epoch))
}

/// Opens the only log of a folder.
pub(crate) fn open_one(disk: &SimulatedDisk, epoch: u64) -> (LogStore, Recovery) {
    let (mut stores, recovery) = try_open(disk.process(), epoch, 1).expect("it opens");
    (stores.remove(0), recovery)
}

pub(crate) const fn room(number: u8) -> RoomId {
    RoomId([number; 16])
}

pub(crate) fn record(number: u8, sequence: u64, body: &[u8]) -> Record<'_> {
    Record {
        room: room(number),
        sequence,
        body,
    }
}

/// Runs all chores until none is left.
pub(crate) fn settle(store: &mut LogStore) {
    for _ in 0..10_000 {
        let Some(chore) = store.chore() else {
            store.check_invariants();
            return;
        };
        store.on_chore(chore.run()).expect("nothing fails");
    }
    panic!("chores do not end");
}
