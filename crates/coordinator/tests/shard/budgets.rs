//! Who does too much is told which limit, and nobody else notices.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_client::{Ended, Event};
use rejoin_coordinator::Budgets;
use rejoin_protocol::message::{ClientMessage, RoomSettings};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{CloseReason, Limit, Refusal, RequestId, RoomId, SeatId};

use crate::intruder::Intruder;
use crate::rooms::Act;
use crate::world::{World, seated};

fn world(change: impl FnOnce(&mut Budgets)) -> World {
    World::with(|config| change(&mut config.budgets))
}

fn outside(number: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, number], 9))
}

/// Numbers and refusals of the inputs that were not applied.
fn refused_inputs(world: &World, player: usize) -> Vec<(u64, Refusal)> {
    let events = world.events(player).iter();
    events
        .filter_map(|event| match event {
            Event::InputRefused {
                number, refusal, ..
            } => Some((*number, refusal.clone())),
            _ => None,
        })
        .collect()
}

/// An intruder sends `per_step` datagrams of `len` bytes each millisecond, until it is closed, while
/// a player plays in the same room. Tells why it was closed and after how long.
fn flood(per_step: u32, len: usize, change: impl FnOnce(&mut Budgets)) -> (CloseReason, Duration) {
    let mut world = world(change);
    let ana = world.player("ana");
    let room = world.create(ana, "mill", 1);
    let mut intruder = Intruder::join(&mut world, "mallory", outside(1));
    intruder.enter(&mut world, room.room);
    let start = world.now;
    let mut acts = 0;
    let before = world.shard.stats();
    while intruder.closed().is_none() && world.now.since(start) < Duration::from_secs(3) {
        for _ in 0..per_step {
            intruder.spray(&mut world, len);
        }
        acts += 1;
        world.act(ana, room.seat, Act::Add(1));
        intruder.step(&mut world);
    }
    let took = world.now.since(start);
    world.run(Duration::from_secs(1) - took.min(Duration::from_millis(900)));
    world.expect_view(ana, room.seat, |board| board.adds >= acts);
    let after = world.shard.stats();
    assert_eq!(after.ticks_skipped, before.ticks_skipped);
    assert!(refused_inputs(&world, ana).is_empty(), "nobody else pays");
    (intruder.closed().expect("it is told"), took)
}

