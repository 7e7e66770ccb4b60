//! Step 2: one record per room touched, all in one write.

use std::ops::Range;
use std::time::Duration;

use rejoin_protocol::{RoomId, Timestamp};
use rejoin_store::{Record, Store, StoreError};
use tracing::warn;

use super::finish::checkpoint;
use crate::house::House;
use crate::keys::RoomKey;
use crate::rooms::journal;
use crate::rooms::queue::Queued;

/// What a turn writes. It keeps its memory from turn to turn.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The rooms whose calls are kept and have to be made.
    pub(crate) works: Vec<Work>,
    bodies: Vec<u8>,
}

/// The calls of one room in this turn, journalled.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) key: RoomKey,
    record: Span,
    /// Room time of all of them.
    pub(crate) at: Duration,
    pub(crate) calls: Vec<Queued>,
}

/// Where a room's record stands among those of its turn.
#[derive(Clone, Debug)]
struct Span {
    room: RoomId,
    sequence: u64,
    bytes: Range<usize>,
}

impl Span {
    fn record<'a>(&self, bodies: &'a [u8]) -> Record<'a> {
        Record {
            room: self.room,
            sequence: self.sequence,
            body: bodies.get(self.bytes.clone()).unwrap_or_default(),
        }
    }
}

/// Writes the calls of all rooms that wait. Rooms whose calls cannot be kept are closed.
pub(crate) fn write<S: Store>(
    store: &mut S,
    house: &mut House,
    active: &[RoomKey],
    written: &mut Written,
    now: Timestamp,
) {
    let Written { works, bodies } = written;
    bodies.clear();
    for key in active {
        let Some(room) = house.rooms.get_mut(*key) else {
            continue;
        };
        if room.queue.is_empty() {
            continue;
        }
        let calls = room.queue.take();
        let at = room.clock.at(now);
        let start = bodies.len();
        journal::encode(at, calls.iter().map(|call| &call.entry), bodies);
        room.sequence += 1;
        let record = Span {
            room: room.id,
            sequence: room.sequence,
            bytes: start..bodies.len(),
        };
        works.push(Work {
            key: *key,
            record,
            at,
            calls,
        });
    }
    let records: Vec<_> = works
        .iter()
        .map(|work| work.record.record(bodies))
        .collect();
    let Err(problem) = store.append(&records) else {
        return;
    };
    if matches!(
        problem,
        StoreError::Broken { .. } | StoreError::Fenced { .. }
    ) {
        works.clear();
        house.store_failure = Some(problem);
        return;
    }
    if let Some(left_out) = house.store_lines.line(now) {
        warn!(%problem, left_out, "a turn could not be journalled; trying room by room");
    }
    let refused = std::mem::take(works).into_iter();
    works.extend(refused.filter_map(|work| write_one(store, house, work, bodies, now)));
}

/// Writes one room's record by itself, after a checkpoint has made room if need be.
fn write_one<S: Store>(
    store: &mut S,
    house: &mut House,
    work: Work,
    bodies: &[u8],
    now: Timestamp,
) -> Option<Work> {
    let record = work.record.record(bodies);
    if store.append(&[record]).is_ok() {
        return Some(work);
    }
    let room = house.rooms.get_mut(work.key)?;
    room.sequence -= 1;
    // The checkpoint stands for what came before the record.
    let problem = match checkpoint(store, room, now) {
        Ok(()) => match store.append(&[record]) {
            Ok(()) => {
                room.sequence += 1;
                return Some(work);
            }
            Err(problem) => problem.to_string(),
        },
        Err(problem) => problem,
    };
    house.fail_room(work.key, &problem, now);
    for call in work.calls {
        house.refuse(call.origin, House::room_failed());
    }
    None
}
