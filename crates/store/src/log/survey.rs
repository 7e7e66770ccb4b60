//! Reads a folder: which segments there are, what of them is believed, and what is missing.
//!
//! Nothing is changed here, so an opening that fails leaves all as it was.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{EntryId, FORMAT, Kind, SegmentId, floor};
use super::manifest::{Accepted, Found, MANIFEST, MANIFEST_DRAFT, Manifest};
use super::report::{Cut, Damage, Late, OpenError};
use super::scan::{Stretch, narrow_len, used, wide};
use super::segments::is_spare;
use super::tail::{Segment, settle};
use crate::disk::Disk;

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The newest that owned it; 0 if none did.
    pub(crate) epoch: u64,
    /// All that is believed, oldest first.
    pub(crate) segments: Vec<Segment>,
    /// Files that are of no more use.
    pub(crate) useless: Vec<String>,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) late: Vec<Late>,
    pub(crate) damages: Vec<Damage>,
    /// For each hole, whose log it is in and which entries it may have held: up to that one.
    pub(crate) holes: Vec<Hole>,
    pub(crate) manifest_repaired: bool,
    /// Segments of epochs after the manifest's, with what is written in them: of who ended while it opened the store, or the
    /// manifest is an older one.
    pub(crate) later: Vec<(String, usize)>,
}

/// Entries of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) shard: u16,
    /// None that was written after this one.
    pub(crate) until: EntryId,
}

/// Reads the folder: for an owner that begins `epoch`, or for who only looks.
///
/// # Errors
/// See [`OpenError`].
pub(crate) fn survey(disk: &dyn Disk, epoch: Option<u64>) -> Result<Survey, OpenError> {
    let mut names: BTreeSet<String> = disk.list()?.into_iter().collect();
    let mut survey = Survey::default();
    let useless = |name: &String| name == MANIFEST_DRAFT || is_spare(name);
    survey.useless = names.iter().filter(|name| useless(name)).cloned().collect();
    names.retain(|name| SegmentId::of_name(name).is_some());
    let manifest = match Manifest::read(disk)? {
        Found::Manifest { manifest, repaired } => {
            survey.manifest_repaired = repaired;
            manifest
        }
        Found::Nothing => {
            survey.begin_first(disk, names)?;
            return Ok(survey);
        }
        Found::Damaged => return Err(OpenError::ManifestDamaged(MANIFEST)),
        Found::Newer(found) => {
            let (file, known) = (MANIFEST.to_owned(), FORMAT);
            return Err(OpenError::Newer { file, found, known });
        }
    };
    let found = manifest.epoch;
    if let Some(epoch) = epoch.filter(|epoch| found >= *epoch) {
        return Err(OpenError::Fenced { epoch, found });
    }
    survey.epoch = found;
    survey.read(disk, &manifest, &names)?;
    Ok(survey)
}

impl Survey {
    /// Without a manifest there was no owner yet, or one that ended before it wrote anything.
    fn begin_first(&mut self, disk: &dyn Disk, names: BTreeSet<String>) -> Result<(), OpenError> {
        for name in names {
            let file = disk.open(&name)?;
            if used(&file.read(0, narrow_len(file.size()?))?) > FIRST_LEN_MAX {
                return Err(OpenError::ManifestMissing(MANIFEST));
            }
            self.useless.push(name);
        }
        Ok(())
    }

    fn read(
        &mut self,
        disk: &dyn Disk,
        manifest: &Manifest,
        names: &BTreeSet<String>,
    ) -> Result<(), OpenError> {
        let mut missing = Vec::new();
        for accepted in &manifest.segments {
            if names.contains(&accepted.id.name()) {
                self.read_accepted(disk, accepted)?;
            } else {
                missing.push(accepted.id);
            }
        }
        let mut logs: BTreeMap<u16, Vec<Segment>> = BTreeMap::new();
        for shard in 0..manifest.shards {
            logs.entry(shard).or_default();
        }
        for id in names.iter().filter_map(|name| SegmentId::of_name(name)) {
            if manifest.segments.iter().any(|accepted| accepted.id == id) {
                continue;
            }
            let file = disk.open(&id.name())?;
            let size = file.size()?;
            let bytes = file.read(0, narrow_len(size))?;
            match logs
                .get_mut(&id.shard)
                .filter(|_| id.epoch == manifest.epoch)
            {
                Some(log) => log.push(Segment::of(id, id.seed(manifest.salt), &bytes, size)),
                None => self.on_foreign(id, manifest, used(&bytes)),
            }
        }
        let mut floors = BTreeMap::new();
        for (shard, mut log) in logs {
            self.settle_log(&mut log);
            floors.insert(shard, log.iter().filter_map(newest_floor).max());
            let front = front_of(manifest.epoch, shard, &log, floors.get(&shard));
            missing.extend(front.chain(gaps(&log)).collect::<Vec<_>>());
            self.segments.append(&mut log);
        }
        self.drop_below(&floors, manifest.epoch, &mut missing);
        self.judge(&missing);
        Ok(())
    }

    fn read_accepted(&mut self, disk: &dyn Disk, accepted: &Accepted) -> Result<(), OpenError> {
        let file = disk.open(&accepted.id.name())?;
        let size = file.size()?;
        let bytes = file.read(0, narrow_len(size))?;
        let (believed, late) = bytes.split_at(narrow_len(accepted.len).min(bytes.len()));
        let mut segment = Segment::of(accepted.id, accepted.seed, believed, size);
        if segment.believed < accepted.len {
            let hole = segment.believed..accepted.len;
            segment.stretches.push(Stretch::Hole(hole));
        }
        segment.believed = accepted.len;
        self.segments.push(segment);
        self.on_late(accepted.id, used(late));
        Ok(())
    }

