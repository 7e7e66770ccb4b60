//! What players attempt: they ask for seats, send inputs, leave, come back, close rooms.

use std::time::Duration;

use rejoin_client::{Core, Options as ClientOptions};
use rejoin_protocol::connection::SendError;
use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::handshake::{Permit, Ticket};
use rejoin_protocol::limits::JOIN_TIMEOUT;
use rejoin_protocol::message::{Comparison, Filter, Metadata, MetadataValue, RoomSettings};
use rejoin_protocol::{Rng, SeatId, Timestamp};

use crate::cast::{Asked, Cast, Client};
use crate::content::Mark;
use crate::draws::{between, pick};
use crate::operator::UNIX_START_S;
use crate::private;
use crate::report::Violation;
use crate::scene::{MEMBERS_MAX, Phase, Scene};

/// Starts a client for a player. The one before it, if any, goes on until it learns of this one. One that is given a
/// ticket may be another device, which has nothing else.
pub(crate) fn start(
    cast: &mut Cast,
    scene: &mut Scene,
    player: usize,
    ticket: Option<Ticket>,
) -> usize {
    let number = cast.clients.len();
    let own = cast.player_mut(player);
    let rng = scene.chance.fork(&format!("client {number}"));
    let breaks = scene.options.breaks;
    let identity = match &ticket {
        Some(_) if !breaks.tickets_may_fail() => StaticKeys::generate(&mut rng.fork("device")),
        Some(_) | None => own.identity.clone(),
    };
    let mut drawn = rng.fork("resume");
    let resume_for = match drawn.chance(breaks.frail) {
        true => Duration::ZERO,
        false => pick(&mut drawn, &RESUME_FOR),
    };
    let options = ClientOptions {
        server: scene.operator.server_key(),
        identity,
        permit: Permit::dev(own.name.clone()),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        join_timeout: JOIN_TIMEOUT,
        resume_for,
        ticket,
        moment: moment(breaks.skewed, scene.now, &mut rng.fork("clock")),
    };
    own.client = Some(number);
    cast.clients.push(Client {
        comes_back: !resume_for.is_zero(),
        ..Client::new(player, Core::new(options, rng, scene.now), scene.now)
    });
    scene.counters.clients += 1;
    scene.trace.note(scene.now, || {
        format!("player {player} starts client {number}")
    });
    number
}

/// What a client's own clock says: right, an hour off, or set back by more than all that passed.
fn moment(skewed: f64, now: Timestamp, rng: &mut Rng) -> u64 {
    if rng.chance(CLOCK_BACK_SHARE) {
        return 0;
    }
    let right = UNIX_START_S * 1_000_000 + now.as_micros();
    match (rng.chance(skewed), rng.chance(0.5)) {
        (true, true) => right + CLOCK_SKEW_MICROS,
        (true, false) => right - CLOCK_SKEW_MICROS,
        (false, _) => right,
    }
}

/// A player's turn: asks for the seats it lacks and sends inputs from those it has.
pub(crate) fn play(cast: &mut Cast, scene: &mut Scene, number: usize) -> Result<(), Violation> {
    if !cast.client(number).can_play() {
        return Ok(());
    }
    for wish in cast.player(cast.client(number).player).wishes.clone() {
        let client = cast.client(number);
        let idle = !client.asks_for(wish.group) && !client.sits_in(wish.group);
        if scene.now < wish.not_before || !idle {
            continue;
        }
        if private::asks_by_request(cast, cast.client(number).player, wish.group) {
            ask_for_seat(cast, scene, number, wish.group);
        } else {
            private::ask_by_code(cast, scene, number, wish.group);
        }
    }
    if scene.phase == Phase::Faults {
        let seats = cast.client(number).seats.iter();
        let seats: Vec<_> = seats.map(|(id, seat)| (*id, seat.kind)).collect();
        for (seat, kind) in seats {
            if !scene.chance.chance(kind.eagerness()) {
                continue;
            }
            let reliable = scene.chance.chance(scene.options.reliable);
            send(cast, scene, (number, seat), reliable)?;
        }
        if scene.chance.chance(AGAIN_SHARE) {
            ask_again(cast, scene, number);
        }
        if scene.chance.chance(LIST_SHARE) {
            let core = &mut cast.client_mut(number).core;
            let call = core.list(None, Vec::new(), 16);
            cast.client_mut(number).remember(call, Asked::List);
        }
    }
    Ok(())
}

