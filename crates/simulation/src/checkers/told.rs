//! Judges what a client is told, event by event.

use std::time::Duration;

use rejoin_client::{Ended, Event};
use rejoin_protocol::limits::{DETACH_AFTER, SUSPECT_AFTER_MIN};
use rejoin_protocol::message::{Answer, CallId, Member, RoomCloseReason, SeatChange, Seated};
use rejoin_protocol::{
    CloseReason, Limit, Liveness, PlayerId, Refusal, RefusalCode, RoomId, SeatId, SessionId,
};

use super::lookup::{known_seat, player_of, seat_mut, was_deaf};
use super::private::{guessed, invited, is_over_budget};
use super::shown::{View, missed, said, viewed};
use crate::cast::{Asked, Cast, Client, Player, Seat};
use crate::model::Arrival;
use crate::report::{Violation, ensure};
use crate::scene::{Phase, Scene};
use crate::trace::Mark;

/// Judges one event of a client.
pub(crate) fn told(
    cast: &mut Cast,
    scene: &mut Scene,
    client: usize,
    event: Event,
) -> Result<(), Violation> {
    if !matches!(event, Event::View { .. } | Event::Room { .. }) {
        let text = format!("{event:?}");
        scene
            .trace
            .fold(Mark::Told, client, text.as_bytes(), scene.now);
        scene
            .trace
            .note(scene.now, || format!("client {client} is told {text}"));
    }
    let ended = cast.client(client).ended.clone();
    ensure(ended.is_none(), "the end is the last event", || {
        format!("client {client}: {event:?} after {ended:?}")
    })?;
    match event {
        Event::Connected { session } => connected(cast, scene, client, session),
        Event::Answer { call, result } => answered(cast, scene, client, call, result),
        Event::View {
            seat,
            sequence,
            tick,
            cursor,
            view,
            private,
            full,
            ..
        } => {
            let told = View {
                sequence,
                tick,
                cursor,
                view,
                private,
                full,
            };
            viewed(cast, scene, (client, seat), told)
        }
        Event::Room {
            seat,
            number,
            payload,
        } => said(cast, scene, (client, seat), number, &payload),
        Event::EventsMissed { seat, count } => missed(cast, scene, (client, seat), count),
        Event::Seat {
            seat,
            player,
            name,
            change,
        } => {
            known_seat(cast, client, seat)?;
            seat_changed(cast, scene, (client, seat), (player, &name), change)
        }
        Event::InputRefused {
            seat,
            number,
            refusal,
        } => Err(Violation::new(
            "rooms can handle every input",
            format!("client {client}, {seat:?}, input {number}: {refusal}"),
        )),
        Event::RoomClosed { seat, reason } => room_closed(cast, scene, (client, seat), &reason),
        Event::Link(liveness) => link(cast, scene, client, liveness),
        Event::Ended(ended) => over(cast, scene, client, ended),
        Event::Ticket => Ok(()),
        // Clients here end with their connections; nothing else is known.
        other @ (Event::Away(_) | Event::Back { .. } | Event::Resumed { .. } | _) => {
            Err(Violation::new("events are known", format!("{other:?}")))
        }
    }
}

fn connected(
    cast: &mut Cast,
    scene: &mut Scene,
    client: usize,
    session: SessionId,
) -> Result<(), Violation> {
    scene.counters.connects += 1;
    let told = cast.client_mut(client);
    ensure(!told.was_connected, "a session opens once", || {
        format!("client {client}")
    })?;
    told.was_connected = true;
    let of = told.player;
    let player = cast.player_mut(of);
    let known = *player.id.get_or_insert(session.player());
    ensure(
        known == session.player(),
        "one identity has one session",
        || format!("player {of}: {known}, then {}", session.player()),
    )
}

