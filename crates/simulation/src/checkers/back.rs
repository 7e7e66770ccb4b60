//! Judges how clients lose their connection and come back: why, whose session it is then, and what became of
//! their seats.

use rejoin_client::{Ended, Loss, Receipt};
use rejoin_protocol::limits::DETACH_AFTER;
use rejoin_protocol::message::Member;
use rejoin_protocol::{CloseReason, Limit, SeatId};

use super::lookup::{player_of, seat_mut};
use super::private::invited;
use super::shown::missed;
use super::times::{OVERFLOWS_AFTER, TOLD_WITHIN};
use crate::cast::Cast;
use crate::model::Standing;
use crate::report::{Violation, ensure};
use crate::scene::{Phase, Scene};

/// A client has lost its connection and is on its way back.
pub(super) fn went_away(
    cast: &mut Cast,
    scene: &mut Scene,
    number: usize,
    loss: Loss,
) -> Result<(), Violation> {
    scene.counters.away += 1;
    let client = cast.client(number);
    ensure(
        client.comes_back && client.was_connected,
        "only who has a session can come back to it",
        || format!("client {number}: {loss:?}"),
    )?;
    ensure(
        loss != Loss::Closed(CloseReason::Replaced),
        "who was replaced stays away",
        || format!("client {number}"),
    )?;
    let fits = is_lost_for_cause(cast, scene, number, loss);
    ensure(fits, "no connection is lost without a cause", || {
        let silent = cast.client(number).heard.present(scene.now);
        format!("client {number}: {loss:?}; silent for {silent:?} at most")
    })?;
    let client = cast.client_mut(number);
    let asked: Vec<_> = client.seats_asked_for().map(|(_, room)| room).collect();
    client.asked_before.extend(asked);
    client.away = Some(loss);
    client.loading = false;
    Ok(())
}

/// True if something explains the loss of a client's connection.
pub(super) fn is_lost_for_cause(cast: &Cast, scene: &Scene, number: usize, loss: Loss) -> bool {
    let client = cast.client(number);
    let player = cast.player(client.player);
    match loss {
        Loss::Silence => client.heard.present(scene.now) >= DETACH_AFTER,
        // It is looked at elsewhere that the server resets only what is no more, and that nobody else can.
        Loss::Forgotten => client.was_reset,
        Loss::Closed(CloseReason::ServerStopping) => scene.phase == Phase::Stopping,
        // Its queue at the server overflowed while nothing got through.
        Loss::Closed(CloseReason::OverLimit(Limit::SendQueue)) => {
            client.heard.longest(TOLD_WITHIN, scene.now) >= OVERFLOWS_AFTER
        }
        Loss::Closed(reason) => player.lost_words.contains(&reason),
        _ => false,
    }
}

/// A client has a connection again.
pub(super) fn came_back(
    cast: &mut Cast,
    scene: &mut Scene,
    number: usize,
) -> Result<(), Violation> {
    scene.counters.back += 1;
    let client = cast.client_mut(number);
    let was_away = client.away.take();
    ensure(was_away.is_some(), "only who was away comes back", || {
        format!("client {number}")
    })?;
    let known = cast.player(cast.client(number).player).id;
    let session = cast.client(number).core.player();
    ensure(
        known == session,
        "a session outlives its connections",
        || format!("client {number}: {known:?}, then {session:?}"),
    )?;
    entered(cast, scene, number)?;
    let client = cast.client_mut(number);
    client.returns += 1;
    // What is asked again may be a wrong guess by now.
    let asked = client.seats.len() + client.calls.len();
    let of = client.player;
    cast.player_mut(of).guesses += u64::try_from(asked).unwrap_or(u64::MAX);
    Ok(())
}