/// A client asks for a seat that it holds: it says what it has, and is told nothing twice.
fn ask_again(cast: &mut Cast, scene: &Scene, number: usize) {
    let client = cast.client(number);
    let found = client.seats.values().find(|seat| {
        let private = cast.group(seat.group).private;
        !private && !seat.leaving && !client.asks_for(seat.group) && scene.rooms.is_open(seat.room)
    });
    let Some((group, room)) = found.map(|seat| (seat.group, seat.room)) else {
        return;
    };
    let client = cast.client_mut(number);
    let call = client.core.join(room);
    client.remember(call, Asked::Seat { group, room });
}

/// One input from a seat.
pub(crate) fn send(
    cast: &mut Cast,
    scene: &mut Scene,
    (number, seat): (usize, SeatId),
    reliable: bool,
) -> Result<(), Violation> {
    let of = cast.client(number).player;
    let player = cast.player(of);
    let (counter, id) = (player.inputs + 1, player.id);
    let client = cast.client_mut(number);
    let Some(held) = client.seats.get(&seat).filter(|held| !held.leaving) else {
        return Ok(());
    };
    let id = id.ok_or_else(|| Violation::new("a seat has a player", format!("{of}")))?;
    let (site, kind, stay) = (held.site(), held.kind, held.stay_of(id));
    let reliable = reliable || !kind.takes_latest();
    // Another client of the player has the seat, and this one does not know it yet.
    if !scene.lives.is_of(stay, number) {
        return Ok(());
    }
    let place = scene.lives.newest(site, id) + 1;
    let input = kind.input(Mark { counter, place }, reliable);
    let payload = input.encode();
    let taken = if reliable {
        client.core.send(seat, payload).map(Some)
    } else {
        client.core.latest(seat, payload).map(|()| None)
    };
    match taken {
        Ok(Some(number)) => {
            scene.counters.inputs += 1;
            scene.lives.sent(stay, number, &input)?;
            if let Some(held) = client.seats.get_mut(&seat) {
                held.kept.push_back((number, input));
            }
        }
        Ok(None) => {
            scene.counters.latest += 1;
            if let Some(held) = client.seats.get_mut(&seat) {
                held.latest = counter;
            }
        }
        Err(SendError::QueueFull) => {
            scene.counters.backpressure += 1;
            return Ok(());
        }
        Err(error) => {
            return Err(Violation::new(
                "a seated client can send",
                format!("client {number}, {seat:?}: {error}"),
            ));
        }
    }
    cast.player_mut(of).inputs = counter;
    Ok(())
}

/// A player gives one of its seats back and returns later.
pub(crate) fn leave(cast: &mut Cast, scene: &mut Scene, player: usize, back_after: Duration) {
    let Some(number) = cast.playing(player) else {
        return;
    };
    let id = cast.player(player).id;
    let client = cast.client_mut(number);
    let Some((seat, held)) = client.seats.iter_mut().find(|(_, held)| !held.leaving) else {
        return;
    };
    let (seat, group, site) = (*seat, held.group, held.site());
    let call = client.core.leave(seat);
    if call.is_ok() {
        held.leaving = true;
        if let Some(id) = id {
            scene.lives.may_end(site, id);
        }
    }
    client.remember(call, Asked::Leave { seat });
    let back = scene.now + back_after;
    let wishes = &mut cast.player_mut(player).wishes;
    for wish in wishes.iter_mut().filter(|wish| wish.group == group) {
        wish.not_before = back;
    }
}

/// A player ends its session.
pub(crate) fn disconnect(cast: &mut Cast, player: usize) -> bool {
    let Some(number) = cast.playing(player) else {
        return false;
    };
    cast.player_mut(player).has_left = true;
    let client = cast.client_mut(number);
    client.leaving = true;
    client.core.disconnect();
    true
}

