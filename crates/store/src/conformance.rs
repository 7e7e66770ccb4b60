//! What every engine must do, as named cases: the contract in a form that can fail.
//!
//! Tests of each engine call [`check`] with a way to make an empty store. Bounds, files and
//! crashes differ by engine and are tested there.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use bytes::Bytes;
use rejoin_protocol::{Rng, RoomId};

use crate::contract::{Record, Store, StoreError, Stored};

/// Runs every case on a store of its own.
///
/// # Panics
/// If a case fails; the text names each that did.
pub fn check<S: Store>(make: impl FnMut() -> S) {
    let failures = failures(make);
    let text: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(
        failures.is_empty(),
        "the store breaks its contract:\n{}",
        text.join("\n")
    );
}

/// As [`check`], but tells which cases fail.
pub fn failures<S: Store>(mut make: impl FnMut() -> S) -> Vec<Failure> {
    let run = |(case, test): &(&'static str, Case)| {
        let mismatch = test(&mut make()).err()?;
        Some(Failure {
            case,
            mismatch: mismatch.0,
        })
    };
    CASES.iter().filter_map(run).collect()
}

/// A case that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub case: &'static str,
    /// What was found, and what was expected.
    pub mismatch: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.mismatch)
    }
}

/// A claim that does not hold.
struct Mismatch(String);

type Case = fn(&mut dyn Store) -> Result<(), Mismatch>;

const CASES: &[(&str, Case)] = &[
    ("an empty store holds no room", empty),
    ("records load in order", records_load_in_order),
    ("records of many rooms are kept apart", rooms_are_kept_apart),
    (
        "a turn may hold several records of a room",
        several_of_one_room,
    ),
    ("a record out of order is refused", out_of_order),
    ("a refused turn leaves nothing behind", all_or_nothing),
    ("the newest record can be replaced", amend_replaces),
    ("no other record can be replaced", amend_refuses),
    (
        "a checkpoint covers the records up to it",
        checkpoint_covers,
    ),
    ("a checkpoint can open a room", checkpoint_opens),
    (
        "a checkpoint outside the history is refused",
        checkpoint_outside,
    ),
    ("journal bytes count since the checkpoint", journal_bytes),
    ("a forgotten room is gone and may begin again", forget),
    (
        "a random history is what a plain list would be",
        random_history,
    ),
];

const A: RoomId = RoomId([1; 16]);
const B: RoomId = RoomId([2; 16]);

fn empty(store: &mut dyn Store) -> Result<(), Mismatch> {
    same(store.load(A), Ok(None))?;
    same(store.rooms(), vec![])?;
    same(store.journal_bytes(A), 0)?;
    same(store.append(&[]), Ok(()))?;
    same(store.rooms(), vec![])
}

fn records_load_in_order(store: &mut dyn Store) -> Result<(), Mismatch> {
    append(store, A, &[(1, "one")])?;
    append(store, A, &[(2, "")])?;
    append(store, A, &[(3, "three")])?;
    same(
        store.load(A),
        stored(0, "", &[(1, "one"), (2, ""), (3, "three")]),
    )
}

fn rooms_are_kept_apart(store: &mut dyn Store) -> Result<(), Mismatch> {
    let turn = [record(B, 1, "b1"), record(A, 1, "a1")];
    same(store.append(&turn), Ok(()))?;
    same(
        store.append(&[record(A, 2, "a2"), record(B, 2, "b2")]),
        Ok(()),
    )?;
    same(store.checkpoint(B, 2, Bytes::from("B")), Ok(()))?;
    same(store.load(A), stored(0, "", &[(1, "a1"), (2, "a2")]))?;
    same(store.load(B), stored(2, "B", &[]))?;
    same(store.rooms(), vec![A, B])
}

fn several_of_one_room(store: &mut dyn Store) -> Result<(), Mismatch> {
    append(store, A, &[(1, "one"), (2, "two")])?;
    same(store.load(A), stored(0, "", &[(1, "one"), (2, "two")]))
}