/// A client has a connection, its first or another one.
pub(super) fn entered(cast: &mut Cast, scene: &mut Scene, number: usize) -> Result<(), Violation> {
    let client = cast.client_mut(number);
    client.since = scene.now;
    // Word of one that is no more may have been on its way.
    let epoch = client.core.epoch();
    let process = epoch.map_or_else(|| scene.operator.epoch(), |epoch| epoch.0);
    (client.process, client.era) = (process, scene.operator.era_of(process));
    client.heard.touch(scene.now);
    // It is refused by now if the server did not take it.
    if let Some(ticket) = client.core.ticket() {
        scene.counters.by_ticket += 1;
        scene
            .tickets
            .opened(ticket, scene.operator.unix_s(process, scene.now))?;
    }
    Ok(())
}

/// A client was given a ticket.
pub(super) fn given_ticket(
    cast: &mut Cast,
    scene: &mut Scene,
    number: usize,
) -> Result<(), Violation> {
    let client = cast.client(number);
    let (of, process) = (client.player, client.process);
    let ticket = client.core.ticket().cloned();
    let ticket = ticket
        .ok_or_else(|| Violation::new("who is told of a ticket has it", format!("{number}")))?;
    scene.tickets.given(
        &ticket,
        (process, scene.operator.unix_s(process, scene.now)),
    )?;
    let tickets = &mut cast.player_mut(of).tickets;
    if tickets.len() >= TICKETS_MAX {
        tickets.pop_front();
    }
    tickets.push_back(ticket);
    Ok(())
}

/// A seat is back.
pub(super) fn resumed(
    cast: &mut Cast,
    scene: &mut Scene,
    (number, id): (usize, SeatId),
    receipt: Receipt,
    members: &[Member],
) -> Result<(), Violation> {
    scene.counters.resumed += 1;
    let player = player_of(cast, number)?;
    let stale = cast.is_stale(number);
    let (era, returns) = (cast.client(number).era, cast.client(number).returns);
    let now = scene.now;
    let process = cast.client(number).process;
    let generation = scene.operator.generation(process);
    let seat = seat_mut(cast, number, id)?;
    let told = format!(
        "client {number}, {id:?}: {receipt:?}, known {}",
        seat.known_cursor
    );
    ensure(
        receipt.cursor >= seat.known_cursor,
        "a cursor never falls",
        || told.clone(),
    )?;
    seat.kept.retain(|(number, _)| *number > receipt.cursor);
    ensure(
        u64::try_from(seat.kept.len()) == Ok(receipt.inputs_resent),
        "all that a room has not applied is sent again",
        || format!("{told}; {} kept", seat.kept.len()),
    )?;
    ensure(seat.era == era, "no seat outlives its room", || {
        told.clone()
    })?;
    (seat.cursor, seat.known_cursor) = (receipt.cursor, receipt.cursor);
    seat.lost += receipt.inputs_lost;
    let lost = seat.lost;
    seat.on_return(returns, generation, now);
    let (of, group) = (seat.stay_of(player), seat.group);
    let kept: Vec<_> = seat.kept.iter().copied().collect();
    for member in members {
        invited(cast, group, &member.name)?;
    }
    if receipt.events_missed > 0 {
        missed(cast, scene, (number, id), receipt.events_missed)?;
    }
    scene.counters.inputs_lost += receipt.inputs_lost;
    if stale {
        return Ok(());
    }
    let told = Standing {
        cursor: receipt.cursor,
        lost,
        at: now,
        holds: scene.holds(process, of.0.room),
    };
    scene.lives.resumed(of, told, &kept)?;
    scene.lives.claimed(of, number);
    Ok(())
}

/// True if a client that came back may end so: its time is over.
pub(super) fn is_too_late(cast: &Cast, scene: &Scene, number: usize, ended: &Ended) -> bool {
    let client = cast.client(number);
    let (Some(loss), Ended::Closed(reason)) = (client.away, ended) else {
        return false;
    };
    let fits = match loss {
        Loss::Silence | Loss::Forgotten => *reason == CloseReason::TimedOut,
        Loss::Closed(word) => *reason == word,
        _ => false,
    };
    fits && scene.phase == Phase::Faults
}

/// Tickets of a player that are remembered.
const TICKETS_MAX: usize = 8;
