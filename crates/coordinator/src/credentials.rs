//! What a hello presents: a permit that opens a session, or a ticket that takes one up again; or it is asked for a cookie
//! first.

use std::net::SocketAddr;

use rejoin_protocol::Timestamp;
use rejoin_protocol::handshake::{Bearer, OpenHello, Purpose, ReceivedHello};
use rejoin_protocol::text::Quoted;
use rejoin_protocol::{Refusal, Rng};
use tracing::{debug, warn};

use crate::answers::Answer;
use crate::auth::{Proof, Visitor};
use crate::hellos::{Claimant, Hello};
use crate::house::House;

/// A hello whose sender has shown what it claims to have.
pub(crate) struct Presented {
    pub(crate) hello: OpenHello,
    pub(crate) name: Hello,
    pub(crate) visitor: Result<Visitor, Refusal>,
}

/// Takes a hello through the gates that need keys; else gives what to send back, if anything.
pub(crate) fn present(
    house: &mut House,
    (from, hello): (SocketAddr, ReceivedHello<'_>),
    proven: bool,
    rng: &mut Rng,
    now: Timestamp,
) -> Result<Presented, Option<Answer>> {
    match hello.purpose() {
        Purpose::Join => present_permit(house, hello, proven, rng, now),
        Purpose::Resume => present_ticket(house, (from, hello), proven, rng, now),
    }
}

fn present_permit(
    house: &mut House,
    hello: ReceivedHello<'_>,
    proven: bool,
    rng: &mut Rng,
    now: Timestamp,
) -> Result<Presented, Option<Answer>> {
    let permit = match hello.permit() {
        Ok(permit) => house.config.auth.open(permit),
        Err(problem) => return Err(refused(house, &problem.to_string())),
    };
    // Saying why costs Diffie-Hellman too: a proven sender of forged permits gets only so much.
    if proven && permit.is_err() && !house.gate.spend(now) {
        return Err(refused(house, "too many bad permits"));
    }
    let hello = hello.open(&house.config.keys, rng);
    let hello = hello.map_err(|problem| refused(house, &problem.to_string()))?;
    let Some(identity) = hello.identity else {
        return Err(refused(house, "a join without an identity"));
    };
    let visitor = permit.and_then(|permit| {
        permit.admit(Proof {
            identity,
            now_unix_s: house.config.unix_s(now),
            session_secret: &house.config.session_secret,
        })
    });
    Ok(Presented {
        name: Hello::of(Claimant::Identity(identity), &hello),
        hello,
        visitor,
    })
}

/// All tickets that open nothing are refused alike, before Diffie-Hellman; who has a good one and not its
/// secret hears nothing. One that opens is worth a handshake without a cookie, while there is time for that:
/// clients whose server was away come back all at once.
fn present_ticket(
    house: &mut House,
    (from, hello): (SocketAddr, ReceivedHello<'_>),
    proven: bool,
    rng: &mut Rng,
    now: Timestamp,
) -> Result<Presented, Option<Answer>> {
    let ticket = hello.ticket();
    let ticket = ticket.map_err(|problem| refused(house, &problem.to_string()))?;
    let now_unix_s = house.config.unix_s(now);
    let bearer = match house.config.ticket_keys.open(&ticket, now_unix_s) {
        Ok(bearer) if bearer.epoch > house.config.epoch => {
            on_later_epoch(house, &bearer, now);
            return Err(refuse_ticket(house, &hello, "a ticket of a later epoch"));
        }
        Ok(bearer) => bearer,
        Err(problem) => return Err(refuse_ticket(house, &hello, &problem.to_string())),
    };
    if !proven && !house.gate.spend_ticket(now) {
        return Err(ask_cookie(house, (from, &hello), now));
    }
    let hello = hello.open_resume(&bearer.psk, rng);
    let hello = hello.map_err(|problem| refused(house, &problem.to_string()))?;
    let visitor = Visitor {
        session: bearer.session,
        name: bearer.name,
        claims: bearer.claims,
        incarnation: bearer.incarnation,
    };
    Ok(Presented {
        name: Hello::of(Claimant::Session(visitor.session), &hello),
        hello,
        visitor: Ok(visitor),
    })
}

/// A server with the same keys is further on than this one: two of them, or a folder put back from a copy.
fn on_later_epoch(house: &mut House, bearer: &Bearer, now: Timestamp) {
    if let Some(left_out) = house.store_lines.line(now) {
        let (theirs, ours) = (bearer.epoch.0, house.config.epoch.0);
        warn!(
            theirs,
            ours, left_out, "a ticket of a later server with our keys: is this one stale?"
        );
    }
}

fn refuse_ticket(house: &mut House, hello: &ReceivedHello<'_>, why: &str) -> Option<Answer> {
    if house.answers.has_demands_enough() {
        return refused(house, "no time to refuse a ticket");
    }
    debug!(why = %Quoted(why), "ticket is refused");
    house.stats.hellos_refused += 1;
    Some(Answer::Demand(hello.refuse_ticket()))
}

/// Asks for a cookie, if there is time.
pub(crate) fn ask_cookie(
    house: &mut House,
    (from, hello): (SocketAddr, &ReceivedHello<'_>),
    now: Timestamp,
) -> Option<Answer> {
    if house.stopping || house.answers.has_demands_enough() {
        return refused(house, "no time for a cookie");
    }
    house.stats.cookies_asked += 1;
    Some(Answer::Demand(house.gate.ask(from, hello, now)))
}

/// Notes a hello that gets no answer.
pub(crate) fn refused(house: &mut House, why: &str) -> Option<Answer> {
    debug!(why = %Quoted(why), "hello gets no answer");
    house.stats.hellos_refused += 1;
    None
}
