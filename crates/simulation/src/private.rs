//! What players attempt about private rooms: they enter by the code that was told them, and try
//! codes and ids that lead nowhere.

use rejoin_protocol::{RoomCode, RoomId};

use crate::cast::{Asked, Cast};
use crate::scene::Scene;

/// True if `player` asks for the rooms of `group` by their request: it hosts them, or they are open
/// to all. The others need the code.
pub(crate) fn asks_by_request(cast: &Cast, player: usize, group: usize) -> bool {
    !cast.group(group).private || cast.host(group) == Some(player)
}

/// Asks for a seat in the current room of a private group, once a member could tell its code.
pub(crate) fn ask_by_code(cast: &mut Cast, scene: &mut Scene, number: usize, group: usize) {
    let room = cast.group(group).room(group);
    let Some(code) = scene.rooms.code(room) else {
        return;
    };
    scene.counters.by_code += 1;
    let client = cast.client_mut(number);
    let player = client.player;
    let call = client.core.join_by_code(code);
    client.remember(call, Asked::Seat { group, room });
    cast.player_mut(player).guesses += 1;
}

/// A player tries codes and ids that lead nowhere. Gives the client that did.
pub(crate) fn guess(
    cast: &mut Cast,
    scene: &mut Scene,
    player: usize,
    times: u64,
) -> Option<usize> {
    let number = cast.playing(player)?;
    for _ in 0..times {
        let by_id = scene.chance.chance(0.2);
        let guess = wrong_code(scene).filter(|_| !by_id);
        let client = cast.client_mut(number);
        let call = match guess {
            Some(code) => client.core.join_by_code(code),
            None => client.core.join(RoomId(scene.chance.bytes())),
        };
        // A full queue refuses it.
        if call.is_ok() {
            scene.counters.guesses += 1;
            client.remember(call, Asked::Guess);
            cast.player_mut(player).guesses += 1;
        }
    }
    Some(number)
}

/// A code that no member was told, half of the time but for one letter. `None` if it is right.
fn wrong_code(scene: &mut Scene) -> Option<RoomCode> {
    let drawn = RoomCode::draw(&mut scene.chance);
    let near = scene.rooms.codes().last();
    let place = usize::try_from(scene.chance.below(12)).expect("a small number");
    let letters = drawn.to_string().into_bytes().into_iter().enumerate();
    let code = match near.map(|near| near.to_string().into_bytes()) {
        Some(near) if place < near.len() => {
            let mixed = near.iter().zip(letters);
            let mixed = mixed.map(|(own, (at, other))| if at == place { other } else { *own });
            String::from_utf8(mixed.collect()).ok()?.parse().ok()?
        }
        _ => drawn,
    };
    (!scene.rooms.codes().any(|known| known == code)).then_some(code)
}