fn answered(
    cast: &mut Cast,
    scene: &mut Scene,
    client: usize,
    call: CallId,
    result: Result<Answer, Refusal>,
) -> Result<(), Violation> {
    let asked = cast.client_mut(client).calls.remove(&call).ok_or_else(|| {
        Violation::new(
            "each request is answered once",
            format!("client {client}, call {call}"),
        )
    })?;
    match (asked, result) {
        (Asked::Guess, result) => guessed(cast, scene, client, &result),
        (Asked::Seat { group, room }, Ok(Answer::Seated(told))) => {
            seated(cast, scene, client, (group, room), &told)
        }
        (Asked::Leave { seat }, Ok(Answer::Left)) => {
            end_seat(cast, scene, (client, seat));
            Ok(())
        }
        (Asked::Close { seat }, Ok(Answer::Closed)) => {
            // The notice for members says the rest.
            let _closed = seat;
            Ok(())
        }
        (Asked::List, Ok(Answer::Rooms(rooms))) => {
            let unasked = rooms
                .iter()
                .find(|card| scene.rooms.openings(card.room) == 0);
            ensure(unasked.is_none(), "lists show open rooms", || {
                format!("{unasked:?}")
            })?;
            let private = rooms.iter().find(|card| scene.rooms.is_private(card.room));
            ensure(private.is_none(), "lists show no private room", || {
                format!("{private:?}")
            })
        }
        (asked, Err(refusal)) => refused(cast, scene, client, asked, &refusal),
        (asked, Ok(answer)) => Err(Violation::new(
            "an answer fits its request",
            format!("client {client}: {asked:?} is answered by {answer:?}"),
        )),
    }
}

fn refused(
    cast: &mut Cast,
    scene: &Scene,
    client: usize,
    asked: Asked,
    refusal: &Refusal,
) -> Result<(), Violation> {
    let fits = match (asked, refusal.code) {
        (_, RefusalCode::Stopping) => scene.phase == Phase::Stopping,
        // An empty room may have closed while the request was under way.
        (Asked::Seat { .. }, RefusalCode::UnknownRoom) => true,
        (Asked::Seat { .. }, RefusalCode::LimitReached) => is_over_budget(cast, client, refusal),
        (Asked::Leave { seat } | Asked::Close { seat }, RefusalCode::UnknownSeat) => {
            !cast.client(client).seats.contains_key(&seat)
        }
        (Asked::Close { seat }, RefusalCode::NotOwner) => {
            let told = cast.client(client);
            let own = cast.player(told.player).id;
            let room = told.seats.get(&seat).map(|seat| seat.room);
            room.is_none_or(|room| scene.rooms.owner(room) != own)
        }
        _ => false,
    };
    if let (Asked::Seat { group, .. }, Some(wait)) = (asked, refusal.retry_after_ms) {
        let back = scene.now + Duration::from_millis(wait.into());
        let wishes = &mut cast.player_mut(cast.client(client).player).wishes;
        for wish in wishes.iter_mut().filter(|wish| wish.group == group) {
            wish.not_before = wish.not_before.max(back);
        }
    }
    if let Asked::Leave { seat } = asked
        && let Some(seat) = cast.client_mut(client).seats.get_mut(&seat)
    {
        seat.leaving = false;
    }
    ensure(fits, "requests are refused only for cause", || {
        format!("client {client}: {asked:?} is refused: {refusal:?}")
    })
}

fn seated(
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
        player,
        cursor,
        event,
        created,
        ..
    } = *told;
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
    })?;
    scene.rooms.code_told(room, told.code)?;
    let mut members = told.members.iter();
    members.try_for_each(|member| invited(cast, group, &member.name))?;
    if created {
        scene.counters.rooms += 1;
        scene.rooms.created(room, player);
        let fits = scene.counters.rooms <= scene.rooms.opened();
        ensure(fits, "who opens a room is told once", || {
            format!("client {client} in {room}")
        })?;
    }
    let silent = own.reached.longest(HOLD_WITHIN, scene.now);
    // A seat that the player's newest client does not claim is held no longer either, from when the one
    // before fell silent.
    let unclaimed = own.reached.before(cast.client(client).started, scene.now);
    let hold_over = silent.max(unclaimed) >= scene.options.seat_hold;
    if hold_over || own.has_left || scene.rooms.may_be_closed(room) {
        scene.lives.may_end(room, player);
    }
    let before = cast
        .client(client)
        .seats
        .iter()
        .find(|(_, held)| held.room == room);
    let before = before.map(|(id, held)| (*id, held.clone()));
    let arrival = if before.is_some() {
        Arrival::Repeated
    } else {
        Arrival::New
    };
    scene.lives.seated((room, player), cursor, arrival)?;
    if arrival == Arrival::New {
        scene.hearings.seated(told, was_deaf(cast, client, room))?;
    }
    let mut fresh = Seat::new((group, kind), room, (cursor, event), scene.now);
    fresh.event_missed = told.events_dropped;
    take_seat(cast.client_mut(client), seat, before, fresh)
}