fn out_of_order(store: &mut dyn Store) -> Result<(), Mismatch> {
    let error = |expected, found| {
        Err(StoreError::OutOfOrder {
            room: A,
            expected,
            found,
        })
    };
    same(store.append(&[record(A, 0, "zero")]), error(1, 0))?;
    same(store.append(&[record(A, 2, "two")]), error(1, 2))?;
    append(store, A, &[(1, "one"), (2, "two")])?;
    same(store.append(&[record(A, 2, "again")]), error(3, 2))?;
    same(store.append(&[record(A, 4, "four")]), error(3, 4))?;
    same(store.checkpoint(A, 2, Bytes::from("A")), Ok(()))?;
    same(store.append(&[record(A, 1, "one")]), error(3, 1))?;
    append(store, A, &[(3, "three")])?;
    same(store.load(A), stored(2, "A", &[(3, "three")]))
}

fn all_or_nothing(store: &mut dyn Store) -> Result<(), Mismatch> {
    append(store, A, &[(1, "one")])?;
    let turn = [
        record(A, 2, "two"),
        record(B, 1, "b1"),
        record(A, 3, "3"),
        record(A, 5, "five"),
    ];
    let error = StoreError::OutOfOrder {
        room: A,
        expected: 4,
        found: 5,
    };
    same(store.append(&turn), Err(error))?;
    same(store.load(A), stored(0, "", &[(1, "one")]))?;
    same(store.load(B), Ok(None))?;
    same(store.rooms(), vec![A])?;
    same(store.journal_bytes(A), 3)?;
    same(
        store.append(&[record(A, 2, "2"), record(B, 1, "b")]),
        Ok(()),
    )
}

fn amend_replaces(store: &mut dyn Store) -> Result<(), Mismatch> {
    append(store, A, &[(1, "one"), (2, "two")])?;
    for body in ["longer than two", "", "2"] {
        same(store.amend(record(A, 2, body)), Ok(()))?;
        same(store.load(A), stored(0, "", &[(1, "one"), (2, body)]))?;
    }
    append(store, A, &[(3, "three")])?;
    same(
        store.load(A),
        stored(0, "", &[(1, "one"), (2, "2"), (3, "three")]),
    )
}

fn amend_refuses(store: &mut dyn Store) -> Result<(), Mismatch> {
    let error = |found| Err(StoreError::NotNewest { room: A, found });
    same(store.amend(record(A, 1, "x")), error(1))?;
    same(store.rooms(), vec![])?;
    append(store, A, &[(1, "one"), (2, "two")])?;
    same(store.amend(record(A, 1, "x")), error(1))?;
    same(store.amend(record(A, 3, "x")), error(3))?;
    same(store.load(A), stored(0, "", &[(1, "one"), (2, "two")]))?;
    same(store.checkpoint(A, 2, Bytes::from("A")), Ok(()))?;
    same(store.amend(record(A, 2, "x")), error(2))
}

fn checkpoint_covers(store: &mut dyn Store) -> Result<(), Mismatch> {
    append(store, A, &[(1, "one"), (2, "two"), (3, "three")])?;
    same(store.checkpoint(A, 2, Bytes::from("at two")), Ok(()))?;
    same(store.load(A), stored(2, "at two", &[(3, "three")]))?;
    same(store.checkpoint(A, 2, Bytes::from("again")), Ok(()))?;
    same(store.load(A), stored(2, "again", &[(3, "three")]))?;
    same(store.checkpoint(A, 3, Bytes::from("at three")), Ok(()))?;
    same(store.load(A), stored(3, "at three", &[]))
}

fn checkpoint_opens(store: &mut dyn Store) -> Result<(), Mismatch> {
    same(store.checkpoint(A, 0, Bytes::from("opened")), Ok(()))?;
    same(store.rooms(), vec![A])?;
    append(store, A, &[(1, "one")])?;
    same(store.load(A), stored(0, "opened", &[(1, "one")]))
}