/// The owner of a room of `group` closes it; the group meets in another one. Now and then a
/// member tries who is not the owner. Gives the client that asked.
pub(crate) fn close(cast: &mut Cast, scene: &mut Scene, group: usize) -> Option<usize> {
    let stranger = scene.chance.chance(STRANGER_SHARE);
    let found = (0..cast.players.len())
        .filter_map(|player| cast.playing(player))
        .find_map(|number| {
            let client = cast.client(number);
            let id = cast.player(client.player).id;
            let seat = client.seats.iter().find(|(_, held)| {
                let owns = scene.rooms.owner(held.room) == id;
                held.group == group && !held.leaving && owns != stranger
            });
            seat.map(|(seat, held)| (number, *seat, held.site()))
        });
    let (number, seat, site) = found?;
    let room = site.room;
    let client = cast.client_mut(number);
    let call = client.core.close_room(seat);
    // Who opened the room may have died before it was told; then anyone may be the owner.
    if call.is_ok() && (!stranger || scene.rooms.owner(room).is_none()) {
        scene.rooms.close_asked(room);
        let members = cast.players.iter().filter_map(|player| player.id);
        for member in members {
            scene.lives.may_end(site, member);
        }
        cast.group_mut(group).generation += 1;
    }
    cast.client_mut(number)
        .remember(call, Asked::Close { seat });
    Some(number)
}

/// A group whose room emptied meets in another one, so that no request names a room twice.
pub(crate) fn move_on(cast: &mut Cast, scene: &Scene) {
    for number in 0..cast.groups.len() {
        let group = cast.group(number);
        let room = group.room(number);
        if scene.rooms.openings(room) > 0 && !scene.rooms.is_open(room) {
            cast.group_mut(number).generation += 1;
        }
    }
}

fn ask_for_seat(cast: &mut Cast, scene: &mut Scene, number: usize, group: usize) {
    let kind = cast.group(group).kind;
    let request = cast.group(group).request(group);
    let generation = cast.group(group).generation;
    let room = cast.group(group).room(group);
    let private = cast.group(group).private;
    scene.rooms.asked(room);
    if private {
        scene.rooms.asked_private(room);
    }
    let times = if scene.chance.chance(scene.options.retries) {
        between(&mut scene.chance, 2, 3)
    } else {
        1
    };
    let mut guesses = 0;
    for _ in 0..times {
        let core = &mut cast.client_mut(number).core;
        let label = i64::try_from(generation * 16).expect("generations are few");
        let value = MetadataValue::Int(label + i64::try_from(group).expect("groups are few"));
        let settings = RoomSettings {
            members_max: MEMBERS_MAX,
            metadata: Metadata::from([(LABEL.into(), value.clone())]),
            options: Vec::new(),
            private,
        };
        let call = match scene.chance.below(5) {
            0 | 1 => core.create(request, kind.name(), settings),
            2 if scene.rooms.is_open(room) => {
                guesses += 1;
                core.join(room)
            }
            _ => {
                let filter = Filter {
                    key: LABEL.into(),
                    comparison: Comparison::Equal,
                    value,
                };
                core.join_or_create(request, kind.name(), vec![filter], settings)
            }
        };
        cast.client_mut(number)
            .remember(call, Asked::Seat { group, room });
    }
    cast.player_mut(cast.client(number).player).guesses += guesses;
}

/// The fact by which a group finds its room.
const LABEL: &str = "group";
const LIST_SHARE: f64 = 0.002;
/// Share of turns in which a client asks for a seat that it holds.
const AGAIN_SHARE: f64 = 0.01;
/// Share of clients whose player's clock has been set back since the one before.
const CLOCK_BACK_SHARE: f64 = 0.1;
const STRANGER_SHARE: f64 = 0.2;
const CLOCK_SKEW_MICROS: u64 = 3_600_000_000;
/// How long clients try to come back.
const RESUME_FOR: [Duration; 4] = [
    Duration::from_secs(120),
    Duration::from_secs(120),
    Duration::from_secs(120),
    Duration::from_secs(25),
];
