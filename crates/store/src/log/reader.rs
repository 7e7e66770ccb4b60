//! Reads a store and changes nothing: what an opening would find, told without owning it.
//!
//! It may be read beside its owner. What the owner does meanwhile can look like damage, so that only what is found
//! twice is believed; what a segment holds that goes away is elsewhere already, so that all is read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rejoin_protocol::RoomId;

use super::contents::Contents;
use super::index::{Extent, Place, Room};
use super::load;
use super::manifest::MANIFEST;
use super::report::{OpenError, Recovery};
use super::scan::narrow_len;
use super::survey::Survey;
use crate::contract::{Standing, Stored};
use crate::disk::{Disk, DiskError, DiskFault, DiskFile};

/// A store as it was when it was read.
#[derive(Debug)]
pub struct LogReader {
    epoch: u64,
    segments: Vec<Segment>,
    rooms: BTreeMap<RoomId, Room>,
}

/// Open, so that it can be read after its owner has removed it.
#[derive(Debug)]
struct Segment {
    name: String,
    file: Arc<dyn DiskFile>,
    seed: u32,
}

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// The segment.
    pub segment: String,
    /// Where in it the entry begins, in bytes.
    pub offset: u64,
    /// Bytes of its body.
    pub bytes: u64,
}

impl LogReader {
    /// Reads all that is in a folder, and tells what the next owner would be told.
    ///
    /// # Errors
    /// See [`OpenError`]; nobody is fenced here. [`OpenError::Changed`] says that its owner works too fast to be looked at.
    pub fn open(disk: &dyn Disk) -> Result<(Self, Recovery), OpenError> {
        let (mut before, mut stale) = (None, None);
        for _ in 0..READS_MAX {
            let contents = Contents::read(disk, None, Extent::All).and_then(|contents| {
                let segments = open_all(disk, &contents.survey)?;
                Ok((contents, segments))
            });
            let (contents, segments) = match contents {
                Err(OpenError::Disk(error)) if went_away(disk, &error) => continue,
                // An owner that begins between the two looks makes it look so.
                Err(problem @ OpenError::ManifestStale { .. }) => {
                    if stale.replace(problem.clone()).as_ref() == Some(&problem) {
                        return Err(problem);
                    }
                    continue;
                }
                read => read?,
            };
            let damages = contents.recovery.damages.clone();
            let sound = contents.recovery.is_sound();
            if sound || before.replace(damages) == Some(contents.recovery.damages.clone()) {
                return Ok(Self::of(contents, segments));
            }
        }
        Err(OpenError::Changed(MANIFEST.to_owned()))
    }

    fn of(contents: Contents, segments: Vec<Segment>) -> (Self, Recovery) {
        let rooms = contents.rooms.into_iter().map(|(id, history)| {
            let mut room = history.room;
            room.loss = history.loss.or(room.loss);
            (id, room)
        });
        let reader = Self {
            epoch: contents.survey.epoch,
            segments,
            rooms: rooms.collect(),
        };
        (reader, contents.recovery)
    }

    /// The newest epoch that owned the store; 0 if none did, and nothing is kept there.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// All rooms held, in order.
    pub fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.keys().copied()
    }

    /// What is needed to rebuild `room`, with all that is known to be missing; none if it is not held.
    #[must_use]
    pub fn load(&self, room: RoomId) -> Option<Stored> {
        let held = self.rooms.get(&room)?;
        let read = |place: Place, sequence| self.body(place, (room, sequence));
        Some(load::load(held, read))
    }

    /// All records of `room` from the first on, if it began with one and every one of them is still there; see
    /// [`open_keeping_all`](super::open_keeping_all).
    #[must_use]
    pub fn whole_journal(&self, room: RoomId) -> Option<Vec<(u64, Bytes)>> {
        let held = self.rooms.get(&room)?;
        let mut journal = Vec::new();
        for (expected, (sequence, place)) in (1..).zip(held.records()) {
            let body = self.body(place, (room, sequence));
            journal.push((sequence, body.filter(|_| sequence == expected)?));
        }
        (!journal.is_empty()).then_some(journal)
    }

    /// The checkpoints of `room` that are held, the newest first: up to two, each with the sequence that it stands for.
    #[must_use]
    pub fn checkpoints(&self, room: RoomId) -> Vec<(u64, Bytes)> {
        let held = self.rooms.get(&room);
        let points = held
            .into_iter()
            .flat_map(|it| [it.newer, it.older])
            .flatten();
        points
            .filter_map(|it| Some((it.sequence, self.body(it.place, (room, it.sequence))?)))
            .collect()
    }

    fn body(&self, place: Place, of: (RoomId, u64)) -> Option<Bytes> {
        let segment = self.segment(place)?;
        load::body(&*segment.file, segment.seed, place, of)
    }

    /// How `room` stands; as if never loaded if it is not held.
    #[must_use]
    pub fn standing(&self, room: RoomId) -> Standing {
        let held = self.rooms.get(&room);
        held.map_or_else(Standing::default, |room| room.standing)
    }

    /// Where the newest checkpoint of `room` stands, if it has one.
    #[must_use]
    pub fn checkpoint_place(&self, room: RoomId) -> Option<EntryPlace> {
        self.told(self.rooms.get(&room)?.newer?.place)
    }

    /// Where record `sequence` of `room` stands, if it is held.
    #[must_use]
    pub fn record_place(&self, room: RoomId, sequence: u64) -> Option<EntryPlace> {
        let mut records = self.rooms.get(&room)?.records();
        let (_, place) = records.find(|(number, _)| *number == sequence)?;
        self.told(place)
    }

    fn told(&self, place: Place) -> Option<EntryPlace> {
        Some(EntryPlace {
            segment: self.segment(place)?.name.clone(),
            offset: u64::from(place.offset),
            bytes: u64::from(place.len),
        })
    }

    fn segment(&self, place: Place) -> Option<&Segment> {
        self.segments.get(narrow_len(u64::from(place.segment)))
    }
}

fn open_all(disk: &dyn Disk, survey: &Survey) -> Result<Vec<Segment>, DiskError> {
    let open = |segment: &super::tail::Segment| {
        let name = segment.id.name();
        Ok(Segment {
            file: disk.open(&name)?,
            seed: segment.seed,
            name,
        })
    };
    survey.segments.iter().map(open).collect()
}

/// A file went away after it was listed. A folder that is not there cannot be listed either.
fn went_away(disk: &dyn Disk, error: &DiskError) -> bool {
    error.fault == DiskFault::Missing && disk.list().is_ok()
}

/// How often a store that changes meanwhile is read.
const READS_MAX: u32 = 8;
