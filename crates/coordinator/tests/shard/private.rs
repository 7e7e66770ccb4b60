//! Private rooms: found by their code alone, and nothing tells whether a code was close.

use std::collections::BTreeSet;
use std::time::Duration;

use rejoin_protocol::message::{Answer, RoomSettings, Seated, ServerMessage};
use rejoin_protocol::messagepack;
use rejoin_protocol::{Limit, Refusal, RequestId, RoomCode, RoomId};

use crate::world::{World, seated};

fn open(world: &mut World, player: usize, number: u8) -> Seated {
    let request = RequestId([number; 16]);
    let settings = RoomSettings {
        private: true,
        ..RoomSettings::default()
    };
    seated(world.ask(player, |core| core.create(request, "yard", settings)))
}

fn by_code(world: &mut World, player: usize, code: &str) -> Result<Answer, Refusal> {
    let code: RoomCode = code.parse().unwrap();
    world.ask(player, |core| core.join_by_code(code))
}

fn listed(world: &mut World, player: usize) -> usize {
    match world.ask(player, |core| core.list(None, vec![], 64)) {
        Ok(Answer::Rooms(cards)) => cards.len(),
        other => panic!("no list: {other:?}"),
    }
}

#[test]
fn a_code_that_was_spoken_leads_to_the_room_and_its_members_know_it() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = open(&mut world, ana, 1);
    let code = room.code.expect("a private room has a code").to_string();
    let told = seated(by_code(&mut world, ben, &code.to_lowercase()));
    assert_eq!((told.room, told.code), (room.room, room.code));
    let public = world.create(ana, "yard", 2);
    assert_eq!(public.code, None);
}

#[test]
fn nobody_else_finds_a_private_room() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = open(&mut world, ana, 1);
    assert_eq!(listed(&mut world, ben), 0);
    assert_eq!(listed(&mut world, ana), 0);
    let request = RequestId([2; 16]);
    let settings = RoomSettings::default();
    let found = world.ask(ben, |core| {
        core.join_or_create(request, "yard", vec![], settings)
    });
    assert_ne!(seated(found).room, room.room);
    assert_eq!(listed(&mut world, ana), 1, "that one is public");
}

#[test]
fn wrong_code_closed_room_and_unknown_id_are_refused_with_the_same_bytes() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let closed = open(&mut world, ana, 1);
    let code = closed.code.unwrap().to_string();
    let closing = world.ask(ana, |core| core.close_room(closed.seat));
    assert_eq!(closing, Ok(Answer::Closed));
    open(&mut world, ana, 2);
    let refusals = [
        by_code(&mut world, ben, "AAAAAA"),
        by_code(&mut world, ben, &code),
        world.ask(ben, |core| core.join(closed.room)),
        world.ask(ben, |core| core.join(RoomId([5; 16]))),
    ];
    let bytes = refusals.map(|refusal| {
        let result: Result<Answer, Refusal> = Err(refusal.unwrap_err());
        messagepack::encode(&ServerMessage::Reply { call: 1, result }).unwrap()
    });
    assert!(bytes.iter().all(|other| *other == bytes[0]));
}

#[test]
fn wrong_codes_are_budgeted_and_the_right_one_does_not_help_then() {
    let mut world = World::with(|config| {
        config.budgets.room_guesses_per_min = 6;
        config.budgets.room_guesses_burst = 3;
    });
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let code = open(&mut world, ana, 1).code.unwrap().to_string();
    for wrong in ["AAAAAA", "BBBBBB", "CCCCCC"] {
        assert_eq!(by_code(&mut world, ben, wrong).unwrap_err().limit, None);
    }
    let wrong = by_code(&mut world, ben, "DDDDDD").unwrap_err();
    let right = by_code(&mut world, ben, &code).unwrap_err();
    assert_eq!(wrong.limit, Some(Limit::RoomGuesses));
    assert_eq!((&wrong.code, &wrong.text), (&right.code, &right.text));
    let wait = Duration::from_millis(right.retry_after_ms.unwrap().into());
    world.run(wait);
    seated(by_code(&mut world, ben, &code));
}

