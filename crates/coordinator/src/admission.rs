//! Admission: decides which datagrams from unknown peers deserve state.
//!
//! Called by the shard for every hello. It answers with a reply, with a sealed refusal, with a cookie,
//! or with nothing, and never with more bytes than it was sent. What it keeps is bounded: pending
//! joins by number and time (a repeated hello renews its join, up to a client's own patience), seen
//! hellos by number. A session changes only when a packet under
//! the new keys confirms the join; that is not decided here.

use std::net::SocketAddr;

use rejoin_protocol::handshake::{HelloError, OpenHello, Purpose, Welcome};
use rejoin_protocol::limits::{JOIN_TIMEOUT, PENDING_JOIN_LIFE};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::text::Quoted;
use rejoin_protocol::{Connection, Incarnation, Refusal, RefusalCode, Rng, SessionId, Timestamp};
use tracing::debug;

use crate::answers::Answer;
use crate::auth::Visitor;
use crate::connections::Stage;
use crate::credentials::{Presented, ask_cookie, present, refused};
use crate::directory::Directory;
use crate::hellos::{Claimant, Judgement};
use crate::house::House;
use crate::keys::Slot;
use crate::limits::{STOPPING_RETRY, UNEARNED_JOINS_MAX};
use crate::mail::Content;
use crate::pending_joins::PendingJoin;
use crate::schedule::Due;

/// A hello and how it came.
#[derive(Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) datagram: &'a [u8],
    /// True if another shard handed it over.
    pub(crate) forwarded: bool,
}

/// Takes a hello through the gates, cheapest first. Gives what to send back, if anything.
pub(crate) fn handle_hello(
    house: &mut House,
    homes: &mut impl Directory,
    heard: Heard<'_>,
    rng: &mut Rng,
    now: Timestamp,
) -> Option<Answer> {
    let answer = take(house, homes, heard, rng, now);
    debug_assert!(
        answer
            .as_ref()
            .is_none_or(|answer| answer.bytes().len() <= heard.datagram.len()),
        "an answer is never larger than its hello"
    );
    answer
}

fn take(
    house: &mut House,
    homes: &mut impl Directory,
    heard: Heard<'_>,
    rng: &mut Rng,
    now: Timestamp,
) -> Option<Answer> {
    let Heard { from, datagram, .. } = heard;
    let hello = match house.gate.read(datagram) {
        Ok(hello) => hello,
        Err(HelloError::Version { answer, .. }) => {
            house.stats.hellos_refused += 1;
            return Some(Answer::Demand(answer));
        }
        Err(problem) => return refused(house, &problem.to_string()),
    };
    let proven = house.gate.is_proven(from, &hello, now);
    let is_join = hello.purpose() == Purpose::Join;
    let unearned = house.connections.pending().unearned;
    if is_join && !proven && (unearned >= UNEARNED_JOINS_MAX || !house.gate.spend(now)) {
        return ask_cookie(house, (from, &hello), now);
    }
    if proven && !house.spend_join(from, now) {
        return refused(house, "too many joins of one address");
    }
    let presented = match present(house, hello, proven, rng, now) {
        Ok(presented) => presented,
        Err(answer) => return answer,
    };
    if let Ok(visitor) = &presented.visitor
        && !is_home(house, homes, visitor.session, heard)
    {
        return None;
    }
    let moment_max = house.config.moment_max(now);
    let judgement = house.hellos.judge(presented.name, moment_max);
    // Else a session would count at an address that nobody has shown, and its reply go to several.
    if let Judgement::Repeated { slot, .. } = judgement
        && !proven
        && house.connections.path(slot) != Some(from)
    {
        return ask_cookie(house, (from, &hello), now);
    }
    // A ticket that opens is worth a handshake without a cookie, while there is time and room for that: clients whose
    // server was away come back all at once. Those who have shown where they are find half of the places free.
    let is_first = matches!(judgement, Judgement::New { .. });
    if !is_join && is_first && !proven {
        let full = house.connections.pending().ticketed >= house.config.pending_joins_max / 2;
        if full || !house.gate.spend_ticket(now) {
            return ask_cookie(house, (from, &hello), now);
        }
    }
    let applicant = Applicant { from, proven };
    follow(house, applicant, judgement, presented, now)
}

