//! Step 2: one record per room touched, all in one write.

use std::ops::Range;
use std::time::Duration;

use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{RoomId, Timestamp};
use rejoin_room::Durability;
use rejoin_store::{Record, Store};
use tracing::warn;

use super::finish::checkpoint;
use crate::house::House;
use crate::keep::Keep;
use crate::keys::RoomKey;
use crate::rooms::journal;
use crate::rooms::queue::Queued;
use crate::rooms::room::After;

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
    /// How its room is kept.
    level: Durability,
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
    keep: &mut Keep<S>,
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
            level: room.kind.durability,
            at,
            calls,
        });
    }
    for level in [Durability::Exact, Durability::None] {
        write_all(keep, level, house, works, bodies, now);
    }
}

/// Writes the records of all rooms whose history stands where that of `level` does.
fn write_all<S: Store>(
    keep: &mut Keep<S>,
    level: Durability,
    house: &mut House,
    works: &mut Vec<Work>,
    bodies: &[u8],
    now: Timestamp,
) {
    let there = |work: &Work| work.level.is_journalled() == level.is_journalled();
    let records = works.iter().filter(|work| there(work));
    let records: Vec<_> = records.map(|work| work.record.record(bodies)).collect();
    let Err(problem) = keep.append(level, &records) else {
        return;
    };
    if problem.is_final() {
        if planted::is(Bug::UnwrittenTold) {
            return;
        }
        works.clear();
        house.store_failure = Some(problem);
        return;
    }
    if let Some(left_out) = house.store_lines.line(now) {
        warn!(%problem, left_out, "a turn could not be journalled; trying room by room");
    }
    let refused = std::mem::take(works).into_iter();
    works.extend(refused.filter_map(|work| {
        if there(&work) {
            write_one(keep, house, work, bodies, now)
        } else {
            Some(work)
        }
    }));
}

/// Writes one room's record by itself, after a checkpoint has made room if need be.
fn write_one<S: Store>(
    keep: &mut Keep<S>,
    house: &mut House,
    work: Work,
    bodies: &[u8],
    now: Timestamp,
) -> Option<Work> {
    let record = work.record.record(bodies);
    if keep.append(work.level, &[record]).is_ok() {
        return Some(work);
    }
    let room = house.rooms.get_mut(work.key)?;
    room.sequence -= 1;
    // The checkpoint stands for what came before the record.
    let problem = match checkpoint(keep, room, now) {
        Ok(()) => match keep.append(work.level, &[record]) {
            Ok(()) => {
                room.sequence += 1;
                return Some(work);
            }
            Err(problem) => problem.to_string(),
        },
        Err(problem) => problem,
    };
    house.fail_room(work.key, &problem, After::Rest, now);
    for call in work.calls {
        house.refuse(call.origin, House::room_failed());
    }
    None
}