fn checkpoint_outside(store: &mut dyn Store) -> Result<(), Mismatch> {
    let error = |found, oldest, newest| {
        Err(StoreError::CheckpointOutside {
            room: A,
            found,
            oldest,
            newest,
        })
    };
    let body = || Bytes::from("x");
    same(store.checkpoint(A, 1, body()), error(1, 0, 0))?;
    same(store.rooms(), vec![])?;
    append(store, A, &[(1, "one"), (2, "two"), (3, "three")])?;
    same(store.checkpoint(A, 4, body()), error(4, 0, 3))?;
    same(store.checkpoint(A, 2, Bytes::from("A")), Ok(()))?;
    same(store.checkpoint(A, 1, body()), error(1, 2, 3))?;
    same(store.load(A), stored(2, "A", &[(3, "three")]))
}

fn journal_bytes(store: &mut dyn Store) -> Result<(), Mismatch> {
    append(store, A, &[(1, "1234"), (2, "12")])?;
    append(store, B, &[(1, "1")])?;
    same(store.journal_bytes(A), 6)?;
    same(store.amend(record(A, 2, "123456")), Ok(()))?;
    same(store.journal_bytes(A), 10)?;
    same(store.checkpoint(A, 1, Bytes::from("a checkpoint")), Ok(()))?;
    same(store.journal_bytes(A), 6)?;
    same(store.checkpoint(A, 2, Bytes::from("another")), Ok(()))?;
    same(store.journal_bytes(A), 0)?;
    same(store.journal_bytes(B), 1)
}

fn forget(store: &mut dyn Store) -> Result<(), Mismatch> {
    same(store.forget(A), Ok(()))?;
    append(store, A, &[(1, "one"), (2, "two")])?;
    append(store, B, &[(1, "b")])?;
    same(store.checkpoint(A, 1, Bytes::from("A")), Ok(()))?;
    same(store.forget(A), Ok(()))?;
    same(store.load(A), Ok(None))?;
    same(store.journal_bytes(A), 0)?;
    same(store.rooms(), vec![B])?;
    append(store, A, &[(1, "again")])?;
    same(store.load(A), stored(0, "", &[(1, "again")]))?;
    same(store.load(B), stored(0, "", &[(1, "b")]))
}

/// A room of the model: every record it was ever given, and its newest checkpoint.
#[derive(Default)]
struct Plain {
    records: Vec<Bytes>,
    checkpoint: u64,
    body: Bytes,
}

impl Plain {
    fn newest(&self) -> u64 {
        u64::try_from(self.records.len()).expect("a length in memory fits 64 bits")
    }

    fn stored(&self) -> Stored {
        let all = (1..).zip(self.records.iter().cloned());
        let records = all
            .filter(|(sequence, _)| *sequence > self.checkpoint)
            .collect();
        let (checkpoint_sequence, checkpoint) = (self.checkpoint, self.body.clone());
        Stored {
            checkpoint_sequence,
            checkpoint,
            records,
        }
    }
}

fn random_history(store: &mut dyn Store) -> Result<(), Mismatch> {
    let mut rng = Rng::from_number(2_024);
    let mut model: BTreeMap<RoomId, Plain> = BTreeMap::new();
    for _ in 0..STEPS {
        let room = any_room(&mut rng);
        match rng.below(10) {
            0 => random_checkpoint(store, &mut model, room, &mut rng)?,
            1 => random_amend(store, &mut model, room, &mut rng)?,
            2 if rng.chance(0.1) => {
                same(store.forget(room), Ok(()))?;
                model.remove(&room);
            }
            _ => random_turn(store, &mut model, &mut rng)?,
        }
        same(store.load(room), Ok(model.get(&room).map(Plain::stored)))?;
    }
    same(store.rooms(), model.keys().copied().collect())?;
    for (room, plain) in &model {
        let stored = plain.stored();
        let bytes = stored.records.iter().map(|(_, body)| body.len()).sum();
        same(store.journal_bytes(*room), bytes)?;
        same(store.load(*room), Ok(Some(stored)))?;
    }
    Ok(())
}

/// Steps of a random history: enough for each kind of step to meet each other one.
const STEPS: usize = 3_000;

