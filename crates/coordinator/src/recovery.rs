//! A shard takes up the rooms that an earlier process left in its store.
//!
//! Called with each turn, until all are up: first the rooms that somebody waits for, then as many others as a turn may
//! take. Each is rebuilt from its checkpoint and its journal, so that it stands where it stood, bit for bit; its clock
//! goes on, and its seats are held until their clients come back. A room that cannot be rebuilt stays in the store as
//! it is, and its id is given to no other.

use std::time::Duration;

use rejoin_protocol::message::RoomCloseReason;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::wire::VARINT_MAX;
use rejoin_protocol::{PlayerId, Rng, RoomId, Stay, Timestamp};
use rejoin_room::{Kinds, Receipt};
use rejoin_store::{Standing, Store, StoreError};
use tracing::{error, info, warn};

use crate::directory::Directory;
use crate::dormant::{Dormant, Waiting};
use crate::hibernation::leave_asleep;
use crate::house::House;
use crate::keep::Keep;
use crate::limits::{RECOVERED_PER_TURN, RECOVERY_PER_TURN, VIEWS_PER_EPOCH};
use crate::rooms::checkpoint::{self, Reach};
use crate::rooms::entry::{Entry, Sleep};
use crate::rooms::journal;
use crate::rooms::queue::Origin;
use crate::rooms::replay::{self, ReplayError};
use crate::rooms::room::HostedRoom;
use crate::schedule::Due;
use crate::stopwatch::Stopwatch;
use crate::turn::Hosts;

/// Why a room of the store cannot be taken up.
#[derive(Debug, thiserror::Error)]
enum RecoveryError {
    #[error("the store does not give it: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("nothing is stored of it")]
    Nothing,
    #[error("it sleeps")]
    Asleep(Sleep),
    #[error("it is quarantined: the process ended while it was loaded, or it failed before")]
    Quarantined,
}

/// The rooms of a store that are this shard's to take up. Where each of them is, other shards know from now on.
pub(crate) fn survey<S: Store, D: Directory>(hosts: &mut Hosts<'_, S, D>, shard: u8) -> Dormant {
    let mut rooms = hosts.keep.store.rooms_newest_first();
    rooms.retain(|room| {
        let ours = hosts.directory.claim(*room, shard) == shard;
        if !ours {
            warn!(%room, shard, "a room is stored at two shards; another one has it");
        }
        ours
    });
    Dormant::of(rooms)
}

/// Takes up rooms for as long as a turn may take.
pub(crate) fn recover<S: Store, D: Directory>(
    hosts: &mut Hosts<'_, S, D>,
    house: &mut House,
    (kinds, rng): (&Kinds, &mut Rng),
    stopwatch: &mut dyn Stopwatch,
    now: Timestamp,
) {
    let (mut took, may_lack) = (Duration::ZERO, house.config.store_may_lack);
    for _ in 0..RECOVERED_PER_TURN {
        let Some(id) = house.dormant.next() else {
            break;
        };
        let stays = Stay(rng.next_u64());
        let wanted = house.dormant.is_wanted(id);
        let loaded = load(
            hosts.keep,
            kinds,
            (id, stays),
            (wanted, may_lack),
            stopwatch,
            now,
        );
        took += loaded.took;
        match loaded.room {
            Ok((room, receipt)) => take_up(house, room, receipt, now),
            Err(RecoveryError::Asleep(sleep)) => leave_asleep(hosts, house, (id, sleep)),
            Err(problem) => {
                error!(room = %id, %problem, "a room cannot be restored; what is stored of it stays");
                house.dormant.fail(id);
            }
        }
        if took >= RECOVERY_PER_TURN {
            break;
        }
    }
    if house.dormant.is_first_done() && house.rooms.len() > 0 {
        let (shard, rooms) = (house.config.shard, house.rooms.len());
        let (failed, asleep) = (house.dormant.failed(), house.dormant.asleep());
        info!(shard, rooms, asleep, failed, "rooms are restored");
    }
    go_on(house);
}

/// What waited for rooms that are up goes on.
fn go_on(house: &mut House) {
    for (room, call) in house.dormant.take_answerable() {
        match call {
            Waiting::Request(request) => {
                if let Some(asker) = house.sessions.get_mut(request.session) {
                    asker.requests += 1;
                    house.requests.push_back(request);
                }
            }
            Waiting::Ask(from, ask) => house.ask_from_abroad(room, from, ask),
        }
    }
}

/// A room that was loaded, or why it was not, and how long that took.
struct Loaded {
    room: Result<(HostedRoom, Receipt), RecoveryError>,
    took: Duration,
}

