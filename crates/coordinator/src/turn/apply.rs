//! Step 3: the calls, in the order in which they were journalled. A call that room logic
//! cannot handle is taken out of the journal, and the room rebuilt without it.

use rejoin_protocol::message::RoomCloseReason;
use rejoin_protocol::{Refusal, RefusalCode, Timestamp};
use rejoin_room::{Durability, Kinds};
use rejoin_store::{Record, Store};
use tracing::{info, warn};

use super::write::Work;
use crate::house::House;
use crate::keep::Keep;
use crate::keys::RoomKey;
use crate::overtime::Calling;
use crate::rooms::entry::Entry;
use crate::rooms::journal;
use crate::rooms::queue::Origin;
use crate::rooms::replay::{self, ReplayError};
use crate::rooms::room::{After, HostedRoom};
use crate::stopwatch::Stopwatch;

/// Applies one room's calls and carries out what they come to.
pub(crate) fn apply<S: Store>(
    keep: &mut Keep<S>,
    kinds: &Kinds,
    house: &mut House,
    mut work: Work,
    stopwatch: &mut dyn Stopwatch,
    now: Timestamp,
) {
    let mut index = 0;
    while let Some(call) = work.calls.get(index) {
        let Some(room) = house.rooms.get_mut(work.key) else {
            return;
        };
        stopwatch.begin(room.id, room.kind.name);
        let outcome = replay::advance(&mut room.durable, kinds, work.at, &call.entry);
        let (took, what) = (stopwatch.end(), Calling::of(&call.entry));
        house.on_called(work.key, what, took, now);
        let Some(room) = house.rooms.get_mut(work.key) else {
            return;
        };
        match outcome {
            Ok(applied) => {
                room.on_applied(&call.entry, now);
                if matches!(call.entry, Entry::Open(_)) {
                    let shard = house.config.shard;
                    info!(room = %room.id, kind = room.kind.name, shard, "room is open");
                }
                house.carry_out(work.key, call, applied, now);
                index += 1;
            }
            Err(problem) => {
                let fault = Fault { index, problem };
                stopwatch.begin(room.id, room.kind.name);
                let voided = void(keep, kinds, house, &mut work, fault, now);
                house.on_called(work.key, Calling::Other("rebuild"), stopwatch.end(), now);
                if let Err(Unfit { problem, after }) = voided {
                    house.fail_room(work.key, &problem, after, now);
                    for call in work.calls.drain(index..) {
                        house.refuse(call.origin, House::room_failed());
                    }
                    return;
                }
            }
        }
    }
    house.on_written(keep, work.key);
    if let Some(room) = house.rooms.get_mut(work.key) {
        room.queue.recycle(work.calls);
    }
}

/// A call that failed.
struct Fault {
    index: usize,
    problem: ReplayError,
}

/// Why a room cannot go on.
struct Unfit {
    problem: String,
    after: After,
}

impl Unfit {
    /// Its logic is to blame.
    const fn logic(problem: String) -> Self {
        Self {
            problem,
            after: After::Quarantine,
        }
    }

    /// It is not: what is stored of the room is taken up again once somebody asks for it.
    fn store(problem: impl ToString) -> Self {
        Self {
            problem: problem.to_string(),
            after: After::Rest,
        }
    }
}

