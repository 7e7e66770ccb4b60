//! The log engine: rooms in an append-only log of a shard's own.
//!
//! The coordinator calls it inline, once per turn: each change is one write to the system and
//! none waits for the medium. What may block is handed out as a [`Chore`]. It owns its log and the
//! index of it; [`open`](super::open::open) makes it.

use std::cmp::Reverse;
use std::sync::Arc;

use bytes::Bytes;
use rejoin_protocol::RoomId;

use super::format::{EntryId, Head, Kind, ORIGIN, body_check, entry_len, synced_body};
use super::index::{Held, Index, Place, Point, Undo};
use super::load;
use super::reclaim::Reclaim;
use super::scan::wide;
use super::segments::{Claim, MARK_LEN, Segments, broken};
use crate::chore::{Chore, Failure, Fence, Finished, Goal};
use crate::contract::{Record, Standing, Store, StoreError, Stored, check_len};
use crate::disk::{Disk, DiskLock};

/// One shard's log, and what it knows of it.
#[derive(Debug)]
pub struct LogStore {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) fence: Fence,
    pub(crate) segments: Segments,
    pub(crate) index: Index,
    pub(crate) reclaim: Reclaim,
    /// Of the newest entry that is written.
    pub(crate) written: u64,
    /// Of the newest entry in the buffer.
    stamp: u64,
    pub(crate) synced: Goal,
    /// The next write says how far the log is synced.
    mark_due: bool,
    /// Why nothing can be written any more.
    pub(crate) failure: Option<StoreError>,
    pub(crate) chore_is_out: bool,
    buffer: Vec<u8>,
    undo: Vec<Undo>,
    /// Given up with the last store of a directory.
    _lock: Option<Arc<dyn DiskLock>>,
}

/// What an entry says, besides what every entry of a write shares.
pub(crate) struct Entry<'a> {
    pub(crate) kind: Kind,
    pub(crate) room: RoomId,
    pub(crate) sequence: u64,
    pub(crate) begins: bool,
    pub(crate) newest: bool,
    pub(crate) link: u32,
    pub(crate) body: &'a [u8],
}