/// True if the session lives here. Else its home is handed the hello, once.
fn is_home(
    house: &mut House,
    homes: &mut impl Directory,
    session: SessionId,
    heard: Heard<'_>,
) -> bool {
    let home = homes.settle(session, house.config.shard);
    if !house.mail.is_other(home) || planted::is(Bug::HomeIgnored) {
        // Unless a join becomes of it, it is taken back with the end of the turn.
        house.parted.push(session);
        return true;
    }
    if heard.forwarded || house.mail.is_full(home, true) {
        house.stats.hellos_refused += 1;
    } else {
        house.stats.forwarded += 1;
        let content = Content::Datagram {
            from: heard.from,
            bytes: heard.datagram.to_vec(),
        };
        house.mail.post(home, content);
    }
    false
}

/// Who asks to open a session.
#[derive(Clone, Copy)]
struct Applicant {
    from: SocketAddr,
    proven: bool,
}

fn follow(
    house: &mut House,
    applicant: Applicant,
    judgement: Judgement,
    presented: Presented,
    now: Timestamp,
) -> Option<Answer> {
    let claimant = presented.name.claimant;
    match judgement {
        Judgement::Repeated { reply, slot } => {
            renew(house, applicant, (claimant, slot), reply, now)
        }
        Judgement::UsedUp => refused(house, "a hello that was used up"),
        // No more than any hello costs, and kept nowhere. Its sender's clock may have gone back.
        Judgement::Untimely { newest } => {
            debug!(from = %applicant.from, newest, "hello is older than another, or from the future");
            Some(seal_refusal(
                house,
                presented.hello,
                &Refusal::old_hello(newest),
            ))
        }
        Judgement::New { replaces } => {
            if let Some(slot) = replaces {
                house.on_join_replaced(claimant, slot);
            }
            if house.connections.pending().all >= house.config.pending_joins_max {
                return refused(house, "too many pending joins");
            }
            answer(house, applicant, presented, now)
        }
    }
}

/// The client still asks: it hears the same again, and its join is kept for longer, but not beyond the
/// time in which any client gives up, so that a repeated datagram cannot hold a place for ever.
fn renew(
    house: &mut House,
    applicant: Applicant,
    (claimant, slot): (Claimant, Slot),
    reply: Vec<u8>,
    now: Timestamp,
) -> Option<Answer> {
    let from = applicant.from;
    let peer = house.connections.get(slot)?;
    // The slot is looked at first: it may have been given to somebody else.
    let join = match &peer.stage {
        Stage::Pending(join) if join.claimant == claimant => join,
        Stage::Pending(_) | Stage::Active(_) | Stage::Closing => return None,
    };
    let due = (now + PENDING_JOIN_LIFE).min(join.since + JOIN_TIMEOUT);
    if peer.path != from
        && house.sessions.find(join.visitor.session).is_none()
        && house.addresses.check_session(from).is_err()
    {
        // Silence: the refusal would be as good as the reply, and an observer could hand it on.
        return refused(house, "a repeated hello from an address that is full");
    }
    if applicant.proven {
        house.connections.prove(slot, from);
    }
    house.schedule.set(Due::Join(slot), due);
    Some(Answer::Reply(reply))
}

fn seal_refusal(house: &mut House, hello: OpenHello, refusal: &Refusal) -> Answer {
    house.stats.hellos_refused += 1;
    let mut reply = Vec::new();
    hello.refuse(refusal, &mut reply);
    Answer::Reply(reply)
}

