//! Step 2: one record per room touched, all in one write.

use std::ops::Range;
use std::time::Duration;

use rejoin_protocol::Timestamp;
use rejoin_store::{Record, Store};
use tracing::warn;

use super::finish::checkpoint;
use crate::house::House;
use crate::keys::RoomKey;
use crate::rooms::journal;
use crate::rooms::queue::Queued;

/// The calls of one room in this turn, journalled.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) key: RoomKey,
    /// Room time of all of them.
    pub(crate) at: Duration,
    pub(crate) calls: Vec<Queued>,
}

/// Writes the calls of all rooms that wait. Rooms whose calls cannot be kept are closed.
pub(crate) fn write<S: Store>(
    store: &mut S,
    house: &mut House,
    active: &[RoomKey],
    now: Timestamp,
) -> Vec<Work> {
    let mut bodies = Vec::new();
    let mut works = Vec::new();
    let mut spans = Vec::new();
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
        journal::encode(at, calls.iter().map(|call| &call.entry), &mut bodies);
        room.sequence += 1;
        spans.push((room.id, room.sequence, start..bodies.len()));
        works.push(Work {
            key: *key,
            at,
            calls,
        });
    }
    let record = |(room, sequence, span): &(_, _, Range<usize>)| Record {
        room: *room,
        sequence: *sequence,
        body: bodies.get(span.clone()).unwrap_or_default(),
    };
    let records: Vec<_> = spans.iter().map(record).collect();
    let Err(problem) = store.append(&records) else {
        return works;
    };
    if let Some(left_out) = house.store_lines.line(now) {
        warn!(%problem, left_out, "a turn could not be journalled; trying room by room");
    }
    let pairs = works.into_iter().zip(records);
    pairs
        .filter_map(|(work, record)| write_one(store, house, work, record, now))
        .collect()
}

/// Writes one room's record by itself, after a checkpoint has made room if need be.
fn write_one<S: Store>(
    store: &mut S,
    house: &mut House,
    work: Work,
    record: Record<'_>,
    now: Timestamp,
) -> Option<Work> {
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
