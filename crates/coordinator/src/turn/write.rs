//! Step 2: one record per room touched, all in one write.

use std::ops::Range;
use std::time::Duration;

use rejoin_protocol::message::RoomCloseReason;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{RoomId, Timestamp};
use rejoin_room::Durability;
use rejoin_store::{BODY_LEN_MAX, Record, Store, StoreError};
use tracing::warn;

use super::finish::{Occasion, checkpoint};
use crate::house::House;
use crate::keep::Keep;
use crate::keys::RoomKey;
use crate::limits::{PAUSED_CALLS_MAX, STORED_ALONE_MAX};
use crate::pausing::store_full;
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

/// Writes the calls of all rooms that wait. Rooms for whose calls there is no place are paused; those whose calls cannot
/// be kept at all are closed.
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
        let waits = room.upkeep.paused_until.is_some_and(|until| now < until);
        if room.queue.is_empty() || waits || room.waits_for_its_end() {
            continue;
        }
        if room.is_paused() && room.queue.len() > PAUSED_CALLS_MAX {
            let problem = format!("more than {PAUSED_CALLS_MAX} calls wait for it");
            house.fail_room(*key, &problem, After::Rest, now);
            continue;
        }
        let calls = room.queue.take();
        let at = room.clock.at(now);
        let start = bodies.len();
        journal::encode(at, calls.iter().map(|call| &call.entry), bodies);
        if bodies.len() - start > BODY_LEN_MAX {
            // By itself, so that no other room's record fails with it.
            bodies.truncate(start);
            let problem = format!("its calls of one turn are longer than {BODY_LEN_MAX} bytes");
            house.fail_room(*key, &problem, After::Rest, now);
            for call in calls {
                house.refuse(call.origin, House::room_failed());
            }
            continue;
        }
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
    house.go_on(works.iter().map(|work| work.key), now);
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
    if matches!(problem, StoreError::Full { .. }) && planted::is(Bug::FullPassedOver) {
        return;
    }
    if house.paused.is_empty()
        && let Some(left_out) = house.store_lines.line(now)
    {
        warn!(%problem, left_out, "a turn could not be journalled; trying room by room");
    }
    let mut refused = 0;
    for work in std::mem::take(works) {
        if !there(&work) {
            works.push(work);
            continue;
        }
        let stored = match refused < STORED_ALONE_MAX {
            true => write_one(keep, house, &work, bodies, now),
            false => Err(problem.clone()),
        };
        match stored {
            Ok(()) => works.push(work),
            Err(problem) if problem.is_final() => {
                works.clear();
                house.store_failure = Some(problem);
                return;
            }
            Err(problem) => {
                refused += 1;
                set_aside(house, work, &problem, now);
            }
        }
    }
}

/// Writes one room's record by itself, after a checkpoint has made room if need be.
fn write_one<S: Store>(
    keep: &mut Keep<S>,
    house: &mut House,
    work: &Work,
    bodies: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    let record = work.record.record(bodies);
    let Err(problem) = keep.append(work.level, &[record]) else {
        return Ok(());
    };
    let Some(room) = house.rooms.get_mut(work.key) else {
        return Err(problem);
    };
    // One that was just made would be the same, and one that was just refused too.
    let worth = room.upkeep.dirty_since.is_some() && now >= room.upkeep.checkpoint_after;
    if problem.is_final() || !worth {
        return Err(problem);
    }
    // The checkpoint stands for what came before the record.
    room.sequence -= 1;
    let made = checkpoint(keep, room, Occasion::Play, now);
    room.sequence += 1;
    match made {
        Ok(()) => keep.append(work.level, &[record]),
        // It fails for that once it goes on.
        Err(_) => Err(problem),
    }
}

/// A room's calls cannot be stored. They wait if the store is full, unless the room is yet to be opened.
fn set_aside(house: &mut House, work: Work, problem: &StoreError, now: Timestamp) {
    let Some(room) = house.rooms.get_mut(work.key) else {
        return;
    };
    room.sequence -= 1;
    let full = matches!(problem, StoreError::Full { .. });
    match (full, room.durable.is_some(), room.closing.is_some()) {
        (true, true, _) => return house.pause(work.key, work.calls, now),
        (_, _, true) => {}
        (true, false, false) => room.closing = Some(RoomCloseReason::Other),
        (false, _, false) => house.fail_room(work.key, &problem.to_string(), After::Rest, now),
    }
    for call in work.calls {
        let refusal = if full {
            store_full()
        } else {
            House::room_failed()
        };
        house.refuse(call.origin, refusal);
    }
}
