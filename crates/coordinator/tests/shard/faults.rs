//! Room logic that panics costs one call, or its own room; never another.

use std::time::Duration;

use rejoin_client::Event;
use rejoin_protocol::limits::SEAT_HOLD;
use rejoin_protocol::message::{RoomCloseReason, RoomSettings, SeatChange};
use rejoin_protocol::{RefusalCode, RequestId, SeatId};
use rejoin_store::MemoryStore;

use crate::lines::lines_of;
use crate::rooms::{Act, Bomb};
use crate::world::World;

fn is_closed_as_failed(world: &World, player: usize, of: SeatId) -> bool {
    world.events(player).iter().any(|event| {
        matches!(event, Event::RoomClosed { seat, reason: RoomCloseReason::Failed(_) } if *seat == of)
    })
}

fn newest_tick(world: &World, player: usize, of: SeatId) -> u64 {
    let ticks = world.events(player).iter().filter_map(|event| match event {
        Event::View { seat, tick, .. } if *seat == of => Some(*tick),
        _ => None,
    });
    ticks.last().unwrap()
}

/// A room that must not notice what happens next to it.
fn neighbour(world: &mut World) -> (usize, SeatId) {
    let player = world.player("neighbour");
    (player, world.create(player, "mill", 200).seat)
}

fn check_neighbour(world: &mut World, (player, seat): (usize, SeatId)) {
    world.act(player, seat, Act::Add(1));
    let board = world.expect_view(player, seat, |board| board.adds == 1);
    assert_eq!(board.seats.len(), 1);
}

#[test]
fn a_panicking_input_is_taken_out_and_those_around_it_stay() {
    let mut world = World::new();
    let other = neighbour(&mut world);
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    let seat = world.join(ben, room.room).seat;
    world.act(ana, room.seat, Act::Add(1));
    world.run(Duration::from_millis(100));
    // All of these reach the room in one turn.
    world.act(ana, room.seat, Act::Add(10));
    world.act(ana, room.seat, Act::Say(5));
    world.act(ana, room.seat, Act::Arm(Bomb::Now));
    world.act(ana, room.seat, Act::Add(100));
    world.act(ben, seat, Act::Add(1_000));
    let board = world.expect_view(ana, room.seat, |board| board.adds == 4);
    let player = |index: usize| world.players[index].core.player().unwrap();
    assert_eq!(
        (board.totals[&player(ana)], board.totals[&player(ben)]),
        (111, 1_000)
    );
    assert_eq!(world.players[ana].core.cursor(room.seat), Some(5));
    let refusals: Vec<_> = world
        .events(ana)
        .iter()
        .filter_map(|event| match event {
            Event::InputRefused {
                number, refusal, ..
            } => Some((*number, refusal.code)),
            _ => None,
        })
        .collect();
    assert_eq!(refusals, [(4, RefusalCode::RoomFailed)]);
    let said = |player: usize| {
        let events = world.events(player).iter();
        events
            .filter(|event| matches!(event, Event::Room { number: 1, .. }))
            .count()
    };
    assert_eq!(
        (said(ana), said(ben)),
        (1, 1),
        "what was sent before is not sent again"
    );
    assert_eq!(
        (world.shard.stats().voids, world.shard.stats().rooms_failed),
        (1, 0)
    );
    check_neighbour(&mut world, other);
}

#[test]
fn two_panics_in_one_turn_are_both_taken_out() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat = world.create(ana, "yard", 1).seat;
    for act in [
        Act::Add(1),
        Act::Arm(Bomb::Now),
        Act::Add(2),
        Act::Arm(Bomb::Now),
        Act::Add(4),
    ] {
        world.act(ana, seat, act);
    }
    let board = world.expect_view(ana, seat, |board| board.adds == 3);
    assert_eq!(board.totals.values().sum::<u64>(), 7);
    assert_eq!(world.shard.stats().voids, 2);
}

#[test]
fn the_third_panic_within_a_minute_closes_the_room() {
    let mut world = World::new();
    let other = neighbour(&mut world);
    let ana = world.player("ana");
    let seat = world.create(ana, "yard", 1).seat;
    for _ in 0..2 {
        world.act(ana, seat, Act::Arm(Bomb::Now));
        world.run(Duration::from_secs(1));
        assert!(!is_closed_as_failed(&world, ana, seat));
    }
    world.act(ana, seat, Act::Arm(Bomb::Now));
    world.run(Duration::from_secs(1));
    assert!(is_closed_as_failed(&world, ana, seat));
    assert_eq!(
        (world.shard.stats().voids, world.shard.stats().rooms_failed),
        (3, 1)
    );
    check_neighbour(&mut world, other);
}

#[test]
fn what_comes_after_the_end_of_a_room_is_refused() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    world.act(ana, room.seat, Act::End);
    // It would take the end out again, were it applied.
    world.act(ana, room.seat, Act::Arm(Bomb::Now));
    let refused = world.ask(ben, |core| core.join(room.room)).unwrap_err();
    assert_eq!(refused.code, RefusalCode::UnknownRoom);
    let stats = world.shard.stats();
    assert_eq!((stats.voids, stats.rooms), (0, 0));
}

