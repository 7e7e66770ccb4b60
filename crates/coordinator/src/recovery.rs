//! A shard takes up the rooms that an earlier process left in its store.
//!
//! Called once, before the shard serves. Each room is rebuilt from its checkpoint and its journal, so that it stands where
//! it stood, bit for bit; its clock goes on, and its seats are held until their clients come back. A room that cannot be
//! rebuilt stays in the store as it is, and its id is given to no other.

use rejoin_protocol::{PlayerId, Rng, RoomId, Stay, Timestamp};
use rejoin_room::Kinds;
use rejoin_store::{Store, StoreError};
use tracing::{error, info, warn};

use crate::directory::Directory;
use crate::house::House;
use crate::rooms::entry::Entry;
use crate::rooms::queue::Origin;
use crate::rooms::replay::{self, ReplayError};
use crate::rooms::room::HostedRoom;
use crate::schedule::Due;
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
}

/// Takes up all rooms of the store.
pub(crate) fn recover<S: Store, D: Directory>(
    hosts: &mut Hosts<'_, S, D>,
    house: &mut House,
    kinds: &Kinds,
    rng: &mut Rng,
    now: Timestamp,
) {
    let shard = house.config.shard;
    let (mut rooms, mut seats) = (0_u64, 0);
    for id in hosts.store.rooms() {
        let stays = Stay(rng.next_u64());
        match rebuild(hosts.store, kinds, (id, stays), now) {
            Ok(_) if hosts.directory.claim(id, shard) != shard => {
                warn!(room = %id, shard, "a room is stored at two shards; another one has it");
            }
            Ok(room) => {
                rooms += 1;
                seats += room.taken();
                take_up(house, room, now);
            }
            Err(problem) => {
                error!(room = %id, %problem, "a room cannot be restored; what is stored of it stays");
                house.unreadable.insert(id);
            }
        }
    }
    if rooms > 0 {
        let unreadable = house.unreadable.len();
        info!(shard, rooms, seats, unreadable, "rooms are restored");
    }
}

fn rebuild<S: Store>(
    store: &S,
    kinds: &Kinds,
    (id, stays): (RoomId, Stay),
    now: Timestamp,
) -> Result<HostedRoom, RecoveryError> {
    let stored = store.load(id)?.ok_or(RecoveryError::Nothing)?;
    if let Some(loss) = stored.loss {
        warn!(room = %id, ?loss, "a room goes on without the newest that was stored of it");
    }
    let durable = replay::rebuild(&stored, kinds, u64::MAX)?.ok_or(RecoveryError::Nothing)?;
    let newest = stored.records.last().map(|(sequence, _)| *sequence);
    let sequence = newest.unwrap_or(stored.checkpoint_sequence);
    let name = durable.instance.kind();
    let kind = kinds.get(name);
    let kind = kind.ok_or_else(|| ReplayError::UnknownKind(name.to_owned()))?;
    Ok(HostedRoom::restored(*kind, durable, (sequence, stays), now))
}

fn take_up(house: &mut House, room: HostedRoom, now: Timestamp) {
    let players: Vec<PlayerId> = room.members.keys().copied().collect();
    let key = house.rooms.insert(room);
    for player in players {
        let hold = now + house.config.seat_hold;
        house.schedule.set(Due::Hold(key, player), hold);
    }
    house.rooms.push(key, Entry::Restored, Origin::None);
}
