//! The files of one log: which there are, where the next entry goes, and what is not synced yet.
//!
//! Segments of earlier epochs are shared by all logs: each lets go of them in the same order, and
//! the last one removes the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use super::format::{SEGMENT_HEAD_LEN, SegmentHead, SegmentId};
use super::scan::wide;
use crate::chore::{Removal, Spare};
use crate::contract::StoreError;
use crate::disk::{Disk, DiskError, DiskFault, DiskFile};

/// A file that is open.
#[derive(Clone, Debug)]
pub(crate) struct OpenSegment {
    pub(crate) id: SegmentId,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) seed: u32,
    /// Where its entries end.
    pub(crate) end: u64,
    /// How long the file is, or this log's share of it.
    pub(crate) size: u64,
    /// Held by each log that needs a segment of an earlier epoch.
    pub(crate) shared: Option<Arc<Shared>>,
}

/// A segment of an earlier epoch, for as long as any log needs it or its file is there.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) presence: Arc<()>,
}

/// The files of one log.
#[derive(Debug)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    /// Of the next segment to be made.
    next: SegmentId,
    salt: u64,
    /// By the engine's own number, oldest first.
    table: BTreeMap<u32, OpenSegment>,
    /// The one that is written to.
    head: u32,
    pub(crate) spare: Option<Spare>,
    /// Those with bytes that are not on the medium.
    dirty: BTreeSet<u32>,
    names_changed: bool,
    /// The last try to begin a segment found no place.
    pressed: bool,
    /// Says whether any segment of an earlier epoch is there.
    old: Weak<()>,
    limits: Limits,
}

/// How large a log may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a segment. A turn or a checkpoint that is longer has a longer one to itself.
    pub segment_bytes: u64,
    /// Bytes of a segment that is made while its shard waits: the first of an epoch, and one that no
    /// spare was ready for.
    pub first_segment_bytes: u64,
    /// Bytes of all segments of one log. Beyond them records are refused, and beyond two more
    /// segments everything.
    pub log_bytes: u64,
}

impl Default for Limits {
    /// A segment is some seconds of a busy shard, and a log holds what 10,000 rooms of 64 KiB need.
    fn default() -> Self {
        Self {
            segment_bytes: 8 * 1024 * 1024,
            first_segment_bytes: 1024 * 1024,
            log_bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}

/// Who asks for a place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Records, which leave a reserve.
    Records,
    /// What makes place, directly or in time.
    Upkeep,
}

impl Segments {
    /// A log that begins with `first`, after the segments of earlier epochs.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        old_segments: Vec<OpenSegment>,
        first: OpenSegment,
        salt: u64,
        old: Weak<()>,
        limits: Limits,
    ) -> Self {
        let SegmentId { number, .. } = first.id;
        let next = SegmentId {
            number: number + 1,
            ..first.id
        };
        let mut table: BTreeMap<u32, OpenSegment> = (0..).zip(old_segments).collect();
        let head = table.last_key_value().map_or(0, |(last, _)| last + 1);
        table.insert(head, first);
        Self {
            disk,
            next,
            salt,
            table,
            head,
            spare: None,
            dirty: BTreeSet::new(),
            names_changed: false,
            pressed: false,
            old,
            limits,
        }
    }

    pub(crate) fn get(&self, segment: u32) -> Option<&OpenSegment> {
        self.table.get(&segment)
    }

    pub(crate) const fn head(&self) -> u32 {
        self.head
    }

    fn head_segment(&self) -> &OpenSegment {
        self.table
            .get(&self.head)
            .expect("the head is never let go")
    }

    /// Where the next entry goes: number within its log, and offset.
    pub(crate) fn position(&self) -> (u32, u64) {
        let head = self.head_segment();
        (head.id.number, head.end)
    }

    pub(crate) fn seed(&self) -> u32 {
        self.head_segment().seed
    }

