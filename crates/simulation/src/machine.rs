//! The machine that the server runs on: its disk, how its processes end, and what the next one finds.
//!
//! Without a disk the rooms are handed on in memory. With one they are in the log engine, on a simulated disk that keeps of
//! what was not synced what it likes when power is lost.

use std::collections::{BTreeSet, VecDeque};

use rejoin_protocol::{Epoch, Rng, RoomId, Timestamp};
use rejoin_store::Store;
use rejoin_store::disk::{Crash, SimulatedDisk};
use rejoin_store::log::{Limits, LogStore, Opening, open};

use crate::breaks::{Ending, Restart, When};
use crate::operator::Operator;
use crate::report::Violation;

/// See the module page.
pub(crate) struct Machine {
    disk: Option<SimulatedDisk>,
    chance: Rng,
    /// A fault that will end the process as soon as it meets it.
    armed: Option<Restart>,
    /// All that the process before told until then was on the medium.
    durable: Timestamp,
    /// True if power was lost since.
    lost_power: bool,
}

/// What the next process finds.
pub(crate) struct Found {
    pub(crate) stores: VecDeque<Box<dyn Store>>,
    /// Power was lost: nothing that was told before then may be gone.
    pub(crate) durable: Option<Timestamp>,
}

impl Machine {
    pub(crate) fn new(has_disk: bool, root: &Rng) -> Self {
        Self {
            disk: has_disk.then(|| SimulatedDisk::new(root.fork("disk"))),
            chance: root.fork("machine"),
            armed: None,
            durable: Timestamp::ZERO,
            lost_power: false,
        }
    }

    /// The stores of the first process, one for each shard.
    ///
    /// # Errors
    /// They cannot be made.
    pub(crate) fn begin(
        &mut self,
        epoch: u64,
        shards: u8,
    ) -> Result<VecDeque<Box<dyn Store>>, String> {
        let Some(disk) = &self.disk else {
            return Ok(VecDeque::new());
        };
        try_open(disk, epoch, shards, &mut self.chance)
    }

    /// True if rooms outlive a process on its disk.
    pub(crate) fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// A process will end as planned. True if it does so now.
    pub(crate) fn plan_end(&mut self, restart: Restart) -> bool {
        let Some(disk) = &self.disk else { return true };
        match restart.ending.when {
            When::Now => return true,
            When::Within(operations) => disk.stop_at(disk.operations() + 1 + operations),
            When::SyncFails => disk.fail_syncs(true),
        }
        self.armed = Some(restart);
        false
    }

    /// The process meets the fault that was planned for it.
    pub(crate) fn take_armed(&mut self) -> Option<Restart> {
        self.armed.take()
    }

    /// Nothing breaks any more.
    pub(crate) fn disarm(&mut self) {
        self.armed = None;
        if let Some(disk) = &self.disk {
            disk.stop_at(u64::MAX);
            disk.fail_syncs(false);
        }
    }

    /// The process ends. All that it told before `durable` is on the medium.
    pub(crate) fn end(&mut self, ending: Ending, durable: Timestamp) {
        self.disarm();
        let Some(disk) = &self.disk else { return };
        disk.crash(if ending.power {
            Crash::Power
        } else {
            Crash::Process
        });
        (self.durable, self.lost_power) = (durable, ending.power);
    }

    /// The next process opens the store, at the second or third try if it ends while it does.
    ///
    /// # Errors
    /// It does not open.
    pub(crate) fn open(&mut self, operator: &mut Operator, shards: u8) -> Result<Found, Violation> {
        let disk = self.disk.clone();
        let disk = disk.ok_or_else(|| Violation::new("there is a disk", ""))?;
        for _ in 0..OPENINGS_MAX {
            if !self.chance.chance(STOPPED_OPENINGS) {
                break;
            }
            disk.stop_at(disk.operations() + 1 + self.chance.below(OPENING_OPERATIONS));
            let opened = try_open(&disk, operator.epoch(), shards, &mut self.chance);
            drop(opened);
            let power = self.chance.chance(0.5);
            disk.crash(if power { Crash::Power } else { Crash::Process });
            self.lost_power |= power;
            operator.raise_epoch();
        }
        let stores = try_open(&disk, operator.epoch(), shards, &mut self.chance);
        let stores = stores.map_err(|problem| Violation::new("a store opens again", problem))?;
        Ok(Found {
            stores,
            durable: self.lost_power.then_some(self.durable),
        })
    }
}

/// The rooms that are stored.
pub(crate) fn rooms_of(stores: &VecDeque<Box<dyn Store>>) -> BTreeSet<RoomId> {
    stores.iter().flat_map(|store| store.rooms()).collect()
}

fn try_open(
    disk: &SimulatedDisk,
    epoch: u64,
    shards: u8,
    chance: &mut Rng,
) -> Result<VecDeque<Box<dyn Store>>, String> {
    let opening = Opening {
        disk: disk.process(),
        lock: None,
        epoch: Epoch(epoch),
        shards: u16::from(shards),
        limits: LIMITS,
    };
    let shard_of = |RoomId([first, ..]): RoomId| u16::from(first % shards);
    let opened = open(
        opening,
        shard_of,
        &mut chance.fork(&format!("salt {epoch}")),
    );
    let (stores, recovery) = opened.map_err(|problem| problem.to_string())?;
    if !recovery.is_sound() {
        return Err(format!("damage where nothing rots: {recovery}"));
    }
    let boxed = |store: LogStore| -> Box<dyn Store> { Box::new(store) };
    Ok(stores.into_iter().map(boxed).collect())
}

/// Small, so that a minute fills many segments.
const LIMITS: Limits = Limits {
    segment_bytes: 128 * 1024,
    first_segment_bytes: 32 * 1024,
    log_bytes: 64 * 1024 * 1024,
};
/// Openings in a row that are stopped at most.
const OPENINGS_MAX: usize = 2;
/// Share of openings that are stopped.
const STOPPED_OPENINGS: f64 = 0.2;
/// Within how many operations.
const OPENING_OPERATIONS: u64 = 24;
