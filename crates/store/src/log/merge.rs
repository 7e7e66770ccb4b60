//! Merges what all segments hold into the history of each room, whichever log it is in.
//!
//! Entries of a room are put in the order in which they were first written: by epoch and stamp. So
//! neither the number of shards nor what was moved matters. A record takes out all of the same or
//! a higher sequence that were written before it: they were lost or amended when it was written.

use std::collections::BTreeMap;

use rejoin_protocol::RoomId;

use super::format::{Kind, ORIGIN, loss, standing};
use super::index::{Extent, Held, Place, Point, Room};
use super::scan::{Entry, Stretch};
use super::survey::{Hole, Survey};
use crate::contract::{Loss, Standing};

/// A room as it was found.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) room: Room,
    /// What the store did not know before it was opened. It has to be written down.
    pub(crate) loss: Option<Loss>,
    /// A checkpoint newer than those that serve, which cannot be read.
    pub(crate) fallback: Option<u64>,
}

/// Merges all that is believed, and takes it out of the survey. Segments are named by their place
/// there.
pub(crate) fn merge(survey: &mut Survey, extent: Extent) -> BTreeMap<RoomId, History> {
    let mut found: BTreeMap<RoomId, Vec<(Entry, Place, u16)>> = BTreeMap::new();
    for (segment, number) in survey.segments.iter_mut().zip(0_u32..) {
        for stretch in std::mem::take(&mut segment.stretches) {
            let Stretch::Entry(entry) = stretch else {
                continue;
            };
            if matches!(entry.head.kind, Kind::Synced | Kind::Floor) {
                continue;
            }
            let place = Place {
                segment: number,
                offset: u32::try_from(entry.offset).unwrap_or(u32::MAX),
                len: entry.head.len,
            };
            let of_room = found.entry(entry.head.room).or_default();
            of_room.push((entry, place, segment.id.shard));
        }
    }
    let merged = found.into_iter().filter_map(|(id, mut entries)| {
        // Of copies the sound one serves, and the newer one, since older segments go first.
        entries.sort_by_key(|(entry, place, _)| {
            let head = &entry.head;
            (head.id, !entry.sound, std::cmp::Reverse(place.segment))
        });
        entries.dedup_by_key(|(entry, ..)| entry.head.id);
        Some((id, merge_room(&entries, &survey.holes, extent)?))
    });
    merged.collect()
}

fn merge_room(entries: &[(Entry, Place, u16)], holes: &[Hole], extent: Extent) -> Option<History> {
    let mut merging = Merging::default();
    for (entry, place, _) in entries {
        merging.take(entry, *place);
    }
    if !merging.begun {
        return None;
    }
    // Only such an entry tells that nothing newer was there.
    let mut proofs = entries.iter().filter(|(entry, ..)| entry.head.newest);
    let (last, _, shard) = proofs.next_back().or_else(|| entries.last())?;
    let suspect = holes.iter().any(|hole| {
        let elsewhere =
            !last.head.moved && last.head.id.epoch == hole.until.epoch && *shard != hole.shard;
        last.head.id <= hole.until && !elsewhere
    });
    Some(merging.finish(suspect, extent))
}

/// A room while its entries are gone through.
#[derive(Default)]
struct Merging {
    /// It was given something since it was last forgotten.
    begun: bool,
    records: BTreeMap<u64, Slot>,
    points: Vec<(Point, bool)>,
    /// The newest sequence that anything tells of.
    newest: u64,
    standing: Option<(Standing, Place)>,
    loss: Option<(Loss, Place)>,
    /// Sequence and link of the newest record when something was last written of the room.
    proof: Option<(u64, u32)>,
}

/// A record.
#[derive(Clone, Copy)]
struct Slot {
    held: Held,
    /// The link to the record before it.
    before: u32,
    sound: bool,
}

impl Merging {
    fn take(&mut self, entry: &Entry, place: Place) {
        let head = entry.head;
        if head.begins {
            // That it was forgotten before may be what cannot be read.
            *self = Self::default();
        }
        if head.newest {
            let itself = head.kind == Kind::Record || head.begins;
            let link = if itself { head.id.link() } else { head.link };
            self.newest = self.newest.max(head.sequence);
            self.proof = Some((head.sequence, link));
        }
        self.begun = true;
        match head.kind {
            Kind::Record => {
                drop(self.records.split_off(&head.sequence));
                self.points
                    .retain(|(point, _)| point.sequence <= head.sequence);
                self.newest = head.sequence;
                let slot = Slot {
                    held: Held {
                        place,
                        link: head.id.link(),
                    },
                    before: head.link,
                    sound: entry.sound,
                };
                self.records.insert(head.sequence, slot);
            }
            Kind::Checkpoint => {
                let sequence = head.sequence;
                let link = if head.begins {
                    head.id.link()
                } else {
                    head.link
                };
                let point = Point {
                    sequence,
                    place,
                    link,
                };
                self.points.push((point, entry.sound));
                self.newest = self.newest.max(sequence);
                self.loss = None;
            }
            Kind::Standing => {
                let read = entry.short_body().and_then(standing);
                // One that cannot be read tells at least that the room was being loaded.
                let unknown = Standing {
                    attempts: 1,
                    quarantined: false,
                };
                self.standing = Some((read.unwrap_or(unknown), place));
            }
            Kind::Loss => self.take_loss(entry, place),
            Kind::Forgotten => *self = Self::default(),
            Kind::Synced | Kind::Floor => {}
        }
    }

