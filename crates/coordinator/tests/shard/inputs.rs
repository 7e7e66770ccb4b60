//! Reliable inputs are applied exactly once and in order; latest ones newest wins; events are
//! numbered.

use std::time::Duration;

use rejoin_client::{Ended, Event};
use rejoin_protocol::limits::STREAM_WINDOW;
use rejoin_protocol::message::{RoomCloseReason, RoomSettings, SeatChange};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::{CloseReason, Limit, RequestId, SeatId};

use crate::rooms::Act;
use crate::world::{Network, World, seated};

/// Numbers and payloads of the room's events, as the client was told.
fn told(world: &World, player: usize) -> Vec<(u64, u32)> {
    let events = world.events(player).iter();
    events
        .filter_map(|event| match event {
            Event::Room {
                number, payload, ..
            } => Some((*number, messagepack::decode(payload, Bounds::PEER).unwrap())),
            _ => None,
        })
        .collect()
}

#[test]
fn every_input_counts_once_through_loss_and_duplication() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    let seats = [(ana, room.seat), (ben, world.join(ben, room.room).seat)];
    world.network = Network {
        loss: 0.2,
        duplication: 0.3,
    };
    for round in 1..=200 {
        for (player, seat) in seats {
            assert_eq!(world.act(player, seat, Act::Add(1)), round);
        }
        world.run(Duration::from_millis(10));
    }
    let applied = |world: &World| {
        seats
            .iter()
            .all(|(player, seat)| world.players[*player].core.cursor(*seat) == Some(200))
    };
    assert!(
        world.run_until(Duration::from_secs(20), applied),
        "all inputs are covered"
    );
    world.network = Network::default();
    let player = |index: usize| world.players[index].core.player().unwrap();
    let (a, b) = (player(ana), player(ben));
    let board = world.expect_view(ana, room.seat, |board| board.adds == 400);
    assert_eq!((board.totals[&a], board.totals[&b]), (200, 200));
    assert_eq!(world.shard.stats().inputs, 400);
}

#[test]
fn events_are_numbered_and_told_once_in_order() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    world.network = Network {
        loss: 0.2,
        duplication: 0.3,
    };
    for number in 0..20 {
        world.act(ana, room.seat, Act::Say(number));
    }
    world.run(Duration::from_secs(5));
    let late = world.join(ben, room.room);
    for number in 20..30 {
        world.act(ana, room.seat, Act::Say(number));
    }
    world.run(Duration::from_secs(5));
    let expected: Vec<_> = (1..=30).zip(0..30).collect();
    assert_eq!(told(&world, ana), expected);
    assert_eq!(late.event, 0);
    assert_eq!(told(&world, ben), (1..=10).zip(20..30).collect::<Vec<_>>());
}

#[test]
fn timers_run_in_room_time() {
    let mut world = World::new();
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.act(ana, room.seat, Act::Later(42));
    world.run(Duration::from_millis(150));
    assert_eq!(told(&world, ana), []);
    world.run(Duration::from_millis(150));
    assert_eq!(told(&world, ana), [(1, 42)]);
    world.expect_view(ana, room.seat, |board| board.adds == 42);
}

#[test]
fn of_latest_inputs_the_newest_wins_and_none_goes_back() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat = world.create(ana, "yard", 1).seat;
    for _ in 0..50 {
        world.players[ana]
            .core
            .latest(seat, Act::Add(1).encode())
            .unwrap();
    }
    let board = world.expect_view(ana, seat, |board| board.adds > 0);
    assert_eq!(board.adds, 1, "what had not left was replaced");
    assert_eq!(world.players[ana].core.cursor(seat), Some(0));
}

#[test]
fn a_latest_input_waits_for_the_tick_of_its_room_or_for_what_comes_before() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat = world.create(ana, "mill", 1).seat;
    let latest = |world: &mut World, number| {
        let act = Act::Add(number).encode();
        world.players[ana].core.latest(seat, act).unwrap();
        world.run(Duration::from_millis(5));
    };
    // Within one tick the newest wins, wherever in it that begins.
    (0..40).for_each(|_| latest(&mut world, 1));
    let board = world.expect_view(ana, seat, |board| board.adds > 1);
    assert!(
        (3..=6).contains(&board.adds),
        "{} of 40 in four ticks",
        board.adds
    );
    // A reliable input has its turn at once, and what came before it is applied before it.
    world.run(Duration::from_millis(100));
    let adds = world.expect_view(ana, seat, |_| true).adds;
    for _ in 0..5 {
        latest(&mut world, 1);
        world.act(ana, seat, Act::Add(1));
        world.run(Duration::from_millis(20));
    }
    world.run(Duration::from_millis(100));
    world.expect_view(ana, seat, |board| board.adds == adds + 10);
}

