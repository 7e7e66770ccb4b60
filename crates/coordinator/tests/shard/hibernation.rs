//! Rooms in which nobody is present leave memory, and wake when somebody asks for them.

use std::time::Duration;

use rejoin_client::Event;
use rejoin_protocol::RefusalCode;
use rejoin_protocol::limits::SEAT_HOLD;
use rejoin_protocol::message::{RoomSettings, Seated};
use rejoin_store::{MemoryStore, Store};

use crate::rooms::Act;
use crate::world::World;

const SLEEP: Duration = Duration::from_secs(3_600);

/// Two players with a room, of its shard and of the other, who have gone to bed.
fn asleep(shards: u8, private: bool) -> (World, [usize; 2], Seated, Seated) {
    let mut world = World::with_shards(shards, MemoryStore::default(), |config| {
        config.hibernate_for = SLEEP;
    });
    world.resume_for = 2 * SLEEP;
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let settings = RoomSettings {
        private,
        ..RoomSettings::default()
    };
    let room = world.create_with(ana, "yard", 1, settings);
    let seated = match room.code {
        Some(code) => world.join_by_code(ben, code),
        None => world.join(ben, room.room),
    };
    world.act(ben, seated.seat, Act::Add(5));
    world.expect_view(ben, seated.seat, |board| board.adds == 1);
    world.run(Duration::from_millis(50));
    for player in [ana, ben] {
        world.players[player].online = false;
    }
    world.run_long(SEAT_HOLD + Duration::from_secs(20));
    (world, [ana, ben], room, seated)
}

fn in_memory(world: &World) -> (usize, usize, usize) {
    let stats = world.shard.stats();
    (stats.rooms, stats.rooms_asleep, stats.sessions)
}

#[test]
fn a_deserted_room_leaves_memory_with_its_seats_and_sessions() {
    for shards in [1, 2] {
        let (mut world, [_, ben], room, seated) = asleep(shards, false);
        assert_eq!(in_memory(&world), (0, 1, 0));
        let eve = world.player("eve");
        assert_eq!(world.list(eve), [], "nobody can be met there");
        world.run_long(Duration::from_secs(1_800));
        // One comes back, and the room stands where it stood; its time stood still.
        world.players[ben].online = true;
        world.act(ben, seated.seat, Act::Add(7));
        let board = world.expect_view(ben, seated.seat, |board| board.adds >= 2);
        let player = world.players[ben].core.player().unwrap();
        assert_eq!(board.totals[&player], 12);
        assert_eq!(board.resumed, [(false, false)]);
        assert_eq!(in_memory(&world), (1, 0, 1));
        assert_eq!(world.list(ben).len(), 1);
        // The other's seat is held on for as long as somebody is present.
        world.run_long(2 * SEAT_HOLD);
        let other = world.player("ana");
        assert!(world.join(other, room.room).found);
    }
}

#[test]
fn a_room_sleeps_through_restarts_and_wakes_for_whoever_asks() {
    let (mut world, [ana, ben], room, seated) = asleep(1, false);
    for _ in 0..2 {
        world.restart_with_rooms(|_| {});
        world.run_long(Duration::from_secs(60));
        assert_eq!(in_memory(&world), (0, 1, 0));
    }
    let eve = world.player("eve");
    assert!(!world.join(eve, room.room).found);
    assert_eq!(in_memory(&world).0, 1);
    for player in [ana, ben] {
        world.players[player].online = true;
    }
    world.act(ben, seated.seat, Act::Add(1));
    world.expect_view(ben, seated.seat, |board| board.adds >= 2);
    world.run(Duration::from_secs(20));
    for player in [ana, ben] {
        let events = world.events(player).iter();
        let resumed = events.filter(|event| matches!(event, Event::Resumed { .. }));
        assert_eq!(resumed.count(), 1);
    }
}

#[test]
fn a_private_room_that_sleeps_is_found_by_its_code_alone() {
    for restart in [false, true] {
        let (mut world, _, room, _) = asleep(1, true);
        if restart {
            world.restart_with_rooms(|_| {});
            world.run(Duration::from_millis(10));
        }
        let eve = world.player("eve");
        let guess = world.ask(eve, |core| core.join(room.room));
        assert_eq!(guess.unwrap_err().code, RefusalCode::UnknownRoom);
        let code = room.code.unwrap();
        assert_eq!(world.join_by_code(eve, code).room, room.room);
    }
}

#[test]
fn a_room_that_slept_for_too_long_is_forgotten() {
    for restart in [false, true] {
        let (mut world, [_, ben], room, _) = asleep(1, false);
        if restart {
            world.restart_with_rooms(|_| {});
        }
        world.run_long(SLEEP - Duration::from_secs(60));
        assert_eq!(in_memory(&world).1, 1);
        world.run_long(Duration::from_secs(120));
        assert_eq!(in_memory(&world).1, 0);
        assert_eq!(world.shard.stores()[0].rooms(), []);
        let eve = world.player("eve");
        let gone = world.ask(eve, |core| core.join(room.room));
        assert_eq!(gone.unwrap_err().code, RefusalCode::UnknownRoom);
        world.players[ben].online = true;
        world.run(Duration::from_secs(10));
        let events = world.events(ben).iter();
        let closed = events.filter(|event| matches!(event, Event::RoomClosed { .. }));
        assert_eq!(closed.count(), 1);
    }
}

#[test]
fn whoever_leaves_does_not_keep_a_room_from_closing() {
    let mut world = World::with(|config| config.hibernate_for = SLEEP);
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    world.ask(ana, |core| core.leave(room.seat)).unwrap();
    world.run_long(Duration::from_secs(30));
    assert_eq!(in_memory(&world), (0, 0, 1));
}
