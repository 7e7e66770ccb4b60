//! Finds what a client was told before.

use rejoin_protocol::{PlayerId, RoomId, SeatId};

use crate::cast::{Asked, Cast, Seat};
use crate::report::{Violation, ensure};

pub(super) fn player_of(cast: &Cast, client: usize) -> Result<PlayerId, Violation> {
    cast.player(cast.client(client).player).id.ok_or_else(|| {
        Violation::new(
            "a session opens before all else",
            format!("client {client} has none"),
        )
    })
}

pub(super) fn known_seat(cast: &Cast, client: usize, seat: SeatId) -> Result<(), Violation> {
    ensure(
        cast.client(client).seats.contains_key(&seat),
        "clients are told of their seats",
        || format!("client {client} holds no {seat:?}"),
    )
}

pub(super) fn seat_mut(
    cast: &mut Cast,
    client: usize,
    seat: SeatId,
) -> Result<&mut Seat, Violation> {
    known_seat(cast, client, seat)?;
    Ok(cast
        .client_mut(client)
        .seats
        .get_mut(&seat)
        .expect("it was just found"))
}

/// The seats in `room` of the newest client of each player.
pub(super) fn seats_in(cast: &Cast, room: RoomId) -> impl Iterator<Item = (usize, &Seat)> {
    let clients = (0..cast.players.len()).filter_map(|player| cast.living_client(player));
    clients.flat_map(move |client| {
        let seats = cast.client(client).seats.values();
        seats
            .filter(move |seat| seat.room == room)
            .map(move |seat| (client, seat))
    })
}

/// True if another client of the player asked for a seat in `room`, or for the one it had, and was not answered: events
/// that overtook the answer are not told before it.
pub(super) fn was_deaf(cast: &Cast, number: usize, room: RoomId) -> bool {
    let player = cast.client(number).player;
    let mut others = cast.clients.iter().enumerate();
    others.any(|(other, client)| {
        let mut asked = client.calls.values();
        let waits = |asked: &Asked| matches!(asked, Asked::Seat { room: of, .. } if *of == room);
        let mut held = client.seats.values();
        let is_back = |seat: &Seat| seat.room == room && seat.returns != client.returns;
        let is_deaf = asked.any(waits) || held.any(is_back);
        other != number && client.player == player && is_deaf
    })
}
