//! Players fall silent, return, are replaced, and leave.

use std::time::Duration;

use rejoin_client::{Ended, Event, State};
use rejoin_protocol::limits::{DETACH_AFTER, SEAT_HOLD};
use rejoin_protocol::message::{RoomSettings, SeatChange};
use rejoin_protocol::{CloseReason, Limit, RefusalCode, RequestId};

use crate::rooms::Act;
use crate::world::{DELAY, World, seated};

fn changes(world: &World, player: usize) -> Vec<SeatChange> {
    let events = world.events(player).iter();
    events
        .filter_map(|event| match event {
            Event::Seat { change, .. } => Some(*change),
            _ => None,
        })
        .collect()
}

fn ended(world: &World, player: usize) -> Option<&Ended> {
    world.events(player).iter().find_map(|event| match event {
        Event::Ended(why) => Some(why),
        _ => None,
    })
}

#[test]
fn a_silent_player_is_suspect_then_detached_and_leaves_when_the_hold_is_over() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    world.join(ben, room.room);
    world.run(Duration::from_secs(1));
    world.players[ben].online = false;
    world.run(Duration::from_secs(3));
    assert_eq!(
        changes(&world, ana),
        [SeatChange::Joined, SeatChange::Suspect]
    );
    world.run(Duration::from_secs(5));
    assert_eq!(changes(&world, ana).last(), Some(&SeatChange::Detached));
    world.run(Duration::from_secs(110));
    assert_eq!(changes(&world, ana).len(), 3);
    assert_eq!(world.shard.stats().sessions, 2);
    world.run(Duration::from_secs(15));
    assert_eq!(changes(&world, ana).last(), Some(&SeatChange::Left));
    assert_eq!(world.shard.stats().sessions, 1);
}

#[test]
fn a_player_who_is_late_returns() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    let seat = world.join(ben, room.room).seat;
    world.run(Duration::from_secs(1));
    world.players[ben].online = false;
    world.run(Duration::from_secs(3));
    world.act(ana, room.seat, Act::Add(5));
    world.run(Duration::from_millis(500));
    world.players[ben].online = true;
    world.expect_view(ben, seat, |board| board.adds == 1);
    world.run(Duration::from_millis(100));
    use SeatChange::{Joined, Returned, Suspect};
    assert_eq!(changes(&world, ana), [Joined, Suspect, Returned]);
}

#[test]
fn a_relaunched_client_finds_its_seat_and_goes_on_with_its_numbers() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    let of_ben = world.join(ben, room.room).seat;
    for number in 1..=5 {
        world.act(ana, room.seat, Act::Add(number));
        world.act(ana, room.seat, Act::Say(7));
    }
    world.run(Duration::from_millis(300));
    world.players[ana].online = false;
    world.run(Duration::from_secs(10));
    let again = world.player("ana");
    let request = RequestId([77; 16]);
    let found = seated(world.ask(again, |core| {
        core.join_or_create(request, "mill", vec![], RoomSettings::default())
    }));
    assert_eq!(
        (found.room, found.seat, found.created),
        (room.room, room.seat, false)
    );
    assert_eq!((found.cursor, found.event), (10, 5));
    assert_eq!(world.act(again, found.seat, Act::Add(100)), 11);
    let board = world.expect_view(again, found.seat, |board| board.adds == 6);
    assert_eq!(board.totals.values().sum::<u64>(), 115);
    world.act(ben, of_ben, Act::Say(1));
    let told = |world: &World| {
        world
            .events(again)
            .iter()
            .any(|event| matches!(event, Event::Room { number: 6, .. }))
    };
    assert!(
        world.run_until(Duration::from_secs(2), told),
        "events go on after the answer's"
    );
    use SeatChange::{Detached, Returned, Suspect};
    assert_eq!(changes(&world, ben), [Suspect, Detached, Returned]);
    assert_eq!(world.shard.stats().sessions, 2);
}

#[test]
fn a_seat_that_a_relaunched_client_does_not_ask_for_leaves_when_its_hold_is_over() {
    for crashes in [true, false] {
        let mut world = World::with(|config| config.seat_hold = Duration::from_secs(20));
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let room = world.create(ana, "mill", 1);
        world.join(ben, room.room);
        world.run(Duration::from_millis(100));
        if crashes {
            world.players[ben].online = false;
            world.run(Duration::from_secs(10));
        }
        world.player("ben");
        world.run(Duration::from_secs(30));
        use SeatChange::{Detached, Joined, Left, Suspect};
        if crashes {
            assert_eq!(changes(&world, ana), [Joined, Suspect, Detached, Left]);
        } else {
            assert_eq!(changes(&world, ana), [Joined, Left]);
        }
        assert_eq!(world.shard.stats().sessions, 2);
    }
}