    /// The room went on before what was lost.
    fn take_loss(&mut self, entry: &Entry, place: Place) {
        let from = entry.head.sequence + 1;
        drop(self.records.split_off(&from));
        self.points.retain(|(point, _)| point.sequence < from);
        self.newest = entry.head.sequence;
        let unknown = Loss::Possible {
            after: entry.head.sequence,
        };
        let read = entry.short_body().and_then(loss);
        self.loss = Some((read.unwrap_or(unknown), place));
    }

    /// How far the records lead on from one that is linked to so.
    fn reach(&self, base: u64, link: u32) -> u64 {
        let (mut reach, mut link) = (base, link);
        for (sequence, slot) in self.records.range(base + 1..) {
            if *sequence != reach + 1 || !slot.sound {
                break;
            }
            if slot.before != link {
                // What is there of the record before is not what this one followed.
                return reach.saturating_sub(1).max(base);
            }
            (reach, link) = (*sequence, slot.held.link);
        }
        // As above, of the last record.
        let stale = self
            .proof
            .is_some_and(|(newest, of)| newest == reach && of != link);
        if stale && reach > base {
            reach - 1
        } else {
            reach
        }
    }

    fn reach_of(&self, point: &Point) -> u64 {
        self.reach(point.sequence, point.link)
    }

    /// The first record that is there without a gap up to the one after `base`.
    fn first_before(&self, base: u64) -> u64 {
        let earlier = self.records.range(..=base).rev();
        let joined = earlier.zip((1..=base).rev());
        joined
            .take_while(|((sequence, _), expected)| **sequence == *expected)
            .last()
            .map_or(base + 1, |((sequence, _), _)| *sequence)
    }

    fn finish(self, suspect: bool, extent: Extent) -> History {
        let sound = self.points.iter().filter(|(_, sound)| *sound);
        let points: Vec<Point> = sound.map(|(point, _)| *point).rev().collect();
        let reaches = points.iter().map(|point| self.reach_of(point));
        // The newest of those that lead furthest; without any, the records alone.
        let best = reaches
            .clone()
            .max()
            .unwrap_or_else(|| self.reach(0, ORIGIN));
        let mut serving = points.iter().zip(reaches);
        let newer = serving.find(|(_, reach)| *reach == best);
        let newer = newer.map(|(point, _)| *point);
        let older = serving.find_map(|(point, _)| {
            let newer = newer?;
            (self.reach_of(point) >= newer.sequence).then_some(*point)
        });
        let base = older.or(newer).map_or(0, |point| point.sequence);
        let first = match extent {
            Extent::Needed => base + 1,
            Extent::All => self.first_before(base),
        };
        let held = self.records.range(first..);
        let held = held.take_while(|(sequence, _)| **sequence <= best);
        let mut room = Room {
            newest: best,
            newer,
            older,
            journal: held.map(|(_, slot)| slot.held).collect(),
            ..Room::default()
        };
        room.tip = room.link_of(best);
        room.count();
        if let Some((standing, place)) = self.standing {
            room.standing = standing;
            room.standing_at = (standing != Standing::default()).then_some(place);
        }
        if let Some((loss, place)) = self.loss {
            (room.loss, room.loss_at) = (Some(loss), Some(place));
        }
        let unread = self.points.iter().rev().take_while(|(_, sound)| !sound);
        let fallback = unread.map(|(point, _)| point.sequence).next();
        let loss = if best < self.newest {
            let (from, to) = (best + 1, self.newest);
            Some(Loss::Records { from, to })
        } else {
            suspect.then_some(Loss::Possible { after: best })
        };
        // What was told before and is not settled stays told.
        let loss = match (loss, room.loss) {
            (Some(Loss::Possible { .. }), Some(known)) => Some(known),
            (loss, _) => loss,
        };
        History {
            room,
            loss,
            fallback,
        }
    }
}