#[test]
fn a_room_that_failed_shows_nothing_any_more_and_fails_once() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat = world.create(ana, "yard", 1).seat;
    for _ in 0..2 {
        world.act(ana, seat, Act::Arm(Bomb::Now));
        world.run(Duration::from_secs(1));
    }
    let before = world.shard.stats();
    world.act(ana, seat, Act::Arm(Bomb::View));
    world.act(ana, seat, Act::Arm(Bomb::Now));
    world.run(Duration::from_secs(1));
    assert!(is_closed_as_failed(&world, ana, seat));
    let after = world.shard.stats();
    assert_eq!((after.voids, after.rooms_failed), (3, 1));
    assert_eq!(
        (after.snapshots_full, after.snapshots_delta),
        (before.snapshots_full, before.snapshots_delta)
    );
}

#[test]
fn a_panicking_tick_or_view_closes_only_its_room() {
    for bomb in [Bomb::Tick, Bomb::View, Bomb::Seat] {
        let mut world = World::new();
        let other = neighbour(&mut world);
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let room = world.create(ana, "mill", 1);
        world.act(ana, room.seat, Act::Arm(bomb));
        world.run(Duration::from_millis(100));
        if bomb == Bomb::Seat {
            let ana_id = world.players[ana].core.player().unwrap();
            world.act(ana, room.seat, Act::Kick(ana_id));
            world.run(Duration::from_millis(100));
            // A removal is part of the input that asked for it, and goes with it.
            assert_eq!(world.shard.stats().voids, 1);
            assert!(!is_closed_as_failed(&world, ana, room.seat));
            world.players[ana].online = false;
            world.run(Duration::from_secs(12));
            assert_eq!(world.shard.stats().rooms, 1, "only the neighbour's is left");
        } else {
            assert!(is_closed_as_failed(&world, ana, room.seat), "{bomb:?}");
            let again = world.ask(ben, |core| core.join(room.room));
            assert_eq!(again.unwrap_err().code, RefusalCode::RoomFailed);
        }
        assert_eq!(world.shard.stats().rooms_failed, 1, "{bomb:?}");
        check_neighbour(&mut world, other);
    }
}

#[test]
fn a_panicking_admission_refuses_the_one_who_asked() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    world.act(ana, room.seat, Act::Arm(Bomb::Admit));
    world.run(Duration::from_millis(50));
    let refused = world.ask(ben, |core| core.join(room.room)).unwrap_err();
    assert_eq!(refused.code, RefusalCode::RoomFailed);
    world.act(ana, room.seat, Act::Add(1));
    let board = world.expect_view(ana, room.seat, |board| board.adds == 1);
    assert_eq!(board.seats.len(), 1);
}

#[test]
fn a_room_is_rebuilt_from_its_checkpoint_too() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat = world.create(ana, "mill", 1).seat;
    for _ in 0..100 {
        world.act(ana, seat, Act::Add(1));
        world.run(Duration::from_millis(80));
    }
    world.act(ana, seat, Act::Arm(Bomb::Now));
    world.act(ana, seat, Act::Add(1));
    let board = world.expect_view(ana, seat, |board| board.adds == 101);
    assert_eq!(board.totals.values().sum::<u64>(), 101);
    assert_eq!(world.players[ana].core.cursor(seat), Some(102));
    assert_eq!(
        (world.shard.stats().voids, world.shard.stats().rooms_failed),
        (1, 0)
    );
}

#[test]
fn a_full_store_is_relieved_by_a_checkpoint_or_pauses_one_room() {
    let mut world = World::with_store(MemoryStore::with_capacity(80_000), |_| {});
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let kept = world.create(ana, "mill", 1).seat;
    let other = world.create(ben, "mill", 2).seat;
    world.act(ana, kept, Act::Grow(55_000));
    world.run(Duration::from_secs(6));
    // More journal than is left, but little state.
    for _ in 0..60 {
        let unreadable = vec![0xc1; 1_000];
        world.players[ben]
            .core
            .send(other, unreadable.into())
            .unwrap();
        world.run(Duration::from_millis(50));
    }
    assert_eq!(world.players[ben].core.cursor(other), Some(60));
    assert_eq!(world.shard.stats().rooms_failed, 0);
    // Now its state does not fit either.
    world.act(ben, other, Act::Grow(55_000));
    let mut sent = 61;
    let mut paused_for = Duration::ZERO;
    while paused_for < Duration::from_secs(6) {
        if world.shard.stats().rooms_paused == 0 {
            let (unreadable, core) = (vec![0xc1; 1_000], &mut world.players[ben].core);
            core.send(other, unreadable.into()).unwrap();
            (sent, paused_for) = (sent + 1, Duration::ZERO);
        }
        assert!(sent < 200, "there is place for all of it");
        world.run(Duration::from_millis(100));
        paused_for += Duration::from_millis(100);
    }
    world.act(ana, kept, Act::Add(1));
    world.expect_view(ana, kept, |board| board.adds == 1);
    // Nothing is acknowledged that is not stored, and nobody lost.
    let acknowledged = world.players[ben].core.cursor(other);
    assert!(acknowledged < Some(sent), "{acknowledged:?}");
    for _ in 0..400 {
        world.act(ben, other, Act::Add(1));
        world.run(Duration::from_millis(20));
    }
    world.run_long(SEAT_HOLD);
    assert_eq!(world.players[ben].core.cursor(other), acknowledged);
    let stats = world.shard.stats();
    assert_eq!((stats.rooms_paused, stats.rooms_failed), (1, 0));
    world.ask(ana, |core| core.close_room(kept)).unwrap();
    let board = world.expect_view(ben, other, |board| board.adds == 400);
    assert_eq!(board.totals.values().sum::<u64>(), 400);
    assert_eq!(world.players[ben].core.cursor(other), Some(sent + 400));
    assert_eq!(world.shard.stats().rooms_paused, 0);
}

