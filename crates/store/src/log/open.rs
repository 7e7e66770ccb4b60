//! Opens a store: reads what is there, begins an epoch, and makes one log for each shard.
//!
//! The order matters. First all is read; then the logs' first segments are made and synced; then
//! the manifest names the new owner and what it believes, in one synced step; only then is
//! anything removed. Whatever ends this before the manifest, the store is as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{Epoch, Rng, RoomId};

use super::contents::Contents;
use super::format::{Kind, SEGMENT_HEAD_LEN, SegmentId, synced_body};
use super::index::{Extent, Index};
use super::manifest::{Accepted, Manifest, newest_epoch};
use super::merge::History;
use super::report::{OpenError, Recovery};
use super::segments::{Limits, OpenSegment, Segments, Shared};
use super::store::LogStore;
use super::survey::Survey;
use crate::chore::{Fence, Goal};
use crate::contract::{Loss, StoreError};
use crate::disk::{Disk, DiskError, DiskFault, DiskLock};

/// How a store is opened.
#[derive(Debug)]
pub struct Opening {
    /// The folder.
    pub disk: Arc<dyn Disk>,
    /// Keeps other processes out for as long as any of the stores lives.
    pub lock: Option<Arc<dyn DiskLock>>,
    /// The epoch that begins: above all that were, and on the medium already.
    pub epoch: Epoch,
    /// How many logs: one for each shard, at least one. It may differ from before.
    pub shards: u16,
    /// How large they may be.
    pub limits: Limits,
}

/// Opens the store in a folder for the shards of a new epoch. `shard_of` says whose a room is, by
/// number below `shards`; what is beyond goes to the last. `rng` draws the salt of the epoch's checks.
///
/// # Errors
/// See [`OpenError`]. The store is as it was, or open to the next epoch.
pub fn open(
    opening: Opening,
    shard_of: impl Fn(RoomId) -> u16,
    rng: &mut Rng,
) -> Result<(Vec<LogStore>, Recovery), OpenError> {
    open_as((opening, Extent::Needed), shard_of, rng)
}

/// The same, and no record is ever let go, so that each room can be replayed from its first: for tests. The log grows until
/// it is full.
///
/// # Errors
/// As [`open`].
pub fn open_keeping_all(
    opening: Opening,
    shard_of: impl Fn(RoomId) -> u16,
    rng: &mut Rng,
) -> Result<(Vec<LogStore>, Recovery), OpenError> {
    open_as((opening, Extent::All), shard_of, rng)
}

fn open_as(
    (opening, extent): (Opening, Extent),
    shard_of: impl Fn(RoomId) -> u16,
    rng: &mut Rng,
) -> Result<(Vec<LogStore>, Recovery), OpenError> {
    let Opening {
        disk,
        lock,
        epoch: Epoch(epoch),
        shards,
        limits,
    } = opening;
    let shards = shards.max(1);
    let Contents {
        survey,
        rooms,
        recovery,
    } = Contents::read(&*disk, Some(epoch), extent)?;
    let indexes = (0..shards).map(|_| Index::of(extent)).collect();
    let (indexes, losses) = share_out(rooms, indexes, shard_of);
    let old = open_old(&*disk, &survey, shards)?;
    for shard in 0..shards {
        let name = SegmentId {
            epoch,
            shard,
            number: 0,
        }
        .name();
        // Of who ended while it opened the store under this epoch, before that was put back.
        if survey.useless.contains(&name) {
            disk.remove(&name)?;
        }
    }
    let presence = Arc::new(());
    let shared: Vec<Arc<Shared>> = old.iter().map(|_| share(&presence)).collect();
    let salt = rng.next_u64();
    let mut stores = Vec::new();
    for ((shard, index), losses) in (0..shards).zip(indexes).zip(losses) {
        let beginning = Beginning {
            id: SegmentId {
                epoch,
                shard,
                number: 0,
            },
            salt,
            limits,
        };
        let shared = shared.iter().map(Arc::clone);
        let old = old
            .iter()
            .cloned()
            .zip(shared)
            .map(|(mut segment, shared)| {
                segment.shared = Some(shared);
                segment
            });
        let segments = beginning.segments(&disk, old.collect(), Arc::downgrade(&presence))?;
        let fence = Fence {
            epoch,
            newest: newest_epoch,
        };
        let disk = Arc::clone(&disk);
        let mut store = LogStore::new(disk, fence, segments, index, 0, lock.clone());
        for (room, loss) in losses {
            store.set_loss(room, loss).map_err(into_open)?;
        }
        store.begin_epoch().map_err(into_open)?;
        stores.push(store);
    }
    // What a killed process wrote may be nowhere but in memory, and is about to be believed.
    for segment in &old {
        segment.file.sync()?;
    }
    drop(shared);
    drop(presence);
    commit(&*disk, &survey, epoch, shards, salt)?;
    Ok((stores, recovery))
}