    /// A segment that a fenced owner made, or one that ended while it opened the store.
    fn on_foreign(&mut self, id: SegmentId, manifest: &Manifest, used: usize) {
        if id.epoch <= manifest.epoch {
            self.on_late(id, used);
        } else {
            self.later.push((id.name(), used));
        }
        self.useless.push(id.name());
    }

    fn on_late(&mut self, id: SegmentId, bytes: usize) {
        if bytes > 0 {
            let (segment, bytes) = (id.name(), wide(bytes));
            self.late.push(Late { segment, bytes });
        }
    }

    fn settle_log(&mut self, log: &mut Vec<Segment>) {
        let before: Vec<SegmentId> = log.iter().map(|segment| segment.id).collect();
        self.cuts.extend(settle(log));
        let kept = |id: &SegmentId| log.iter().any(|segment| segment.id == *id);
        let dropped = before.iter().filter(|id| !kept(id));
        self.useless.extend(dropped.map(|id| id.name()));
    }

    /// What all logs of the last epoch have done with is not read, and may be missing.
    fn drop_below(
        &mut self,
        floors: &BTreeMap<u16, Option<SegmentId>>,
        epoch: u64,
        missing: &mut Vec<SegmentId>,
    ) {
        let all = floors.values().min().copied().flatten();
        let floor = |id: SegmentId| {
            let own = floors.get(&id.shard).copied().flatten();
            if id.epoch == epoch { own } else { all }
        };
        let done = |id: SegmentId| floor(id).is_some_and(|floor| id <= floor);
        self.segments.sort_by_key(|segment| segment.id);
        let dropped = self.segments.iter().filter(|segment| done(segment.id));
        self.useless
            .extend(dropped.map(|segment| segment.id.name()));
        self.segments.retain(|segment| !done(segment.id));
        missing.retain(|id| !done(*id));
    }

    /// Tells damages, and which entries each hole may have held.
    fn judge(&mut self, missing: &[SegmentId]) {
        let mut next: BTreeMap<(u64, u16), u64> = BTreeMap::new();
        let mut places: Vec<(SegmentId, Option<&Segment>)> =
            missing.iter().map(|id| (*id, None)).collect();
        places.extend(self.segments.iter().map(|it| (it.id, Some(it))));
        places.sort_by_key(|(id, _)| *id);
        let (mut damages, mut holes) = (Vec::new(), Vec::new());
        for (id, segment) in places.into_iter().rev() {
            let next = next.entry((id.epoch, id.shard)).or_insert(u64::MAX);
            let mut found = Vec::new();
            let hole = |next: u64| Hole {
                shard: id.shard,
                until: EntryId {
                    epoch: id.epoch,
                    stamp: next.saturating_sub(1),
                },
            };
            let name = id.name();
            let Some(segment) = segment else {
                damages.push(Damage::Missing { segment: name });
                holes.push(hole(*next));
                continue;
            };
            for stretch in segment.stretches.iter().rev() {
                match stretch {
                    Stretch::Entry(entry) if entry.sound => {
                        if !entry.head.moved {
                            *next = entry.head.id.stamp;
                        }
                    }
                    Stretch::Entry(entry) => found.push(Damage::Entry {
                        segment: name.clone(),
                        offset: entry.offset,
                        room: entry.head.room,
                        sequence: entry.head.sequence,
                    }),
                    Stretch::Hole(bytes) => {
                        found.push(Damage::Hole {
                            segment: name.clone(),
                            offset: bytes.start,
                            bytes: bytes.end - bytes.start,
                        });
                        holes.push(hole(*next));
                    }
                }
            }
            if segment.head.is_err() {
                found.push(Damage::Head { segment: name });
            }
            damages.append(&mut found);
        }
        damages.reverse();
        self.damages = damages;
        self.holes = holes;
    }
}

fn newest_floor(segment: &Segment) -> Option<SegmentId> {
    let floors = segment
        .stretches
        .iter()
        .filter_map(|stretch| match stretch {
            Stretch::Entry(entry) if entry.head.kind == Kind::Floor => floor(entry.short_body()?),
            Stretch::Entry(_) | Stretch::Hole(_) => None,
        });
    floors.max()
}

/// Segments at the front of a log that its floor does not account for. Each log has had its first.
fn front_of(
    epoch: u64,
    shard: u16,
    log: &[Segment],
    floor: Option<&Option<SegmentId>>,
) -> impl Iterator<Item = SegmentId> + use<> {
    let floor = floor
        .copied()
        .flatten()
        .filter(|floor| floor.epoch == epoch);
    let from = floor.map_or(0, |floor| floor.number + 1);
    let to = log.first().map_or(from + 1, |segment| segment.id.number);
    (from..to).map(move |number| SegmentId {
        epoch,
        shard,
        number,
    })
}

/// Segments that are missing between others.
fn gaps(log: &[Segment]) -> impl Iterator<Item = SegmentId> + '_ {
    let pairs = log.iter().zip(log.iter().skip(1));
    pairs.flat_map(|(before, after)| {
        let numbers = before.id.number + 1..after.id.number;
        numbers.map(|number| SegmentId {
            number,
            ..before.id
        })
    })
}

/// A segment without a manifest holds no more than what is written before there is one: that an epoch begins, and what rooms
/// have lost.
pub(crate) const FIRST_LEN_MAX: usize = 256;
