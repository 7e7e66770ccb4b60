//! Judges the views and messages that a seat is sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use rejoin_protocol::SeatId;
use xxhash_rust::xxh3::xxh3_64;

use super::lookup::{player_of, seat_mut};
use crate::cast::{Cast, Newest, Seat};
use crate::content::Heard;
use crate::records::Shown;
use crate::report::{Violation, ensure};
use crate::scene::Scene;
use crate::trace::Mark;

/// A view as a client is told it.
pub(super) struct View {
    pub(super) sequence: u64,
    pub(super) tick: u64,
    pub(super) cursor: u64,
    pub(super) view: Bytes,
    pub(super) private: bool,
    pub(super) full: bool,
}

/// Judges a view.
pub(super) fn viewed(
    cast: &mut Cast,
    scene: &mut Scene,
    (client, id): (usize, SeatId),
    told: View,
) -> Result<(), Violation> {
    scene.counters.views += 1;
    scene.counters.deltas += u64::from(!told.full);
    let View {
        sequence,
        tick,
        cursor,
        view,
        private,
        ..
    } = told;
    scene.trace.fold(Mark::View, client, &view, scene.now);
    for number in [u64::from(id.0), sequence, tick, cursor] {
        scene.trace.fold_number(number);
    }
    scene.trace.note(scene.now, || {
        format!("client {client} is shown {id:?}: {sequence}, tick {tick}, cursor {cursor}")
    });
    let player = player_of(cast, client)?;
    let process = cast.client(client).process;
    let generation = scene.operator.generation(process);
    let seat = seat_mut(cast, client, id)?;
    let older = (seat.sequence, seat.tick, seat.cursor);
    let grows = sequence > older.0 && tick >= older.1 && cursor >= older.2;
    ensure(grows, "views never go back", || {
        format!(
            "client {client}, {id:?}: {:?} after {older:?}",
            (sequence, tick, cursor)
        )
    })?;
    ensure(
        private == seat.kind.is_private_to(player),
        "private views are private",
        || format!("client {client}, {id:?}"),
    )?;
    (seat.sequence, seat.tick, seat.cursor) = (sequence, tick, cursor);
    // Who does not know that another client of the player has the seat says nothing of where it stands.
    // Nor does who speaks of a process before power was lost, unless the room acknowledges what is on the medium.
    let synced = scene.options.breaks.is_synced();
    let holds = scene.holds(process, seat.room);
    if scene.lives.is_of(seat.stay_of(player), client) && holds {
        scene
            .lives
            .covered(seat.stay_of(player), cursor, scene.now)?;
    }
    let (kind, room) = (seat.kind, seat.site());
    let opening = scene.rooms.gone_before(room.room, process);
    let shown = Shown {
        kind,
        room,
        player,
        private,
        generation,
        opening,
        sequence,
        applied: cursor.saturating_sub(seat.lost),
        synced,
        view: &view,
    };
    let hash = scene.records.shown(&shown, &scene.lives)?;
    seat.newest = Some(Newest {
        at: scene.now,
        hash,
        view,
        private,
    });
    Ok(())
}