fn answer(
    house: &mut House,
    applicant: Applicant,
    presented: Presented,
    now: Timestamp,
) -> Option<Answer> {
    let Presented {
        hello,
        name,
        visitor,
    } = presented;
    let from = applicant.from;
    match decide(house, (name.claimant, applicant), visitor, now) {
        Ok(mut join) => {
            let Some(id) = house.connections.next_id() else {
                return refused(house, "every connection slot is in use");
            };
            let welcome = Welcome {
                version: hello.version,
                suite: hello.suite.number(),
                connection: id.0,
                session: join.visitor.session,
                incarnation: join.incarnation,
                epoch: house.config.epoch,
                reset_token: house.reset_key.token(house.config.epoch, id),
            };
            debug!(session = %join.visitor.session, name = join.visitor.name, %from, "join is pending");
            let mut reply = Vec::new();
            let accepted = hello.accept(&welcome, &mut reply);
            join.psk = accepted.resume_psk;
            let connection = Connection::new(accepted.setup, None, now);
            let slot = house.connections.insert(connection, join, from);
            house.schedule.set(Due::Join(slot), now + PENDING_JOIN_LIFE);
            house.hellos.remember(name, slot, reply.clone());
            if planted::is(Bug::SwitchedByHello) && matches!(name.claimant, Claimant::Session(_)) {
                house.confirm(slot, now);
            }
            Some(Answer::Reply(reply))
        }
        Err(refusal) => {
            debug!(refusal = %Quoted(&refusal), %from, "join is refused");
            Some(seal_refusal(house, hello, &refusal))
        }
    }
}

