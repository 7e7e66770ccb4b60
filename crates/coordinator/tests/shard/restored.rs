//! Rooms outlive the process of their server, with their seats.

use std::time::Duration;

use rejoin_client::{Event, Loss};
use rejoin_protocol::limits::SEAT_HOLD;
use rejoin_protocol::message::SeatChange;
use rejoin_store::MemoryStore;

use crate::rooms::Act;
use crate::world::World;

/// Players in one room, who come back: of their room's shard, and of the other.
fn world(shards: u8) -> World {
    let mut world = World::with_shards(shards, MemoryStore::default(), |_| {});
    world.resume_for = SEAT_HOLD;
    world
}

#[test]
fn everybody_plays_on_in_a_room_whose_server_was_killed() {
    for (shards, kind) in [(1, "yard"), (1, "mill"), (2, "yard")] {
        let mut world = world(shards);
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let room = world.create(ana, kind, 1);
        let seat = world.join(ben, room.room).seat;
        for round in 0..5 {
            world.act(ben, seat, Act::Add(1));
            world.act(ana, room.seat, Act::Say(round));
            world.run(Duration::from_millis(7));
        }
        // Some inputs and events are on their way.
        world.restart_with_rooms(|_| {});
        for _ in 0..3 {
            world.act(ben, seat, Act::Add(10));
        }
        let player = world.players[ben].core.player().unwrap();
        for (of, seat) in [(ana, room.seat), (ben, seat)] {
            let board = world.expect_view(of, seat, |board| board.adds >= 8);
            assert_eq!((board.adds, board.totals[&player]), (8, 35), "{kind}");
        }
        world.run(Duration::from_secs(1));
        for of in [ana, ben] {
            let events = world.events(of);
            let lost = events
                .iter()
                .filter(|event| matches!(event, Event::RoomClosed { .. }));
            assert_eq!(lost.count(), 0, "no seat is lost");
            let said = events.iter().filter_map(|event| match event {
                Event::Room { payload, .. } => Some(payload.clone()),
                _ => None,
            });
            let said: Vec<_> = said.collect();
            assert_eq!(said.len(), 5, "each event is told once: {said:?}");
            let away = events
                .iter()
                .filter(|event| **event == Event::Away(Loss::Forgotten));
            let resumed = events
                .iter()
                .filter(|event| matches!(event, Event::Resumed { .. }));
            assert_eq!((away.count(), resumed.count()), (1, 1));
        }
    }
}

#[test]
fn who_does_not_come_back_to_a_restored_room_loses_the_seat_after_the_hold() {
    for shards in [1, 2] {
        let mut world = world(shards);
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let room = world.create(ana, "yard", 1);
        world.join(ben, room.room);
        world.run(Duration::from_secs(1));
        world.players[ben].online = false;
        world.restart_with_rooms(|_| {});
        world.run_long(SEAT_HOLD + Duration::from_secs(5));
        let of = world.players[ben].core.player().unwrap();
        let changes = world.events(ana).iter().filter_map(|event| match event {
            Event::Seat { player, change, .. } if *player == of => Some(*change),
            _ => None,
        });
        let changes: Vec<_> = changes.collect();
        assert_eq!(changes, [SeatChange::Joined, SeatChange::Left]);
    }
}

#[test]
fn a_client_that_joins_anew_finds_its_seat_in_a_restored_room() {
    let mut world = world(1);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.act(ana, room.seat, Act::Add(3));
    world.run(Duration::from_secs(1));
    // Raise the incarnation that the room knows, and leave no ticket.
    world.restart_connection(ana);
    world.run(Duration::from_secs(2));
    world.players[ana].online = false;
    world.restart_with_rooms(|_| {});
    let again = world.player("ana");
    let seated = world.join(again, room.room);
    assert!(seated.found && seated.stay == room.stay && seated.cursor == 1);
    let player = world.players[again].core.player().unwrap();
    let board = world.expect_view(again, seated.seat, |board| board.adds == 1);
    assert_eq!(board.totals[&player], 3);
    world.act(again, seated.seat, Act::Add(4));
    world.expect_view(again, seated.seat, |board| board.adds == 2);
}