    /// Bytes of all files that this log keeps there.
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = self.table.values().map(|segment| segment.size);
        let spare = self.spare.as_ref().map_or(0, |spare| spare.size);
        sizes.sum::<u64>() + spare
    }

    fn full(&self) -> StoreError {
        StoreError::Full {
            bytes: usize::try_from(self.bytes()).unwrap_or(usize::MAX),
        }
    }

    /// Whether the head has `needed` bytes.
    pub(crate) fn has_place(&self, needed: u64, claim: Claim) -> bool {
        let head = self.head_segment();
        let reserve = if claim == Claim::Records {
            head.size / RESERVED
        } else {
            0
        };
        // One without entries takes what comes, however long.
        head.end == 0 || head.end + needed + reserve <= head.size
    }

    /// Bytes that are left in the head.
    pub(crate) fn space(&self) -> usize {
        let head = self.head_segment();
        let space = head.size.saturating_sub(head.end + MARK_LEN);
        usize::try_from(space).unwrap_or(usize::MAX)
    }

    /// Begins the next segment: the spare one, or a short new one that is made while the shard waits.
    pub(crate) fn roll(&mut self, needed: u64, claim: Claim) -> Result<(), StoreError> {
        let slack = if claim == Claim::Records {
            0
        } else {
            2 * self.limits.segment_bytes
        };
        let size = self.limits.first_segment_bytes;
        let grown = match &self.spare {
            Some(spare) => needed.saturating_sub(spare.size),
            None => size.max(needed),
        };
        self.pressed = true;
        if self.bytes() + grown > self.limits.log_bytes + slack {
            return Err(self.full());
        }
        let name = self.next.name();
        let made = match self.spare.take() {
            Some(spare) => self
                .disk
                .rename(&spare.name, &name)
                .map(|()| (spare.file, spare.size)),
            None => self.disk.create(&name, size).map(|file| (file, size)),
        };
        let (file, size) = match made {
            Err(error) if error.fault == DiskFault::Full => return Err(self.full()),
            made => made.map_err(broken)?,
        };
        let segment = OpenSegment {
            id: self.next,
            file,
            seed: self.next.seed(self.salt),
            end: 0,
            size,
            shared: None,
        };
        self.pressed = false;
        self.head += 1;
        self.next.number += 1;
        self.names_changed = true;
        self.table.insert(self.head, segment);
        Ok(())
    }

    /// Begins a write: with the head of the segment, if it has none yet.
    pub(crate) fn begin(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        let head = self.head_segment();
        if head.end > 0 {
            return;
        }
        let before = self
            .head
            .checked_sub(1)
            .and_then(|before| self.table.get(&before));
        let before = before.filter(|before| before.id.number + 1 == head.id.number);
        let segment_head = SegmentHead {
            id: head.id,
            length_before: before.map_or(SEGMENT_HEAD_LEN, |before| before.end),
        };
        segment_head.encode(head.seed, buffer);
    }

    /// Writes to the head, in one call.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let head = self
            .table
            .get_mut(&self.head)
            .expect("the head is never let go");
        if let Err(error) = head.file.write(head.end, bytes) {
            // Part of it may be there, and nobody is to believe it.
            if error.fault != DiskFault::Full || head.file.cut(head.end).is_err() {
                return Err(broken(error));
            }
            head.size = head.end;
            return Err(self.full());
        }
        head.end += wide(bytes.len());
        head.size = head.size.max(head.end);
        self.dirty.insert(self.head);
        Ok(())
    }

    /// Whether anything is not on the medium.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || self.names_changed
    }

    /// The files to sync, oldest first, and whether names are too.
    pub(crate) fn take_dirty(&mut self) -> (Vec<Arc<dyn DiskFile>>, bool) {
        let dirty = std::mem::take(&mut self.dirty);
        let files = dirty.iter().filter_map(|it| self.table.get(it));
        let files = files.map(|segment| Arc::clone(&segment.file)).collect();
        (files, std::mem::take(&mut self.names_changed))
    }

    /// Name and size of a spare segment, if it is time to make one.
    pub(crate) fn wants_spare(&self) -> Option<(String, u64)> {
        let head = self.head_segment();
        let wanted = self.spare.is_none() && head.end * 2 > head.size;
        let size = self.limits.segment_bytes;
        let fits = self.bytes() + size <= self.limits.log_bytes;
        (wanted && fits).then(|| (spare_name(self.next.shard), size))
    }

    /// The oldest segments, as far as this log may let go of them: those of its own only when none
    /// of an earlier epoch is there, since what they forgot would come back.
    pub(crate) fn oldest(&self) -> impl Iterator<Item = (u32, &OpenSegment)> {
        let old = self.old.strong_count() > 0;
        let closed = self.table.range(..self.head);
        closed
            .take_while(move |(_, segment)| !old || segment.shared.is_some())
            .map(|(number, segment)| (*number, segment))
    }

    /// Whether there is more than the rooms need: twice that, and four segments; less if no further
    /// segment can be had.
    pub(crate) fn is_wasteful(&self, live: u64) -> bool {
        let size = self.limits.segment_bytes;
        let most = if self.pressed {
            live + size
        } else {
            2 * live + 4 * size
        };
        self.bytes() > most
    }

    /// Lets go of all segments up to one. Tells which files are to be removed.
    pub(crate) fn release(&mut self, until: u32) -> Vec<Removal> {
        let kept = self.table.split_off(&(until + 1));
        let gone = std::mem::replace(&mut self.table, kept);
        let removal = |segment: OpenSegment| {
            let name = segment.id.name();
            match segment.shared {
                None => Some(Removal {
                    name,
                    presence: None,
                }),
                Some(shared) => Some(Removal {
                    name,
                    presence: Some(Arc::into_inner(shared)?.presence),
                }),
            }
        };
        gone.into_values().filter_map(removal).collect()
    }
}

fn spare_name(shard: u16) -> String {
    format!("{SPARE}{shard:04x}")
}

/// Whether a file is a segment that was made ahead and never used.
pub(crate) fn is_spare(name: &str) -> bool {
    name.starts_with(SPARE)
}

pub(crate) fn broken(error: DiskError) -> StoreError {
    StoreError::Broken {
        reason: error.to_string(),
    }
}

/// Bytes of an entry that says how far the log is synced.
pub(crate) const MARK_LEN: u64 = 72;

const SPARE: &str = "spare-";
/// A part of each segment that records leave for what makes place: one in so many.
const RESERVED: u64 = 4;