/// Notes a seat. One that the client held under another name keeps what was seen.
fn take_seat(
    client: &mut Client,
    seat: SeatId,
    before: Option<(SeatId, Seat)>,
    fresh: Seat,
) -> Result<(), Violation> {
    let fresh = match before {
        Some((id, _)) if id == seat => return Ok(()),
        Some((
            id,
            Seat {
                sequence,
                tick,
                newest,
                event,
                line,
                whisper,
                heard,
                ..
            },
        )) => {
            client.seats.remove(&id);
            Seat {
                sequence,
                tick,
                newest,
                event,
                line,
                whisper,
                heard,
                ..fresh
            }
        }
        None => fresh,
    };
    let taken = client.seats.insert(seat, fresh);
    ensure(taken.is_none(), "each seat has its own name", || {
        format!("{seat:?}")
    })
}

fn seat_changed(
    cast: &mut Cast,
    scene: &mut Scene,
    (client, id): (usize, SeatId),
    (player, name): (PlayerId, &str),
    change: SeatChange,
) -> Result<(), Violation> {
    let told = || format!("client {client}, {id:?}: {player} {name} {change:?}");
    let Some(of) = cast.by_id(player) else {
        // The player's own client may not know yet that its session is open.
        let expected = cast
            .everyone()
            .any(|player| player.name == name && player.id.is_none());
        return ensure(expected, "members are players", told);
    };
    ensure(of.name == name, "members are called by their names", told)?;
    if let Some(seat) = cast.client(client).seats.get(&id) {
        invited(cast, seat.group, name)?;
    }
    let silent = of.reached.longest(TOLD_WITHIN, scene.now);
    let held_for = of.reached.longest(HOLD_WITHIN, scene.now);
    let room = cast.client(client).seats.get(&id).map(|seat| seat.room);
    let may_be_lost = room.is_some_and(|room| scene.lives.may_have_ended(room, player));
    let fits = match change {
        SeatChange::Joined | SeatChange::Returned => true,
        SeatChange::Loading => scene.loads.explains(player, TOLD_WITHIN, scene.now),
        SeatChange::Suspect => silent >= SUSPECT_AFTER_MIN,
        SeatChange::Detached => silent >= DETACH_AFTER || starved(cast, scene, player),
        SeatChange::Left => {
            may_be_lost
                || of.has_left
                || held_for >= scene.options.seat_hold
                || room.is_some_and(|room| is_unclaimed(cast, scene, of, room))
        }
    };
    let property = if change == SeatChange::Loading {
        "a player is shown as loading only if it said so"
    } else {
        "a player is believed gone only for cause"
    };
    ensure(fits, property, || {
        format!("{}; silent for {silent:?} at most", told())
    })?;
    scene.counters.loads_shown += u64::from(change == SeatChange::Loading);
    let shown = &mut seat_mut(cast, client, id)?.shown;
    if change == SeatChange::Left {
        shown.remove(&player);
    } else {
        shown.insert(player, (change, scene.now));
    }
    Ok(())
}

fn room_closed(
    cast: &mut Cast,
    scene: &mut Scene,
    (client, id): (usize, SeatId),
    reason: &RoomCloseReason,
) -> Result<(), Violation> {
    let room = seat_mut(cast, client, id)?.room;
    let fits = match reason {
        RoomCloseReason::ClosedByOwner => scene.rooms.may_be_closed(room),
        RoomCloseReason::ServerStopping => scene.phase == Phase::Stopping,
        RoomCloseReason::Ended(_)
        | RoomCloseReason::Removed(_)
        | RoomCloseReason::Failed(_)
        | RoomCloseReason::Other
        | _ => false,
    };
    end_seat(cast, scene, (client, id));
    ensure(fits, "rooms close only for cause", || {
        format!("client {client}, {room}: {reason:?}")
    })
}

