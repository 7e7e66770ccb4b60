//! Where everything of every room stands, in memory.
//!
//! Owned by the log engine. It knows what a room's history is and what of it is still needed: the
//! last two checkpoints, the records after the older one, and the newest of each other kind. It
//! reads and writes nothing.

use std::collections::{BTreeMap, VecDeque};

use rejoin_protocol::RoomId;

use super::format::{ORIGIN, entry_len};
use super::scan::narrow;
use crate::contract::{Loss, Standing, StoreError};

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The engine's own number of the segment; older ones are less.
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    /// Length of its body.
    pub(crate) len: u32,
}

impl Place {
    /// Of a record that cannot be read any more.
    pub(crate) const LOST: Self = Self {
        segment: u32::MAX,
        offset: 0,
        len: 0,
    };
}

/// A checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) sequence: u64,
    pub(crate) place: Place,
    /// Of the record that it stands for.
    pub(crate) link: u32,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) place: Place,
    pub(crate) link: u32,
}

/// One room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Sequence of the newest record, held or covered by a checkpoint.
    pub(crate) newest: u64,
    /// The link of that.
    pub(crate) tip: u32,
    pub(crate) newer: Option<Point>,
    pub(crate) older: Option<Point>,
    /// Records up to the newest one.
    pub(crate) journal: VecDeque<Held>,
    /// Bytes of bodies after the newer checkpoint.
    pub(crate) bytes: usize,
    pub(crate) standing: Standing,
    pub(crate) standing_at: Option<Place>,
    pub(crate) loss: Option<Loss>,
    pub(crate) loss_at: Option<Place>,
}

/// Which records of a room are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Those after the older checkpoint.
    Needed,
    /// Those before it too, as far back as they are there without a gap.
    All,
}

/// All rooms of a store.
#[derive(Debug, Default)]
pub(crate) struct Index {
    rooms: BTreeMap<RoomId, Room>,
    /// Bytes that are needed, by segment.
    live: BTreeMap<u32, u64>,
    total: u64,
    /// Records before the older checkpoint are held too.
    keeps_all: bool,
}

/// What to take back if a turn fails: the room, and its tip before; none if it was not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undo {
    room: RoomId,
    before: Option<u32>,
}

impl Room {
    /// The newer checkpoint's sequence, or 0.
    pub(crate) fn covered(&self) -> u64 {
        self.newer.map_or(0, |point| point.sequence)
    }

    /// Sequence and place of all records held.
    pub(crate) fn records(&self) -> impl DoubleEndedIterator<Item = (u64, Place)> + '_ {
        let held = u64::try_from(self.journal.len()).expect("a length in memory fits 64 bits");
        let first = self.newest - held + 1;
        let numbered = self.journal.iter().enumerate();
        numbered.map(move |(index, held)| {
            let index = u64::try_from(index).expect("an index in memory fits 64 bits");
            (first + index, held.place)
        })
    }

    /// Segment and offset of its newest record, or else checkpoint.
    pub(crate) fn written_at(&self) -> (u32, u32) {
        let record = self.journal.back().map(|held| held.place);
        let record = record.filter(|place| *place != Place::LOST);
        let place = record.or_else(|| self.newer.map(|point| point.place));
        place.map_or((0, 0), |place| (place.segment, place.offset))
    }

    /// The link of a record that is held or has a checkpoint.
    pub(crate) fn link_of(&self, sequence: u64) -> u32 {
        let back = usize::try_from(self.newest.wrapping_sub(sequence)).ok();
        let held = back.and_then(|back| self.journal.iter().rev().nth(back));
        let points = [self.newer, self.older].into_iter().flatten();
        let mut points = points.filter(|point| point.sequence == sequence);
        let point = points.next().map(|point| point.link);
        held.map(|held| held.link).or(point).unwrap_or(ORIGIN)
    }

    fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let points = [self.newer, self.older].into_iter().flatten();
        let small = [self.standing_at, self.loss_at].into_iter().flatten();
        let points = points.map(|point| point.place).chain(small);
        points.chain(self.journal.iter().map(|held| held.place))
    }

    /// Records after the newer checkpoint, oldest last.
    fn uncovered(&self) -> impl Iterator<Item = Place> + '_ {
        let covered = self.covered();
        let newest_first = self.records().rev();
        newest_first
            .take_while(move |(sequence, _)| *sequence > covered)
            .map(|(_, place)| place)
    }

    /// The first record that neither a checkpoint nor its own place gives any more.
    pub(crate) fn first_lost(&self) -> Option<u64> {
        let base = self.newer.or(self.older).map_or(0, |point| point.sequence);
        let mut expected = base + 1;
        for (sequence, place) in self.records().filter(|(it, _)| *it > base) {
            if sequence != expected || place == Place::LOST {
                break;
            }
            expected += 1;
        }
        (expected <= self.newest).then_some(expected)
    }

    /// Counts again what stands after the newer checkpoint.
    pub(crate) fn count(&mut self) {
        self.bytes = self.uncovered().map(|place| narrow(place.len)).sum();
    }
}

