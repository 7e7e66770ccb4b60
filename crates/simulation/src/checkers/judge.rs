//! Judges the whole, once the wounds had time to heal.

use std::time::Duration;

use rejoin_client::{Ended, Loss, State};
use rejoin_protocol::{CloseReason, Liveness, PlayerId, RoomId, SeatId, Timestamp};

use super::loading::judge_shown;
use super::lookup::{player_of, seats_in};
use crate::cast::{Cast, Seat};
use crate::report::{Violation, ensure};
use crate::scene::Scene;

/// Everything must be whole: checked once, well after the faults ended.
pub(crate) fn judge(cast: &Cast, scene: &Scene) -> Result<(), Violation> {
    for (number, player) in cast.players.iter().enumerate() {
        let client = cast
            .living_client(number)
            .map(|client| (client, cast.client(client)));
        let playing = client.filter(|(_, client)| client.can_play());
        let Some((name, client)) = playing else {
            return Err(Violation::new(
                "every player is back after the faults",
                format!(
                    "player {number}: {:?}",
                    client.map(|(_, client)| client.core.state())
                ),
            ));
        };
        let told = || format!("player {number}, client {name}");
        let live = *client.core.state() == State::Active(Liveness::Live);
        ensure(live, "every client trusts the server again", || {
            format!("{}: {:?}", told(), client.core.state())
        })?;
        ensure(client.calls.is_empty(), "every request is answered", || {
            format!("{}: {:?}", told(), client.calls)
        })?;
        for wish in &player.wishes {
            ensure(
                client.sits_in(wish.group),
                "every player has its seats",
                || format!("{}: no seat in group {}", told(), wish.group),
            )?;
        }
        let id = player_of(cast, name)?;
        for (seat, held) in &client.seats {
            judge_seat(cast, scene, (name, *seat, held), id)?;
        }
    }
    Ok(())
}

fn judge_seat(
    cast: &Cast,
    scene: &Scene,
    (client, id, seat): (usize, SeatId, &Seat),
    player: PlayerId,
) -> Result<(), Violation> {
    let room = seat.room;
    let sent = scene.lives.newest(seat.site(), player);
    let told = || format!("client {client}, {id:?} in {room}");
    ensure(
        seat.era == scene.operator.era(),
        "no seat outlives its room",
        told,
    )?;
    let cursor = cast.client(client).core.cursor(id);
    ensure(
        cursor == Some(sent),
        "every reliable input is applied",
        || format!("{}: cursor {cursor:?} of {sent} sent", told()),
    )?;
    let newest = seat.newest.as_ref();
    let newest =
        newest.ok_or_else(|| Violation::new("every member has a view of its room", told()))?;
    let age = scene.now.since(newest.at);
    ensure(
        !seat.kind.ticks() || age < STALE_AFTER + scene.options.breaks.synced_within(),
        "views keep coming",
        || format!("{}: newest {age:?} ago", told()),
    )?;
    judge_lines(scene, seat, &newest.view)
        .and_then(|()| judge_rows(cast, scene, (client, id, seat), player))?;
    judge_shown(cast, (client, seat), player)?;
    judge_alike(cast, scene.now, (client, id, seat))
}

/// All that the room told to all must have been told here.
fn judge_lines(scene: &Scene, seat: &Seat, view: &[u8]) -> Result<(), Violation> {
    let Some(told) = seat.kind.lines(view)? else {
        return Ok(());
    };
    let heard = seat.line.map(|(_, number)| number);
    let is_new = scene.now.since(seat.taken_at) < NEW_FOR;
    let complete = heard.map_or(told == 0 || is_new, |heard| heard >= told);
    ensure(complete, "every event arrives", || {
        format!("{}: line {heard:?} of {told}", seat.room)
    })
}

