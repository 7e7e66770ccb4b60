//! The whole ladder as members of a room see it, at its documented times.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_client::Event;
use rejoin_protocol::RequestId;
use rejoin_protocol::limits::{
    DETACH_AFTER, HEARTBEAT_ANNOUNCED_MAX, HEARTBEAT_IDLE, HEARTBEAT_SEATED, LOADING_MAX,
    SEAT_HOLD, SUSPECT_AFTER_MAX, SUSPECT_AFTER_MIN,
};
use rejoin_protocol::message::{RoomSettings, SeatChange};

use crate::intruder::Intruder;
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
    assert_eq!((change, after), (Suspect, span + SUSPECT_AFTER_MIN));
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
        (Suspect, LOADING_MAX + SUSPECT_AFTER_MIN),
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

/// A client that announces to speak once a minute at most, with a seat in ana's room.
fn quiet_member(world: &mut World) -> (usize, Intruder) {
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1);
    let mut quiet = Intruder::join(world, "quiet", SocketAddr::from(([127, 0, 0, 9], 9)));
    quiet.enter(world, room.room);
    quiet.connection.set_heartbeat(HEARTBEAT_ANNOUNCED_MAX);
    for _ in 0..2_000 {
        quiet.step(world);
    }
    (ana, quiet)
}

#[test]
fn a_member_who_announces_a_minute_is_missed_as_soon_as_any_other() {
    let mut world = World::new();
    let (ana, _) = quiet_member(&mut world);
    let longest = HEARTBEAT_SEATED + SUSPECT_AFTER_MAX + DELAY;
    let (change, after) = next_change(&mut world, ana);
    assert_eq!(change, SeatChange::Suspect);
    assert!(after <= longest, "{after:?}");
    let (change, after) = next_change(&mut world, ana);
    assert_eq!(change, SeatChange::Detached);
    assert!(after <= DETACH_AFTER, "{after:?}");
}

#[test]
fn a_load_and_a_long_interval_grant_no_more_than_a_load() {
    let mut world = World::new();
    let (ana, mut quiet) = quiet_member(&mut world);
    quiet.connection.loading(LOADING_MAX);
    quiet.step(&mut world);
    let (change, _) = next_change(&mut world, ana);
    assert_eq!(change, SeatChange::Loading);
    let (change, after) = next_change(&mut world, ana);
    assert_eq!(change, SeatChange::Suspect);
    assert!(after <= LOADING_MAX + SUSPECT_AFTER_MAX, "{after:?}");
}

#[test]
fn a_client_without_a_seat_may_be_silent_for_as_long_as_the_rules_say_and_no_longer() {
    let hold = Duration::from_secs(5);
    let mut world = World::with(|config| config.seat_hold = hold);
    let address = SocketAddr::from(([127, 0, 0, 9], 9));
    let mut quiet = Intruder::join(&mut world, "quiet", address);
    quiet.connection.set_heartbeat(HEARTBEAT_ANNOUNCED_MAX);
    for _ in 0..1_000 {
        quiet.step(&mut world);
    }
    assert_eq!(world.shard.stats().sessions, 1);
    let start = world.now;
    let gone = |world: &World| world.shard.stats().sessions == 0;
    assert!(world.run_until(HEARTBEAT_ANNOUNCED_MAX * 2, gone));
    let longest = HEARTBEAT_IDLE + DETACH_AFTER + hold;
    let after = world.now.since(start);
    let expected = longest - Duration::from_secs(1)..=longest;
    assert!(expected.contains(&after), "{after:?}");
}
