//! Cases of one call each, or of two that meet.

use bytes::Bytes;
use rejoin_protocol::RoomId;

use super::mismatch::{Mismatch, same};
use crate::contract::{Record, Store, StoreError, Stored};

const A: RoomId = RoomId([1; 16]);
const B: RoomId = RoomId([2; 16]);

pub(super) fn empty(store: &mut dyn Store) -> Result<(), Mismatch> {
    same(store.load(A), Ok(None))?;
    same(store.rooms(), vec![])?;
    same(store.journal_bytes(A), 0)?;
    same(store.append(&[]), Ok(()))?;
    same(store.rooms(), vec![])
}

pub(super) fn records_load_in_order(store: &mut dyn Store) -> Result<(), Mismatch> {
    append(store, A, &[(1, "one")])?;
    append(store, A, &[(2, "")])?;
    append(store, A, &[(3, "three")])?;
    same(
        store.load(A),
        stored(0, "", &[(1, "one"), (2, ""), (3, "three")]),
    )
}

pub(super) fn rooms_are_kept_apart(store: &mut dyn Store) -> Result<(), Mismatch> {
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

pub(super) fn several_of_one_room(store: &mut dyn Store) -> Result<(), Mismatch> {
    append(store, A, &[(1, "one"), (2, "two")])?;
    same(store.load(A), stored(0, "", &[(1, "one"), (2, "two")]))
}

pub(super) fn out_of_order(store: &mut dyn Store) -> Result<(), Mismatch> {
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

pub(super) fn all_or_nothing(store: &mut dyn Store) -> Result<(), Mismatch> {
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

pub(super) fn amend_replaces(store: &mut dyn Store) -> Result<(), Mismatch> {
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

pub(super) fn amend_refuses(store: &mut dyn Store) -> Result<(), Mismatch> {
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

pub(super) fn checkpoint_covers(store: &mut dyn Store) -> Result<(), Mismatch> {
    append(store, A, &[(1, "one"), (2, "two"), (3, "three")])?;
    same(store.checkpoint(A, 2, Bytes::from("at two")), Ok(()))?;
    same(store.load(A), stored(2, "at two", &[(3, "three")]))?;
    same(store.checkpoint(A, 2, Bytes::from("again")), Ok(()))?;
    same(store.load(A), stored(2, "again", &[(3, "three")]))?;
    same(store.checkpoint(A, 3, Bytes::from("at three")), Ok(()))?;
    same(store.load(A), stored(3, "at three", &[]))
}

pub(super) fn checkpoint_opens(store: &mut dyn Store) -> Result<(), Mismatch> {
    same(store.checkpoint(A, 0, Bytes::from("opened")), Ok(()))?;
    same(store.rooms(), vec![A])?;
    append(store, A, &[(1, "one")])?;
    same(store.load(A), stored(0, "opened", &[(1, "one")]))
}

pub(super) fn checkpoint_outside(store: &mut dyn Store) -> Result<(), Mismatch> {
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

pub(super) fn journal_bytes(store: &mut dyn Store) -> Result<(), Mismatch> {
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

pub(super) fn forget(store: &mut dyn Store) -> Result<(), Mismatch> {
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
        loss: None,
    }))
}