#[test]
fn an_unreadable_input_is_refused_and_passed() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat = world.create(ana, "yard", 1).seat;
    world.players[ana]
        .core
        .send(seat, vec![0xc1].into())
        .unwrap();
    world.act(ana, seat, Act::Add(3));
    let board = world.expect_view(ana, seat, |board| board.adds == 1);
    assert_eq!(board.adds, 1);
    assert_eq!(world.players[ana].core.cursor(seat), Some(2));
    let refused = world
        .events(ana)
        .iter()
        .any(|event| matches!(event, Event::InputRefused { number: 1, .. }));
    assert!(refused);
}

#[test]
fn a_removed_player_is_told_why_and_others_that() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    let seat = world.join(ben, room.room).seat;
    let ben_id = world.players[ben].core.player().unwrap();
    world.act(ana, room.seat, Act::Kick(ben_id));
    world.run(Duration::from_millis(50));
    let reason = RoomCloseReason::Removed("kicked".into());
    assert!(
        world
            .events(ben)
            .contains(&Event::RoomClosed { seat, reason })
    );
    let board = world.expect_view(ana, room.seat, |board| board.seats.len() == 3);
    assert_eq!(board.seats[2], (ben_id, SeatChange::Left));
    // The seat is free again.
    world.join(ben, room.room);
}

#[test]
fn room_logic_ends_its_room() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat: SeatId = world.create(ana, "mill", 1).seat;
    world.act(ana, seat, Act::End);
    world.run(Duration::from_millis(100));
    let reason = RoomCloseReason::Ended("over".into());
    assert!(
        world
            .events(ana)
            .contains(&Event::RoomClosed { seat, reason })
    );
    assert_eq!(world.shard.stats().rooms, 0);
}

#[test]
fn a_member_who_is_told_too_much_at_once_is_closed_and_keeps_the_seat() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    world.join(ben, room.room);
    // Ben hears nothing any more, so what he is told piles up.
    world.players[ben].online = false;
    for _ in 0..90 {
        for number in 0..50 {
            world.act(ana, room.seat, Act::Say(number));
        }
        world.run(Duration::from_millis(40));
    }
    world.run(Duration::from_millis(200));
    assert_eq!(told(&world, ana).len(), 4_500, "nobody else is held up");
    let board = world.expect_view(ana, room.seat, |board| {
        let mut changes = board.seats.iter().map(|(_, change)| *change);
        changes.any(|change| change == SeatChange::Detached)
    });
    let ben_id = world.players[ben].core.player().unwrap();
    let of_ben: Vec<_> = board
        .seats
        .iter()
        .filter(|(player, _)| *player == ben_id)
        .collect();
    assert_eq!(
        of_ben.last().map(|(_, change)| *change),
        Some(SeatChange::Detached)
    );
}

#[test]
fn a_member_who_talks_and_never_acknowledges_is_closed_by_name_and_keeps_the_seat() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    let seat = world.join(ben, room.room).seat;
    // Ben is heard and hears nothing, not even the first goodbye.
    world.players[ben].deaf = true;
    for _ in 0..90 {
        for number in 0..50 {
            world.act(ana, room.seat, Act::Say(number));
        }
        if world.players[ben].deaf {
            world.act(ben, seat, Act::Add(1));
        }
        world.run(Duration::from_millis(40));
        let newest = world.view(ana, room.seat).unwrap().seats.pop();
        let held = newest.is_some_and(|(_, change)| change == SeatChange::Detached);
        world.players[ben].deaf = !held;
    }
    assert!(!world.players[ben].deaf, "the seat is held");
    world.run(Duration::from_millis(400));
    assert_eq!(told(&world, ana).len(), 4_500, "nobody else is held up");
    let board = world.view(ana, room.seat).unwrap();
    assert!(board.totals.len() == 1, "ben was heard");
    let why = CloseReason::OverLimit(Limit::SendQueue);
    let last = world.events(ben).last();
    assert_eq!(last, Some(&Event::Ended(Ended::Closed(why))));
}

#[test]
fn a_crowd_that_floods_its_room_at_once_loses_nobody_and_nothing() {
    let mut world = World::new();
    let players: Vec<_> = (0..17)
        .map(|number| world.player(&format!("p{number}")))
        .collect();
    let settings = RoomSettings {
        members_max: 32,
        ..RoomSettings::default()
    };
    let request = RequestId([1; 16]);
    let room = seated(world.ask(players[0], |core| core.create(request, "yard", settings))).room;
    let seats: Vec<_> = players
        .iter()
        .map(|player| (*player, world.join(*player, room).seat))
        .collect();
    for (player, seat) in &seats {
        for _ in 0..STREAM_WINDOW {
            world.act(*player, *seat, Act::Add(1));
        }
    }
    let (player, seat) = seats[0];
    world.expect_view(player, seat, |board| board.adds == 17 * STREAM_WINDOW);
    assert_eq!(world.shard.stats().sessions, 17);
}
