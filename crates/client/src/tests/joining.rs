//! Hellos, their answers, and what else may come instead.

use std::time::Duration;

use rejoin_protocol::handshake::{Permit, StartError, open_hello};
use rejoin_protocol::limits::{HELLO_RETRY, HELLO_RETRY_MAX, NAME_MAX, OLD_HELLOS_MAX};
use rejoin_protocol::{CloseReason, ConnectionEvent, Liveness, Refusal, RefusalCode, Rng};

use super::duet::{Duet, SESSION, options, server_keys};
use crate::{Core, Ended, Event, Options, State};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Moments at which hellos leave, in milliseconds since the start, while nobody answers.
fn hello_times(duet: &mut Duet, until: u64) -> Vec<u128> {
    let start = duet.now;
    let mut times = Vec::new();
    duet.exchange();
    for _ in 0..until {
        let passed = duet.now.since(start).as_millis();
        times.resize(duet.hellos.len(), passed);
        duet.advance(millis(1));
    }
    times
}

#[test]
fn a_join_takes_one_round_trip_and_the_first_packet_confirms_it() {
    let mut duet = Duet::new(options());
    assert_eq!(*duet.core.state(), State::Joining);
    assert_eq!(duet.core.player(), None);
    duet.exchange();
    assert_eq!(duet.hellos.len(), 1);
    duet.now += millis(40);
    duet.accept();
    duet.exchange();
    assert_eq!(duet.take_events(), [Event::Connected { session: SESSION }]);
    assert_eq!(*duet.core.state(), State::Active(Liveness::Live));
    assert_eq!(duet.core.player(), Some(SESSION.player()));
    assert!(duet.heard.contains(&ConnectionEvent::Confirmed));
}

#[test]
fn the_handshake_measures_the_round_trip() {
    let mut duet = Duet::new(options());
    duet.exchange();
    duet.now += millis(40);
    duet.accept();
    assert_eq!(duet.core.link().rtt, Some(millis(40)));
}

#[test]
fn an_answer_to_one_of_two_hellos_measures_nothing() {
    let mut duet = Duet::new(options());
    duet.advance(HELLO_RETRY);
    assert_eq!(duet.hellos.len(), 2);
    duet.now += millis(40);
    duet.accept();
    assert_eq!(duet.core.link().rtt, None);
}

#[test]
fn an_unanswered_hello_is_repeated_unchanged_at_doubling_intervals() {
    let mut duet = Duet::new(options());
    let times = hello_times(&mut duet, 8_000);
    let mut expected = vec![0];
    let mut wait = HELLO_RETRY;
    while let Some(next) = expected
        .last()
        .map(|last| last + wait.as_millis())
        .filter(|at| *at < 8_000)
    {
        expected.push(next);
        wait = HELLO_RETRY_MAX.min(wait * 2);
    }
    assert!(expected.len() > 5 && wait == HELLO_RETRY_MAX);
    assert_eq!(times, expected);
    assert!(duet.hellos.iter().all(|hello| *hello == duet.hellos[0]));
}

#[test]
fn the_client_gives_up_when_its_time_is_over_and_not_before() {
    let mut duet = Duet::new(Options {
        join_timeout: millis(3_000),
        ..options()
    });
    duet.advance(millis(2_999));
    assert_eq!(*duet.core.state(), State::Joining);
    duet.advance(millis(1));
    let ended = Ended::Unreachable(millis(3_000));
    assert_eq!(duet.take_events(), [Event::Ended(ended.clone())]);
    assert_eq!(*duet.core.state(), State::Ended(ended));
    assert_eq!(duet.core.poll_timeout(), None);
    assert!(duet.client_datagrams().is_empty());
}

#[test]
fn the_reply_to_a_repeated_hello_still_joins() {
    let mut duet = Duet::new(options());
    duet.advance(millis(5_000));
    duet.accept();
    duet.exchange();
    assert_eq!(duet.take_events(), [Event::Connected { session: SESSION }]);
}

#[test]
fn garbage_is_ignored_and_counted() {
    let mut duet = Duet::new(options());
    duet.exchange();
    let mut rng = Rng::from_number(3);
    for len in 0..200 {
        let mut garbage = vec![0; len];
        rng.fill(&mut garbage);
        duet.core.handle_datagram(&mut garbage, duet.now);
    }
    assert_eq!(duet.core.link().dropped, 200);
    duet.accept();
    duet.exchange();
    for len in 0..200 {
        let mut garbage = vec![0; len];
        rng.fill(&mut garbage);
        duet.core.handle_datagram(&mut garbage, duet.now);
    }
    assert_eq!(duet.core.link().dropped, 400);
    assert_eq!(duet.take_events(), [Event::Connected { session: SESSION }]);
    assert_eq!(*duet.core.state(), State::Active(Liveness::Live));
}

#[test]
fn a_reply_that_comes_twice_is_dropped() {
    let mut duet = Duet::new(options());
    duet.exchange();
    let (server, reply) = super::duet::accept(
        &duet.hellos[0],
        &server_keys(),
        &mut Rng::from_number(5),
        duet.now,
    );
    duet.server = Some(server);
    duet.reach_client(reply.clone());
    duet.reach_client(reply);
    duet.exchange();
    assert_eq!(duet.take_events(), [Event::Connected { session: SESSION }]);
    assert_eq!(duet.core.link().dropped, 1);
}

