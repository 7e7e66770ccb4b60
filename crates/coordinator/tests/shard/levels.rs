//! How much of a room outlives its process, by how its kind is kept; and what is told of the rest.

use std::time::Duration;

use rejoin_client::{Event, Receipt};
use rejoin_protocol::limits::SEAT_HOLD;
use rejoin_protocol::message::RoomCloseReason;
use rejoin_protocol::{CloseReason, RefusalCode, SeatId};
use rejoin_room::Durability;
use rejoin_store::{MemoryStore, Store};

use crate::rooms::{Act, Bomb};
use crate::world::World;

fn world(shards: u8) -> World {
    let mut world = World::with_shards(shards, MemoryStore::default(), |_| {});
    world.resume_for = SEAT_HOLD;
    world
}

fn receipts(world: &World, player: usize) -> Vec<Receipt> {
    let events = world.events(player).iter();
    let receipts = events.filter_map(|event| match event {
        Event::Resumed { receipt, .. } => Some(*receipt),
        _ => None,
    });
    receipts.collect()
}

fn closed(world: &World, player: usize) -> Vec<RoomCloseReason> {
    let events = world.events(player).iter();
    let closed = events.filter_map(|event| match event {
        Event::RoomClosed { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    closed.collect()
}

fn said(world: &World, player: usize) -> usize {
    let events = world.events(player).iter();
    events
        .filter(|event| matches!(event, Event::Room { .. }))
        .count()
}

/// Plays on until the room has so many additions of the player's.
fn expect_adds(world: &mut World, player: usize, seat: SeatId, adds: u64) {
    let board = world.expect_view(player, seat, |board| board.adds >= adds);
    assert_eq!(board.adds, adds);
}

#[test]
fn a_room_that_lost_its_newest_moments_goes_on_and_says_what_is_lost() {
    for (shards, kind) in [(1, "yard"), (1, "mill"), (2, "yard")] {
        let mut world = world(shards);
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let room = world.create(ana, kind, 1);
        let seat = world.join(ben, room.room).seat;
        for _ in 0..3 {
            world.act(ben, seat, Act::Add(1));
            world.act(ana, room.seat, Act::Say(1));
        }
        expect_adds(&mut world, ben, seat, 3);
        world.run(Duration::from_millis(200));
        let before = world.shard.stores();
        // What is seen now will not have happened.
        for _ in 0..4 {
            world.act(ben, seat, Act::Add(100));
            world.act(ana, room.seat, Act::Say(2));
        }
        expect_adds(&mut world, ben, seat, 7);
        world.run(Duration::from_millis(200));
        assert_eq!((said(&world, ana), said(&world, ben)), (7, 7));
        world.restart_rolled_back(before);
        world.run(Duration::from_millis(500));
        world.act(ben, seat, Act::Add(10));
        world.act(ana, room.seat, Act::Say(3));
        let board = world.expect_view(ben, seat, |board| board.adds == 4);
        let player = world.players[ben].core.player().unwrap();
        assert_eq!(
            (board.totals[&player], board.resumed),
            (13, vec![(true, false)])
        );
        world.run(Duration::from_secs(1));
        // Each was told what is said now, under a number that was not given before.
        assert_eq!(
            (said(&world, ana), said(&world, ben)),
            (8, 8),
            "{kind}, {shards}"
        );
        for (of, inputs_lost) in [(ana, 4), (ben, 4)] {
            let receipts = receipts(&world, of);
            let told = receipts.iter().map(|it| (it.inputs_lost, it.events_missed));
            assert_eq!(
                told.collect::<Vec<_>>(),
                [(inputs_lost, 0)],
                "{kind}, {shards}"
            );
            assert_eq!(closed(&world, of), []);
        }
        // A second loss of the same moments.
        let before = world.shard.stores();
        world.act(ben, seat, Act::Add(1_000));
        expect_adds(&mut world, ben, seat, 5);
        world.restart_rolled_back(before);
        world.run(Duration::from_millis(500));
        world.act(ben, seat, Act::Add(20));
        let board = world.expect_view(ben, seat, |board| board.adds == 5);
        assert_eq!(board.totals[&player], 33);
        assert_eq!(
            receipts(&world, ben).last().map(|it| it.inputs_lost),
            Some(1)
        );
    }
}

#[test]
fn views_are_seen_after_a_loss_that_takes_with_it_that_there_was_one_before() {
    let mut world = world(1);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.act(ana, room.seat, Act::Add(1));
    expect_adds(&mut world, ana, room.seat, 1);
    world.run(Duration::from_millis(200));
    let before = world.shard.stores();
    for rounds in [9, 3, 1] {
        world.restart_rolled_back(before.clone());
        world.run(Duration::from_millis(500));
        for round in 1..=rounds {
            world.act(ana, room.seat, Act::Add(1));
            world.expect_view(ana, room.seat, |board| board.adds == 1 + round);
        }
    }
    assert_eq!(world.shard.stats().resyncs, 0);
}

#[test]
fn views_arrive_and_are_built_upon_after_a_loss_whatever_the_epoch() {
    // A clock's word is what a damaged file of the epoch is mended with.
    for epoch in [2, 200, 1_800_000_000] {
        let mut world = world(1);
        let ana = world.player("ana");
        let seat = world.create(ana, "yard", 1).seat;
        world.act(ana, seat, Act::Grow(3_000));
        world.run(Duration::from_millis(200));
        let before = world.shard.stores();
        world.set_epoch(epoch);
        for losses in 1..=3 {
            world.restart_rolled_back(before.clone());
            world.run(Duration::from_millis(500));
            for round in 1..=losses {
                world.act(ana, seat, Act::Add(1));
                world.expect_view(ana, seat, |board| board.adds == round);
            }
            world.run(Duration::from_millis(200));
            let stats = world.shard.stats();
            assert!(stats.snapshots_delta >= losses, "{epoch}: {stats:?}");
        }
    }
}

#[test]
fn nothing_is_told_as_lost_if_the_room_lacks_nothing() {
    let mut world = world(1);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.act(ana, room.seat, Act::Add(1));
    world.act(ana, room.seat, Act::Say(1));
    expect_adds(&mut world, ana, room.seat, 1);
    world.run(Duration::from_millis(200));
    let now = world.shard.stores();
    world.restart_rolled_back(now);
    world.act(ana, room.seat, Act::Add(1));
    world.act(ana, room.seat, Act::Say(2));
    expect_adds(&mut world, ana, room.seat, 2);
    world.run(Duration::from_millis(200));
    assert_eq!(said(&world, ana), 2);
    // Nor when its numbers have gone on since.
    world.restart_with_rooms(|_| {});
    world.act(ana, room.seat, Act::Say(3));
    world.run(Duration::from_secs(1));
    assert_eq!(said(&world, ana), 3);
    let receipts = receipts(&world, ana);
    let told = receipts.iter().map(|it| (it.inputs_lost, it.events_missed));
    assert_eq!(told.collect::<Vec<_>>(), [(0, 0), (0, 0)]);
}

#[test]
fn a_room_without_durability_ends_with_its_process_and_its_members_are_told() {
    let mut world = world(1);
    world.keep_as(Durability::None);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.act(ana, room.seat, Act::Add(1));
    // The history that a call is taken out of is in memory.
    world.act(ana, room.seat, Act::Arm(Bomb::Now));
    world.act(ana, room.seat, Act::Swear(1));
    expect_adds(&mut world, ana, room.seat, 1);
    world.run(Duration::from_secs(6));
    assert_eq!((said(&world, ana), world.shard.stats().voids), (1, 1));
    assert_eq!(world.shard.stores()[0].rooms(), []);
    world.restart_with_rooms(|_| {});
    world.run(Duration::from_secs(2));
    assert_eq!(closed(&world, ana), [RoomCloseReason::Gone]);
}

#[test]
fn a_room_kept_as_checkpoints_goes_back_to_the_last_one_and_says_so() {
    let mut world = world(1);
    world.keep_as(Durability::Checkpoint);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    for round in 1..=2 {
        world.act(ana, room.seat, Act::Add(1));
        world.run(Duration::from_secs(6));
        world.act(ana, room.seat, Act::Add(100));
        world.act(ana, room.seat, Act::Say(round));
        world.run(Duration::from_secs(1));
        assert_eq!(said(&world, ana), usize::try_from(round).unwrap());
        let stored = world.shard.stores()[0].load(room.room).unwrap().unwrap();
        assert_eq!(stored.records, [], "no call is journalled");
        world.restart_with_rooms(|_| {});
        world.run(Duration::from_millis(500));
        expect_adds(&mut world, ana, room.seat, u64::from(round));
        let receipt = *receipts(&world, ana).last().unwrap();
        assert_eq!((receipt.inputs_lost, receipt.events_missed), (2, 0));
    }
    assert_eq!(closed(&world, ana), []);
}

#[test]
fn a_room_kept_as_checkpoints_loses_nothing_where_its_server_stops_in_order() {
    let mut world = world(1);
    world.keep_as(Durability::Checkpoint);
    let ana = world.player("ana");
    let seat = world.create(ana, "yard", 1).seat;
    world.act(ana, seat, Act::Add(1));
    expect_adds(&mut world, ana, seat, 1);
    world.shard.stop(CloseReason::ServerStopping);
    world.run(Duration::from_millis(100));
    world.restart_with_rooms(|_| {});
    world.act(ana, seat, Act::Add(1));
    let board = world.expect_view(ana, seat, |board| board.adds == 2);
    assert_eq!(board.resumed, [(false, false)]);
    assert_eq!(receipts(&world, ana).last().unwrap().inputs_lost, 0);
}

#[test]
fn a_room_that_was_just_opened_has_a_checkpoint() {
    let mut world = world(1);
    world.keep_as(Durability::Checkpoint);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.restart_with_rooms(|_| {});
    world.run(Duration::from_secs(1));
    assert_eq!(closed(&world, ana), []);
    assert_eq!(receipts(&world, ana).len(), 1);
    world.act(ana, room.seat, Act::Add(1));
    expect_adds(&mut world, ana, room.seat, 1);
}

#[test]
fn what_is_told_once_durable_waits_for_a_checkpoint_where_there_is_no_journal() {
    let mut world = world(1);
    world.keep_as(Durability::Checkpoint);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.run(Duration::from_secs(1));
    world.act(ana, room.seat, Act::Swear(7));
    world.run(Duration::from_millis(300));
    assert_eq!(said(&world, ana), 1);
    world.restart_with_rooms(|_| {});
    world.run(Duration::from_secs(1));
    let receipt = receipts(&world, ana)[0];
    assert_eq!(
        (receipt.inputs_lost, receipt.events_missed),
        (0, 0),
        "it was durable"
    );
}

#[test]
fn the_way_a_room_is_kept_may_change_with_its_process() {
    let ways = [
        (Durability::Exact, Durability::Checkpoint, 2),
        (Durability::Checkpoint, Durability::Exact, 2),
        (Durability::Exact, Durability::Synced, 2),
        (Durability::Exact, Durability::None, 2),
    ];
    for (before, after, adds) in ways {
        let mut world = world(1);
        world.keep_as(before);
        let ana = world.player("ana");
        let room = world.create(ana, "yard", 1);
        world.act(ana, room.seat, Act::Add(1));
        world.act(ana, room.seat, Act::Add(1));
        world.run(Duration::from_secs(6));
        let stores = world.shard.stores();
        world.keep_as(after);
        world.restart_from(stores);
        world.run(Duration::from_millis(500));
        expect_adds(&mut world, ana, room.seat, adds);
        world.act(ana, room.seat, Act::Add(1));
        expect_adds(&mut world, ana, room.seat, adds + 1);
        world.run(Duration::from_secs(6));
        world.restart_with_rooms(|_| {});
        world.run(Duration::from_secs(2));
        if after == Durability::None {
            assert_eq!(closed(&world, ana), [RoomCloseReason::Gone]);
        } else {
            expect_adds(&mut world, ana, room.seat, adds + 1);
        }
    }
}

#[test]
fn a_room_that_fails_is_quarantined_and_its_history_kept() {
    for act in [Act::Arm(Bomb::Tick), Act::Arm(Bomb::View)] {
        let mut world = world(1);
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let other = world.create(ben, "mill", 2);
        let room = world.create(ana, "mill", 1);
        world.act(ana, room.seat, Act::Add(1));
        world.act(ana, room.seat, act);
        world.run(Duration::from_secs(1));
        assert!(matches!(
            closed(&world, ana)[..],
            [RoomCloseReason::Failed(_)]
        ));
        for _ in 0..2 {
            let store = &world.shard.stores()[0];
            assert!(store.standing(room.room).quarantined);
            assert!(store.load(room.room).unwrap().is_some());
            let again = world.ask(ana, |core| core.join(room.room));
            assert_eq!(again.unwrap_err().code, RefusalCode::RoomFailed);
            world.act(ben, other.seat, Act::Add(1));
            world.restart_with_rooms(|_| {});
            world.run(Duration::from_secs(1));
        }
        expect_adds(&mut world, ben, other.seat, 2);
    }
}

#[test]
fn a_room_that_takes_its_process_along_is_left_alone_at_last() {
    let mut world = world(1);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    let mut stores = world.shard.stores();
    // Three processes ended while they loaded it.
    for _ in 0..3 {
        assert!(!stores[0].begin_load(room.room).unwrap().quarantined);
    }
    world.restart_from(stores);
    world.run(Duration::from_secs(2));
    assert_eq!(closed(&world, ana), [RoomCloseReason::Gone]);
    assert!(world.shard.stores()[0].standing(room.room).quarantined);
    // Two of them would have been forgiven.
    let ben = world.player("ben");
    let room = world.create(ben, "yard", 2);
    let mut stores = world.shard.stores();
    for _ in 0..2 {
        stores[0].begin_load(room.room).unwrap();
    }
    world.restart_from(stores);
    world.act(ben, room.seat, Act::Add(1));
    expect_adds(&mut world, ben, room.seat, 1);
    assert_eq!(world.shard.stores()[0].standing(room.room).attempts, 0);
}

#[test]
fn a_room_of_a_kind_that_a_server_lacks_waits_for_one_that_has_it() {
    let mut world = world(1);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.act(ana, room.seat, Act::Add(1));
    expect_adds(&mut world, ana, room.seat, 1);
    let kinds = std::mem::take(&mut world.kinds);
    for _ in 0..4 {
        world.restart_with_rooms(|_| {});
        world.run(Duration::from_secs(1));
    }
    assert_eq!(closed(&world, ana), [RoomCloseReason::Gone]);
    world.kinds = kinds;
    world.restart_with_rooms(|_| {});
    let ben = world.player("ben");
    let seat = world.join(ben, room.room).seat;
    expect_adds(&mut world, ben, seat, 1);
}
