//! Clocks that jump: who plays does not notice.

use std::time::Duration;

use rejoin_client::{Ended, Event, State};
use rejoin_coordinator::Auth;
use rejoin_protocol::handshake::{HandshakeError, Permit};
use rejoin_protocol::{Liveness, Refusal, Timestamp};

use crate::rooms::Act;
use crate::strangers::{HOME, answer, confirm, hello_of, keys, permit, server};
use crate::world::{DELAY, World, identity};

/// A server that asks for permits, at 1970 and 1,001 s; the permits here expire at 1,060 s.
fn world() -> World {
    World::with(|config| {
        config.auth = Auth::Token(keys(1));
        config.unix_start = Duration::from_secs(1_000);
    })
}

fn start(world: &mut World, name: &str, permit_id: u8) -> usize {
    let identity = identity(name);
    let permit = permit(&identity, permit_id, b"");
    world.start_with(name, identity, permit)
}

#[test]
fn a_session_lives_on_when_the_time_of_permits_has_passed_its_own() {
    let mut world = world();
    let ana = start(&mut world, "ana", 1);
    world.run(Duration::from_secs(1));
    let seat = world.create(ana, "mill", 1).seat;
    // The clock comes to stand far beyond the permit's end.
    world.run(Duration::from_secs(120));
    let late = start(&mut world, "ben", 2);
    world.run(Duration::from_secs(1));
    let refused = |event: &Event| {
        let Event::Ended(Ended::Refused(Refusal { text, .. })) = event else {
            return false;
        };
        text.contains("expired")
    };
    assert!(world.events(late).iter().any(refused), "a new one is late");
    assert_eq!(
        *world.players[ana].core.state(),
        State::Active(Liveness::Live)
    );
    world.act(ana, seat, Act::Add(1));
    let board = world.expect_view(ana, seat, |board| board.adds == 1);
    assert_eq!(board.seats.len(), 1, "joined, and nothing since");
}

#[test]
fn moments_that_go_back_are_as_if_no_time_had_passed() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    let seat = world.join(ben, room.room).seat;
    world.run(Duration::from_secs(20));
    let before = world.shard.stats();
    let past = [0, 1, 10_000, world.now.as_millis() - 1].map(Timestamp::from_millis);
    for moment in past {
        // A datagram that is no hello and of no connection, and a turn.
        world
            .shard
            .handle_datagram(world.players[ana].address, &mut [0; 40], moment);
        world.shard.turn(moment);
        world.shard.check_invariants();
    }
    let after = world.shard.stats();
    assert_eq!(
        (after.ticks, after.ticks_skipped),
        (before.ticks, before.ticks_skipped)
    );
    world.act(ana, room.seat, Act::Add(1));
    world.act(ben, seat, Act::Add(2));
    let board = world.expect_view(ana, room.seat, |board| board.adds == 2);
    assert_eq!(board.seats.len(), 2, "both joined, and nothing since");
    world.run(Duration::from_secs(20));
    for player in [ana, ben] {
        let state = world.players[player].core.state();
        assert_eq!(*state, State::Active(Liveness::Live));
    }
    let board = world.view(ana, room.seat).unwrap();
    assert_eq!(board.seats.len(), 2);
}

/// Joins with a clock that stands at `moment`; gives how long it took.
fn joins_after(world: &mut World, moment: u64) -> Duration {
    let start = world.now;
    let player = world.start_at("ana", (identity("ana"), Permit::dev("ana")), moment);
    let open = |world: &World| {
        let events = world.events(player).iter();
        events
            .clone()
            .any(|event| matches!(event, Event::Connected { .. }))
    };
    assert!(world.run_until(Duration::from_secs(9), open), "{moment}");
    world.now.since(start)
}

#[test]
fn whatever_a_clients_clock_says_it_joins_within_two_round_trips() {
    const DAY: u64 = 86_400_000_000;
    let mut world = World::with(|config| config.unix_start = Duration::from_secs(1_000_000));
    let trip = DELAY * 2;
    let slack = Duration::from_millis(5);
    let now = |world: &World| 1_000_000_000_000 + world.now.as_micros();
    let moment = now(&world);
    assert!(joins_after(&mut world, moment) < trip + slack);
    // Three minutes fast, then right again; years away; as far ahead as it may be; broken.
    let clocks = [
        (now(&world) + 180_000_000, 1),
        (now(&world), 2),
        (0, 2),
        (now(&world) + 400 * DAY, 2),
        (now(&world) + DAY - 1_000_000, 1),
        (now(&world), 2),
        (u64::MAX, 2),
        (u64::MAX - 1, 2),
        (0, 2),
    ];
    for (moment, trips) in clocks {
        let took = joins_after(&mut world, moment);
        let expected = trip * trips..trip * trips + slack;
        assert!(expected.contains(&took), "{moment}: {took:?}");
        world.run(Duration::from_millis(100));
    }
    assert_eq!(world.shard.stats().joins, 10);
    assert_eq!(world.shard.stats().sessions, 1);
}

#[test]
fn an_older_hello_that_is_replayed_gets_one_small_reply_that_only_its_client_reads() {
    let mut server = server(Auth::Dev);
    let (ana, now) = (identity("ana"), Timestamp::from_millis(5));
    let join = |moment| hello_of(ana.clone(), Permit::dev("ana"), moment);
    let mut recorded = Vec::new();
    for moment in [1, 2] {
        let mut client = join(moment);
        recorded.push(client.hello().to_vec());
        let reply = answer(&mut server, HOME, client.hello(), now).unwrap();
        confirm(
            &mut server,
            HOME,
            client.handle_reply(&reply).unwrap().setup,
            now,
        );
    }
    let later = now + Duration::from_secs(2);
    server.turn(later);
    while server.poll_transmit(&mut Vec::new(), later).is_some() {}
    let before = server.stats();
    for _ in 0..2 {
        assert_eq!(answer(&mut server, HOME, &recorded[1], later), None);
        let reply = answer(&mut server, HOME, &recorded[0], later).unwrap();
        assert!(reply.len() < 300, "{}", reply.len());
        let mut other = hello_of(identity("mallory"), Permit::dev("ana"), 1);
        let refused = other.handle_reply(&reply).unwrap_err();
        assert_eq!(refused, HandshakeError::NotForUs);
    }
    let reply = answer(&mut server, HOME, join(1).hello(), later).unwrap();
    let refused = join(1).handle_reply(&reply).unwrap_err();
    assert_eq!(refused, HandshakeError::Refused(Refusal::old_hello(2)));
    let after = server.stats();
    assert_eq!(
        (after.sessions, after.joins, after.joins_pending),
        (before.sessions, before.joins, 0)
    );
}