#[test]
fn a_hundred_times_the_datagrams_are_closed_with_the_reason_within_two_seconds() {
    let (reason, took) = flood(200, 1, |_| {});
    assert_eq!(reason, CloseReason::OverLimit(Limit::Datagrams));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_hundred_times_the_bytes_are_closed_with_the_reason_within_two_seconds() {
    let (reason, took) = flood(140, 1_060, |budgets| {
        budgets.datagrams_burst = 100_000;
    });
    assert_eq!(reason, CloseReason::OverLimit(Limit::Bytes));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_peer_just_over_its_budget_is_closed_too_and_one_just_within_is_not() {
    let small = |budgets: &mut Budgets| {
        budgets.datagrams_per_s = 900;
        budgets.datagrams_burst = 50;
    };
    let (reason, took) = flood(1, 1, small);
    assert_eq!(reason, CloseReason::OverLimit(Limit::Datagrams));
    assert!(took > Duration::from_millis(500), "{took:?}");
    let mut world = world(|budgets| {
        budgets.datagrams_per_s = 1_100;
        budgets.datagrams_burst = 50;
    });
    let mut intruder = Intruder::join(&mut world, "mallory", outside(1));
    for _ in 0..3_000 {
        intruder.spray(&mut world, 1);
        intruder.step(&mut world);
    }
    assert_eq!(intruder.closed(), None);
}

#[test]
fn inputs_over_the_budget_are_refused_and_passed_in_order() {
    let mut world = world(|budgets| {
        budgets.inputs_per_s = 10;
        budgets.inputs_burst = 20;
    });
    let ana = world.player("ana");
    let seat = world.create(ana, "mill", 1).seat;
    for _ in 0..30 {
        world.act(ana, seat, Act::Add(1));
    }
    world.run(Duration::from_secs(1));
    assert_eq!(world.players[ana].core.cursor(seat), Some(30));
    let refused = refused_inputs(&world, ana);
    let numbers: Vec<_> = refused.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (21..=30).collect::<Vec<_>>());
    let (_, refusal) = &refused[0];
    assert_eq!(refusal.limit, Some(Limit::Inputs));
    assert!(refusal.text.contains("inputs_per_s") && refusal.retry_after_ms.is_some());
    world.run(Duration::from_secs(3));
    world.act(ana, seat, Act::Add(1));
    world.expect_view(ana, seat, |board| board.adds == 21);
    assert_eq!(refused_inputs(&world, ana).len(), 10);
}

#[test]
fn far_too_many_inputs_end_the_connection_and_apply_none_twice() {
    let mut world = world(|budgets| {
        budgets.inputs_per_s = 1;
        budgets.inputs_burst = 20;
    });
    let ana = world.player("ana");
    let seat = world.create(ana, "mill", 1).seat;
    for _ in 0..60 {
        world.act(ana, seat, Act::Add(1));
    }
    world.run(Duration::from_secs(1));
    let reason = CloseReason::OverLimit(Limit::Inputs);
    assert_eq!(
        world.events(ana).last(),
        Some(&Event::Ended(Ended::Closed(reason)))
    );
    assert_eq!(world.shard.stats().inputs, 20);
}

#[test]
fn a_room_takes_only_so_many_inputs_of_all_its_members() {
    let mut world = world(|budgets| {
        budgets.room_inputs_per_s = 10;
        budgets.room_inputs_burst = 16;
    });
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    let other = world.create(ben, "mill", 2);
    let seat = world.join(ben, room.room).seat;
    for _ in 0..10 {
        world.act(ana, room.seat, Act::Add(1));
        world.act(ben, seat, Act::Add(1));
        world.act(ben, other.seat, Act::Add(1));
    }
    world.run(Duration::from_millis(300));
    let refused = [ana, ben].map(|player| refused_inputs(&world, player));
    let limits: Vec<_> = refused.iter().flatten().map(|(_, r)| r.limit).collect();
    assert_eq!(limits, [Some(Limit::RoomInputs); 4]);
    assert_eq!(world.players[ana].core.cursor(room.seat), Some(10));
    assert_eq!(world.players[ben].core.cursor(seat), Some(10));
    world.expect_view(ana, room.seat, |board| board.adds == 16);
    world.expect_view(ben, other.seat, |board| board.adds == 10);
}

#[test]
fn latest_inputs_over_the_rooms_budget_are_dropped() {
    let mut world = world(|budgets| {
        budgets.room_inputs_per_s = 1;
        budgets.room_inputs_burst = 5;
    });
    let ana = world.player("ana");
    let seat = world.create(ana, "mill", 1).seat;
    // A tick apart, so that none takes the place of the one before.
    for _ in 0..9 {
        let act = Act::Add(1).encode();
        world.players[ana].core.latest(seat, act).unwrap();
        world.run(Duration::from_millis(60));
    }
    world.run(Duration::from_millis(100));
    world.expect_view(ana, seat, |board| board.adds == 5);
    assert_eq!(world.shard.stats().over_budget, 4);
}

#[test]
fn requests_over_the_budget_are_refused_with_the_limit_and_a_time() {
    let mut world = world(|budgets| {
        budgets.requests_per_s = 5;
        budgets.requests_burst = 5;
    });
    let ana = world.player("ana");
    for number in 0..9 {
        let asked = world.ask(ana, |core| core.list(None, vec![], 1));
        if number < 5 {
            assert!(asked.is_ok());
        } else if let Err(refusal) = asked {
            assert_eq!(refusal.limit, Some(Limit::Requests));
            assert!(refusal.retry_after_ms.is_some(), "{refusal:?}");
            world.run(Duration::from_secs(2));
            assert!(world.ask(ana, |core| core.list(None, vec![], 1)).is_ok());
            return;
        }
    }
    panic!("none was refused");
}

#[test]
fn a_steady_flood_of_requests_ends_the_connection() {
    let mut world = World::new();
    let mut intruder = Intruder::join(&mut world, "mallory", outside(1));
    for _ in 0..500 {
        for _ in 0..20 {
            intruder.ask(&ClientMessage::Resync { seat: SeatId(0) });
        }
        intruder.step(&mut world);
        if intruder.closed().is_some() {
            break;
        }
    }
    let reason = CloseReason::OverLimit(Limit::Requests);
    assert_eq!(intruder.closed(), Some(reason));
}

#[test]
fn a_session_opens_only_so_many_rooms_a_minute() {
    let mut world = world(|budgets| {
        budgets.room_creates_per_min = 6;
        budgets.room_creates_burst = 3;
    });
    let ana = world.player("ana");
    for number in 1..=3 {
        world.create(ana, "yard", number);
    }
    let create = |world: &mut World, number| {
        let request = RequestId([number; 16]);
        world.ask(ana, |core| {
            core.create(request, "yard", RoomSettings::default())
        })
    };
    let refusal = create(&mut world, 4).unwrap_err();
    assert_eq!(refusal.limit, Some(Limit::RoomCreates));
    assert!(
        refusal
            .text
            .contains("6 rooms per minute (room_creates_per_min)")
    );
    let wait = Duration::from_millis(refusal.retry_after_ms.unwrap().into());
    assert!(create(&mut world, 1).is_ok(), "that room is open already");
    world.run(wait);
    assert!(create(&mut world, 4).is_ok());
}

/// Opens a room that no list shows.
fn private(world: &mut World, player: usize, number: u8) -> RoomId {
    let settings = RoomSettings {
        private: true,
        ..RoomSettings::default()
    };
    let request = RequestId([number; 16]);
    seated(world.ask(player, |core| core.create(request, "yard", settings))).room
}

#[test]
fn wrong_room_ids_are_budgeted_and_a_private_rooms_id_is_one_of_them() {
    let mut outcomes = Vec::new();
    for guessed in ["unknown", "private"] {
        let mut world = world(|budgets| {
            budgets.room_guesses_per_min = 6;
            budgets.room_guesses_burst = 3;
        });
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let room = private(&mut world, ana, 1);
        let guess = if guessed == "private" {
            room
        } else {
            RoomId([9; 16])
        };
        let mut refusals = Vec::new();
        for _ in 0..5 {
            refusals.push(world.ask(ben, |core| core.join(guess)).unwrap_err());
        }
        let limits: Vec<_> = refusals.iter().map(|refusal| refusal.limit).collect();
        let over = Some(Limit::RoomGuesses);
        assert_eq!(limits, [None, None, None, over, over], "{guessed}");
        world.join(ana, room);
        outcomes.push((refusals, world.shard.stats().over_budget));
    }
    assert_eq!(outcomes[0], outcomes[1], "no oracle");
}

#[test]
fn wrong_ids_of_one_address_are_budgeted_whoever_sends_them() {
    let mut world = world(|budgets| {
        budgets.address_guesses_per_min = 1;
        budgets.address_guesses_burst = 4;
    });
    let mut refused = Vec::new();
    for number in 0..3 {
        let player = world.start(&format!("p{number}"));
        world.players[player].address = SocketAddr::from(([203, 0, 113, 7], 100 + number));
        world.run(Duration::from_millis(100));
        for _ in 0..2 {
            let refusal = world.ask(player, |core| core.join(RoomId([9; 16])));
            refused.push(refusal.unwrap_err().limit);
        }
    }
    let over = Some(Limit::RoomGuesses);
    assert_eq!(refused, [None, None, None, None, over, over]);
}

#[test]
fn wrong_guesses_keep_nobody_out_of_a_listed_room() {
    let mut world = world(|budgets| {
        budgets.room_guesses_burst = 3;
        budgets.address_guesses_burst = 3;
    });
    let ana = world.player("ana");
    let room = world.create(ana, "yard", 1).room;
    let [mallory, ben] = ["mallory", "ben"].map(|name| {
        let player = world.start(name);
        let port = u16::try_from(player).unwrap();
        world.players[player].address = SocketAddr::from(([203, 0, 113, 7], port));
        world.run(Duration::from_millis(100));
        player
    });
    let guess = |world: &mut World, player| {
        let refused = world.ask(player, |core| core.join(RoomId([9; 16])));
        refused.unwrap_err().limit
    };
    while guess(&mut world, mallory).is_none() {}
    assert_eq!(guess(&mut world, ben), Some(Limit::RoomGuesses));
    world.join(ben, room);
    world.join(mallory, room);
}

#[test]
fn an_address_opens_only_so_many_sessions_and_says_which_setting() {
    let mut world = world(|budgets| budgets.address_sessions_max = 2);
    let mut ended = Vec::new();
    for number in 0..4 {
        let player = world.start(&format!("p{number}"));
        // The last one comes from elsewhere.
        let host = if number == 3 { 8 } else { 7 };
        world.players[player].address = SocketAddr::from(([203, 0, 113, host], 100 + number));
        world.run(Duration::from_millis(100));
        ended.push(world.events(player).iter().find_map(|event| match event {
            Event::Ended(Ended::Refused(refusal)) => Some(refusal.clone()),
            _ => None,
        }));
    }
    assert_eq!((&ended[0], &ended[1], &ended[3]), (&None, &None, &None));
    let refusal = ended[2].clone().unwrap();
    assert_eq!(refusal.limit, Some(Limit::AddressSessions));
    assert!(refusal.text.contains("(address_sessions_max)"));
    assert_eq!(world.shard.stats().sessions, 3);
    // A session that leaves makes room for another.
    world.players[0].core.close(CloseReason::Left);
    world.run(Duration::from_millis(100));
    let next = world.start("next");
    world.players[next].address = SocketAddr::from(([203, 0, 113, 7], 200));
    world.run(Duration::from_millis(100));
    assert_eq!(world.shard.stats().sessions, 3);
}

#[test]
fn a_player_who_comes_back_to_a_full_address_is_not_refused() {
    let mut world = world(|budgets| budgets.address_sessions_max = 1);
    let ana = world.start("ana");
    world.players[ana].address = outside(7);
    world.run(Duration::from_millis(100));
    world.create(ana, "yard", 1);
    world.players[ana].online = false;
    world.run(Duration::from_millis(100));
    let again = world.start("ana");
    world.players[again].address = SocketAddr::from(([203, 0, 113, 7], 10));
    world.run(Duration::from_millis(100));
    assert!(matches!(
        world.events(again).first(),
        Some(Event::Connected { .. })
    ));
}

#[test]
fn all_that_a_client_keeps_of_a_seats_inputs_fits_every_default() {
    let mut world = World::new();
    let mut intruder = Intruder::join(&mut world, "mallory", outside(1));
    let seat = intruder.create(&mut world, "mill").seat;
    for number in 1..=1_024 {
        let payload = Act::Add(1).encode();
        let input = RoomMessage::Input {
            seat,
            number,
            payload,
        };
        intruder
            .connection
            .send_ordered(input.encode(), None)
            .unwrap();
    }
    for _ in 0..1_000 {
        intruder.step(&mut world);
    }
    assert_eq!(world.shard.stats().over_budget, 0);
    assert_eq!(intruder.closed(), None);
    assert_eq!(world.shard.stats().inputs, 1_024);
}

#[test]
fn a_client_that_sends_full_datagrams_plays_under_the_least_burst_of_bytes() {
    let mut budgets = Budgets::default();
    let settings = budgets.settings();
    let burst = settings.iter().find(|it| it.name == "bytes_burst");
    let least = *burst.unwrap().bounds.start();
    let mut world = world(|budgets| budgets.bytes_burst = least);
    let ana = world.player("ana");
    let seat = world.create(ana, "yard", 1).seat;
    // More than a full datagram takes, and nothing that the room reads.
    let long = world.players[ana].core.send(seat, vec![0; 2_000].into());
    let number = long.unwrap();
    let refused = |world: &World| !refused_inputs(world, ana).is_empty();
    assert!(world.run_until(Duration::from_secs(5), refused));
    assert_eq!(refused_inputs(&world, ana)[0].0, number);
    world.act(ana, seat, Act::Add(1));
    world.expect_view(ana, seat, |view| view.adds == 1);
}
