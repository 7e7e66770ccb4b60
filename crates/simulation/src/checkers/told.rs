//! Judges what a client is told, event by event.

use std::time::Duration;

use rejoin_client::{Ended, Event, Loss};
use rejoin_protocol::limits::{DETACH_AFTER, SUSPECT_AFTER_MIN};
use rejoin_protocol::message::{Answer, CallId, SeatChange};
use rejoin_protocol::{
    CloseReason, Limit, Liveness, PlayerId, Refusal, RefusalCode, SeatId, SessionId, Timestamp,
};

use super::back::{
    came_back, entered, given_ticket, is_lost_for_cause, is_too_late, resumed, went_away,
};
use super::lookup::{known_seat, seat_mut};
use super::private::{guessed, invited, is_over_budget};
use super::seats::{HOLD_WITHIN, end_seat, is_unclaimed, may_be_gone, room_closed, seated};
use super::sessions::CHANGES_MAX;
use super::shown::{View, missed, said, viewed};
use super::times::{OVERFLOWS_AFTER, TOLD_WITHIN};
use crate::cast::{Asked, Cast, Seat};
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
        } => refused_input((client, seat), number, &refusal),
        Event::RoomClosed { seat, reason } => room_closed(cast, scene, (client, seat), &reason),
        Event::Link(liveness) => link(cast, scene, client, liveness),
        Event::Away(loss) => went_away(cast, scene, client, loss),
        Event::Back { .. } => came_back(cast, scene, client),
        Event::Resumed {
            seat,
            receipt,
            members,
        } => resumed(cast, scene, (client, seat), receipt, &members),
        Event::Ticket => given_ticket(cast, scene, client),
        Event::Ended(ended) => over(cast, scene, client, ended),
        Event::TicketRefused => Ok(()),
        other => Err(Violation::new("events are known", format!("{other:?}"))),
    }
}

