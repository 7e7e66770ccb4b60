//! Rooms are created, found, listed, left and closed.

use std::time::Duration;

use rejoin_client::Event;
use rejoin_protocol::message::{
    Answer, Comparison, Filter, MetadataValue, RoomCloseReason, RoomSettings, SeatChange,
};
use rejoin_protocol::{Refusal, RefusalCode, RequestId, RoomId, SeatId};

use crate::rooms::Act;
use crate::world::{World, seated};

const REQUEST: RequestId = RequestId([1; 16]);

fn settings(level: i64) -> RoomSettings {
    let metadata = [("level".to_owned(), MetadataValue::Int(level))].into();
    RoomSettings {
        metadata,
        ..RoomSettings::default()
    }
}

fn at_least(level: i64) -> Vec<Filter> {
    let (key, value) = ("level".to_owned(), MetadataValue::Int(level));
    vec![Filter {
        key,
        comparison: Comparison::AtLeast,
        value,
    }]
}

fn levels(world: &mut World, player: usize, filters: Vec<Filter>) -> Vec<MetadataValue> {
    match world.ask(player, |core| core.list(Some("yard"), filters, 64)) {
        Ok(Answer::Rooms(cards)) => {
            let mut levels: Vec<_> = cards
                .iter()
                .map(|card| card.metadata["level"].clone())
                .collect();
            levels.sort();
            levels
        }
        other => panic!("no list: {other:?}"),
    }
}

#[test]
fn a_repeated_request_reaches_the_same_room_and_seat() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let first = world.create(ana, "yard", 1);
    let again = world.create(ana, "yard", 1);
    let shared = world.create(ben, "yard", 1);
    assert_eq!(first.room, RoomId::of("yard", REQUEST));
    assert_eq!(
        (first.created, again.created, shared.created),
        (true, false, false)
    );
    assert_eq!((again.room, again.seat), (first.room, first.seat));
    assert_eq!(shared.room, first.room);
    assert_eq!(shared.members.len(), 2);
    assert_eq!(world.shard.stats().rooms, 1);
}

#[test]
fn join_or_create_prefers_the_request_then_a_fit_then_a_new_room() {
    let mut world = World::new();
    let players: Vec<_> = ["ana", "ben", "cyd"].map(|name| world.player(name)).into();
    let mut ask = |player, number, filters: Vec<Filter>| {
        let request = RequestId([number; 16]);
        seated(world.ask(players[player], |core| {
            core.join_or_create(request, "yard", filters, settings(5))
        }))
    };
    let opened = ask(0, 1, vec![]);
    assert!(opened.created);
    assert_eq!(ask(1, 2, at_least(4)).room, opened.room, "it fits");
    let other = ask(2, 3, at_least(6));
    assert!(other.created && other.room != opened.room, "nothing fits");
    assert_eq!(
        ask(2, 1, at_least(6)).room,
        opened.room,
        "the request names it"
    );
}

#[test]
fn a_request_that_was_placed_reaches_the_same_room_again_while_it_is_open() {
    let mut world = World::new();
    let names = ["ana", "ben", "cyd", "dan", "eve"];
    let players = names.map(|name| world.player(name));
    let ask = |world: &mut World, player: usize, number| {
        let request = RequestId([number; 16]);
        world.ask(players[player], |core| {
            core.join_or_create(request, "yard", vec![], settings(5))
        })
    };
    let opened = seated(ask(&mut world, 0, 1));
    let placed = seated(ask(&mut world, 1, 2));
    assert_eq!(placed.room, opened.room);
    world
        .ask(players[1], |core| core.leave(placed.seat))
        .unwrap();
    assert_eq!(seated(ask(&mut world, 1, 2)).room, opened.room, "a retry");
    assert_eq!(seated(ask(&mut world, 2, 2)).room, opened.room, "a friend");
    seated(ask(&mut world, 3, 3));
    let full = ask(&mut world, 4, 2).unwrap_err();
    assert_eq!(full.code, RefusalCode::RoomFull);
    let closed = world.ask(players[0], |core| core.close_room(opened.seat));
    assert_eq!(closed, Ok(Answer::Closed));
    assert!(
        seated(ask(&mut world, 4, 2)).created,
        "it is not open any more"
    );
}

#[test]
fn a_full_room_is_passed_over_and_refuses() {
    let mut world = World::new();
    let first = world.player("p0");
    let room = world.create(first, "yard", 1).room;
    for name in ["p1", "p2", "p3"] {
        let player = world.player(name);
        world.join(player, room);
    }
    let late = world.player("p4");
    let refused = world.ask(late, |core| core.join(room)).unwrap_err();
    assert_eq!(refused.code, RefusalCode::RoomFull);
    assert!(refused.retry_after_ms.is_some());
    let request = RequestId([9; 16]);
    let other = seated(world.ask(late, |core| {
        core.join_or_create(request, "yard", vec![], RoomSettings::default())
    }));
    assert!(other.created && other.room != room);
}

#[test]
fn lists_filter_on_the_newest_facts() {
    let mut world = World::new();
    let ana = world.player("ana");
    let mut seats = Vec::new();
    for level in [1, 5, 9] {
        let request = RequestId([u8::try_from(level).unwrap(); 16]);
        seats.push(seated(
            world.ask(ana, |core| core.create(request, "yard", settings(level))),
        ));
    }
    let ints = |levels: &[i64]| {
        levels
            .iter()
            .copied()
            .map(MetadataValue::Int)
            .collect::<Vec<_>>()
    };
    assert_eq!(levels(&mut world, ana, vec![]), ints(&[1, 5, 9]));
    assert_eq!(levels(&mut world, ana, at_least(5)), ints(&[5, 9]));
    world.act(ana, seats[0].seat, Act::Label(7));
    world.run(Duration::from_millis(50));
    assert_eq!(levels(&mut world, ana, at_least(5)), ints(&[5, 7, 9]));
}