/// What the join will do, or why it may not.
fn decide(
    house: &House,
    (claimant, applicant): (Claimant, Applicant),
    visitor: Result<Visitor, Refusal>,
    now: Timestamp,
) -> Result<PendingJoin, Refusal> {
    if house.stopping {
        // Whoever comes back finds the next one, if there is to be one.
        let refusal = Refusal::new(RefusalCode::Stopping, "the server is shutting down");
        return Err(refusal.retry_after(STOPPING_RETRY));
    }
    let visitor = visitor?;
    let found = house.sessions.find(visitor.session);
    if let Some(session) = found {
        house.check_takeover(session, now)?;
    }
    let known = found.and_then(|key| house.sessions.get(key));
    if known.is_none() && house.sessions.len() >= house.config.sessions_max {
        let most = house.config.sessions_max;
        let text = format!("the server has at most {most} sessions");
        let wait = house.config.seat_hold;
        return Err(Refusal::new(RefusalCode::LimitReached, text).retry_after(wait));
    }
    if known.is_none() {
        house.addresses.check_session(applicant.from)?;
    }
    let incarnation = known
        .map_or(Incarnation::default(), |session| session.incarnation)
        .max(visitor.incarnation)
        .next();
    Ok(PendingJoin {
        claimant,
        visitor,
        incarnation,
        psk: [0; 32],
        proven: applicant.proven,
        since: now,
    })
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::CloseReason;
    use rejoin_protocol::crypto::{PublicKey, StaticKeys, Suite};
    use rejoin_protocol::handshake::{ClientHandshake, HandshakeOptions, Permit};
    use rejoin_protocol::limits::NAME_MAX;

    use super::*;
    use crate::config::Config;
    use crate::directory::MemoryDirectory;

    fn house(pending_joins_max: usize) -> House {
        let mut config = Config::new(StaticKeys::development(), [7; 32]);
        config.pending_joins_max = pending_joins_max;
        House::new(config, &mut Rng::from_number(1), Timestamp::ZERO)
    }

    fn hello(name: &str, moment: u64) -> Vec<u8> {
        let mut rng = Rng::from_number(2).fork(name);
        let options = HandshakeOptions {
            server: StaticKeys::development().public(),
            identity: StaticKeys::generate(&mut rng),
            permit: Permit::dev(name),
            suites: Suite::ALL.to_vec(),
            receive_id: None,
            moment,
        };
        let handshake = ClientHandshake::new(&options, &mut rng).unwrap();
        handshake.hello().to_vec()
    }

    fn take(house: &mut House, hello: &[u8], now: Timestamp) -> Option<Answer> {
        let from = SocketAddr::from(([127, 0, 0, 1], 9));
        let heard = Heard {
            from,
            datagram: hello,
            forwarded: false,
        };
        let homes = &mut MemoryDirectory::default();
        handle_hello(house, homes, heard, &mut Rng::from_number(3), now)
    }

    fn only_slot(house: &House) -> Slot {
        let mut slots = house.connections.iter().map(|(slot, _)| slot);
        slots.next().unwrap()
    }

    fn pending_names(house: &House) -> Vec<&str> {
        let stages = house.connections.iter().map(|(_, peer)| &peer.stage);
        stages
            .filter_map(|stage| match stage {
                Stage::Pending(join) => Some(join.visitor.name.as_str()),
                Stage::Active(_) | Stage::Closing => None,
            })
            .collect()
    }

    #[test]
    fn a_join_that_ended_early_takes_no_stranger_with_it() {
        let (mut house, now) = (house(4), Timestamp::from_millis(1));
        take(&mut house, &hello("ana", 1), now).unwrap();
        let slot = only_slot(&house);
        let peer = house.connections.get_mut(slot).unwrap();
        peer.connection.close(CloseReason::TimedOut);
        house.drain(slot, now);
        take(&mut house, &hello("ben", 1), now).unwrap();
        assert_eq!(only_slot(&house), slot, "the place is taken again");
        take(&mut house, &hello("ana", 2), now).unwrap();
        assert_eq!(pending_names(&house), ["ben", "ana"]);
        house.on_join_replaced(Claimant::Identity(PublicKey([0; 32])), slot);
        assert_eq!(pending_names(&house), ["ben", "ana"], "it is not theirs");
    }

    #[test]
    fn an_older_hello_leads_nowhere_once_a_newer_one_was_refused() {
        let (mut house, now) = (house(4), Timestamp::from_millis(1));
        take(&mut house, &hello("ana", 1), now).unwrap();
        house.stopping = true;
        assert!(
            take(&mut house, &hello("ana", 2), now).is_some(),
            "a refusal"
        );
        assert_eq!(pending_names(&house), [""; 0]);
        house.stopping = false;
        take(&mut house, &hello("ben", 1), now).unwrap();
        assert_eq!(take(&mut house, &hello("ana", 1), now), None);
        assert_eq!(pending_names(&house), ["ben"]);
    }

    #[test]
    fn a_full_house_still_answers_those_it_waits_for() {
        let (mut house, now) = (house(1), Timestamp::from_millis(1));
        let first = take(&mut house, &hello("ana", 1), now);
        assert!(first.is_some());
        assert_eq!(take(&mut house, &hello("ben", 1), now), None);
        assert_eq!(take(&mut house, &hello("ana", 1), now), first);
        assert!(take(&mut house, &hello("ana", 2), now).is_some());
        assert_eq!(pending_names(&house), ["ana"]);
    }

    #[test]
    fn a_repeated_hello_holds_its_place_only_as_long_as_a_client_waits() {
        let (mut house, start) = (house(1), Timestamp::from_millis(1));
        for second in 0..30 {
            let now = start + std::time::Duration::from_secs(second);
            take(&mut house, &hello("ana", 1), now).unwrap();
        }
        let due = house.schedule.get(Due::Join(only_slot(&house)));
        assert_eq!(due, Some(start + JOIN_TIMEOUT));
    }

    #[test]
    fn names_are_bounded_and_not_blank() {
        let mut house = house(4);
        let longest = "x".repeat(NAME_MAX);
        // A blank one is told so; those that no permit may hold are refused when it is read.
        for name in ["ana", &longest, "  "] {
            assert!(take(&mut house, &hello(name, 1), Timestamp::ZERO).is_some());
        }
        assert_eq!(pending_names(&house), ["ana", &longest]);
        assert_eq!(house.stats.hellos_refused, 1);
    }
}