#[test]
fn a_second_client_of_a_session_replaces_the_first() {
    let mut world = World::new();
    let ana = world.player("ana");
    let room = world.create(ana, "mill", 1);
    world.act(ana, room.seat, Act::Add(1));
    world.run(Duration::from_millis(200));
    let twin = world.player("ana");
    world.run(Duration::from_millis(100));
    assert_eq!(
        ended(&world, ana),
        Some(&Ended::Closed(CloseReason::Replaced))
    );
    assert_eq!(world.shard.stats().sessions, 1);
    let found = world.join(twin, room.room);
    assert_eq!((found.seat, found.cursor), (room.seat, 1));
    world.act(twin, found.seat, Act::Add(1));
    let board = world.expect_view(twin, found.seat, |board| board.adds == 2);
    assert_eq!(board.seats.len(), 1, "the room noticed nothing");
}

#[test]
fn clients_that_take_a_session_over_in_turns_are_paced_and_the_last_one_keeps_it() {
    let mut world = World::new();
    let mut holder = world.player("ana");
    let replaced = Ended::Closed(CloseReason::Replaced);
    for _ in 0..10 {
        let next = world.player("ana");
        world.run(DELAY * 2);
        assert_eq!(ended(&world, holder), Some(&replaced));
        holder = next;
    }
    for _ in 0..3 {
        let late = world.start("ana");
        world.run(Duration::from_millis(300));
        let Some(Ended::Refused(refusal)) = ended(&world, late) else {
            panic!("it is refused")
        };
        assert_eq!(refusal.limit, Some(Limit::Takeovers));
        assert!(refusal.retry_after_ms.is_some() && refusal.text.contains("(takeovers_per_min)"));
    }
    world.run(Duration::from_secs(6));
    let next = world.player("ana");
    world.run(DELAY * 2);
    assert_eq!(
        ended(&world, holder),
        Some(&replaced),
        "time gives one back"
    );

    // Nobody is kept out by a client that is not there, unless it holds seats.
    world.players[next].online = false;
    world.run(DETACH_AFTER + Duration::from_secs(1));
    for _ in 0..2 {
        let again = world.player("ana");
        assert_eq!(ended(&world, again), None);
        world.players[again].online = false;
        world.run(DETACH_AFTER + Duration::from_secs(1));
    }
}

#[test]
fn a_member_who_goes_and_comes_back_over_and_over_is_paced() {
    let mut world = World::new();
    let ben = world.player("ben");
    let room = world.create(ben, "yard", 1).room;
    let mut refused = 0;
    for _ in 0..30 {
        let ana = world.start("ana");
        world.run(Duration::from_millis(50));
        if ended(&world, ana).is_some() {
            refused += 1;
            continue;
        }
        world.join(ana, room);
        // As a client that was closed for a fault of its own: the seat is held.
        world.players[ana]
            .core
            .close(CloseReason::ProtocolViolation);
        world.run(Duration::from_millis(50));
    }
    assert!((18..=19).contains(&refused), "refused {refused} times");
    let told = world.events(ben).iter();
    let told = told.filter(|event| matches!(event, Event::Seat { .. }));
    assert!(told.count() <= 2 * (30 - refused));
}

/// The old client's return and the new one's join in one turn: the first used to end the time within
/// which the second has to ask for the seat.
#[test]
fn a_client_that_takes_over_and_never_asks_for_the_seat_does_not_keep_it() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ben, "yard", 1).room;
    world.join(ana, room);
    world.players[ana].online = false;
    world.run(Duration::from_secs(3));
    // Both reach the server in the same millisecond.
    let twin = world.start("ana");
    world.run(DELAY * 2);
    world.players[ana].online = true;
    world.players[ana].core.join(room).unwrap();
    world.run(SEAT_HOLD + Duration::from_secs(1));
    assert!(ended(&world, ana).is_some() && ended(&world, twin).is_none());
    assert_eq!(
        changes(&world, ben),
        [
            SeatChange::Joined,
            SeatChange::Suspect,
            SeatChange::Returned,
            SeatChange::Left
        ]
    );
}

#[test]
fn a_player_who_leaves_the_server_leaves_all_seats_at_once() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let rooms = [world.create(ana, "yard", 1), world.create(ana, "mill", 2)];
    for room in &rooms {
        world.join(ben, room.room);
    }
    world.players[ben].core.disconnect();
    world.run(Duration::from_millis(50));
    use SeatChange::{Joined, Left};
    assert_eq!(changes(&world, ana), [Joined, Joined, Left, Left]);
    assert_eq!(world.shard.stats().sessions, 1);
}