fn link(
    cast: &Cast,
    scene: &mut Scene,
    client: usize,
    liveness: Liveness,
) -> Result<(), Violation> {
    let silent = cast.client(client).heard.present(scene.now);
    let fits = match liveness {
        Liveness::Live => true,
        // Servers do not load.
        Liveness::Loading => false,
        Liveness::Suspect => silent >= SUSPECT_AFTER_MIN,
        Liveness::Detached => {
            scene.counters.detached += 1;
            silent >= DETACH_AFTER
        }
    };
    ensure(fits, "the server is believed gone only for cause", || {
        format!("client {client} believes it {liveness}; silent for {silent:?} at most")
    })
}

fn over(cast: &mut Cast, scene: &mut Scene, number: usize, ended: Ended) -> Result<(), Violation> {
    let client = cast.client(number);
    let silent = client.heard.present(scene.now);
    let starved = client.heard.longest(TOLD_WITHIN, scene.now);
    let is_newest = cast.player(client.player).client == Some(number);
    let fits = match &ended {
        Ended::Left => client.leaving,
        // Most of its time to join lay before the end of the faults.
        Ended::Unreachable(_) => {
            let hindered = scene.now.since(scene.healed_at) < HINDERED_FOR;
            !client.was_connected && (scene.phase == Phase::Faults || hindered)
        }
        Ended::Closed(CloseReason::Replaced) => {
            scene.counters.replaced += 1;
            !is_newest
        }
        Ended::Closed(CloseReason::TimedOut) => silent >= DETACH_AFTER,
        // Its queue at the server overflowed while nothing got through.
        Ended::Closed(CloseReason::OverLimit(Limit::SendQueue)) => starved >= OVERFLOWS_AFTER,
        Ended::Closed(CloseReason::ServerStopping) => scene.phase == Phase::Stopping,
        Ended::Refused(refusal) => {
            scene.phase == Phase::Stopping && refusal.code == RefusalCode::Stopping
        }
        Ended::Closed(
            CloseReason::Left
            | CloseReason::ProtocolViolation
            | CloseReason::Kicked
            | CloseReason::Overloaded
            | CloseReason::InternalError
            | CloseReason::OverLimit(_)
            | _,
        )
        | Ended::Version(_)
        | _ => false,
    };
    ensure(fits, "no client ends without a cause", || {
        format!("client {number}: {ended}; silent for {silent:?} at most")
    })?;
    cast.client_mut(number).ended = Some(ended);
    Ok(())
}

fn end_seat(cast: &mut Cast, scene: &mut Scene, (client, seat): (usize, SeatId)) {
    let player = player_of(cast, client).ok();
    if let (Some(seat), Some(player)) = (cast.client_mut(client).seats.remove(&seat), player) {
        scene.lives.ended(seat.room, player);
    }
}

/// True if the player's newest client had the time of a hold to claim a seat in `room`, and has
/// none.
fn is_unclaimed(cast: &Cast, scene: &Scene, player: &Player, room: RoomId) -> bool {
    player.client.is_some_and(|client| {
        let client = cast.client(client);
        let has_seat = client.seats.values().any(|seat| seat.room == room);
        let unclaimed = player.reached.before(client.started, scene.now);
        !has_seat && unclaimed >= scene.options.seat_hold
    })
}

/// True if the server may have given up a connection of the player because nothing got through.
fn starved(cast: &Cast, scene: &Scene, player: PlayerId) -> bool {
    cast.clients.iter().any(|client| {
        cast.player(client.player).id == Some(player)
            && client.heard.longest(TOLD_WITHIN, scene.now) >= OVERFLOWS_AFTER
    })
}

/// How late the news of a silence may be: as long as the longest outages delay it.
const TOLD_WITHIN: Duration = Duration::from_secs(20);
/// The same for the end of a hold, which is noticed when the player returns.
const HOLD_WITHIN: Duration = Duration::from_secs(60);
/// How long after the faults a join may still fail for them: one wait between hellos, and a trip.
const HINDERED_FOR: Duration = Duration::from_secs(3);
/// How long a path must be cut at least before reliable messages to a client overflow.
const OVERFLOWS_AFTER: Duration = Duration::from_secs(3);