impl Index {
    /// No rooms yet.
    pub(crate) fn of(extent: Extent) -> Self {
        Self {
            keeps_all: extent == Extent::All,
            ..Self::default()
        }
    }

    pub(crate) fn room(&self, room: RoomId) -> Option<&Room> {
        self.rooms.get(&room)
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = (&RoomId, &Room)> {
        self.rooms.iter()
    }

    /// Takes over a room that was found.
    pub(crate) fn insert(&mut self, id: RoomId, room: Room) {
        for place in room.places() {
            self.gain(place);
        }
        self.rooms.insert(id, room);
    }

    /// Bytes that are needed, in all segments or in one.
    pub(crate) const fn live(&self) -> u64 {
        self.total
    }

    pub(crate) fn live_in(&self, segment: u32) -> u64 {
        self.live.get(&segment).copied().unwrap_or(0)
    }

    /// Takes in a record of a turn. Tells the link to the one before it, none if it begins the room,
    /// and how to undo this.
    pub(crate) fn push(
        &mut self,
        id: RoomId,
        found: u64,
        held: Held,
    ) -> Result<(Option<u32>, Undo), StoreError> {
        let known = self.rooms.get_mut(&id);
        let expected = known.as_ref().map_or(0, |room| room.newest) + 1;
        if found != expected {
            return Err(StoreError::OutOfOrder {
                room: id,
                expected,
                found,
            });
        }
        let before = known.as_ref().map(|room| room.tip);
        let room = match known {
            Some(room) => room,
            None => self.rooms.entry(id).or_default(),
        };
        room.newest = found;
        room.tip = held.link;
        room.journal.push_back(held);
        room.bytes += narrow(held.place.len);
        self.gain(held.place);
        Ok((before, Undo { room: id, before }))
    }

    /// Takes back the newest record of a room.
    pub(crate) fn undo(&mut self, undo: Undo) {
        let Undo { room: id, before } = undo;
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        let place = room.journal.pop_back().map(|held| held.place);
        room.newest -= 1;
        if let Some(place) = place {
            room.bytes -= narrow(place.len);
        }
        match before {
            Some(tip) => room.tip = tip,
            None => drop(self.rooms.remove(&id)),
        }
        self.lose(place);
    }

    /// The link of an amendment of the newest record, if that can be amended.
    pub(crate) fn amendable(&self, id: RoomId, found: u64) -> Option<u32> {
        let room = self.rooms.get(&id)?;
        let stands = room.newest == found && room.covered() < found;
        (stands && !room.journal.is_empty()).then(|| room.link_of(found - 1))
    }

    /// Replaces the newest record.
    pub(crate) fn amend(&mut self, id: RoomId, held: Held) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        let old = room.journal.pop_back().map(|old| old.place);
        room.journal.push_back(held);
        room.tip = held.link;
        room.bytes += narrow(held.place.len);
        room.bytes -= old.map_or(0, |old| narrow(old.len));
        self.gain(held.place);
        self.lose(old);
    }

    /// Whether a checkpoint may stand for `sequence`.
    pub(crate) fn check_point(&self, id: RoomId, sequence: u64) -> Result<(), StoreError> {
        let known = self.rooms.get(&id);
        let (oldest, newest) = known.map_or((0, 0), |room| (room.covered(), room.newest));
        if (oldest..=newest).contains(&sequence) {
            return Ok(());
        }
        Err(StoreError::CheckpointOutside {
            room: id,
            found: sequence,
            oldest,
            newest,
        })
    }

    /// Takes in a checkpoint. What no checkpoint needs any more is let go.
    pub(crate) fn set_point(&mut self, id: RoomId, point: Point) {
        let room = self.rooms.entry(id).or_insert_with(|| Room {
            tip: point.link,
            ..Room::default()
        });
        let mut gone: Vec<Place> = Vec::new();
        gone.extend(room.older.take().map(|older| older.place));
        room.older = room.newer.replace(point);
        // A loss is settled: what is there now is what the room is.
        gone.extend(room.loss_at.take());
        room.loss = None;
        if let Some(older) = room.older.filter(|_| !self.keeps_all) {
            let needed = room.newest - older.sequence;
            while u64::try_from(room.journal.len()).is_ok_and(|held| held > needed) {
                gone.extend(room.journal.pop_front().map(|held| held.place));
            }
        }
        room.journal.shrink_to(SPARE_MAX);
        room.count();
        self.gain(point.place);
        self.lose(gone);
    }