#[test]
fn a_session_without_a_seat_is_ended_after_its_time() {
    let mut world = World::with(|config| config.idle_session_hold = Duration::from_secs(30));
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    world.create(ben, "yard", 1);
    world.run(Duration::from_secs(29));
    assert_eq!(ended(&world, ana), None);
    world.run(Duration::from_secs(2));
    assert_eq!(
        ended(&world, ana),
        Some(&Ended::Closed(CloseReason::Kicked))
    );
    assert_eq!(
        (ended(&world, ben), world.shard.stats().sessions),
        (None, 1)
    );
}

#[test]
fn a_repeated_hello_makes_one_session() {
    let mut world = World::new();
    world.network.duplication = 1.0;
    let ana = world.player("ana");
    world.run(Duration::from_secs(7));
    let stats = world.shard.stats();
    assert_eq!((stats.joins, stats.sessions), (1, 1));
    assert!(matches!(world.players[ana].core.state(), State::Active(_)));
}

#[test]
fn a_join_that_nobody_confirms_is_forgotten() {
    let mut world = World::with(|config| config.pending_joins_max = 1);
    let ghost = world.start("ghost");
    world.run(Duration::from_millis(15));
    world.players[ghost].online = false;
    let ana = world.start("ana");
    world.run(Duration::from_secs(1));
    assert!(
        matches!(world.players[ana].core.state(), State::Joining),
        "no room for another"
    );
    world.run(Duration::from_secs(6));
    assert!(matches!(world.players[ana].core.state(), State::Active(_)));
    assert_eq!(world.shard.stats().joins, 1);
}

#[test]
fn a_full_server_says_so_and_still_takes_those_it_knows() {
    let mut world = World::with(|config| config.sessions_max = 1);
    world.player("ana");
    let ben = world.start("ben");
    world.run(Duration::from_millis(100));
    match ended(&world, ben) {
        Some(Ended::Refused(refusal)) => assert_eq!(refusal.code, RefusalCode::LimitReached),
        other => panic!("not refused: {other:?}"),
    }
    world.player("ana");
}

#[test]
fn a_stopping_shard_ends_every_session_and_refuses_new_ones() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    world.join(ben, room.room);
    world.shard.stop(CloseReason::ServerStopping);
    let late = world.start("late");
    assert!(world.run_until(Duration::from_secs(2), |world| world.shard.is_stopped()));
    world.run(Duration::from_millis(100));
    for player in [ana, ben] {
        assert_eq!(
            ended(&world, player),
            Some(&Ended::Closed(CloseReason::ServerStopping))
        );
    }
    match ended(&world, late) {
        Some(Ended::Refused(refusal)) => assert_eq!(refusal.code, RefusalCode::Stopping),
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(
        (world.shard.stats().sessions, world.shard.stats().rooms),
        (0, 0)
    );
}

#[test]
fn a_player_whose_address_changes_is_followed() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat = world.create(ana, "mill", 1).seat;
    world.players[ana].address.set_port(20_000);
    world.act(ana, seat, Act::Add(1));
    world.expect_view(ana, seat, |board| board.adds == 1);
    assert_eq!(world.shard.stats().sessions, 1);
}

#[test]
fn one_who_asks_and_leaves_in_one_breath_holds_no_seat() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1).room;
    world.players[ben].core.join(room).unwrap();
    world.players[ben].core.disconnect();
    world.run(Duration::from_millis(200));
    assert_eq!(world.shard.stats().sessions, 1);
    assert_eq!(world.join(ana, room).members.len(), 1);
}

/// The pending join used to end five seconds after the *first* hello: a client that got its reply
/// just before then spoke to nobody until it gave the server up.
#[test]
fn a_join_whose_first_replies_are_lost_still_opens_a_session() {
    let mut world = World::new();
    let ana = world.start("ana");
    world.players[ana].deaf = true;
    world.run(Duration::from_millis(4_500));
    world.players[ana].deaf = false;
    let active = |world: &World| matches!(world.players[ana].core.state(), State::Active(_));
    assert!(world.run_until(Duration::from_millis(400), active));
    world.players[ana].online = false;
    world.run(Duration::from_secs(1));
    world.players[ana].online = true;
    world.run(Duration::from_secs(3));
    assert!(active(&world));
    assert_eq!(world.shard.stats().sessions, 1);
}
