//! Judges what members are shown of each other: who loads, who is there again.

use std::time::Duration;

use rejoin_protocol::PlayerId;
use rejoin_protocol::message::SeatChange;

use super::lookup::{player_of, seats_in};
use crate::cast::{Cast, Client, Seat};
use crate::report::{Violation, ensure};
use crate::scene::Scene;

/// All who can be told must have been told that the player loads, and nothing else since.
pub(crate) fn check_load(cast: &Cast, scene: &mut Scene, player: usize) -> Result<(), Violation> {
    let Some(watched) = scene.loads.watched(player) else {
        return Ok(());
    };
    // Another client of the player, or none: what members are told is of that one.
    if cast.living_client(player) != Some(watched.client) {
        return Ok(());
    }
    let id = player_of(cast, watched.client)?;
    let mut proven = 0;
    for own in cast.client(watched.client).seats.values() {
        let settled = own.taken_at + SETTLED_FOR <= watched.at && !own.leaving;
        for (number, held) in seats_in(cast, own.room).filter(|_| settled) {
            let member = cast.client(number);
            let reached = held.taken_at <= watched.at && is_reached(member, scene);
            if member.player == player || !reached {
                continue;
            }
            let shown = held.shown.get(&id);
            let fits = shown
                .is_some_and(|(change, at)| *change == SeatChange::Loading && *at >= watched.at);
            ensure(fits, "who loads is shown as loading", || {
                format!("client {number} in {}: {id} is {shown:?}", own.room)
            })?;
            proven += 1;
        }
    }
    scene.counters.loads_proven += proven;
    Ok(())
}

/// True if nothing kept the news from a client of late.
fn is_reached(client: &Client, scene: &Scene) -> bool {
    client.can_play() && client.heard.longest(SETTLED_FOR, scene.now) < Duration::from_secs(1)
}

/// Whoever has its seat and plays is not shown as loading, late or gone.
pub(super) fn judge_shown(
    cast: &Cast,
    (client, seat): (usize, &Seat),
    player: PlayerId,
) -> Result<(), Violation> {
    for (other, _) in seats_in(cast, seat.room) {
        let id = player_of(cast, other)?;
        let Some((change, at)) = seat.shown.get(&id).filter(|_| id != player) else {
            continue;
        };
        let there = matches!(change, SeatChange::Joined | SeatChange::Returned);
        ensure(there, "who is back is shown as back", || {
            format!(
                "client {client} in {}: {id} is {change:?} since {at:?}",
                seat.room
            )
        })?;
    }
    Ok(())
}

/// How long a seat or a path must have been sound before news is due.
const SETTLED_FOR: Duration = Duration::from_secs(3);