fn refused_input(
    (client, seat): (usize, SeatId),
    number: u64,
    refusal: &Refusal,
) -> Result<(), Violation> {
    Err(Violation::new(
        "rooms can handle every input",
        format!("client {client}, {seat:?}, input {number}: {refusal}"),
    ))
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
    entered(cast, scene, client)?;
    let of = cast.client(client).player;
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
            let is_news = cast.client(client).era == scene.operator.era();
            let unasked = rooms
                .iter()
                .find(|card| is_news && scene.rooms.openings(card.room) == 0);
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
    scene: &mut Scene,
    client: usize,
    asked: Asked,
    refusal: &Refusal,
) -> Result<(), Violation> {
    let fits = match (asked, refusal.code) {
        (_, RefusalCode::Stopping) => scene.phase == Phase::Stopping,
        // An empty room may have closed while the request was under way.
        (Asked::Seat { .. }, RefusalCode::UnknownRoom) => true,
        (Asked::Seat { room, .. }, RefusalCode::RoomFailed) => scene.rooms.failed(room),
        (Asked::Seat { .. }, RefusalCode::LimitReached) if refusal.limit.is_none() => {
            refusal.text.contains("full") && scene.machine.was_full(TOLD_WITHIN, scene.now)
        }
        (Asked::Seat { .. }, RefusalCode::LimitReached) => is_over_budget(cast, client, refusal),
        (Asked::Leave { seat } | Asked::Close { seat }, RefusalCode::UnknownSeat) => {
            may_be_gone(cast, scene, (client, seat))
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
    if let Asked::Leave { seat } = asked {
        if refusal.code == RefusalCode::UnknownSeat {
            end_seat(cast, scene, (client, seat));
        } else if let Some(seat) = cast.client_mut(client).seats.get_mut(&seat) {
            seat.leaving = false;
        }
    }
    ensure(fits, "requests are refused only for cause", || {
        format!("client {client}: {asked:?} is refused: {refusal:?}")
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
    let room = cast.client(client).seats.get(&id).map(Seat::site);
    let may_be_lost = room.is_some_and(|room| scene.lives.may_have_ended(room, player));
    let fits = match change {
        SeatChange::Joined | SeatChange::Returned => true,
        SeatChange::Loading => scene.loads.explains(player, TOLD_WITHIN, scene.now),
        SeatChange::Suspect => silent >= SUSPECT_AFTER_MIN,
        SeatChange::Detached => {
            let since = |lost: Timestamp| scene.now.since(lost) <= TOLD_WITHIN;
            silent >= DETACH_AFTER || of.lost_at.is_some_and(since) || starved(cast, scene, player)
        }
        SeatChange::Left => {
            // What came in the place of a seat that was lost is given back.
            let since = |gone: Timestamp| scene.now.since(gone) <= TOLD_WITHIN;
            may_be_lost
                || of.gone_at.is_some_and(since)
                || of.has_left
                || held_for >= scene.options.seat_hold
                || room.is_some_and(|site| is_unclaimed(cast, scene, of, site.room))
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
    let own = client.player;
    let fits = match &ended {
        Ended::Left => client.leaving,
        // Most of its time to join lay before the end of the faults.
        Ended::Unreachable(_) => {
            let hindered = scene.now.since(scene.healed_at) < HINDERED_FOR;
            !client.was_connected && (scene.phase == Phase::Faults || hindered)
        }
        Ended::Closed(CloseReason::Replaced) => {
            scene.counters.replaced += 1;
            cast.player(own).holder != Some(number)
        }
        Ended::Closed(_) if client.away.is_some() => is_too_late(cast, scene, number, &ended),
        Ended::Closed(CloseReason::TimedOut) => [
            Loss::Silence,
            Loss::Forgotten,
            Loss::Closed(CloseReason::TimedOut),
        ]
        .into_iter()
        .any(|loss| is_lost_for_cause(cast, scene, number, loss)),
        Ended::Closed(
            reason @ (CloseReason::OverLimit(Limit::SendQueue)
            | CloseReason::ServerStopping
            | CloseReason::Overloaded
            | CloseReason::InternalError),
        ) => is_lost_for_cause(cast, scene, number, Loss::Closed(*reason)),
        Ended::Refused(refusal) if refusal.code == RefusalCode::OldHello => {
            // Another client of the player is always a little ahead.
            let mut others = cast.clients.iter().enumerate();
            others.any(|(other, client)| other != number && client.player == own)
        }
        Ended::Refused(refusal) if refusal.code == RefusalCode::LimitReached => {
            let changes = &cast.player(own).changes;
            let first = changes.front().filter(|_| changes.len() >= CHANGES_MAX);
            first.is_some_and(|first| scene.now.since(*first) <= CHANGES_WITHIN)
        }
        Ended::Refused(refusal) => {
            scene.phase == Phase::Stopping && refusal.code == RefusalCode::Stopping
        }
        Ended::Closed(
            CloseReason::Left
            | CloseReason::ProtocolViolation
            | CloseReason::Kicked
            | CloseReason::OverLimit(_)
            | _,
        )
        | Ended::Version(_)
        | _ => false,
    };
    ensure(fits, "no client ends without a cause", || {
        format!("client {number}: {ended}; silent for {silent:?} at most")
    })?;
    let replaced = ended == Ended::Closed(CloseReason::Replaced);
    cast.client_mut(number).ended = Some(ended);
    if replaced && cast.player(own).client == Some(number) {
        cast.follow_holder(own);
    }
    Ok(())
}

/// True if the server may have given up a connection of the player because nothing got through.
fn starved(cast: &Cast, scene: &Scene, player: PlayerId) -> bool {
    cast.clients.iter().any(|client| {
        cast.player(client.player).id == Some(player)
            && client.heard.longest(TOLD_WITHIN, scene.now) >= OVERFLOWS_AFTER
    })
}

/// How long a change of a session's client counts against the next: the minute, and a trip.
const CHANGES_WITHIN: Duration = Duration::from_secs(62);
/// How long after the faults a join may still fail for them: one wait between hellos, and a trip.
const HINDERED_FOR: Duration = Duration::from_secs(3);