#[test]
fn a_paused_room_keeps_its_time_and_those_who_are_away() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards, MemoryStore::with_capacity(80_000), |_| {});
        world.resume_for = 2 * SEAT_HOLD;
        let (ana, ben, eve) = (
            world.player("ana"),
            world.player("ben"),
            world.player("eve"),
        );
        // A room of the one shard whose store is small.
        let kept = world.create(ana, "yard", 1);
        let other = world.create(ana, "mill", 2);
        let seat = world.join(ben, other.room).seat;
        world.act(ana, kept.seat, Act::Grow(55_000));
        world.run(Duration::from_secs(6));
        world.act(ana, other.seat, Act::Grow(55_000));
        let mut paused_for = Duration::ZERO;
        while paused_for < Duration::from_secs(6) {
            paused_for += Duration::from_millis(100);
            if world.shard.stats().rooms_paused == 0 {
                // A full queue takes no more.
                let _ = world.players[ana]
                    .core
                    .send(other.seat, vec![0xc1; 1_000].into());
                paused_for = Duration::ZERO;
            }
            world.run(Duration::from_millis(100));
        }
        let before = newest_tick(&world, ana, other.seat);
        let refused = world.ask(eve, |core| core.join(other.room)).unwrap_err();
        assert_eq!(refused.code, RefusalCode::LimitReached);
        assert!(refused.wait().is_some() && refused.text.contains("disk"));
        // No room opens either, once there is no place for its first record.
        let refused = (10..20).find_map(|number| {
            let (request, settings) = (RequestId([number; 16]), RoomSettings::default());
            let asked = world.ask(eve, |core| core.create(request, "yard", settings));
            asked.err()
        });
        let refused = refused.unwrap();
        assert!(refused.wait().is_some() && refused.text.contains("disk"));
        world.act(ben, seat, Act::Add(7));
        world.players[ben].online = false;
        world.run_long(SEAT_HOLD + Duration::from_secs(5));
        world.players[ben].online = true;
        world.run(Duration::from_secs(5));
        world.ask(ana, |core| core.close_room(kept.seat)).unwrap();
        let board = world.expect_view(ben, seat, |board| board.adds == 1);
        assert_eq!(board.totals.values().sum::<u64>(), 7);
        let left = |(_, change): &(_, SeatChange)| *change == SeatChange::Left;
        assert!(!board.seats.iter().any(left), "{:?}", board.seats);
        let passed = newest_tick(&world, ben, seat) - before;
        assert!(passed < 60, "its time stood still: {passed}");
        world.run(Duration::from_secs(1));
        let stats = world.shard.stats();
        assert_eq!((stats.rooms_paused, stats.rooms_failed), (0, 0));
        world.join(eve, other.room);
    }
}

#[test]
fn faults_of_many_rooms_are_one_line_a_second_that_counts_the_rest() {
    let mut seconds = 0;
    let lines = lines_of(|| {
        let mut world = World::new();
        let ana = world.player("ana");
        let seats: Vec<_> = (1..=16)
            .map(|n| world.create(ana, "yard", n).seat)
            .collect();
        let start = world.now;
        for seat in &seats {
            for _ in 0..3 {
                world.act(ana, *seat, Act::Arm(Bomb::Now));
                world.run(Duration::from_millis(50));
            }
        }
        seconds = usize::try_from(world.now.since(start).as_secs()).unwrap();
        let stats = world.shard.stats();
        assert_eq!((stats.voids, stats.rooms_failed), (48, 16));
        // The next one tells of those before it.
        world.run(Duration::from_secs(1));
        let seat = world.create(ana, "yard", 99).seat;
        world.act(ana, seat, Act::Arm(Bomb::Now));
        world.run(Duration::from_millis(100));
    });
    let left_out = lines.iter().map(|line| -> usize {
        let (_, rest) = line.split_once("left_out=").unwrap();
        let number = rest.split(' ').next().unwrap();
        number.parse().unwrap()
    });
    assert_eq!(lines.len() + left_out.sum::<usize>(), 48 + 16 + 1);
    assert!(lines.len() <= seconds + 2, "{lines:?}");
}