/// Judges a message of a room.
pub(super) fn said(
    cast: &mut Cast,
    scene: &mut Scene,
    (client, id): (usize, SeatId),
    number: u64,
    payload: &Bytes,
) -> Result<(), Violation> {
    scene.counters.events += 1;
    scene
        .trace
        .fold(Mark::RoomEvent, client, payload, scene.now);
    scene.trace.fold_number(number);
    let player = player_of(cast, client)?;
    let process = cast.client(client).process;
    let seat = seat_mut(cast, client, id)?;
    let opening = scene.rooms.gone_before(seat.room, process);
    let follows = seat
        .event
        .map_or(number == seat.first_event, |before| number == before + 1);
    let silent = seat.event_missed > 0;
    ensure(
        !silent,
        "what is missed is told before what follows",
        || format!("client {client}, {id:?}: {number}"),
    )?;
    ensure(follows, "events are told once and in order", || {
        format!("client {client}, {id:?}: {number} after {:?}", seat.event)
    })?;
    seat.event = Some(number);
    let said = xxh3_64(payload);
    let generation = seat.generation;
    let again = scene.hearings.told((seat.stay, generation), number, said)?;
    scene.counters.events_again += u64::from(again);
    match seat.kind.heard(payload)? {
        None => Err(Violation::new(
            "quiet rooms say nothing",
            format!("client {client}, {id:?}"),
        )),
        Some(Heard::Line { number, speaker }) => {
            if let Some((name, place)) = speaker {
                hear(seat, generation > 0, name, place)?;
            }
            let key = xxh3_64(payload);
            let before = seat.line.replace((key, number));
            let follows = before.is_none_or(|(_, before)| number == before + 1);
            ensure(follows, "no line is missing", || {
                format!("client {client}, {id:?}: line {number} after {before:?}")
            })?;
            scene.records.told(
                (seat.site(), generation, opening),
                before.map(|(key, _)| key),
                key,
            )
        }
        Some(Heard::Whisper(word, durable)) => {
            // Bits flip on the medium too.
            let may_be_gone =
                scene.operator.is_past(generation) && scene.lives.has_rotted(seat.room);
            if let Some(count) = durable.filter(|_| !may_be_gone) {
                scene.lives.durable(seat.stay_of(player), count);
            }
            let fresh = seat.whispered.insert(word);
            ensure(fresh, "each word is whispered once", || {
                format!("client {client}, {id:?}: {word} again")
            })
        }
    }
}

/// Notes events that will never come: those before the first, as the answer said, or some in the midst.
pub(super) fn missed(
    cast: &mut Cast,
    scene: &mut Scene,
    (client, id): (usize, SeatId),
    count: u64,
) -> Result<(), Violation> {
    scene.counters.events_missed += count;
    let seat = seat_mut(cast, client, id)?;
    let told = format!("client {client}, {id:?}: {count} of {}", seat.event_missed);
    let owed = std::mem::take(&mut seat.event_missed);
    match seat.event {
        None if owed > 0 => {
            return ensure(
                count == owed,
                "as many are missed as the answer says",
                || told,
            );
        }
        None => seat.first_event += count,
        Some(event) => {
            seat.event = Some(event + count);
            // Nobody knows what they said.
            (seat.line, seat.heard) = (None, BTreeMap::new());
        }
    }
    let newest = seat.event.unwrap_or(seat.first_event - 1);
    scene.hearings.missed(seat.stay, newest);
    Ok(())
}

/// Notes a line of chat: all that a player says is heard once and in order. Who takes a seat
/// afresh counts from 1 again. Once power was lost, lines may be gone.
fn hear(seat: &mut Seat, lost_power: bool, name: String, place: u64) -> Result<(), Violation> {
    let told = format!("{name} in {}: {place}", seat.room);
    let before = seat.heard.insert(name, place);
    let follows = before
        .is_none_or(|before| place == before + 1 || place == 1 || (lost_power && place > before));
    ensure(
        follows,
        "each line of a player is told once and in order",
        || format!("{told} after {before:?}"),
    )
}

/// Checks that no cursor that a client knows has fallen.
pub(crate) fn check_cursors(cast: &mut Cast, client: usize) -> Result<(), Violation> {
    let told = cast.client_mut(client);
    for (id, seat) in &mut told.seats {
        let Some(cursor) = told.core.cursor(*id) else {
            continue;
        };
        ensure(cursor >= seat.known_cursor, "a cursor never falls", || {
            format!(
                "client {client}, {id:?}: {cursor} after {}",
                seat.known_cursor
            )
        })?;
        seat.known_cursor = cursor;
        while seat
            .kept
            .front()
            .is_some_and(|(number, _)| *number <= cursor)
        {
            seat.kept.pop_front();
        }
    }
    Ok(())
}
