//! Step 4 and the room's upkeep: views, checkpoints, directory, the next deadline, the end.

use rejoin_protocol::Timestamp;
use rejoin_protocol::message::RoomCloseReason;
use rejoin_protocol::planted::{self, Bug};
use rejoin_room::Durability;
use rejoin_store::{Store, StoreError};
use tracing::{info, warn};

use crate::determinism;
use crate::directory::Directory;
use crate::hibernation;
use crate::house::House;
use crate::keep::Keep;
use crate::keys::RoomKey;
use crate::limits::CHECKPOINT_AFTER;
use crate::lobby::{unknown_room, unknown_seat};
use crate::overtime::Calling;
use crate::rooms::checkpoint::{self as bytes, Reach};
use crate::rooms::fanout;
use crate::rooms::queue::Origin;
use crate::rooms::room::{After, HostedRoom};
use crate::schedule::Due;
use crate::stopwatch::Stopwatch;

/// Where rooms are kept and shown.
pub(crate) struct Hosts<'a, S, D> {
    pub(crate) keep: &'a mut Keep<S>,
    pub(crate) directory: &'a mut D,
}

/// Shows one room to its members, and keeps it in order.
pub(crate) fn finish<S: Store, D: Directory>(
    hosts: &mut Hosts<'_, S, D>,
    house: &mut House,
    key: RoomKey,
    scratch: &mut Vec<u8>,
    stopwatch: &mut dyn Stopwatch,
    now: Timestamp,
) {
    if let Err(problem) = show(hosts.keep, house, key, scratch, stopwatch, now) {
        house.fail_room(key, &problem, After::Quarantine, now);
    }
    if let Err(problem) = look_after(hosts.keep, house, key, stopwatch, now) {
        house.fail_room(key, &problem, After::Quarantine, now);
    }
    if hibernation::lay(hosts, house, key, now) {
        return;
    }
    let Some(room) = house.rooms.get_mut(key) else {
        return;
    };
    if room.closing.is_some() {
        if must_wait(hosts.keep, house, key, now) {
            return;
        }
        return close(hosts, house, key, now);
    }
    if room.taken() > 0 {
        room.upkeep.empty_until = None;
    } else if room.upkeep.empty_until.is_none() {
        room.upkeep.empty_until = Some(now + house.config.empty_room_hold);
    }
    if std::mem::take(&mut room.upkeep.card_stale) {
        let shard = house.config.shard;
        if room.code.is_some() && planted::is(Bug::PrivateRoomListed) {
            hosts.directory.publish(shard, room.card());
        }
        match room.code {
            None => hosts.directory.publish(shard, room.card()),
            Some(code) => hosts.directory.publish_private(shard, room.id, code),
        }
    }
    match room.deadline() {
        Some(due) => house.schedule.set(Due::Room(key), due),
        None => house.schedule.clear(Due::Room(key)),
    }
}

fn show<S: Store>(
    keep: &Keep<S>,
    house: &mut House,
    key: RoomKey,
    scratch: &mut Vec<u8>,
    stopwatch: &mut dyn Stopwatch,
    now: Timestamp,
) -> Result<(), String> {
    let Some(room) = house.rooms.get_mut(key) else {
        return Ok(());
    };
    if matches!(room.closing, Some(RoomCloseReason::Failed(_))) {
        // It may be half changed: nobody sees that.
        return Ok(());
    }
    let encoded = room.is_view_due(now);
    if encoded {
        stopwatch.begin(room.id, room.kind.name);
        let outcome = fanout::encode(room, scratch, now);
        house.on_called(key, Calling::View, stopwatch.end(), now);
        outcome.map_err(|problem| problem.to_string())?;
    }
    let Some(room) = house.rooms.get_mut(key) else {
        return Ok(());
    };
    let ticked = std::mem::take(&mut room.showing.ticked);
    if ticked && room.clock.on_ticked(house.config.call_budget, now) {
        house.stats.ticks_slowed += 1;
    }
    if encoded && room.gate.is_synced() {
        room.gate.hold_view(keep.journalled());
        house.await_sync(key);
    } else if !room.gate.holds_view() && (std::mem::take(&mut room.showing.resend) || encoded) {
        house.send_views(key, scratch, now);
    }
    Ok(())
}