/// Rebuilds a room. The store knows of it meanwhile: a room that takes the process with it, time and again, is left
/// alone at last.
fn load<S: Store>(
    keep: &mut Keep<S>,
    kinds: &Kinds,
    (id, stays): (RoomId, Stay),
    (wanted, may_lack): (bool, bool),
    stopwatch: &mut dyn Stopwatch,
    now: Timestamp,
) -> Loaded {
    let mut took = Duration::ZERO;
    let mut rebuilt = || {
        let stored = keep.store.load(id)?.ok_or(RecoveryError::Nothing)?;
        let last = stored.records.last().filter(|_| !wanted);
        if let Some(sleep) = last.and_then(|(_, body)| journal::sleep_of(body)) {
            return Err(RecoveryError::Asleep(sleep));
        }
        // A server that lacks its kind says nothing about the room.
        let origin = replay::origin_of(&stored, kinds)?;
        if begin(&mut keep.store, id)?.quarantined {
            return Err(RecoveryError::Quarantined);
        }
        let kind = origin.kind;
        stopwatch.begin(id, kind.name);
        let durable = replay::rebuild(&stored, kinds, u64::MAX);
        took = stopwatch.end();
        // Room logic that failed may do so again; for anything else the room is not to blame.
        if !matches!(durable, Err(ReplayError::Replayed { .. })) {
            end(&mut keep.store, id)?;
        }
        let mut durable = durable?.ok_or(RecoveryError::Nothing)?;
        if let Some(loss) = stored.loss {
            warn!(room = %id, ?loss, "a room goes on without the newest that was stored of it");
        }
        let sequence = stored.newest();
        let may_lack = may_lack && !planted::is(Bug::LackIgnored);
        let lost = may_lack || stored.loss.is_some() || origin.partial;
        let rebuilt = origin.version != kind.version && !stored.records.is_empty();
        if rebuilt {
            let (written_by, version, records) =
                (origin.version, kind.version, stored.records.len());
            warn!(
                room = %id, kind = kind.name, written_by, version, records,
                "a room is rebuilt, not exact: another version of its logic made its newest calls again"
            );
        }
        let receipt = Receipt::new(lost, rebuilt);
        let mut body = Vec::new();
        if !kind.durability.is_journalled() {
            // Its records are numbered anew.
            durable.views_from += sequence;
            checkpoint::encode(&durable, &kind, Reach::default(), &mut body)
                .map_err(ReplayError::Call)?;
        }
        let mut room = HostedRoom::restored(kind, durable, (sequence, stays), now);
        if room.durable.as_ref().is_some_and(|durable| durable.ended) {
            // The process before ended with the turn in which the room did.
            room.closing = Some(RoomCloseReason::Gone);
        }
        room.rolled_back = lost || room.seats().any(|seat| seat.rolled_to.is_some());
        keep.adopt(&mut room, body.into())?;
        Ok((room, receipt))
    };
    Loaded {
        room: rebuilt(),
        took,
    }
}

/// Counts a load. A full store counts none, and loads all the same.
fn begin<S: Store>(store: &mut S, id: RoomId) -> Result<Standing, StoreError> {
    match store.begin_load(id) {
        Err(StoreError::Full { .. }) => Ok(store.standing(id)),
        begun => begun,
    }
}

fn end<S: Store>(store: &mut S, id: RoomId) -> Result<(), StoreError> {
    match store.end_load(id) {
        Err(StoreError::Full { .. }) => Ok(()),
        ended => ended,
    }
}

fn take_up(house: &mut House, room: HostedRoom, receipt: Receipt, now: Timestamp) {
    house.dormant.remove(room.id);
    let players: Vec<PlayerId> = room.members.keys().copied().collect();
    // Of what was shown nothing may be left, not even how far names had come: so they begin anew, beyond all epochs before
    // and beyond what is known.
    let views = match receipt.rolled_back {
        true => {
            let before = house.config.epoch.0.saturating_sub(1);
            let before = before.saturating_mul(VIEWS_PER_EPOCH);
            before.max(room.view_name()).saturating_add(VIEWS_PER_EPOCH)
        }
        false => 0,
    };
    let views = views.min(VARINT_MAX / 2);
    let key = house.rooms.insert(room);
    for player in players {
        let hold = now + house.config.seat_hold;
        house.schedule.set(Due::Hold(key, player), hold);
    }
    let entry = Entry::Restored { receipt, views };
    house.rooms.push(key, entry, Origin::None);
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use rejoin_protocol::crypto::StaticKeys;
    use rejoin_room::{Cx, Room, RoomSpec};
    use rejoin_store::{MemoryStore, Record};

    use super::*;
    use crate::{Config, MemoryDirectory, Shard};

    const ROOM: RoomId = RoomId([6; 16]);

    /// Over with its first tick.
    struct Brief;

    impl Room for Brief {
        const KIND: &'static str = "brief";
        const TICK_HZ: u32 = 1;

        type State = ();
        type Input = ();
        type View = ();
        type Event = ();

        fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) {}

        fn input((): &mut (), _from: PlayerId, (): (), _cx: &mut Cx<Self>) {}

        fn tick((): &mut (), cx: &mut Cx<Self>) {
            cx.close("over");
        }

        fn view((): &()) -> Cow<'_, ()> {
            Cow::Owned(())
        }
    }

    #[test]
    fn a_room_that_ended_before_its_process_forgot_it_does_not_come_back() {
        let opening = Entry::opening::<Brief>(ROOM);
        let mut store = MemoryStore::default();
        for (sequence, entry) in (1..).zip([opening, Entry::Tick]) {
            let mut body = Vec::new();
            journal::encode(Duration::from_secs(sequence), [entry].iter(), &mut body);
            let record = Record {
                room: ROOM,
                sequence,
                body: &body,
            };
            store.append(&[record]).unwrap();
        }
        let config = Config::new(StaticKeys::development(), [7; 32]);
        let kinds = Kinds::new().with::<Brief>();
        let (rng, now) = (Rng::from_number(1), Timestamp::ZERO);
        let mut shard = Shard::new(config, kinds, store, MemoryDirectory::default(), rng, now);
        shard.turn(now);
        assert_eq!(shard.stats().rooms, 0);
        assert_eq!(shard.into_store().rooms(), []);
    }
}