/// The rows of a view must show all that was done.
fn judge_rows(
    cast: &Cast,
    scene: &Scene,
    (client, id, seat): (usize, SeatId, &Seat),
    player: PlayerId,
) -> Result<(), Violation> {
    let room = seat.room;
    let told = || format!("client {client}, {id:?} in {room}");
    let Some(newest) = seat.newest.as_ref().filter(|_| seat.kind.counts()) else {
        return Ok(());
    };
    let rows = seat.kind.rows(&newest.view)?;
    let sitting = members(cast, room);
    for member in &sitting {
        if newest.private && *member != player {
            continue;
        }
        let row = rows.iter().find(|row| row.player == *member);
        let shown = row.map(|row| (row.count, row.chain));
        let total = scene.lives.total(seat.site(), *member);
        ensure(
            shown == Some(total),
            "all members see what all members did",
            || {
                format!(
                    "{}: {member} is shown as {shown:?} and did {total:?}",
                    told()
                )
            },
        )?;
    }
    let own = rows.iter().find(|row| row.player == player);
    let latest = own.map_or(0, |row| row.latest);
    ensure(
        latest >= seat.latest,
        "the newest latest input arrives",
        || format!("{}: {latest} is shown, {} was sent", told(), seat.latest),
    )?;
    let ghost = rows.iter().find(|row| cast.by_id(row.player).is_none());
    ensure(ghost.is_none(), "rooms show players only", || {
        format!("{}: {ghost:?}", told())
    })
}

/// Rooms without a clock must show all members the very same.
fn judge_alike(
    cast: &Cast,
    now: Timestamp,
    (client, id, seat): (usize, SeatId, &Seat),
) -> Result<(), Violation> {
    for (other, held) in seats_in(cast, seat.room) {
        let newer = [held, seat].into_iter().max_by_key(|it| it.sequence);
        let newer = newer.and_then(|it| it.newest.as_ref());
        let on_its_way = newer.is_some_and(|it| now.since(it.at) < ON_ITS_WAY);
        if on_its_way && !seat.kind.ticks() {
            continue;
        }
        let spread = held.sequence.abs_diff(seat.sequence);
        let same = match (&held.newest, &seat.newest) {
            (Some(one), Some(two)) => one.private || two.private || one.hash == two.hash,
            _ => false,
        };
        let alike = if seat.kind.ticks() {
            spread <= SPREAD_MAX
        } else {
            same
        };
        ensure(alike, "all members of a room hold the same view", || {
            format!(
                "clients {client} and {other} in {}: {id:?} at {} and {}",
                seat.room, seat.sequence, held.sequence
            )
        })?;
    }
    Ok(())
}

/// Every client must know that the server stopped.
pub(crate) fn judge_end(cast: &Cast) -> Result<(), Violation> {
    for number in 0..cast.players.len() {
        let Some(client) = cast.player(number).client else {
            continue;
        };
        let ended = cast.client(client).ended.as_ref();
        let away = cast.client(client).away;
        let knows = ended == Some(&Ended::Closed(CloseReason::ServerStopping))
            || away == Some(Loss::Closed(CloseReason::ServerStopping));
        ensure(knows, "an orderly stop is told to every client", || {
            format!("client {client}: {ended:?}, away {away:?}")
        })?;
    }
    Ok(())
}

fn members(cast: &Cast, room: RoomId) -> Vec<PlayerId> {
    let players = seats_in(cast, room).filter_map(|(client, _)| player_of(cast, client).ok());
    let guest = cast
        .guest
        .iter()
        .filter(|(_, sits_in)| *sits_in == Some(room));
    players
        .chain(guest.filter_map(|(player, _)| player.id))
        .collect()
}

/// How long a view may be on its way to some members while others have it.
const ON_ITS_WAY: Duration = Duration::from_millis(500);
/// How old the newest view of a ticking room may be on a clean network: five heartbeats.
const STALE_AFTER: Duration = Duration::from_millis(2_500);
/// How far members of a ticking room may be apart, in snapshots: a second at 30 Hz.
const SPREAD_MAX: u64 = 30;
/// How long a seat may be without a line in a room that speaks: two beats of the witness.
const NEW_FOR: Duration = Duration::from_secs(6);
