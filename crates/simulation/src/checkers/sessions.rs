//! Judges what the server does with sessions: whose they are, and where.

use rejoin_coordinator::SessionCard;

use crate::cast::{Cast, client_at};
use crate::eavesdropper;
use crate::report::{Violation, ensure};
use crate::scene::Scene;
use crate::server::Server;
use crate::wiring::GUEST;

/// Looks at every session of the server, and notes which client has it.
pub(crate) fn look_at_sessions(
    cast: &mut Cast,
    scene: &mut Scene,
    server: &Server,
) -> Result<(), Violation> {
    check_nonces()?;
    for card in server.sessions() {
        judge_place(cast, &card)?;
    }
    for taken in scene.sessions.look(server.sessions())? {
        let id = taken.session.player();
        let client = taken.at.and_then(client_at);
        let client = client.filter(|client| *client < cast.clients.len());
        let by_id = || cast.players.iter().position(|own| own.id == Some(id));
        let player = client.map(|client| cast.client(client).player);
        let Some(player) = player.or_else(by_id) else {
            continue;
        };
        scene.trace.note(scene.now, || {
            format!("player {player} is with client {client:?}: {taken:?}")
        });
        let own = cast.player_mut(player);
        own.holder = client;
        own.changes.push_back(scene.now);
        if own.changes.len() > CHANGES_MAX {
            own.changes.pop_front();
        }
        cast.follow_holder(player);
    }
    Ok(())
}

/// Changes of a session's client in a minute from which on the server may refuse more.
pub(super) const CHANGES_MAX: usize = 10;

/// A session is where a client of its player is, and never where nobody has shown to receive.
fn judge_place(cast: &Cast, card: &SessionCard) -> Result<(), Violation> {
    let Some((_, at)) = card.connection.filter(|_| card.path_shown) else {
        return Ok(());
    };
    ensure(
        at.port() != eavesdropper::PORT,
        "no session is at an address that has not proven itself",
        || format!("{card:?}"),
    )?;
    let client = client_at(at).filter(|client| *client != GUEST);
    let Some(client) = client.and_then(|client| cast.clients.get(client)) else {
        return Ok(());
    };
    let id = cast.player(client.player).id;
    ensure(
        id.is_none_or(|id| id == card.id.player()),
        "a session is where a client of its player is",
        || format!("{card:?}, {id:?}"),
    )
}

/// No key has sealed two texts under one nonce.
#[cfg(feature = "planted-bugs")]
fn check_nonces() -> Result<(), Violation> {
    let reused = rejoin_protocol::crypto::witness::reused();
    ensure(
        reused == 0,
        "no key seals two texts under one nonce",
        || format!("{reused} times"),
    )
}

#[cfg(not(feature = "planted-bugs"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "nothing is recorded without the feature"
)]
fn check_nonces() -> Result<(), Violation> {
    Ok(())
}
