//! Bits that flip on the medium between two processes.
//!
//! What was stored of each room before and after is compared: a room that is not as it was must be told as such, and may
//! only lack its end. All others must not have changed.

use std::collections::{BTreeMap, BTreeSet};

use rejoin_protocol::{Rng, RoomId};
use rejoin_store::Stored;
use rejoin_store::disk::SimulatedDisk;
use rejoin_store::log::{LogReader, Recovery};

use crate::report::{Violation, ensure};

/// What flips have done.
#[derive(Debug, Default)]
pub(crate) struct Rot {
    /// Rooms of which something is gone, or that are there again.
    pub(crate) rooms: BTreeSet<RoomId>,
    /// True if the store says that it found something.
    pub(crate) told: bool,
}

/// Flips a bit or two in what the segments hold, or one in the manifest.
///
/// # Errors
/// The store cannot be read any more, or is not what it was and does not say so.
pub(crate) fn flip(disk: &SimulatedDisk, chance: &mut Rng) -> Result<Rot, Violation> {
    let before = read(disk)?;
    let manifest = chance.chance(MANIFEST_SHARE);
    let names = disk.names().into_iter().filter(|name| match manifest {
        true => name == "manifest",
        false => name.ends_with(".log"),
    });
    let files: Vec<_> = { names }
        .filter_map(|name| Some((used(&disk.contents(&name)?), name)))
        .filter(|(used, _)| *used > 0)
        .collect();
    if files.is_empty() {
        return Ok(Rot::default());
    }
    let flips = if manifest { 1 } else { 1 + chance.index(2) };
    for _ in 0..flips {
        let (used, name) = files
            .get(chance.index(files.len()))
            .expect("there are some");
        disk.flip(name, chance.index(*used), 1 << chance.below(8));
    }
    let after = read(disk)?;
    compare((&before.0, &before.1), (&after.0, &after.1))
}

type Histories = BTreeMap<RoomId, Stored>;

fn read(disk: &SimulatedDisk) -> Result<(Histories, Recovery), Violation> {
    let (reader, recovery) = LogReader::open(&*disk.process()).map_err(|problem| {
        Violation::new("what rots can be read but for that", problem.to_string())
    })?;
    let rooms = reader
        .rooms()
        .filter_map(|room| Some((room, reader.load(room)?)));
    Ok((rooms.collect(), recovery))
}

fn compare(
    (before, healthy): (&Histories, &Recovery),
    (after, recovery): (&Histories, &Recovery),
) -> Result<Rot, Violation> {
    let told = !recovery.is_sound() || !recovery.cuts.is_empty();
    let mut rot = Rot {
        rooms: BTreeSet::new(),
        told,
    };
    let rooms: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    for room in rooms {
        let (was, is) = (before.get(&room), after.get(&room));
        let (Some(was), Some(is)) = (was, is) else {
            ensure(told, "what rots is told", || format!("{room} is {is:?}"))?;
            rot.rooms.insert(room);
            continue;
        };
        let bodies: BTreeMap<_, _> = was.records.iter().cloned().collect();
        let other = { is.records.iter() }
            .find(|(sequence, body)| bodies.get(sequence).is_some_and(|known| known != body));
        let same_point = was.checkpoint_sequence == is.checkpoint_sequence;
        let same = other.is_none() && (!same_point || was.checkpoint == is.checkpoint);
        ensure(
            same && is.newest() <= was.newest(),
            "nothing rots into something else",
            || format!("{room}: {other:?}, {} after {}", is.newest(), was.newest()),
        )?;
        if is.newest() < was.newest() {
            ensure(told, "what rots is told", || format!("{room}: {is:?}"))?;
            rot.rooms.insert(room);
        }
    }
    // What a newer checkpoint stands for is missed if power takes that.
    if recovery.damages != healthy.damages {
        rot.rooms.extend(after.keys());
    }
    Ok(rot)
}

/// One past the last byte that is not zero.
fn used(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

/// Share of flips that meet the manifest, of which there are two copies.
const MANIFEST_SHARE: f64 = 0.1;
