//! The machine that the server runs on: its disk, how its processes end, and what the next one finds.
//!
//! Without a disk the rooms are handed on in memory. With one they are in the log engine, on a simulated disk that keeps of
//! what was not synced what it likes when power is lost.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use rejoin_protocol::{Epoch, Rng, RoomId, Timestamp};
use rejoin_store::Store;
use rejoin_store::disk::{Crash, SimulatedDisk};
use rejoin_store::log::{Limits, LogStore, Opening, open};

use crate::breaks::{DiskOptions, Ending, Restart, When};
use crate::operator::Operator;
use crate::report::Violation;
use crate::rot::{self, Rot};

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
    /// When the disk will have place again, or when it had: `None` if it was never full.
    full_until: Option<Timestamp>,
    is_full: bool,
    /// True once bits have flipped: what they damaged may be found time and again.
    rotten: bool,
    limits: Limits,
}

/// What the next process finds.
pub(crate) struct Found {
    pub(crate) stores: VecDeque<Box<dyn Store>>,
    /// Power was lost: nothing that was told before then may be gone.
    pub(crate) durable: Option<Timestamp>,
    /// Something may be gone that the store cannot tell of.
    pub(crate) may_lack: bool,
}

impl Machine {
    pub(crate) fn new(options: Option<DiskOptions>, root: &Rng) -> Self {
        let fills = options.is_some_and(|disk| disk.full.is_some());
        Self {
            disk: options.map(|_| SimulatedDisk::new(root.fork("disk"))),
            chance: root.fork("machine"),
            armed: None,
            durable: Timestamp::ZERO,
            lost_power: false,
            full_until: None,
            is_full: false,
            rotten: false,
            limits: if fills { NARROW } else { LIMITS },
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
        let Some(disk) = self.disk.clone() else {
            return Ok(VecDeque::new());
        };
        self.try_open(&disk, epoch, shards)
            .map(|(stores, _)| stores)
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

    /// The disk has almost no place until then.
    pub(crate) fn fill(&mut self, until: Timestamp) {
        let Some(disk) = &self.disk else { return };
        let left = self.chance.below(2 * self.limits.segment_bytes);
        disk.set_capacity(disk.used() + left);
        self.full_until = self.full_until.max(Some(until));
        self.is_full = true;
    }

    /// It has place again, unless it was filled anew.
    pub(crate) fn empty(&mut self, now: Timestamp) {
        if self.full_until.is_some_and(|until| until > now) {
            return;
        }
        self.is_full = false;
        if let Some(disk) = &self.disk {
            disk.set_capacity(u64::MAX);
        }
    }

    /// True if it was full within that time.
    pub(crate) fn was_full(&self, within: Duration, now: Timestamp) -> bool {
        let until = self.full_until;
        until.is_some_and(|until| self.is_full || now.since(until) <= within)
    }

    /// Bits may flip while no process runs.
    ///
    /// # Errors
    /// The store is not what it was, and does not say so.
    pub(crate) fn rot(&mut self, share: f64) -> Result<Rot, Violation> {
        let mut chance = self.chance.fork("rot");
        if share == 0.0 || !self.chance.chance(share) {
            return Ok(Rot::default());
        }
        let disk = self.disk.as_ref();
        let rot = disk.map_or_else(|| Ok(Rot::default()), |disk| rot::flip(disk, &mut chance));
        self.rotten = true;
        rot
    }

    /// Nothing breaks any more, and there is place.
    pub(crate) fn heal(&mut self, now: Timestamp) {
        self.disarm();
        self.full_until = self.full_until.map(|until| until.min(now));
        self.empty(now);
    }

    fn disarm(&mut self) {
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

    /// The next process opens the store, at the second or third try if it ends while it does, or finds the disk full.
    ///
    /// # Errors
    /// It does not open.
    pub(crate) fn open(
        &mut self,
        operator: &mut Operator,
        shards: u8,
        now: Timestamp,
    ) -> Result<Found, Violation> {
        let disk = self.disk.clone();
        let disk = disk.ok_or_else(|| Violation::new("there is a disk", ""))?;
        let mut may_lack = false;
        for _ in 0..OPENINGS_MAX {
            if !self.chance.chance(STOPPED_OPENINGS) {
                break;
            }
            disk.stop_at(disk.operations() + 1 + self.chance.below(OPENING_OPERATIONS));
            let opened = self.try_open(&disk, operator.epoch(), shards);
            may_lack |= opened.is_ok_and(|(_, cut)| cut);
            let power = self.chance.chance(0.5);
            disk.crash(if power { Crash::Power } else { Crash::Process });
            self.lost_power |= power;
            operator.raise_epoch();
        }
        let mut opened = self.try_open(&disk, operator.epoch(), shards);
        if self.is_full && opened.as_ref().is_err_and(|it| it.contains(NO_SPACE)) {
            // Whoever runs the server makes place.
            self.full_until = Some(now);
            self.empty(now);
            operator.raise_epoch();
            opened = self.try_open(&disk, operator.epoch(), shards);
        }
        let (stores, cut) =
            opened.map_err(|problem| Violation::new("a store opens again", problem))?;
        Ok(Found {
            stores,
            durable: self.lost_power.then_some(self.durable),
            may_lack: self.lost_power || may_lack || cut,
        })
    }

    /// Gives the stores, and true if the end of a log was cut off.
    fn try_open(
        &mut self,
        disk: &SimulatedDisk,
        epoch: u64,
        shards: u8,
    ) -> Result<(VecDeque<Box<dyn Store>>, bool), String> {
        let opening = Opening {
            disk: disk.process(),
            lock: None,
            epoch: Epoch(epoch),
            shards: u16::from(shards),
            limits: self.limits,
        };
        let shard_of = |RoomId([first, ..]): RoomId| u16::from(first % shards);
        let mut salt = self.chance.fork(&format!("salt {epoch}"));
        let opened = open(opening, shard_of, &mut salt);
        let (stores, recovery) = opened.map_err(|problem| problem.to_string())?;
        if !recovery.is_sound() && !self.rotten {
            return Err(format!("damage where nothing rots: {recovery}"));
        }
        let boxed = |store: LogStore| -> Box<dyn Store> { Box::new(store) };
        let cut = !recovery.cuts.is_empty();
        Ok((stores.into_iter().map(boxed).collect(), cut))
    }
}

/// The rooms that are stored.
pub(crate) fn rooms_of(stores: &VecDeque<Box<dyn Store>>) -> BTreeSet<RoomId> {
    stores.iter().flat_map(|store| store.rooms()).collect()
}

/// Small, so that a minute fills many segments.
const LIMITS: Limits = Limits {
    segment_bytes: 128 * 1024,
    first_segment_bytes: 32 * 1024,
    log_bytes: 64 * 1024 * 1024,
};
/// Smaller still, so that a full disk shows within seconds.
const NARROW: Limits = Limits {
    segment_bytes: 8 * 1024,
    first_segment_bytes: 4 * 1024,
    ..LIMITS
};
/// What a simulated disk says when it is full.
const NO_SPACE: &str = "no space left";
/// Openings in a row that are stopped at most.
const OPENINGS_MAX: usize = 2;
/// Share of openings that are stopped.
const STOPPED_OPENINGS: f64 = 0.2;
/// Within how many operations.
const OPENING_OPERATIONS: u64 = 24;