#[test]
fn every_private_room_has_a_code_of_its_own_and_a_closed_one_is_gone() {
    let mut world = World::new();
    let ana = world.player("ana");
    let mut codes = BTreeSet::new();
    for number in 0..12 {
        let room = open(&mut world, ana, number);
        let code = room.code.unwrap();
        assert!(codes.insert(code));
        world
            .ask(ana, |core| core.close_room(room.seat))
            .expect("the owner may");
        assert!(by_code(&mut world, ana, &code.to_string()).is_err());
    }
}

/// All ways to a room other than its code.
fn without_code(
    world: &mut World,
    player: usize,
    room: &Seated,
    number: u8,
) -> [Result<Answer, Refusal>; 3] {
    let request = RequestId([number; 16]);
    let settings = RoomSettings {
        private: true,
        ..RoomSettings::default()
    };
    let again = settings.clone();
    [
        world.ask(player, |core| core.join(room.room)),
        world.ask(player, |core| core.create(request, "yard", settings)),
        world.ask(player, |core| {
            core.join_or_create(request, "yard", vec![], again)
        }),
    ]
}

#[test]
fn neither_id_nor_request_opens_a_private_room_to_those_who_hold_no_seat_in_it() {
    let mut world = World::with(|config| {
        config.budgets.room_guesses_per_min = 6;
        config.budgets.room_guesses_burst = 4;
    });
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = open(&mut world, ana, 1);
    let code = room.code.unwrap().to_string();
    // Once a member, ben knows the room's id; then he holds no seat any more.
    let seat = seated(by_code(&mut world, ben, &code)).seat;
    for answer in without_code(&mut world, ben, &room, 1) {
        assert_eq!(seated(answer).seat, seat, "a retry finds the seat");
    }
    world.ask(ben, |core| core.leave(seat)).unwrap();
    let unknown = world.ask(ben, |core| core.join(RoomId([5; 16])));
    let unknown = unknown.unwrap_err();
    assert_eq!(unknown.limit, None);
    for answer in without_code(&mut world, ben, &room, 1) {
        assert_eq!(answer.unwrap_err(), unknown);
    }
    // Each was a guess.
    for answer in without_code(&mut world, ben, &room, 1) {
        assert_eq!(answer.unwrap_err().limit, Some(Limit::RoomGuesses));
    }
    world.run(Duration::from_secs(10));
    seated(by_code(&mut world, ben, &code));
}

#[test]
fn the_owner_of_a_private_room_comes_back_without_its_code() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = open(&mut world, ana, 1);
    seated(by_code(&mut world, ben, &room.code.unwrap().to_string()));
    let mut seat = room.seat;
    for way in 0..3 {
        world.ask(ana, |core| core.leave(seat)).unwrap();
        let [by_id, by_create, by_either] = without_code(&mut world, ana, &room, 1);
        let back = [by_id, by_create, by_either].map(seated);
        assert!(
            back.iter()
                .all(|told| told.room == room.room && !told.created)
        );
        seat = back[way].seat;
    }
}

#[test]
fn a_detached_member_finds_its_seat_by_id() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = open(&mut world, ana, 1);
    let seat = seated(by_code(&mut world, ben, &room.code.unwrap().to_string())).seat;
    world.players[ben].online = false;
    world.run(Duration::from_secs(30));
    let again = world.player("ben");
    let told = world.join(again, room.room);
    assert_eq!((told.seat, told.created), (seat, false));
}

#[test]
fn a_request_that_was_placed_in_a_private_room_opens_it_to_nobody_else() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = open(&mut world, ana, 1);
    let ask = |world: &mut World, player: usize| {
        let request = RequestId([2; 16]);
        world.ask(player, |core| {
            core.join_or_create(request, "yard", vec![], RoomSettings::default())
        })
    };
    let placed = seated(ask(&mut world, ana));
    assert_eq!(placed.room, room.room, "her seat there is found");
    let refused = ask(&mut world, ben);
    let unknown = world.ask(ben, |core| core.join(RoomId([5; 16])));
    assert_eq!(refused.unwrap_err(), unknown.unwrap_err());
}