impl LogStore {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        fence: Fence,
        segments: Segments,
        index: Index,
        stamp: u64,
        lock: Option<Arc<dyn DiskLock>>,
    ) -> Self {
        let (segment, offset) = segments.position();
        let synced = Goal {
            stamp,
            segment,
            offset,
        };
        Self {
            disk,
            fence,
            segments,
            index,
            reclaim: Reclaim::default(),
            written: stamp,
            stamp,
            synced,
            mark_due: false,
            failure: None,
            chore_is_out: false,
            buffer: Vec::new(),
            undo: Vec::new(),
            _lock: lock,
        }
    }

    /// Bytes of all files that this store needs.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    /// Bytes of them that rooms need.
    #[must_use]
    pub const fn live_bytes(&self) -> u64 {
        self.index.live()
    }

    /// Checks that the books are right. The simulator calls it after every step.
    ///
    /// # Panics
    /// If they are not: a defect of ours.
    pub fn check_invariants(&self) {
        self.index.check_invariants();
    }

    /// Makes place for entries of `len` bytes in all, and begins a write.
    fn begin(&mut self, len: usize, claim: Claim) -> Result<(), StoreError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mark = if self.mark_due { MARK_LEN } else { 0 };
        let needed = wide(len) + mark;
        if !self.segments.has_place(needed, claim) {
            if let Err(failure) = self.fence.check(&*self.disk) {
                return Err(self.fail(failure));
            }
            let rolled = self.segments.roll(needed, claim);
            rolled.map_err(|error| self.note(error))?;
        }
        self.stamp = self.written;
        self.segments.begin(&mut self.buffer);
        if self.mark_due {
            let body = synced_body(self.synced.segment, self.synced.offset);
            self.put(&Entry::of_none(Kind::Synced, &body));
        }
        Ok(())
    }

    /// Adds an entry to the write. Tells where it will stand.
    fn put(&mut self, entry: &Entry<'_>) -> Place {
        let place = self.next_place(entry.body.len());
        self.stamp += 1;
        let head = Head {
            kind: entry.kind,
            moved: false,
            begins: entry.begins,
            newest: entry.newest,
            len: place.len,
            id: self.id(self.stamp),
            room: entry.room,
            sequence: entry.sequence,
            link: entry.link,
            body_check: body_check(entry.body),
        };
        head.encode(entry.body, self.segments.seed(), &mut self.buffer);
        place
    }

    const fn id(&self, stamp: u64) -> EntryId {
        let epoch = self.fence.epoch;
        EntryId { epoch, stamp }
    }

    fn next_place(&self, len: usize) -> Place {
        let (_, end) = self.segments.position();
        let offset = end + wide(self.buffer.len());
        Place {
            segment: self.segments.head(),
            offset: u32::try_from(offset).expect("turns and segments are bounded"),
            len: u32::try_from(len).expect("bodies are bounded"),
        }
    }

    /// Writes what was put.
    fn commit(&mut self) -> Result<(), StoreError> {
        let written = self.segments.write(&self.buffer);
        if written.is_ok() {
            self.written = self.stamp;
            self.mark_due = false;
        }
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_MAX);
        written.map_err(|error| self.note(error))
    }

    /// Writes one entry.
    pub(crate) fn write_one(
        &mut self,
        entry: &Entry<'_>,
        claim: Claim,
    ) -> Result<Place, StoreError> {
        self.begin(entry_len(entry.body.len()), claim)?;
        let place = self.put(entry);
        self.commit()?;
        Ok(place)
    }

    /// Writes an entry of no room.
    pub(crate) fn write_own(&mut self, kind: Kind, body: &[u8]) -> Result<(), StoreError> {
        let entry = Entry::of_none(kind, body);
        self.write_one(&entry, Claim::Upkeep).map(drop)
    }

    /// Writes entries again, as they are, and tells where each stands now.
    pub(crate) fn write_moved(
        &mut self,
        entries: &[(Head, &[u8])],
    ) -> Result<Vec<Place>, StoreError> {
        let len = entries.iter().map(|(_, body)| entry_len(body.len())).sum();
        self.begin(len, Claim::Upkeep)?;
        let mut places = Vec::with_capacity(entries.len());
        for (head, body) in entries {
            places.push(self.next_place(body.len()));
            let head = Head {
                moved: true,
                ..*head
            };
            head.encode(body, self.segments.seed(), &mut self.buffer);
        }
        self.commit()?;
        Ok(places)
    }

    /// Keeps a failure that nothing comes after.
    fn note(&mut self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::Broken { .. } | StoreError::Fenced { .. }) {
            self.failure = Some(error.clone());
        }
        error
    }

    pub(crate) fn fail(&mut self, failure: Failure) -> StoreError {
        self.note(match failure {
            Failure::Fenced(epoch) => StoreError::Fenced { epoch },
            Failure::Medium(error) => broken(error),
        })
    }

    /// The chore is done: what it was to sync is synced.
    pub(crate) fn on_synced(&mut self, goal: Goal) {
        self.mark_due |= goal != self.synced;
        self.synced = goal;
    }

    /// Takes in the records of a turn, which follow in the buffer, up to the first refused one.
    fn put_records(&mut self, records: &[Record<'_>]) -> Result<(), StoreError> {
        for record in records {
            let Record {
                room,
                sequence,
                body,
            } = *record;
            let held = Held {
                place: self.next_place(body.len()),
                link: self.id(self.stamp + 1).link(),
            };
            let (before, undo) = self.index.push(room, sequence, held)?;
            self.undo.push(undo);
            self.put(&Entry {
                kind: Kind::Record,
                room,
                sequence,
                begins: before.is_none(),
                newest: true,
                link: before.unwrap_or(ORIGIN),
                body,
            });
        }
        Ok(())
    }
}

