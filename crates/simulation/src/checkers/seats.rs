//! Judges seats as they are taken, found again and lost.

use std::time::Duration;

use rejoin_protocol::message::{Member, RoomCloseReason, Seated};
use rejoin_protocol::{RoomId, SeatId};

use super::lookup::{player_of, seat_mut, was_deaf};
use super::private::invited;
use crate::cast::{Cast, Client, Player, Seat};
use crate::model::{Arrival, Site, Standing, StayOf};
use crate::report::{Violation, ensure};
use crate::scene::{Phase, Scene};

pub(super) fn seated(
    cast: &mut Cast,
    scene: &mut Scene,
    client: usize,
    (group, wanted): (usize, RoomId),
    told: &Seated,
) -> Result<(), Violation> {
    scene.counters.seats += 1;
    let Seated {
        seat,
        room,
        stay,
        player,
        cursor,
        created,
        ..
    } = *told;
    fits_request(cast, client, (group, wanted), told)?;
    let kind = cast.group(group).kind;
    let site = Site {
        era: cast.client(client).era,
        room,
    };
    let process = cast.client(client).process;
    let generation = scene.operator.generation(process);
    let is_past = scene.operator.has_lost_since(process);
    let is_news = site.era == scene.operator.era() && scene.holds(process, room);
    if is_news {
        scene.rooms.code_told(room, told.code)?;
    }
    let mut members = told.members.iter();
    members.try_for_each(|member| invited(cast, group, &member.name))?;
    if created {
        scene.counters.rooms += 1;
        if is_news {
            scene.rooms.created(room, player);
        }
        let fits = scene.counters.rooms <= scene.rooms.opened();
        ensure(fits, "who opens a room is told once", || {
            format!("client {client} in {room}")
        })?;
    }
    let own = cast.client(client).player;
    if is_hold_over(cast, scene, client)
        || cast.player(own).has_left
        || scene.rooms.may_be_closed(room)
    {
        scene.lives.may_end(site, player);
    }
    let before = held_in(cast.client(client), site);
    let returns = cast.client(client).returns;
    let of = (site, player, stay);
    if cast.is_stale(client) {
        scene.lives.noted(of, scene.now);
    } else {
        let told = Standing {
            cursor,
            lost: told.inputs_lost,
            at: scene.now,
            holds: scene.holds(process, room),
        };
        arrive(scene, of, told, (&before, returns))?;
        scene.lives.claimed(of, client);
    }
    if is_past {
        // Power was lost since, and the seat perhaps with it.
        scene.lives.may_end(site, player);
    }
    go_on(cast, scene, client, (&before, told))?;
    let mut fresh = Seat::new((group, kind), site.era, told, scene.now);
    (fresh.returns, fresh.generation) = (returns, generation);
    fresh.lost = told.inputs_lost;
    take_seat(cast.client_mut(client), seat, before, fresh)
}

/// The seat is in the room that was asked for, and the player's.
fn fits_request(
    cast: &Cast,
    client: usize,
    (group, wanted): (usize, RoomId),
    told: &Seated,
) -> Result<(), Violation> {
    let (room, player) = (told.room, told.player);
    let kind = cast.group(group).kind;
    let fits = room == wanted && told.kind == kind.name();
    ensure(fits, "one request id names one room", || {
        format!(
            "client {client} asked for {wanted} and sits in {} {room}",
            told.kind
        )
    })?;
    let own = cast.player(cast.client(client).player);
    let known = |member: &Member| member.player == player && member.name == own.name;
    let fits = own.id == Some(player) && told.members.iter().any(known);
    ensure(fits, "a player is the same in all rooms", || {
        format!(
            "client {client}: {:?}, in {room} {player}, {:?}",
            own.id, told.members
        )
    })
}

/// A player has the seat: for the first time, again, or on another connection, where only what that client kept
/// goes on.
fn arrive(
    scene: &mut Scene,
    of: StayOf,
    told: Standing,
    (before, returns): (&Option<(SeatId, Seat)>, u32),
) -> Result<(), Violation> {
    match before {
        None => scene.lives.seated(of, told, Arrival::New),
        Some((_, known)) if known.returns == returns => {
            scene.lives.seated(of, told, Arrival::Repeated)
        }
        Some((_, known)) => {
            let kept: Vec<_> = known.kept.iter().copied().collect();
            scene.lives.resumed(of, told, &kept)
        }
    }
}

/// The seat is of the stay that the client knows, or events go on where other clients of the player stand.
fn go_on(
    cast: &Cast,
    scene: &mut Scene,
    client: usize,
    (before, told): (&Option<(SeatId, Seat)>, &Seated),
) -> Result<(), Violation> {
    let Some((_, known)) = before else {
        // Events that overtook an answer are not told before it, and die with their connection.
        let before = cast.client(client).asked_before.contains(&told.room);
        let unsure = before || was_deaf(cast, client, told.room);
        return scene.hearings.seated(told, unsure);
    };
    ensure(known.stay == told.stay, "a stay keeps its name", || {
        format!("client {client}: {:?}, then {told:?}", known.stay)
    })
}