    pub(crate) fn set_standing(&mut self, id: RoomId, standing: Standing, place: Place) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        room.standing = standing;
        // Once older ones are gone, none is as good as one that says nothing.
        let kept = (standing != Standing::default()).then_some(place);
        let old = std::mem::replace(&mut room.standing_at, kept);
        if kept.is_some() {
            self.gain(place);
        }
        self.lose(old);
    }

    /// A room's history ends there.
    pub(crate) fn cut(&mut self, id: RoomId, newest: u64) {
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        let mut gone = Vec::new();
        room.tip = room.link_of(newest);
        while let Some(point) = room.newer.filter(|point| point.sequence > newest) {
            gone.push(point.place);
            room.newer = room.older.take();
        }
        while room.newest > newest {
            room.newest -= 1;
            gone.extend(room.journal.pop_back().map(|held| held.place));
        }
        room.count();
        self.lose(gone);
    }

    pub(crate) fn set_loss(&mut self, id: RoomId, loss: Loss, place: Place) {
        if let Some(room) = self.rooms.get_mut(&id) {
            room.loss = Some(loss);
            let old = room.loss_at.replace(place);
            self.gain(place);
            self.lose(old);
        }
    }

    pub(crate) fn forget(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.remove(&id) {
            self.lose(room.places());
        }
    }

    /// The place of an entry, to be changed if it is needed and stands at `from`.
    pub(crate) fn moved(&mut self, id: RoomId, sequence: u64, from: Place, to: Place) {
        let Some(place) = self.find(id, sequence, from) else {
            return;
        };
        *place = to;
        self.gain(to);
        self.lose([from]);
    }

    /// Whether what stands at `from` is needed.
    pub(crate) fn needs(&mut self, id: RoomId, sequence: u64, from: Place) -> bool {
        self.find(id, sequence, from).is_some()
    }

    fn find(&mut self, id: RoomId, sequence: u64, from: Place) -> Option<&mut Place> {
        let room = self.rooms.get_mut(&id)?;
        let held = u64::try_from(room.journal.len()).ok()?;
        let index = (sequence + held).checked_sub(room.newest + 1);
        let record = index.and_then(|index| usize::try_from(index).ok());
        let record = record.and_then(|index| room.journal.get_mut(index));
        let record = record.map(|held| &mut held.place);
        let points = [room.newer.as_mut(), room.older.as_mut()];
        let points = points.into_iter().flatten().map(|point| &mut point.place);
        let small = [room.standing_at.as_mut(), room.loss_at.as_mut()];
        let mut all = points.chain(small.into_iter().flatten()).chain(record);
        all.find(|place| **place == from)
    }

    /// Gives up all that stands within `from..to` of a segment. Tells whose it was.
    pub(crate) fn give_up(&mut self, segment: u32, from: u64, to: u64) -> Vec<RoomId> {
        let within = |place: Place| {
            place.segment == segment && (from..to).contains(&u64::from(place.offset))
        };
        let (mut gone, mut touched) = (Vec::new(), Vec::new());
        for (id, room) in &mut self.rooms {
            let before = gone.len();
            for point in [&mut room.older, &mut room.newer] {
                gone.extend(
                    point
                        .take_if(|point| within(point.place))
                        .map(|it| it.place),
                );
            }
            if room.newer.is_none() {
                room.newer = room.older.take();
            }
            for small in [&mut room.standing_at, &mut room.loss_at] {
                gone.extend(small.take_if(|place| within(*place)));
            }
            for held in &mut room.journal {
                if within(held.place) {
                    gone.push(std::mem::replace(&mut held.place, Place::LOST));
                }
            }
            if gone.len() > before {
                touched.push(*id);
                room.count();
            }
        }
        self.lose(gone);
        touched
    }

    /// Checks that the books are right.
    pub(crate) fn check_invariants(&self) {
        let mut live: BTreeMap<u32, u64> = BTreeMap::new();
        for room in self.rooms.values() {
            let held = u64::try_from(room.journal.len()).expect("a length fits");
            let base = room.older.or(room.newer).map(|point| point.sequence);
            let reaches = base.is_none_or(|base| base + held >= room.newest);
            assert!(reaches, "the journal reaches back");
            for place in room.places().filter(|place| *place != Place::LOST) {
                *live.entry(place.segment).or_default() += cost(place);
            }
            let bytes: usize = room.uncovered().map(|place| narrow(place.len)).sum();
            assert_eq!(bytes, room.bytes, "bytes of the journal are counted");
        }
        assert_eq!(live, self.live, "every needed byte is counted once");
        assert_eq!(live.values().sum::<u64>(), self.total, "and in all");
    }

    fn gain(&mut self, place: Place) {
        if place != Place::LOST {
            *self.live.entry(place.segment).or_default() += cost(place);
            self.total += cost(place);
        }
    }

    fn lose(&mut self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            if place == Place::LOST {
                continue;
            }
            self.total -= cost(place);
            if let Some(live) = self.live.get_mut(&place.segment) {
                *live -= cost(place);
                if *live == 0 {
                    self.live.remove(&place.segment);
                }
            }
        }
    }
}

/// Bytes of an entry on the medium.
fn cost(place: Place) -> u64 {
    let len = entry_len(narrow(place.len));
    u64::try_from(len).expect("a length in memory fits 64 bits")
}

/// Places that a room's journal keeps memory for after a checkpoint.
const SPARE_MAX: usize = 1024;