fn look_after<S: Store>(
    keep: &mut Keep<S>,
    house: &mut House,
    key: RoomKey,
    stopwatch: &mut dyn Stopwatch,
    now: Timestamp,
) -> Result<(), String> {
    let Some(room) = house.rooms.get_mut(key) else {
        return Ok(());
    };
    let (level, written) = (room.kind.durability, keep.journal_bytes(room));
    if room.closing.is_some() || !room.upkeep.is_checkpoint_due(level, written, now) {
        return Ok(());
    }
    if house.config.check_determinism {
        // The watchdog looks at it, and nothing is held against the room.
        stopwatch.begin(room.id, room.kind.name);
        determinism::check(keep, &house.config, room);
        stopwatch.end();
    }
    stopwatch.begin(room.id, room.kind.name);
    let outcome = checkpoint(keep, room, Occasion::Play, now);
    house.on_called(key, Calling::Other("checkpoint"), stopwatch.end(), now);
    house.on_written(keep, key);
    outcome
}

/// When a checkpoint is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The room goes on.
    Play,
    /// It leaves memory with it.
    End,
}

/// Stores a checkpoint that stands for all that was applied.
///
/// # Errors
/// The room's state cannot be written: it could not be rebuilt after a crash either.
pub(crate) fn checkpoint<S: Store>(
    keep: &mut Keep<S>,
    room: &mut HostedRoom,
    occasion: Occasion,
    now: Timestamp,
) -> Result<(), String> {
    // A checkpoint does not tell that a room has ended: its journal does, until it is forgotten.
    let Some(durable) = room.durable.as_ref().filter(|durable| !durable.ended) else {
        return Ok(());
    };
    let mut body = Vec::new();
    let encoded = bytes::encode(durable, &room.kind, Reach::default(), &mut body);
    encoded.map_err(|problem| problem.to_string())?;
    let len = body.len();
    let mut stored = keep.checkpoint(room, body.into());
    if room.kind.durability == Durability::Checkpoint && stored.is_ok() {
        // In the store its records have no numbers, so views go on after what they have come to.
        let mut body = Vec::new();
        let reach = Reach {
            views: room.sequence,
            partial: occasion == Occasion::Play,
        };
        let encoded = bytes::encode(durable, &room.kind, reach, &mut body);
        encoded.map_err(|problem| problem.to_string())?;
        stored = keep.checkpoint_alone(room, body.into());
    }
    match stored {
        Ok(()) => {
            room.gate.on_written(keep.journalled());
            room.upkeep.checkpoint_wanted = false;
            room.upkeep.checkpoint_bytes = len;
            room.upkeep.dirty_since = None;
        }
        Err(problem) => {
            // The older one still serves, with a longer journal; the next try is not at once.
            warn!(room = %room.id, %problem, "checkpoint is not stored");
            room.upkeep.dirty_since = Some(now);
            room.upkeep.checkpoint_after = now + CHECKPOINT_AFTER;
        }
    }
    Ok(())
}

/// True if it cannot be written yet that a room is over: nobody is told, for the next process would find it.
fn must_wait<S: Store>(
    keep: &mut Keep<S>,
    house: &mut House,
    key: RoomKey,
    now: Timestamp,
) -> bool {
    let Some(room) = house.rooms.get(key) else {
        return false;
    };
    if room.after != After::Forget || room.durable.is_none() {
        return false;
    }
    let due = room.upkeep.paused_until.is_none_or(|until| until <= now);
    if due && !matches!(keep.forget(room), Err(StoreError::Full { .. })) {
        return false;
    }
    if due {
        house.pause(key, Vec::new(), now);
    }
    match house.rooms.get(key).and_then(HostedRoom::deadline) {
        Some(due) => house.schedule.set(Due::Room(key), due),
        None => house.schedule.clear(Due::Room(key)),
    }
    true
}