#[test]
fn leaving_gives_the_seat_back_and_tells_the_others() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    let seat = world.join(ben, room.room).seat;
    assert_eq!(world.ask(ben, |core| core.leave(seat)), Ok(Answer::Left));
    world.run(Duration::from_millis(30));
    let changes: Vec<_> = world
        .events(ana)
        .iter()
        .filter_map(|event| match event {
            Event::Seat { name, change, .. } => Some((name.as_str(), *change)),
            _ => None,
        })
        .collect();
    assert_eq!(
        changes,
        [("ben", SeatChange::Joined), ("ben", SeatChange::Left)]
    );
    let refused = world.ask(ben, |core| core.leave(seat)).unwrap_err();
    assert_eq!(refused.code, RefusalCode::UnknownSeat);
}

#[test]
fn only_the_owner_closes_and_a_late_retry_opens_no_twin() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let own = world.create(ana, "yard", 1);
    let seat = world.join(ben, own.room).seat;
    let refused = world.ask(ben, |core| core.close_room(seat)).unwrap_err();
    assert_eq!(refused.code, RefusalCode::NotOwner);
    assert_eq!(
        world.ask(ana, |core| core.close_room(own.seat)),
        Ok(Answer::Closed)
    );
    world.run(Duration::from_millis(30));
    let closed = Event::RoomClosed {
        seat,
        reason: RoomCloseReason::ClosedByOwner,
    };
    assert!(world.events(ben).contains(&closed));
    for _ in 0..2 {
        let refused = world.ask(ana, |core| core.create(REQUEST, "yard", settings(1)));
        assert_eq!(refused.unwrap_err().code, RefusalCode::UnknownRoom);
    }
    assert_eq!(world.shard.stats().rooms, 0);
}

#[test]
fn room_logic_decides_who_enters() {
    let mut world = World::new();
    let (ana, banned) = (world.player("ana"), world.player("banned"));
    let room = world.create(ana, "yard", 1).room;
    let refused = world.ask(banned, |core| core.join(room)).unwrap_err();
    assert_eq!(
        (refused.code, refused.text.as_str()),
        (RefusalCode::NotAdmitted, "not you")
    );
    assert!(world.join(ana, room).members.len() == 1);
}

#[test]
fn a_room_that_refuses_its_creator_is_open_to_others() {
    let mut world = World::new();
    let (banned, ana) = (world.player("banned"), world.player("ana"));
    let refused = world.ask(banned, |core| core.create(REQUEST, "yard", settings(5)));
    assert_eq!(refused.unwrap_err().code, RefusalCode::NotAdmitted);
    assert_eq!(levels(&mut world, ana, vec![]), [MetadataValue::Int(5)]);
    assert!(!world.create(ana, "yard", 1).created);
}

#[test]
fn refusals_name_their_limit() {
    let mut world = World::with(|config| config.rooms_max = 2);
    let ana = world.player("ana");
    let code = |refused: Result<Answer, Refusal>| refused.unwrap_err().code;
    let unknown = world.ask(ana, |core| core.create(REQUEST, "nosuch", settings(1)));
    assert_eq!(code(unknown), RefusalCode::UnknownKind);
    let unknown = world.ask(ana, |core| core.join(RoomId([3; 16])));
    assert_eq!(code(unknown), RefusalCode::UnknownRoom);
    world.create(ana, "yard", 1);
    world.create(ana, "yard", 2);
    let full = world.ask(ana, |core| {
        core.create(RequestId([3; 16]), "yard", settings(1))
    });
    let full = full.unwrap_err();
    assert_eq!(
        (full.code, full.text.as_str()),
        (RefusalCode::LimitReached, "the server has at most 2 rooms")
    );
}

#[test]
fn a_session_has_at_most_sixteen_seats_even_asked_for_at_once() {
    let mut world = World::new();
    let ana = world.player("ana");
    for number in 0..20 {
        let request = RequestId([number; 16]);
        world.players[ana]
            .core
            .create(request, "yard", RoomSettings::default())
            .unwrap();
    }
    world.run(Duration::from_millis(100));
    let answers = world.events(ana).iter().filter_map(|event| match event {
        Event::Answer { result, .. } => Some(result),
        _ => None,
    });
    let (seated, refused): (Vec<_>, Vec<_>) = answers.partition(|result| result.is_ok());
    assert_eq!((seated.len(), refused.len()), (16, 4));
    assert!(refused.iter().all(|refused| {
        refused
            .as_ref()
            .is_err_and(|refused| refused.code == RefusalCode::LimitReached)
    }));
    assert_eq!(world.shard.stats().rooms, 16);
}

#[test]
fn an_empty_room_is_held_and_then_closed() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat: SeatId = world.create(ana, "yard", 1).seat;
    world.ask(ana, |core| core.leave(seat)).unwrap();
    world.run(Duration::from_secs(9));
    assert_eq!(world.shard.stats().rooms, 1);
    world.run(Duration::from_secs(2));
    assert_eq!(world.shard.stats().rooms, 0);
}