/// A turn of up to six rooms. One in eight holds a number too many and must leave no trace.
fn random_turn(
    store: &mut dyn Store,
    model: &mut BTreeMap<RoomId, Plain>,
    rng: &mut Rng,
) -> Result<(), Mismatch> {
    let mut turn: Vec<(RoomId, u64, Bytes)> = Vec::new();
    for _ in 0..=rng.below(6) {
        let room = any_room(rng);
        let before = turn.iter().filter(|(other, ..)| *other == room).count();
        let before = u64::try_from(before).expect("a turn has few records");
        let sequence = model.get(&room).map_or(0, Plain::newest) + before + 1;
        turn.push((room, sequence, any_body(rng)));
    }
    let broken = rng.chance(0.125);
    if broken && let Some((_, sequence, _)) = turn.last_mut() {
        *sequence += 1;
    }
    let records: Vec<Record<'_>> = turn
        .iter()
        .map(|(room, sequence, body)| Record {
            room: *room,
            sequence: *sequence,
            body,
        })
        .collect();
    same(store.append(&records).is_err(), broken)?;
    for (room, _, body) in turn.into_iter().filter(|_| !broken) {
        model.entry(room).or_default().records.push(body);
    }
    Ok(())
}

fn random_checkpoint(
    store: &mut dyn Store,
    model: &mut BTreeMap<RoomId, Plain>,
    room: RoomId,
    rng: &mut Rng,
) -> Result<(), Mismatch> {
    let (oldest, newest) = model
        .get(&room)
        .map_or((0, 0), |it| (it.checkpoint, it.newest()));
    // One beyond each end is tried too, and must be refused.
    let sequence = (oldest + rng.below(newest - oldest + 3)).saturating_sub(1);
    let body = any_body(rng);
    let fits = (oldest..=newest).contains(&sequence);
    same(store.checkpoint(room, sequence, body.clone()).is_ok(), fits)?;
    if fits {
        let plain = model.entry(room).or_default();
        (plain.checkpoint, plain.body) = (sequence, body);
    }
    Ok(())
}

fn random_amend(
    store: &mut dyn Store,
    model: &mut BTreeMap<RoomId, Plain>,
    room: RoomId,
    rng: &mut Rng,
) -> Result<(), Mismatch> {
    let body = any_body(rng);
    let plain = model.get_mut(&room);
    let newest = plain.as_ref().map_or(1, |plain| plain.newest());
    let slot = plain
        .filter(|plain| newest > plain.checkpoint)
        .and_then(|it| it.records.last_mut());
    let amended = store.amend(Record {
        room,
        sequence: newest,
        body: &body,
    });
    same(amended.is_ok(), slot.is_some())?;
    if let Some(slot) = slot {
        *slot = body;
    }
    Ok(())
}

fn any_room(rng: &mut Rng) -> RoomId {
    let number = u8::try_from(rng.below(8)).expect("below 8");
    RoomId([number; 16])
}

fn any_body(rng: &mut Rng) -> Bytes {
    let len = usize::try_from(rng.below(200)).expect("below 200");
    let mut body = vec![0; len];
    rng.fill(&mut body);
    body.into()
}

fn record(room: RoomId, sequence: u64, body: &str) -> Record<'_> {
    Record {
        room,
        sequence,
        body: body.as_bytes(),
    }
}

fn append(store: &mut dyn Store, room: RoomId, turn: &[(u64, &str)]) -> Result<(), Mismatch> {
    let records: Vec<_> = turn
        .iter()
        .map(|(sequence, body)| record(room, *sequence, body))
        .collect();
    same(store.append(&records), Ok(()))
}

fn stored(
    checkpoint_sequence: u64,
    checkpoint: &'static str,
    records: &[(u64, &str)],
) -> Result<Option<Stored>, StoreError> {
    let body = |body: &str| Bytes::copy_from_slice(body.as_bytes());
    Ok(Some(Stored {
        checkpoint_sequence,
        checkpoint: Bytes::from(checkpoint),
        records: records
            .iter()
            .map(|(sequence, text)| (*sequence, body(text)))
            .collect(),
    }))
}

/// Where a case failed is told by the line.
#[track_caller]
fn same<T: PartialEq + Debug>(found: T, expected: T) -> Result<(), Mismatch> {
    if found == expected {
        return Ok(());
    }
    let line = std::panic::Location::caller().line();
    Err(Mismatch(format!(
        "found {found:?}, expected {expected:?} (line {line})"
    )))
}
