//! Shards that do not keep up with each other: what is left out, who is closed, and that nothing is lost.

use std::time::Duration;

use rejoin_client::Ended;
use rejoin_protocol::message::{RoomSettings, Seated};
use rejoin_protocol::{CloseReason, Limit, RequestId};
use rejoin_store::MemoryStore;

use crate::abroad::{duet, ended, heard};
use crate::rooms::Act;
use crate::world::{DELAY, World, seated};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(1);

#[test]
fn a_guest_whose_home_does_not_keep_up_is_closed_and_nobody_else_pays() {
    let mut world = chatty();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let (room, seat) = crowd(&mut world, ana, ben);
    world.shard.asleep = Some(1);
    // More events than wait for one shard.
    say(&mut world, (ana, &room), 36);
    assert_eq!(ended(&world, ana), None);
    world.shard.asleep = None;
    let over = |world: &World| ended(world, ben).is_some();
    assert!(world.run_until(SECOND * 5, over));
    let reason = CloseReason::OverLimit(Limit::SendQueue);
    assert_eq!(ended(&world, ben), Some(&Ended::Closed(reason)));
    let back = world.player("ben");
    let again = world.join(back, room.room);
    assert_eq!(again.player, seat.player);
    world.act(ana, room.seat, Act::Say(2));
    let said = |world: &World| !heard(world, back).is_empty();
    assert!(world.run_until(SECOND, said), "it hears the room again");
}

#[test]
fn inputs_for_a_shard_that_does_not_keep_up_are_bounded() {
    let mut world = World::with_shards(2, MemoryStore::default(), |config| {
        config.budgets.inputs_burst = 100_000;
        config.budgets.inputs_per_s = 100_000;
    });
    let [(ana, room), (ben, seat)] = duet(&mut world, "yard");
    world.shard.asleep = Some(0);
    for _ in 0..20 {
        for _ in 0..50 {
            world.act(ben, seat.seat, Act::Add(1));
        }
        world.run(STEP * 25);
    }
    // What comes while its end is on the way would leave a gap.
    for _ in 0..20 {
        world.act(ben, seat.seat, Act::Add(1));
        world.step();
    }
    world.shard.asleep = None;
    let over = |world: &World| ended(world, ben).is_some();
    assert!(world.run_until(SECOND * 5, over));
    let reason = CloseReason::OverLimit(Limit::Inputs);
    assert_eq!(ended(&world, ben), Some(&Ended::Closed(reason)));
    world.act(ana, room.seat, Act::Add(1));
    world.expect_view(ana, room.seat, |view| {
        view.totals.contains_key(&room.player)
    });
    // Whoever comes back begins where the room is, and nothing was passed over that was not applied.
    let back = world.player("ben");
    let again = world.join(back, room.room);
    for number in 1..=5 {
        assert_eq!(
            world.act(back, again.seat, Act::Add(1)),
            again.cursor + number
        );
    }
    let all = again.cursor + 5;
    world.expect_view(back, again.seat, |view| {
        view.totals.get(&seat.player) == Some(&all)
    });
    assert_eq!(world.players[back].core.cursor(again.seat), Some(all));
}

#[test]
fn a_quiet_room_shows_its_last_view_once_there_is_room_for_it() {
    let mut world = chatty();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let (room, seat) = crowd(&mut world, ana, ben);
    world.shard.asleep = Some(1);
    // So many that no snapshot is written any more, and not so many that somebody is closed.
    say(&mut world, (ana, &room), 21);
    world.act(ana, room.seat, Act::Add(7));
    world.run(DELAY * 10);
    world.shard.asleep = None;
    world.expect_view(ben, seat.seat, |view| view.adds == 1);
    assert_eq!(ended(&world, ben), None);
}

/// Two shards where one player may say as much as it likes.
fn chatty() -> World {
    World::with_shards(2, MemoryStore::default(), |config| {
        config.budgets.inputs_burst = 1_000_000;
        config.budgets.inputs_per_s = 1_000_000;
    })
}

/// A room of the first player, with the second and 19 more members at shard 1.
fn crowd(world: &mut World, first: usize, second: usize) -> (Seated, Seated) {
    let settings = RoomSettings {
        members_max: 64,
        ..RoomSettings::default()
    };
    let opened = world.ask(first, |core| {
        core.create(RequestId([1; 16]), "yard", settings)
    });
    let room = seated(opened);
    let seat = world.join(second, room.room);
    for number in 0..38 {
        let player = world.player(&format!("player {number}"));
        if number % 2 == 1 {
            world.join(player, room.room);
        }
    }
    (room, seat)
}

/// Says a hundred things so many times, each of which all members are told.
fn say(world: &mut World, (player, room): (usize, &Seated), times: usize) {
    for _ in 0..times {
        for _ in 0..100 {
            world.act(player, room.seat, Act::Say(1));
        }
        world.run(STEP * 30);
    }
}
