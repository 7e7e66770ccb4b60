//! Cases of what a store keeps besides histories: standings, positions, bounds.

use bytes::Bytes;
use rejoin_protocol::RoomId;

use super::mismatch::{Mismatch, same};
use crate::contract::{BODY_LEN_MAX, LOAD_ATTEMPTS_MAX, Record, Standing, Store, StoreError};

const ROOM: RoomId = RoomId([7; 16]);
const FRESH: Standing = Standing {
    attempts: 0,
    quarantined: false,
};

pub(super) fn standings_are_kept(store: &mut dyn Store) -> Result<(), Mismatch> {
    let standing = Standing {
        attempts: 2,
        quarantined: true,
    };
    same(store.set_standing(ROOM, standing), Ok(()))?;
    same(store.standing(ROOM), FRESH)?;
    same(store.rooms(), vec![])?;
    same(store.append(&[record(1)]), Ok(()))?;
    same(store.set_standing(ROOM, standing), Ok(()))?;
    same(store.append(&[record(2)]), Ok(()))?;
    same(store.checkpoint(ROOM, 1, Bytes::from("x")), Ok(()))?;
    same(store.standing(ROOM), standing)?;
    same(store.forget(ROOM), Ok(()))?;
    same(store.append(&[record(1)]), Ok(()))?;
    same(store.standing(ROOM), FRESH)
}

pub(super) fn loads_are_counted(store: &mut dyn Store) -> Result<(), Mismatch> {
    same(store.append(&[record(1)]), Ok(()))?;
    let stands = |attempts, quarantined| {
        Ok(Standing {
            attempts,
            quarantined,
        })
    };
    same(store.begin_load(ROOM), stands(1, false))?;
    same(store.end_load(ROOM), Ok(()))?;
    for attempt in 1..=LOAD_ATTEMPTS_MAX {
        same(store.begin_load(ROOM), stands(attempt, false))?;
    }
    for _ in 0..3 {
        same(store.begin_load(ROOM), stands(LOAD_ATTEMPTS_MAX, true))?;
    }
    same(Ok(store.standing(ROOM)), stands(LOAD_ATTEMPTS_MAX, true))?;
    same(store.end_load(ROOM), Ok(()))?;
    same(store.begin_load(ROOM), stands(1, false))
}

pub(super) fn positions_grow(store: &mut dyn Store) -> Result<(), Mismatch> {
    let mut before = store.journalled();
    let mut grows = |store: &mut dyn Store, change: &str| {
        let now = store.journalled();
        same((change, now > before), (change, true))?;
        before = now;
        same((change, store.synced() <= now), (change, true))
    };
    same(store.append(&[record(1), record(2)]), Ok(()))?;
    grows(store, "append")?;
    same(store.amend(record(2)), Ok(()))?;
    grows(store, "amend")?;
    same(store.checkpoint(ROOM, 1, Bytes::from("x")), Ok(()))?;
    grows(store, "checkpoint")?;
    same(store.begin_load(ROOM).is_ok(), true)?;
    grows(store, "standing")?;
    same(store.sync_now(), Ok(()))?;
    same(store.synced() >= before, true)?;
    same(store.forget(ROOM), Ok(()))?;
    let now = store.journalled();
    same(now > before, true)?;
    same(store.sync_now(), Ok(()))?;
    same(store.synced() >= now, true)
}

pub(super) fn bodies_are_bounded(store: &mut dyn Store) -> Result<(), Mismatch> {
    let body = vec![7; BODY_LEN_MAX + 1];
    let bytes = body.len();
    let error = Err(StoreError::TooLong { room: ROOM, bytes });
    let long = Record {
        body: &body,
        ..record(1)
    };
    same(store.append(&[long]), error.clone())?;
    same(store.rooms(), vec![])?;
    same(store.append(&[record(1)]), Ok(()))?;
    same(store.amend(long), error.clone())?;
    same(store.checkpoint(ROOM, 1, body.clone().into()), error)?;
    let loaded = store.load(ROOM);
    let records = loaded.map(|stored| stored.map(|stored| stored.records.len()));
    same(records, Ok(Some(1)))
}

fn record(sequence: u64) -> Record<'static> {
    Record {
        room: ROOM,
        sequence,
        body: b"calls",
    }
}