#[test]
fn a_reply_to_another_client_is_not_taken() {
    let mut other = Duet::new(Options {
        moment: 2,
        ..options()
    });
    other.core = Core::new(options(), Rng::from_number(99), other.now);
    other.exchange();
    let mut duet = Duet::new(options());
    duet.exchange();
    let mut rng = Rng::from_number(5);
    let (_, reply) = super::duet::accept(&other.hellos[0], &server_keys(), &mut rng, duet.now);
    duet.reach_client(reply);
    assert_eq!(duet.take_events(), []);
    assert_eq!(duet.core.link().dropped, 1);
}

#[test]
fn a_refused_join_ends_with_the_servers_own_words() {
    let mut duet = Duet::new(options());
    duet.exchange();
    let refusal = Refusal::new(RefusalCode::LimitReached, "the server is full")
        .retry_after(Duration::from_secs(5));
    let hello = open_hello(&duet.hellos[0], &server_keys(), &mut Rng::from_number(5)).unwrap();
    let mut reply = Vec::new();
    hello.refuse(&refusal, &mut reply);
    duet.reach_client(reply);
    assert_eq!(duet.take_events(), [Event::Ended(Ended::Refused(refusal))]);
}

/// The server refuses the newest hello as older than one of moment `newest`; gives its own moment.
fn refuse_as_old(duet: &mut Duet, newest: u64) -> u64 {
    duet.exchange();
    let hello = duet.hellos.last().unwrap();
    let hello = open_hello(hello, &server_keys(), &mut Rng::from_number(5)).unwrap();
    let (moment, mut reply) = (hello.moment, Vec::new());
    hello.refuse(&Refusal::old_hello(newest), &mut reply);
    duet.reach_client(reply.clone());
    // Once there is a new hello, the answer to the one before is nobody's.
    duet.reach_client(reply);
    moment
}

#[test]
fn a_client_whose_clock_went_back_starts_anew_at_once_and_the_game_does_not_hear_of_it() {
    let mut duet = Duet::new(Options {
        moment: 1_000,
        ..options()
    });
    duet.advance(HELLO_RETRY);
    assert_eq!(refuse_as_old(&mut duet, 5_000), 1_000);
    assert_eq!(duet.take_events(), []);
    duet.exchange();
    assert_eq!(duet.hellos.len(), 3);
    let hello = open_hello(&duet.hellos[2], &server_keys(), &mut Rng::from_number(5)).unwrap();
    assert_eq!(hello.moment, 5_001);
    duet.now += millis(40);
    duet.accept();
    duet.exchange();
    assert_eq!(duet.take_events(), [Event::Connected { session: SESSION }]);
    assert_eq!(
        duet.core.link().rtt,
        Some(millis(40)),
        "it was the only one"
    );
}

#[test]
fn a_client_that_is_too_old_whatever_it_does_is_told_why() {
    let mut duet = Duet::new(options());
    let moments: Vec<_> = (0..=u64::from(OLD_HELLOS_MAX))
        .map(|nth| refuse_as_old(&mut duet, 10 * (nth + 1)))
        .collect();
    assert_eq!(moments, [1, 11, 21, 31]);
    let ended = Ended::Refused(Refusal::old_hello(40));
    assert_eq!(duet.take_events(), [Event::Ended(ended)]);

    // There is no larger one.
    let mut duet = Duet::new(options());
    refuse_as_old(&mut duet, u64::MAX);
    let ended = Ended::Refused(Refusal::old_hello(u64::MAX));
    assert_eq!(duet.take_events(), [Event::Ended(ended)]);
}

#[test]
fn a_server_without_a_common_version_ends_the_join_and_says_who_is_old() {
    let mut duet = Duet::new(options());
    duet.exchange();
    let hello = open_hello(&duet.hellos[0], &server_keys(), &mut Rng::from_number(5)).unwrap();
    // What a server of versions 2 to 3 answers: type, the hello's own mark, the range.
    duet.reach_client([&[0x43], hello.fingerprint.as_slice(), &[2, 3]].concat());
    let events = duet.take_events();
    let [Event::Ended(Ended::Version(text))] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert!(text.contains("update the client"), "{text}");
}

#[test]
fn a_permit_that_cannot_travel_ends_the_client_before_it_sends() {
    let permit = Permit::dev("x".repeat(NAME_MAX + 1));
    let mut duet = Duet::new(Options {
        permit,
        ..options()
    });
    let events = duet.take_events();
    assert!(matches!(
        events.as_slice(),
        [Event::Ended(Ended::Start(StartError::Permit(_)))]
    ));
    assert!(duet.client_datagrams().is_empty());
    assert_eq!(duet.core.poll_timeout(), None);
}

#[test]
fn nothing_can_be_asked_before_the_session_is_open() {
    let mut duet = Duet::new(options());
    assert!(duet.core.join(rejoin_protocol::RoomId([1; 16])).is_err());
    assert!(
        duet.core
            .send(rejoin_protocol::SeatId(1), bytes::Bytes::new())
            .is_err()
    );
    assert_eq!(duet.core.cursor(rejoin_protocol::SeatId(1)), None);
}

#[test]
fn a_join_may_be_broken_off() {
    let mut duet = Duet::new(options());
    duet.exchange();
    duet.core.disconnect();
    assert_eq!(duet.take_events(), [Event::Ended(Ended::Left)]);
    duet.accept();
    assert_eq!(duet.take_events(), []);
    assert_eq!(*duet.core.state(), State::Ended(Ended::Left));
    duet.core.close(CloseReason::Overloaded);
    assert_eq!(*duet.core.state(), State::Ended(Ended::Left));
}