/// The rooms of each shard, and what is lost of them.
fn share_out(
    rooms: BTreeMap<RoomId, History>,
    mut indexes: Vec<Index>,
    shard_of: impl Fn(RoomId) -> u16,
) -> (Vec<Index>, Vec<Vec<(RoomId, Loss)>>) {
    let last = indexes.len().saturating_sub(1);
    let mut losses = vec![Vec::new(); indexes.len()];
    for (id, history) in rooms {
        let shard = usize::from(shard_of(id)).min(last);
        if let (Some(loss), Some(losses)) = (history.loss, losses.get_mut(shard)) {
            losses.push((id, loss));
        }
        if planted::is(Bug::TakenUpTwice)
            && let Some(index) = indexes.get_mut(last - shard)
            && last > 0
        {
            index.insert(id, history.room.clone());
        }
        if let Some(index) = indexes.get_mut(shard) {
            index.insert(id, history.room);
        }
    }
    (indexes, losses)
}

fn share(presence: &Arc<()>) -> Arc<Shared> {
    let presence = Arc::clone(presence);
    Arc::new(Shared { presence })
}

/// Makes the manifest, and after it tidies up.
fn commit(
    disk: &dyn Disk,
    survey: &Survey,
    epoch: u64,
    shards: u16,
    salt: u64,
) -> Result<(), OpenError> {
    disk.sync_folder()?;
    let accepted = survey.segments.iter().map(|segment| Accepted {
        id: segment.id,
        seed: segment.seed,
        len: segment.believed,
    });
    let manifest = Manifest {
        epoch,
        shards,
        salt,
        segments: accepted.collect(),
    };
    // Somebody who opened it meanwhile is not overrun.
    let found = newest_epoch(disk)?;
    if found >= epoch {
        return Err(OpenError::Fenced { epoch, found });
    }
    if !planted::is(Bug::EpochNotBegun) {
        manifest.replace(disk)?;
    }
    let names = disk.list()?;
    for segment in &survey.segments {
        let name = segment.id.name();
        if !names.contains(&name) {
            return Err(OpenError::Changed(name));
        }
        // What is cut off takes no place, and a byte that is added later can be told.
        if segment.size > segment.believed {
            disk.open(&name)?.cut(segment.believed)?;
        }
    }
    for name in &survey.useless {
        match disk.remove(name) {
            Err(error) if error.fault != DiskFault::Missing => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(disk.sync_folder()?)
}

fn open_old(disk: &dyn Disk, survey: &Survey, shards: u16) -> Result<Vec<OpenSegment>, DiskError> {
    let open = |segment: &super::tail::Segment| {
        Ok(OpenSegment {
            id: segment.id,
            file: disk.open(&segment.id.name())?,
            seed: segment.seed,
            end: segment.believed,
            size: segment.believed / u64::from(shards),
            shared: None,
        })
    };
    survey.segments.iter().map(open).collect()
}

/// A log that is about to begin.
struct Beginning {
    id: SegmentId,
    salt: u64,
    limits: Limits,
}

impl Beginning {
    fn segments(
        &self,
        disk: &Arc<dyn Disk>,
        old_segments: Vec<OpenSegment>,
        old: std::sync::Weak<()>,
    ) -> Result<Segments, DiskError> {
        let size = self.limits.first_segment_bytes;
        let first = OpenSegment {
            id: self.id,
            file: disk.create(&self.id.name(), size)?,
            seed: self.id.seed(self.salt),
            end: 0,
            size,
            shared: None,
        };
        let disk = Arc::clone(disk);
        let (salt, limits) = (self.salt, self.limits);
        Ok(Segments::new(disk, old_segments, first, salt, old, limits))
    }
}

impl LogStore {
    /// Puts what is written on the medium, and says in the log that it is: nobody believes the log
    /// before the manifest is there, and by then it is true.
    fn begin_epoch(&mut self) -> Result<(), StoreError> {
        let (number, offset) = self.segments.position();
        let offset = offset.max(SEGMENT_HEAD_LEN);
        self.write_own(Kind::Synced, &synced_body(number, offset))?;
        let (files, _) = self.segments.take_dirty();
        for file in files {
            let synced = file.sync();
            synced.map_err(super::segments::broken)?;
        }
        let (segment, offset) = self.segments.position();
        self.on_synced(Goal {
            stamp: self.written,
            segment,
            offset,
        });
        Ok(())
    }
}

/// No other than the disk can fail here.
fn into_open(error: StoreError) -> OpenError {
    OpenError::Disk(DiskError {
        what: "begin",
        name: "the log of an epoch".to_owned(),
        fault: if matches!(error, StoreError::Full { .. }) {
            DiskFault::Full
        } else {
            DiskFault::Other
        },
        reason: error.to_string(),
    })
}
