//! Admission: decides which datagrams from unknown peers deserve state.
//!
//! Called by the shard for every hello. It answers with a reply, with a sealed refusal, or with
//! nothing, and never with more bytes than it was sent. What it keeps is bounded: pending
//! joins by number and time, seen hellos by number. A session changes only when a packet under
//! the new keys confirms the join; that is not decided here.

use std::net::SocketAddr;

use rejoin_protocol::crypto::{PublicKey, hash};
use rejoin_protocol::handshake::{self, HelloError, OpenHello, Permit, Welcome};
use rejoin_protocol::limits::{NAME_MAX, PENDING_JOIN_LIFE};
use rejoin_protocol::{Connection, Incarnation, Refusal, RefusalCode, Rng, SessionId, Timestamp};
use tracing::debug;

use crate::config::{Auth, Config};
use crate::connections::PendingJoin;
use crate::hellos::{Hello, Judgement};
use crate::house::House;
use crate::schedule::Due;

/// Takes a hello through the gates, cheapest first. Gives what to send back, if anything.
pub(crate) fn handle_hello(
    house: &mut House,
    (from, datagram): (SocketAddr, &[u8]),
    rng: &mut Rng,
    now: Timestamp,
) -> Option<Vec<u8>> {
    let reply = take(house, (from, datagram), rng, now);
    debug_assert!(
        reply
            .as_ref()
            .is_none_or(|reply| reply.len() <= datagram.len()),
        "a reply is never larger than its hello"
    );
    reply
}

fn take(
    house: &mut House,
    (from, datagram): (SocketAddr, &[u8]),
    rng: &mut Rng,
    now: Timestamp,
) -> Option<Vec<u8>> {
    if house.connections.pending() >= house.config.pending_joins_max {
        return refused(house, "too many pending joins");
    }
    let hello = match handshake::open_hello(datagram, &house.config.keys, rng) {
        Ok(hello) => hello,
        Err(HelloError::Version { answer, .. }) => {
            house.stats.hellos_refused += 1;
            return Some(answer);
        }
        Err(problem) => return refused(house, &problem.to_string()),
    };
    match house.hellos.judge(&hello) {
        Judgement::Repeated { reply, slot } => {
            if let Some(slot) = slot {
                house.schedule.set(Due::Join(slot), now + PENDING_JOIN_LIFE);
            }
            Some(reply)
        }
        Judgement::Stale => refused(house, "an older hello"),
        Judgement::New { replaces } => {
            if let Some(slot) = replaces {
                house.forget_connection(slot);
            }
            answer(house, from, hello, now)
        }
    }
}

fn refused(house: &mut House, why: &str) -> Option<Vec<u8>> {
    debug!(why, "hello gets no answer");
    house.stats.hellos_refused += 1;
    None
}

fn answer(
    house: &mut House,
    from: SocketAddr,
    hello: OpenHello,
    now: Timestamp,
) -> Option<Vec<u8>> {
    let name = Hello::of(&hello);
    let mut reply = Vec::new();
    match decide(house, &hello) {
        Ok(join) => {
            let Some(id) = house.connections.next_id() else {
                return refused(house, "every connection slot is in use");
            };
            let welcome = Welcome {
                version: hello.version,
                suite: hello.suite.number(),
                connection: id.0,
                session: join.session,
                incarnation: join.incarnation,
                epoch: house.config.epoch,
                // Resuming comes with durable rooms; until then there is nothing to seal.
                ticket: Vec::new(),
            };
            debug!(session = %join.session, name = join.name, %from, "join is pending");
            let accepted = hello.accept(&welcome, &mut reply);
            let connection = Connection::new(accepted.setup, None, now);
            let slot = house.connections.insert(connection, join, from);
            house.schedule.set(Due::Join(slot), now + PENDING_JOIN_LIFE);
            house.hellos.remember(name, reply.clone(), Some(slot));
        }
        Err(refusal) => {
            debug!(%refusal, %from, "join is refused");
            house.stats.hellos_refused += 1;
            hello.refuse(&refusal, &mut reply);
            house.hellos.remember(name, reply.clone(), None);
        }
    }
    Some(reply)
}

/// What the join will do, or why it may not.
fn decide(house: &House, hello: &OpenHello) -> Result<PendingJoin, Refusal> {
    if house.stopping {
        return Err(Refusal::new(
            RefusalCode::Stopping,
            "the server is shutting down",
        ));
    }
    let name = check_permit(house.config.auth, &hello.permit)?;
    let session = session_id(&house.config, &name, hello.identity);
    let known = house
        .sessions
        .find(session)
        .and_then(|key| house.sessions.get(key));
    if known.is_none() && house.sessions.len() >= house.config.sessions_max {
        let most = house.config.sessions_max;
        let text = format!("the server has at most {most} sessions");
        let wait = house.config.seat_hold;
        return Err(Refusal::new(RefusalCode::LimitReached, text).retry_after(wait));
    }
    let incarnation = known
        .map_or(Incarnation::default(), |session| session.incarnation)
        .next();
    Ok(PendingJoin {
        identity: hello.identity,
        session,
        name,
        incarnation,
    })
}

/// The player's name, if the permit is good.
fn check_permit(auth: Auth, permit: &Permit) -> Result<String, Refusal> {
    match (auth, permit) {
        (Auth::Dev, Permit::Dev { name }) if is_sound(name) => Ok(name.clone()),
        (Auth::Dev, Permit::Dev { .. }) => {
            let text = format!("a name has 1 to {NAME_MAX} bytes and no control characters");
            Err(Refusal::new(RefusalCode::PermitRefused, text))
        }
        (Auth::Dev, _) => {
            let text = "this server takes only development permits";
            Err(Refusal::new(RefusalCode::PermitRefused, text))
        }
    }
}

fn is_sound(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= NAME_MAX && !name.chars().any(char::is_control)
}

/// The session of a player: the same one for the same name and key, after a restart too.
fn session_id(config: &Config, name: &str, identity: PublicKey) -> SessionId {
    let parts: [&[u8]; 3] = [b"dev", name.as_bytes(), &identity.0];
    SessionId(hash::keyed_short(&config.session_secret, &parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_bounded() {
        let check = |name: &str| check_permit(Auth::Dev, &Permit::dev(name)).map_err(|r| r.code);
        assert_eq!(check("ana"), Ok("ana".to_owned()));
        assert_eq!(check(&"x".repeat(NAME_MAX)), Ok("x".repeat(NAME_MAX)));
        for name in ["", "  ", "a\nb", &"x".repeat(NAME_MAX + 1)] {
            assert_eq!(check(name), Err(RefusalCode::PermitRefused), "{name:?}");
        }
    }
}