/// The seat that a client was told of before.
fn held_in(client: &Client, site: Site) -> Option<(SeatId, Seat)> {
    let mut seats = client.seats.iter();
    let held = seats.find(|(_, held)| held.site() == site);
    held.map(|(id, held)| (*id, held.clone()))
}

/// Notes a seat. One that the client held under another name keeps what was seen.
pub(super) fn take_seat(
    client: &mut Client,
    seat: SeatId,
    before: Option<(SeatId, Seat)>,
    fresh: Seat,
) -> Result<(), Violation> {
    let fresh = match before {
        Some((id, _)) if id == seat => {
            // It waited for this since its client came back.
            let known = client.seats.get_mut(&id);
            if let Some(known) = known.filter(|known| known.returns != fresh.returns) {
                known.on_return(fresh.returns, fresh.generation, fresh.taken_at);
            }
            if let Some(known) = client.seats.get_mut(&id) {
                known.lost = fresh.lost;
            }
            return Ok(());
        }
        Some((
            id,
            Seat {
                sequence,
                tick,
                newest,
                event,
                line,
                whispered,
                heard,
                generation,
                ..
            },
        )) => {
            client.seats.remove(&id);
            if generation != fresh.generation {
                // The room may be as it was some moments before.
                return put(
                    client,
                    seat,
                    Seat {
                        sequence,
                        event,
                        ..fresh
                    },
                );
            }
            Seat {
                sequence,
                tick,
                newest,
                event,
                line,
                whispered,
                heard,
                ..fresh
            }
        }
        None => fresh,
    };
    put(client, seat, fresh)
}

fn put(client: &mut Client, seat: SeatId, fresh: Seat) -> Result<(), Violation> {
    let taken = client.seats.insert(seat, fresh);
    ensure(taken.is_none(), "each seat has its own name", || {
        format!("{seat:?}")
    })
}

pub(super) fn room_closed(
    cast: &mut Cast,
    scene: &mut Scene,
    (client, id): (usize, SeatId),
    reason: &RoomCloseReason,
) -> Result<(), Violation> {
    let Site { era, room } = seat_mut(cast, client, id)?.site();
    let past = era != scene.operator.era();
    let fits = match reason {
        RoomCloseReason::Gone => may_be_gone(cast, scene, (client, id)),
        RoomCloseReason::ClosedByOwner => past || scene.rooms.may_be_closed(room),
        RoomCloseReason::ServerStopping => scene.phase == Phase::Stopping,
        RoomCloseReason::Ended(_)
        | RoomCloseReason::Removed(_)
        | RoomCloseReason::Failed(_)
        | RoomCloseReason::Other
        | _ => false,
    };
    end_seat(cast, scene, (client, id));
    if *reason == RoomCloseReason::Gone {
        let (of, era) = (cast.client(client).player, cast.client(client).era);
        cast.player_mut(of).gone_at = Some(scene.now);
        if let Some(player) = cast.player(of).id {
            // Another seat there, of another client of the player, may be given back with it.
            scene.lives.may_end(Site { era, room }, player);
        }
    }
    ensure(fits, "rooms close only for cause", || {
        format!("client {client}, {room}: {reason:?}")
    })
}

pub(super) fn end_seat(cast: &mut Cast, scene: &mut Scene, (client, seat): (usize, SeatId)) {
    let player = player_of(cast, client).ok();
    if let (Some(seat), Some(player)) = (cast.client_mut(client).seats.remove(&seat), player) {
        scene.lives.ended(seat.stay_of(player));
    }
}

/// True if the player's newest client had the time of a hold to claim a seat in `room`, and has
/// none.
pub(super) fn is_unclaimed(cast: &Cast, scene: &Scene, player: &Player, room: RoomId) -> bool {
    player.client.is_some_and(|client| {
        let client = cast.client(client);
        let has_seat = client.seats.values().any(|seat| seat.room == room);
        let unclaimed = player.reached.before(client.since, scene.now);
        !has_seat && unclaimed >= scene.options.seat_hold
    })
}

/// True if the hold of the seats of a client's player may have run out: nobody was heard, or nobody claimed them
/// from when the client before fell silent, or this one lost its connection.
pub(super) fn is_hold_over(cast: &Cast, scene: &Scene, number: usize) -> bool {
    let client = cast.client(number);
    let own = cast.player(client.player);
    let silent = own.reached.longest(HOLD_WITHIN, scene.now);
    let unclaimed = own.reached.before(client.since, scene.now);
    silent.max(unclaimed) >= scene.options.seat_hold
}

/// True if a client's seat may be lost without its knowledge.
pub(super) fn may_be_gone(cast: &Cast, scene: &Scene, (number, id): (usize, SeatId)) -> bool {
    let client = cast.client(number);
    let Some(seat) = client.seats.get(&id) else {
        return true;
    };
    let own = cast.player(client.player);
    let lost = own
        .id
        .is_none_or(|player| scene.lives.may_have_ended(seat.site(), player));
    seat.era != scene.operator.era()
        || seat.era != client.era
        || lost
        || own.has_left
        || scene.rooms.may_be_closed(seat.room)
        || cast.is_stale(number)
        || is_hold_over(cast, scene, number)
}

/// How late the news of the end of a hold may be: it is noticed when the player returns.
pub(super) const HOLD_WITHIN: Duration = Duration::from_secs(60);
