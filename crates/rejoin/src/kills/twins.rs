//! Twins: after a run with kills every room is replayed from its first record, without any checkpoint, and compared.
//!
//! ```text
//! records 1..n --replay--> twin      at each checkpoint that is held: is it the twin?
//!                            |       at each view that members saw: did the twin show it?
//! checkpoint + journal ------'       at the end: does a recovery give the twin?
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use rejoin_bots::{Mark, Marks, Twins, digest};
use rejoin_coordinator::twin::Twin;
use rejoin_protocol::RoomId;
use rejoin_room::Kinds;
use rejoin_server::{NoRooms, StoredRooms};
use rejoin_store::Stored;
use rejoin_store::log::LogReader;

/// What came of the twins of all rooms, and what was not as it should be.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) twins: Twins,
    pub(crate) problems: Vec<String>,
}

/// Replays all rooms of a folder that nobody has now. `marks` are the views that members saw.
///
/// # Errors
/// There are no rooms to be read.
pub(crate) fn replay_all(folder: &Path, kinds: &Kinds, marks: &Marks) -> Result<Outcome, NoRooms> {
    let (reader, _) = StoredRooms::find(folder)?.read()?;
    let mut seen: BTreeMap<RoomId, BTreeMap<u64, Vec<Mark>>> = BTreeMap::new();
    for mark in marks.iter() {
        let of_room = seen.entry(mark.room).or_default();
        of_room.entry(mark.number).or_default().push(*mark);
    }
    let mut outcome = Outcome::default();
    for room in reader.rooms() {
        let seen = seen.remove(&room).unwrap_or_default();
        if let Err(problem) = outcome.replay(&reader, (room, kinds), seen) {
            outcome.differs(room, problem);
        }
    }
    for room in seen.into_keys() {
        outcome.differs(room, "its members saw it, and it is not stored");
    }
    Ok(outcome)
}

impl Outcome {
    fn differs(&mut self, room: RoomId, problem: impl std::fmt::Display) {
        self.twins.differ += 1;
        self.problems
            .push(format!("twin of room {room}: {problem}"));
    }

    /// Replays one room.
    fn replay(
        &mut self,
        reader: &LogReader,
        (room, kinds): (RoomId, &Kinds),
        mut seen: BTreeMap<u64, Vec<Mark>>,
    ) -> Result<(), String> {
        let journal = reader.whole_journal(room);
        let journal = journal.ok_or("not all of its records are there")?;
        let points = reader.checkpoints(room).into_iter();
        let alone = |(sequence, body)| Stored {
            checkpoint_sequence: sequence,
            checkpoint: body,
            records: Vec::new(),
            loss: None,
        };
        let points: Vec<Stored> = points.map(alone).collect();
        self.twins.rooms += 1;
        let mut twin = Twin::new(kinds);
        for (sequence, record) in &journal {
            let replayed = twin.replay(*sequence, record);
            replayed.map_err(|problem| format!("record {sequence}: {problem}"))?;
            self.twins.records += 1;
            for mark in seen.remove(&twin.view_number()).into_iter().flatten() {
                self.twins.views += 1;
                check_view(&twin, &mark)?;
            }
            let there = points.iter();
            for point in there.filter(|it| it.checkpoint_sequence == *sequence) {
                check(
                    &mut twin,
                    point,
                    kinds,
                    &format!("the checkpoint at {sequence}"),
                )?;
            }
        }
        if let Some((number, _)) = seen.first_key_value() {
            return Err(format!("members saw view {number}, which it never showed"));
        }
        let stored = reader.load(room).ok_or("it is not stored")?;
        check(&mut twin, &stored, kinds, "what a recovery gives")
    }
}

/// The twin has to be what `stored` gives.
fn check(twin: &mut Twin, stored: &Stored, kinds: &Kinds, what: &str) -> Result<(), String> {
    let tick = twin.tick();
    let recovered = Twin::of(stored, kinds).map_err(|problem| format!("{what}: {problem}"))?;
    if recovered.tick() != tick {
        let found = recovered.tick();
        return Err(format!(
            "{what} is of tick {found}, a replay of tick {tick}"
        ));
    }
    twin.compare(&recovered)
        .map_err(|found| format!("{what} is not what a replay gives at tick {tick}: {found}"))
}

/// The twin has to show what members saw.
fn check_view(twin: &Twin, mark: &Mark) -> Result<(), String> {
    let mut view = Vec::new();
    twin.view(&mut view)
        .map_err(|problem| problem.to_string())?;
    let (number, tick) = (mark.number, mark.tick);
    if (twin.tick(), digest(&view)) == (tick, mark.digest) {
        return Ok(());
    }
    Err(format!("members saw another view {number}, of tick {tick}"))
}
