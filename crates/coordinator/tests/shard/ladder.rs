//! The whole ladder as members of a room see it, at its documented times.

use std::time::Duration;

use rejoin_client::Event;
use rejoin_protocol::RequestId;
use rejoin_protocol::limits::{
    DETACH_AFTER, HEARTBEAT_SEATED, LOADING_MAX, SEAT_HOLD, SUSPECT_AFTER_MIN,
};
use rejoin_protocol::message::{RoomSettings, SeatChange};

use crate::world::{DELAY, World, seated};

/// From something that a client does to what another is told of it: there and back.
const TOLD: Duration = DELAY.saturating_mul(2);

fn count(world: &World, player: usize) -> usize {
    let events = world.events(player).iter();
    events
        .filter(|event| matches!(event, Event::Seat { .. }))
        .count()
}

/// Runs until `player` is told of another change; gives it and how long that took.
fn next_change(world: &mut World, player: usize) -> (SeatChange, Duration) {
    let (start, before) = (world.now, count(world, player));
    let told = |world: &World| count(world, player) > before;
    assert!(world.run_until(SEAT_HOLD * 2, told), "a change is told");
    let last = world
        .events(player)
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::Seat { change, .. } => Some(*change),
            _ => None,
        });
    (last.unwrap(), world.now.since(start))
}

#[test]
fn members_see_every_step_at_its_time() {
    use SeatChange::{Detached, Joined, Left, Loading, Returned, Suspect};
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    world.join(ben, room.room);
    world.run(Duration::from_secs(2));

    // Loading and done: at once.
    let span = Duration::from_secs(20);
    world.players[ben].core.loading(span).unwrap();
    let step = Duration::from_millis(1);
    let (change, after) = next_change(&mut world, ana);
    assert_eq!((change, after), (Loading, TOLD + step));
    world.run(Duration::from_secs(3));
    world.players[ben].core.loaded().unwrap();
    let (change, after) = next_change(&mut world, ana);
    assert_eq!((change, after), (Returned, TOLD + step));
    world.run(Duration::from_secs(10));

    // Loading and silent: suspect and detached once its time is over.
    world.players[ben].core.loading(span).unwrap();
    let (change, _) = next_change(&mut world, ana);
    assert_eq!(change, Loading);
    world.players[ben].online = false;
    let (change, after) = next_change(&mut world, ana);
    let silence = span + HEARTBEAT_SEATED;
    assert_eq!((change, after), (Suspect, silence + SUSPECT_AFTER_MIN));
    let (change, after) = next_change(&mut world, ana);
    let between = DETACH_AFTER - SUSPECT_AFTER_MIN;
    assert_eq!((change, after), (Detached, between));

    // A client that starts again finds the seat.
    world.run(SEAT_HOLD / 2);
    let again = world.player("ben");
    let request = RequestId([77; 16]);
    let found = seated(world.ask(again, |core| {
        core.join_or_create(request, "mill", vec![], RoomSettings::default())
    }));
    assert_eq!(found.room, room.room);
    world.run(Duration::from_secs(2));
    let changes = count(&world, ana);

    world.players[again].core.loading(LOADING_MAX).unwrap();
    let (change, _) = next_change(&mut world, ana);
    assert_eq!(change, Loading);
    world.players[again].online = false;
    let steps = [
        (Suspect, LOADING_MAX + HEARTBEAT_SEATED + SUSPECT_AFTER_MIN),
        (Detached, between),
        (Left, SEAT_HOLD),
    ];
    for step in steps {
        assert_eq!(next_change(&mut world, ana), step);
    }
    let told: Vec<_> = world
        .events(ana)
        .iter()
        .filter_map(|event| match event {
            Event::Seat { change, .. } => Some(*change),
            _ => None,
        })
        .collect();
    assert_eq!(
        told[..changes],
        [
            Joined, Loading, Returned, Loading, Suspect, Detached, Returned
        ]
    );
    assert_eq!(world.shard.stats().sessions, 1);
}

#[test]
fn a_seat_found_again_by_a_loading_client_is_told_as_loading() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    world.join(ben, room.room);
    world.run(Duration::from_secs(1));
    world.players[ben].online = false;
    world.run(Duration::from_secs(10));
    let again = world.player("ben");
    let span = Duration::from_secs(20);
    world.players[again].core.loading(span).unwrap();
    world.run(Duration::from_millis(100));
    let detached = world
        .events(ana)
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::Seat { change, .. } => Some(*change),
            _ => None,
        });
    assert_eq!(
        detached,
        Some(SeatChange::Detached),
        "nobody asked for it yet"
    );
    let before = count(&world, ana);
    world.join(again, room.room);
    world.run(Duration::from_millis(100));
    let told: Vec<_> = world
        .events(ana)
        .iter()
        .filter_map(|event| match event {
            Event::Seat { change, .. } => Some(*change),
            _ => None,
        })
        .skip(before)
        .collect();
    assert_eq!(told, [SeatChange::Returned, SeatChange::Loading]);
}

#[test]
fn a_member_who_says_it_loads_over_and_over_is_little_news_to_the_others() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    world.join(ben, room.room);
    let before = count(&world, ana);
    for _ in 0..2_500 {
        world.players[ben].core.loading(LOADING_MAX).unwrap();
        world.step();
        world.players[ben].core.loaded().unwrap();
        world.step();
    }
    let told = count(&world, ana) - before;
    // Begun and ended, once a second.
    assert!((6..=12).contains(&told), "told {told} times in 5 s");
}