/// Takes the failed call out: of the work, of the journal, and of the room, which is rebuilt as
/// it was before the call.
///
/// # Errors
/// The room cannot go on, with the reason.
fn void<S: Store>(
    keep: &mut Keep<S>,
    kinds: &Kinds,
    house: &mut House,
    work: &mut Work,
    fault: Fault,
    now: Timestamp,
) -> Result<(), Unfit> {
    let Fault { index, problem } = fault;
    let text = problem.to_string();
    let gone = || Unfit::logic(text.clone());
    let room = house.rooms.get_mut(work.key).ok_or_else(gone)?;
    let can_be_refused = match work.calls.get(index).map(|call| &call.entry) {
        Some(Entry::Admit { .. } | Entry::Input { .. }) => true,
        // Nobody can be refused a tick, a timer or a change of a seat.
        Some(
            Entry::Open(_)
            | Entry::Seat { .. }
            | Entry::Void { .. }
            | Entry::Restored { .. }
            | Entry::Ahead { .. }
            | Entry::Asleep(_)
            | Entry::Tick
            | Entry::Timers,
        )
        | None => false,
    };
    if !can_be_refused {
        return Err(Unfit::logic(text));
    }
    if let Some(left_out) = house.fault_lines.line(now) {
        warn!(room = %room.id, kind = room.kind.name, problem = text, left_out, "a call is taken out of its room");
    }
    house.stats.voids += 1;
    let too_many = room.upkeep.on_void(now);
    let refusal = Refusal::new(RefusalCode::RoomFailed, "room logic failed");
    take_out(house, work, index, refusal);
    if too_many {
        return Err(Unfit::logic(text));
    }
    let room = house.rooms.get_mut(work.key).ok_or_else(gone)?;
    rewind(keep, kinds, room, work, index).map_err(|unfit| Unfit {
        problem: format!("{text}; {}", unfit.problem),
        after: unfit.after,
    })
}

/// Refuses a call. Of a reliable input the number stays, so that the cursor passes it.
fn take_out(house: &mut House, work: &mut Work, index: usize, refusal: Refusal) {
    let Some(call) = work.calls.get_mut(index) else {
        return;
    };
    house.refuse_input(work.key, &call.entry, refusal.clone());
    house.refuse(call.origin, refusal);
    call.origin = Origin::None;
    if let Entry::Input {
        player,
        number: Some(number),
        ..
    } = call.entry
    {
        call.entry = Entry::Void { player, number };
    } else {
        work.calls.remove(index);
    }
}

/// Amends the journal and rebuilds the room as it was before call `index` of the newest record.
/// What the calls before it led to was carried out once and is not repeated.
fn rewind<S: Store>(
    keep: &mut Keep<S>,
    kinds: &Kinds,
    room: &mut HostedRoom,
    work: &Work,
    index: usize,
) -> Result<(), Unfit> {
    let mut body = Vec::new();
    journal::encode(
        work.at,
        work.calls.iter().map(|call| &call.entry),
        &mut body,
    );
    let record = Record {
        room: room.id,
        sequence: room.sequence,
        body: &body,
    };
    let history = keep.history(room.kind.durability);
    history.amend(record).map_err(Unfit::store)?;
    let stored = history.load(room.id).map_err(Unfit::store)?;
    // What cannot be read is lost, and its clients are told so when the room is taken up again.
    let stored = stored.filter(|stored| stored.newest() == room.sequence);
    let stored = stored.ok_or_else(|| Unfit::store("its history cannot be read to its end"))?;
    let failed = |problem: ReplayError| Unfit::logic(problem.to_string());
    let mut rebuilt = replay::rebuild(&stored, kinds, room.sequence).map_err(failed)?;
    for call in work.calls.iter().take(index) {
        replay::advance(&mut rebuilt, kinds, work.at, &call.entry).map_err(failed)?;
    }
    if let (Some(rebuilt), Some(live)) = (&mut rebuilt, &room.durable) {
        rebuilt.take_acks(live);
    }
    room.durable = rebuilt;
    Ok(())
}

impl House {
    /// The room's logic failed beyond repair: it closes with this turn, the others go on.
    pub(crate) fn fail_room(&mut self, key: RoomKey, problem: &str, after: After, now: Timestamp) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if matches!(room.closing, Some(RoomCloseReason::Failed(_))) {
            return;
        }
        let kind = room.kind.name;
        let kind_lasts = room.kind.durability > Durability::None;
        if let Some(left_out) = self.fault_lines.line(now) {
            let quarantined = after == After::Quarantine && kind_lasts;
            warn!(room = %room.id, kind, problem, quarantined, left_out, "room failed");
        }
        self.stats.rooms_failed += 1;
        // Players learn that it failed; the developer's own words are in the log.
        let text = match after {
            After::Rest => format!("this {kind} room cannot be stored"),
            After::Forget | After::Quarantine => format!("the logic of this {kind} room failed"),
        };
        room.closing = Some(RoomCloseReason::Failed(text));
        room.after = after;
        self.rooms.activate(key);
    }
}
