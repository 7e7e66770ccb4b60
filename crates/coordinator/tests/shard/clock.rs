//! Clocks that jump: who plays does not notice.

use std::time::Duration;

use rejoin_client::{Ended, Event, State};
use rejoin_coordinator::Auth;
use rejoin_protocol::{Liveness, Refusal, Timestamp};

use crate::rooms::Act;
use crate::strangers::{keys, permit};
use crate::world::{World, identity};

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