impl Store for LogStore {
    fn append(&mut self, records: &[Record<'_>]) -> Result<(), StoreError> {
        if records.is_empty() {
            return self.failure.clone().map_or(Ok(()), Err);
        }
        let mut len = 0;
        for Record { room, body, .. } in records {
            check_len(*room, body.len())?;
            len += entry_len(body.len());
            check_turn(*room, len)?;
        }
        loop {
            self.begin(len, Claim::Records)?;
            self.undo.clear();
            let put = self.put_records(records);
            let Err(problem) = put.and_then(|()| self.commit()) else {
                return Ok(());
            };
            while let Some(undo) = self.undo.pop() {
                self.index.undo(undo);
            }
            if !self.settle(&problem)? {
                return Err(problem);
            }
        }
    }

    fn amend(&mut self, record: Record<'_>) -> Result<(), StoreError> {
        let Record {
            room,
            sequence: found,
            body,
        } = record;
        let link = self.index.amendable(room, found);
        let link = link.ok_or(StoreError::NotNewest { room, found })?;
        check_len(room, body.len())?;
        let entry = Entry {
            link,
            newest: true,
            ..Entry::of_room(Kind::Record, room, found, body)
        };
        // It takes the place of the record before: a full disk need not end the room.
        let place = self.write_one(&entry, Claim::Upkeep)?;
        let link = self.id(self.written).link();
        self.index.amend(room, Held { place, link });
        Ok(())
    }

    fn checkpoint(&mut self, room: RoomId, sequence: u64, body: Bytes) -> Result<(), StoreError> {
        self.index.check_point(room, sequence)?;
        check_len(room, body.len())?;
        let found = self.index.room(room);
        let newest = found.is_none_or(|it| it.newest == sequence);
        let known = found.map(|it| it.link_of(sequence));
        let entry = Entry {
            begins: known.is_none(),
            newest,
            link: known.unwrap_or(ORIGIN),
            ..Entry::of_room(Kind::Checkpoint, room, sequence, &body)
        };
        let place = self.write_one(&entry, Claim::Upkeep)?;
        let point = Point {
            sequence,
            place,
            link: known.unwrap_or_else(|| self.id(self.written).link()),
        };
        self.index.set_point(room, point);
        Ok(())
    }

    fn journal_bytes(&self, room: RoomId) -> usize {
        self.index.room(room).map_or(0, |room| room.bytes)
    }

    fn load(&self, id: RoomId) -> Result<Option<Stored>, StoreError> {
        let Some(room) = self.index.room(id) else {
            return Ok(None);
        };
        let read = |place: Place, sequence| {
            let segment = self.segments.get(place.segment)?;
            load::body(&*segment.file, segment.seed, place, (id, sequence))
        };
        Ok(Some(load::load(room, read)))
    }

    fn rooms(&self) -> Vec<RoomId> {
        self.index.rooms().map(|(id, _)| *id).collect()
    }

    fn rooms_newest_first(&self) -> Vec<RoomId> {
        let rooms = self.index.rooms();
        let mut dated: Vec<_> = rooms.map(|(id, room)| (room.written_at(), *id)).collect();
        dated.sort_unstable_by_key(|(at, id)| (Reverse(*at), *id));
        dated.into_iter().map(|(_, id)| id).collect()
    }

    fn forget(&mut self, room: RoomId) -> Result<(), StoreError> {
        if self.index.room(room).is_some() {
            let entry = Entry::of_room(Kind::Forgotten, room, 0, &[]);
            self.write_one(&entry, Claim::Upkeep)?;
            self.index.forget(room);
        }
        Ok(())
    }

    fn journalled(&self) -> u64 {
        self.written
    }

    fn synced(&self) -> u64 {
        self.synced.stamp
    }

    fn chore(&mut self) -> Option<Chore> {
        self.make_chore()
    }

    fn on_chore(&mut self, finished: Finished) -> Result<(), StoreError> {
        self.take_in(finished)
    }

    fn standing(&self, room: RoomId) -> Standing {
        let known = self.index.room(room);
        known.map_or_else(Standing::default, |room| room.standing)
    }

    fn set_standing(&mut self, room: RoomId, standing: Standing) -> Result<(), StoreError> {
        let known = self.index.room(room).map(|room| room.standing);
        if known.is_none_or(|known| known == standing) {
            return Ok(());
        }
        self.write_standing(room, standing)
    }
}

impl<'a> Entry<'a> {
    pub(crate) const fn of_room(kind: Kind, room: RoomId, sequence: u64, body: &'a [u8]) -> Self {
        Self {
            kind,
            room,
            sequence,
            begins: false,
            newest: false,
            link: ORIGIN,
            body,
        }
    }

    pub(crate) const fn of_none(kind: Kind, body: &'a [u8]) -> Self {
        Self::of_room(kind, RoomId([0; 16]), 0, body)
    }
}

/// A turn is one write, and a place within a segment has 32 bits.
const fn check_turn(room: RoomId, bytes: usize) -> Result<(), StoreError> {
    if bytes > TURN_LEN_MAX {
        return Err(StoreError::TooLong { room, bytes });
    }
    Ok(())
}

/// Longest turn, in bytes.
const TURN_LEN_MAX: usize = 1024 * 1024 * 1024;
/// Memory that is kept for the next write, in bytes. That of a rare long one is given back.
const BUFFER_MAX: usize = 1024 * 1024;
const _: () = assert!(entry_len(12) == 72);
