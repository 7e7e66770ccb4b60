//! Hibernation: a room in which nobody is present leaves memory, with all of its seats, and is taken up again when
//! somebody asks for it.
//!
//! Its checkpoint is followed by a word in its journal that it sleeps, and until when: by the wall clock, since its own
//! clock stands still. After that nobody can come back, and it is forgotten.

use std::time::Duration;

use rejoin_protocol::{RoomId, Timestamp};
use rejoin_room::{Durability, Kind};
use rejoin_store::{Record, Store};
use tracing::{debug, info, warn};

use crate::determinism;
use crate::directory::Directory;
use crate::house::House;
use crate::keep::Keep;
use crate::keys::RoomKey;
use crate::limits::DROWSY_RETRY;
use crate::rooms::entry::{Entry, Sleep};
use crate::rooms::journal;
use crate::rooms::room::HostedRoom;
use crate::rooms::seat::Seat;
use crate::schedule::Due;
use crate::turn::{Hosts, Occasion, checkpoint};

impl House {
    /// How long a room of that kind sleeps; `None`: it does not, and the seats of those who do not come back are given up.
    pub(crate) fn sleep_of(&self, kind: &Kind) -> Option<Duration> {
        let span = match kind.hibernate_for {
            Duration::ZERO => self.config.hibernate_for,
            own => own,
        };
        (!span.is_zero() && kind.durability > Durability::None).then_some(span)
    }

    /// The hold of a seat is over in a room that can sleep: it does so if nobody is present, and else holds on.
    pub(crate) fn on_drowsy(&mut self, key: RoomKey, now: Timestamp) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if room.is_deserted() {
            room.upkeep.drowsy = true;
            return self.rooms.activate(key);
        }
        let here = room
            .durable
            .iter()
            .flat_map(|durable| durable.seats.values());
        let wait = if here.clone().any(Seat::is_here) {
            self.config.seat_hold
        } else {
            // Some connection is about to be given up.
            DROWSY_RETRY
        };
        self.hold_absent(key, now + wait);
    }

    /// Holds the seats of those who are not there for another while.
    fn hold_absent(&mut self, key: RoomKey, until: Timestamp) {
        let Some(room) = self.rooms.get(key) else {
            return;
        };
        let seats = room.durable.iter().flat_map(|durable| &durable.seats);
        for (player, _) in seats.filter(|(_, seat)| !seat.is_here()) {
            self.schedule.set(Due::Hold(key, *player), until);
        }
    }
}

/// Lays a room to sleep if it is time. True if it sleeps.
pub(crate) fn lay<S: Store, D: Directory>(
    hosts: &mut Hosts<'_, S, D>,
    house: &mut House,
    key: RoomKey,
    now: Timestamp,
) -> bool {
    let Some(room) = house.rooms.get_mut(key) else {
        return false;
    };
    let may = room.is_deserted() && room.queue.is_empty() && room.closing.is_none();
    if !std::mem::take(&mut room.upkeep.drowsy) || !may {
        return false;
    }
    let kind = room.kind;
    let Some(span) = house.sleep_of(&kind) else {
        return false;
    };
    let Some(room) = house.rooms.get_mut(key) else {
        return false;
    };
    let sleep = Sleep {
        until_unix_s: house.config.unix_s(now + span),
        code: room.code,
    };
    determinism::check(hosts.keep, &house.config, room);
    if let Err(problem) = write(hosts.keep, room, sleep, now) {
        warn!(room = %room.id, problem, "a room does not hibernate");
        house.hold_absent(key, now + house.config.seat_hold);
        return false;
    }
    let Some(mut room) = house.rooms.remove(key) else {
        return false;
    };
    debug!(room = %room.id, kind = kind.name, "a room hibernates");
    house.schedule.clear(Due::Room(key));
    house.addresses.on_room_closed(room.address, now);
    for (player, member) in std::mem::take(&mut room.members) {
        house.schedule.clear(Due::Hold(key, player));
        let abroad = room.as_abroad(house.config.shard, key, &member);
        house.vacate(&member, abroad, None, now);
    }
    hosts.keep.put_to_rest(&room);
    hosts.directory.conceal(room.id);
    house.dormant.hibernate(room.id, sleep.until_unix_s);
    true
}

/// Writes a room's checkpoint and that it sleeps.
fn write<S: Store>(
    keep: &mut Keep<S>,
    room: &mut HostedRoom,
    sleep: Sleep,
    now: Timestamp,
) -> Result<(), String> {
    checkpoint(keep, room, Occasion::End, now)?;
    if room.upkeep.dirty_since.is_some() {
        return Err("its checkpoint is not stored".to_owned());
    }
    let level = room.kind.durability;
    if level.is_journalled() {
        let mut body = Vec::new();
        journal::encode(room.clock.at(now), [Entry::Asleep(sleep)].iter(), &mut body);
        let record = Record {
            room: room.id,
            sequence: room.sequence + 1,
            body: &body,
        };
        keep.append(level, &[record]).map_err(|it| it.to_string())?;
        room.sequence += 1;
    }
    Ok(())
}

/// A room of the store sleeps: it stays there, and whoever has its code finds it.
pub(crate) fn leave_asleep<S, D: Directory>(
    hosts: &mut Hosts<'_, S, D>,
    house: &mut House,
    (id, sleep): (RoomId, Sleep),
) {
    if let Some(code) = sleep.code {
        hosts
            .directory
            .publish_private(house.config.shard, id, code);
    }
    house.dormant.hibernate(id, sleep.until_unix_s);
}

/// Forgets rooms that slept for too long.
pub(crate) fn forget_overdue<S: Store, D: Directory>(
    hosts: &mut Hosts<'_, S, D>,
    house: &mut House,
    now: Timestamp,
) {
    while let Some(id) = house.dormant.take_overdue(house.config.unix_s(now)) {
        info!(room = %id, "a room slept for too long, and is forgotten");
        if let Err(problem) = hosts.keep.store.forget(id) {
            warn!(room = %id, %problem, "a room is not forgotten");
        }
        hosts.directory.bury(id, now);
        hosts.directory.withdraw(id);
    }
}