/// Closes a room: its members are told, its history forgotten.
fn close<S: Store, D: Directory>(
    hosts: &mut Hosts<'_, S, D>,
    house: &mut House,
    key: RoomKey,
    now: Timestamp,
) {
    let Some(mut room) = house.rooms.remove(key) else {
        return;
    };
    let reason = room.closing.take().unwrap_or(RoomCloseReason::Other);
    info!(room = %room.id, kind = room.kind.name, ?reason, "room is closed");
    house.schedule.clear(Due::Room(key));
    house.paused.remove(&key);
    house.addresses.on_room_closed(room.address, now);
    for (player, member) in std::mem::take(&mut room.members) {
        house.schedule.clear(Due::Hold(key, player));
        let abroad = room.as_abroad(house.config.shard, key, &member);
        house.vacate(&member, abroad, Some(reason.clone()), now);
    }
    let refusal = if matches!(reason, RoomCloseReason::Failed(_)) {
        House::room_failed()
    } else {
        unknown_room()
    };
    let asked = room.gate.take_answers().map(|asked| asked.origin());
    for origin in asked.chain(room.queue.take().into_iter().map(|call| call.origin)) {
        let refusal = match origin {
            // The seat went with the room.
            Origin::Leave { .. } => unknown_seat(),
            Origin::Admit { .. } | Origin::None => refusal.clone(),
        };
        house.refuse(origin, refusal);
    }
    if room.after == After::Forget || !rest(hosts, house, &room, now) {
        forget(hosts.keep, &room);
        if room.durable.is_some() {
            hosts.directory.bury(room.id, now);
        }
        hosts.directory.withdraw(room.id);
    }
}

/// Writes that a room is over.
fn forget<S: Store>(keep: &mut Keep<S>, room: &HostedRoom) {
    if let Err(problem) = keep.forget(room) {
        warn!(room = %room.id, %problem, "a closed room is not forgotten");
    }
}

/// What is stored of a closed room stays. False if there is nothing.
fn rest<S: Store, D: Directory>(
    hosts: &mut Hosts<'_, S, D>,
    house: &mut House,
    room: &HostedRoom,
    now: Timestamp,
) -> bool {
    if room.durable.is_none() || !hosts.keep.put_to_rest(room) {
        return false;
    }
    if room.after == After::Quarantine {
        if let Err(problem) = hosts.keep.store.quarantine(room.id)
            && let Some(left_out) = house.store_lines.line(now)
        {
            warn!(room = %room.id, %problem, left_out, "a room that failed is not quarantined");
        }
        house.dormant.fail(room.id);
    } else {
        house.dormant.add(room.id);
    }
    hosts.directory.conceal(room.id);
    true
}

/// Takes all rooms out of this process, each with a checkpoint, so that the next one replays
/// nothing.
pub(crate) fn close_all<S: Store, D: Directory>(
    hosts: &mut Hosts<'_, S, D>,
    house: &mut House,
    now: Timestamp,
) {
    for key in house.rooms.keys() {
        let Some(mut room) = house.rooms.remove(key) else {
            continue;
        };
        house.paused.remove(&key);
        if room.closing.is_some() && room.after == After::Forget {
            // It waits for nothing but this.
            forget(hosts.keep, &room);
            hosts.directory.withdraw(room.id);
            continue;
        }
        determinism::check(hosts.keep, &house.config, &room);
        if let Err(problem) = checkpoint(hosts.keep, &mut room, Occasion::End, now) {
            warn!(room = %room.id, problem, "room stops without a checkpoint");
        }
        hosts.directory.withdraw(room.id);
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::{PlayerId, RoomId, Stay};
    use rejoin_room::builtin::chat::Chat;
    use rejoin_room::{Kinds, RoomSettings, RoomSpec};
    use rejoin_store::MemoryStore;

    use super::*;
    use crate::rooms::durable::Durable;
    use crate::rooms::entry::Opening;

    #[test]
    fn a_refused_checkpoint_is_not_tried_again_at_once() {
        let kinds = Kinds::new().with::<Chat>();
        let kind = *kinds.get("chat").unwrap();
        let now = Timestamp::from_millis(1);
        let spec = RoomSpec {
            room: RoomId([1; 16]),
            owner: PlayerId(1),
            settings: RoomSettings::default(),
            code: None,
        };
        let mut room = HostedRoom::new(kind, &spec, Stay(1), now);
        let opening = Opening {
            kind: kind.name.to_owned(),
            version: kind.version,
            seed: [0; 32],
            spec,
        };
        room.durable = Some(Durable::open(&kind, &opening).unwrap().0);
        let is_due = |room: &HostedRoom, now| {
            room.upkeep
                .is_checkpoint_due(Durability::Exact, usize::MAX, now)
        };
        assert!(is_due(&room, now));
        checkpoint(
            &mut Keep::new(MemoryStore::with_capacity(1)),
            &mut room,
            Occasion::Play,
            now,
        )
        .unwrap();
        assert!(!is_due(&room, now));
        assert!(is_due(&room, now + CHECKPOINT_AFTER));
    }
}
