//! Finds what a client was told before.

use rejoin_protocol::{PlayerId, RoomId, SeatId};

use crate::cast::{Cast, Seat};
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
