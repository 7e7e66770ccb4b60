//! Players whose sessions live on another shard than their rooms.

use std::time::Duration;

use rejoin_client::{Ended, Event};
use rejoin_protocol::message::{Answer, RoomCloseReason, RoomSettings, SeatChange, Seated};
use rejoin_protocol::{CloseReason, Limit, Refusal, RefusalCode, RequestId, SeatId};
use rejoin_store::MemoryStore;

use crate::rooms::Act;
use crate::world::{DELAY, World, seated};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(1);

/// Two shards. Players come to them in turns, the first to shard 0.
fn world() -> World {
    World::with_shards(2, MemoryStore::default(), |_| {})
}

pub(crate) fn ended(world: &World, player: usize) -> Option<&Ended> {
    let mut events = world.events(player).iter();
    events.find_map(|event| match event {
        Event::Ended(ended) => Some(ended),
        _ => None,
    })
}

fn expect_replaced(world: &mut World, older: usize) {
    let over = |world: &World| ended(world, older).is_some();
    assert!(world.run_until(SECOND, over));
    let replaced = Ended::Closed(CloseReason::Replaced);
    assert_eq!(ended(world, older), Some(&replaced));
}

/// How a room ended for a player.
fn room_end(world: &World, player: usize) -> Option<(SeatId, RoomCloseReason)> {
    let mut events = world.events(player).iter();
    events.find_map(|event| match event {
        Event::RoomClosed { seat, reason } => Some((*seat, reason.clone())),
        _ => None,
    })
}

/// Events of rooms that a player was told.
pub(crate) fn heard(world: &World, player: usize) -> Vec<u64> {
    let events = world.events(player).iter();
    let heard = events.filter_map(|event| match event {
        Event::Room { number, .. } => Some(*number),
        _ => None,
    });
    heard.collect()
}

/// What a player was told of others.
fn changes(world: &World, player: usize) -> Vec<SeatChange> {
    let events = world.events(player).iter();
    let changes = events.filter_map(|event| match event {
        Event::Seat { change, .. } => Some(*change),
        _ => None,
    });
    changes.collect()
}

/// The room of the first player, with the second in it.
pub(crate) fn duet(world: &mut World, kind: &str) -> [(usize, Seated); 2] {
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, kind, 1);
    let seat = world.join(ben, room.room);
    let shards = world.shard.shards.iter();
    let sessions: Vec<_> = shards.map(|shard| shard.stats().sessions).collect();
    assert_eq!(sessions, [1, 1], "each has its own home");
    assert_eq!(world.shard.shards[0].stats().rooms, 1);
    [(ana, room), (ben, seat)]
}

fn any_room(world: &mut World, player: usize, number: u8) -> Result<Answer, Refusal> {
    let settings = RoomSettings {
        members_max: 2,
        ..RoomSettings::default()
    };
    world.ask(player, |core| {
        core.join_or_create(RequestId([number; 16]), "yard", vec![], settings)
    })
}

#[test]
fn a_guest_plays_like_any_other_member() {
    for kind in ["yard", "mill"] {
        let mut world = world();
        let [(ana, room), (ben, seat)] = duet(&mut world, kind);
        assert_eq!(seat.members.len(), 2);
        for number in 1..=20 {
            world.act(ben, seat.seat, Act::Add(number));
            world.act(ana, room.seat, Act::Say(7));
            world.run(STEP * 40);
        }
        let whole = |view: &crate::rooms::Board| view.adds == 20;
        let shown = world.expect_view(ben, seat.seat, whole);
        assert_eq!(shown, world.expect_view(ana, room.seat, whole));
        assert_eq!(shown.totals.get(&seat.player), Some(&210));
        world.run(SECOND);
        assert_eq!(heard(&world, ben), (1..=20).collect::<Vec<_>>());
        assert_eq!(world.players[ben].core.cursor(seat.seat), Some(20));
        let full = |event: &&Event| matches!(event, Event::View { full: true, .. });
        let views = world.events(ben).iter();
        assert!(views.filter(full).count() <= 2, "then deltas");
        assert_eq!(world.shard.stats().inputs, 40);
        assert_eq!(world.shard.stats().forwarded, 0);

        assert_eq!(
            world.ask(ben, |core| core.leave(seat.seat)),
            Ok(Answer::Left)
        );
        let left = |world: &World| changes(world, ana).contains(&SeatChange::Left);
        assert!(world.run_until(SECOND, left));
        let refused = world.ask(ben, |core| core.leave(seat.seat)).unwrap_err();
        assert_eq!(refused.code, RefusalCode::UnknownSeat);
    }
}

#[test]
fn datagrams_and_hellos_that_go_astray_find_their_shard() {
    for only in [0, 1] {
        let mut world = world();
        let [(ana, room), (ben, seat)] = duet(&mut world, "mill");
        world.shard.unsteered = Some(only);
        for _ in 0..10 {
            world.act(ana, room.seat, Act::Add(1));
            world.act(ben, seat.seat, Act::Add(1));
            world.run(STEP * 30);
        }
        let shown = |view: &crate::rooms::Board| view.adds == 20;
        world.expect_view(ben, seat.seat, shown);
        world.expect_view(ana, room.seat, shown);
        assert!(world.shard.stats().forwarded >= 10);
        // Players whose sessions are at the other shard come again.
        for (name, older) in [("ana", ana), ("ben", ben)] {
            let newer = world.player(name);
            expect_replaced(&mut world, older);
            assert_eq!(world.shard.stats().sessions, 2);
            let again = world.join(newer, room.room);
            assert!(!again.created && again.cursor == 10);
        }
    }
}

#[test]
fn a_client_that_comes_to_the_other_shard_has_its_seat_and_the_older_one_is_told() {
    let mut world = world();
    let [(ana, room), (ben, seat)] = duet(&mut world, "mill");
    world.act(ben, seat.seat, Act::Add(5));
    world.expect_view(ben, seat.seat, |view| view.adds == 1);
    // The third player comes to shard 0; ben's home is shard 1.
    let again = world.player("ben");
    expect_replaced(&mut world, ben);
    assert_eq!(world.shard.shards[1].stats().sessions, 1);
    world.act(ana, room.seat, Act::Add(1));
    world.run(SECOND);
    assert_eq!(world.view(again, seat.seat), None, "it has not asked yet");
    let found = world.join(again, room.room);
    assert_eq!((found.player, found.cursor), (seat.player, 1));
    world.act(again, found.seat, Act::Add(5));
    let view = world.expect_view(again, found.seat, |view| view.adds == 3);
    assert_eq!(view.totals.get(&seat.player), Some(&10));
}

#[test]
fn a_silent_guest_is_seen_as_such_and_its_seat_is_held_for_as_long_as_any() {
    let hold = Duration::from_secs(5);
    let mut world = World::with_shards(2, MemoryStore::default(), |config| config.seat_hold = hold);
    let [(ana, _), (ben, seat)] = duet(&mut world, "mill");
    world.players[ben].online = false;
    let late = |world: &World| changes(world, ana).contains(&SeatChange::Suspect);
    assert!(world.run_until(SECOND * 5, late));
    world.players[ben].online = true;
    let back = |world: &World| changes(world, ana).contains(&SeatChange::Returned);
    assert!(world.run_until(SECOND * 5, back));
    world.act(ben, seat.seat, Act::Add(1));
    world.expect_view(ben, seat.seat, |view| view.adds == 1);
    world.players[ben].online = false;
    let gone = |world: &World| changes(world, ana).contains(&SeatChange::Detached);
    assert!(world.run_until(SECOND * 30, gone));
    let left = |world: &World| changes(world, ana).contains(&SeatChange::Left);
    assert!(
        !world.run_until(hold - DELAY * 3, left),
        "not before its time"
    );
    assert!(world.run_until(DELAY * 6, left));
    world.run(SECOND);
    assert_eq!(world.shard.stats().sessions, 1);
}

#[test]
fn one_request_opens_one_room_whichever_shard_hears_it_first() {
    let mut world = world();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let request = RequestId([3; 16]);
    let settings = RoomSettings::default;
    let calls = [ana, ben].map(|player| {
        let core = &mut world.players[player].core;
        core.create(request, "yard", settings()).unwrap()
    });
    world.run(SECOND);
    let answers = [ana, ben].map(|player| {
        let events = world.events(player).iter();
        let mut seats = events.filter_map(|event| match event {
            Event::Answer { call, result } if *call == calls[player] => {
                Some(seated(result.clone()))
            }
            _ => None,
        });
        seats.next().unwrap()
    });
    assert_eq!(answers[0].room, answers[1].room);
    assert_ne!(answers[0].created, answers[1].created);
    assert_eq!(world.shard.stats().rooms, 1);
}

#[test]
fn whoever_wants_any_room_goes_where_a_seat_is_free_and_opens_one_if_it_is_taken() {
    let mut world = world();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let open = seated(any_room(&mut world, ana, 1));
    let found = seated(any_room(&mut world, ben, 2));
    assert_eq!((found.room, found.created), (open.room, false));
    // She and eve come to shard 1, dan to shard 0.
    world.player("nobody");
    let cleo = world.player("cleo");
    let other = seated(any_room(&mut world, cleo, 3));
    assert_ne!(other.room, open.room, "that one is full");
    // Its last seat, for two at once who both see it free.
    let [dan, eve] = ["dan", "eve"].map(|name| world.player(name));
    let settings = RoomSettings {
        members_max: 2,
        ..RoomSettings::default()
    };
    for (player, number) in [(dan, 4), (eve, 5)] {
        let core = &mut world.players[player].core;
        let request = RequestId([number; 16]);
        let asked = core.join_or_create(request, "yard", vec![], settings.clone());
        asked.unwrap();
    }
    world.run(SECOND);
    let rooms: Vec<_> = [dan, eve]
        .map(|player| {
            let mut events = world.events(player).iter();
            events.find_map(|event| match event {
                Event::Answer { result, .. } => Some(seated(result.clone())),
                _ => None,
            })
        })
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(rooms.len(), 2, "both have a seat");
    assert_eq!(
        rooms.iter().filter(|seat| seat.room == other.room).count(),
        1
    );
    assert_eq!(rooms.iter().filter(|seat| seat.created).count(), 1);
}

#[test]
fn a_private_room_abroad_opens_by_its_code_and_to_its_owner_and_to_nobody_else() {
    let mut world = World::with_shards(2, MemoryStore::default(), |config| {
        config.budgets.room_guesses_per_min = 6;
        config.budgets.room_guesses_burst = 6;
    });
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let settings = RoomSettings {
        private: true,
        ..RoomSettings::default()
    };
    let opened = world.ask(ana, |core| {
        core.create(RequestId([1; 16]), "yard", settings)
    });
    let room = seated(opened);
    // As many guesses as there are in a minute.
    for _ in 0..6 {
        let refused = world.ask(ben, |core| core.join(room.room)).unwrap_err();
        assert_eq!(refused.code, RefusalCode::UnknownRoom);
    }
    let refused = world.ask(ben, |core| core.join(room.room)).unwrap_err();
    assert_eq!(refused.limit, Some(Limit::RoomGuesses));
    world.run(SECOND * 61);
    let code = room.code.unwrap();
    let seat = seated(world.ask(ben, |core| core.join_by_code(code)));
    assert_eq!(
        (seat.room, seat.code, seat.created),
        (room.room, room.code, false)
    );
    // A member needs no code any more.
    assert_eq!(world.join(ben, room.room).seat, seat.seat);
    let refused = world
        .ask(ben, |core| core.close_room(seat.seat))
        .unwrap_err();
    assert_eq!(refused.code, RefusalCode::NotOwner);
}

#[test]
fn a_room_that_ends_or_removes_a_guest_tells_it_and_its_home() {
    for (act, reason) in [
        (None, RoomCloseReason::Removed("kicked".into())),
        (Some(Act::End), RoomCloseReason::Ended("over".into())),
    ] {
        let mut world = world();
        let [(ana, room), (ben, seat)] = duet(&mut world, "yard");
        let act = act.unwrap_or(Act::Kick(seat.player));
        world.act(ana, room.seat, act);
        let over = |world: &World| room_end(world, ben).is_some();
        assert!(world.run_until(SECOND, over));
        assert_eq!(room_end(&world, ben), Some((seat.seat, reason)));
        let refused = world.ask(ben, |core| core.leave(seat.seat)).unwrap_err();
        assert_eq!(refused.code, RefusalCode::UnknownSeat);
    }
}

#[test]
fn what_was_sent_to_a_seat_that_is_gone_does_not_meet_the_next_one() {
    let mut world = world();
    let [(ana, room), (ben, seat)] = duet(&mut world, "yard");
    world.act(ben, seat.seat, Act::Add(1));
    world.expect_view(ben, seat.seat, |view| view.adds == 1);
    // The room removes ben in the turn in which ben's home is asked for the seat again; the input comes
    // to the home just before the news does.
    world.act(ana, room.seat, Act::Kick(seat.player));
    let joined = world.players[ben].core.join(room.room).unwrap();
    world.step();
    world.act(ben, seat.seat, Act::Add(100));
    world.run(DELAY * 10);
    assert_eq!(ended(&world, ben), None, "it did nothing wrong");
    let events = world.events(ben).iter();
    let mut answers = events.filter_map(|event| match event {
        Event::Answer { call, result } if *call == joined => Some(seated(result.clone())),
        _ => None,
    });
    let again = answers.next().unwrap();
    assert_eq!(again.cursor, 0, "a seat of its own");
    world.act(ben, again.seat, Act::Add(10));
    let view = world.expect_view(ben, again.seat, |view| view.adds >= 2);
    assert_eq!(view.totals.get(&seat.player), Some(&11));
    assert_eq!(world.shard.stats().inputs_ignored, 1);
}

#[test]
fn a_client_that_takes_over_and_never_asks_does_not_keep_a_seat_abroad() {
    let hold = Duration::from_secs(4);
    let mut world = World::with_shards(2, MemoryStore::default(), |config| config.seat_hold = hold);
    let [(ana, _), (ben, _)] = duet(&mut world, "mill");
    let newer = world.player("ben");
    expect_replaced(&mut world, ben);
    // What the room hears of it comes under its own incarnation, and not under that which has the seat.
    world.players[newer].core.loading(SECOND).unwrap();
    let left = |world: &World| changes(world, ana).contains(&SeatChange::Left);
    assert!(world.run_until(SECOND * 40, left));
    world.players[newer].core.disconnect();
    let over = |world: &World| world.shard.stats().sessions == 1;
    assert!(world.run_until(SECOND * 40, over));
}

#[test]
fn a_seat_that_an_older_client_asked_for_is_the_newer_ones_if_it_asks_too() {
    let mut world = world();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    // The room's shard sleeps while one client of ben asks, and then the next.
    world.shard.asleep = Some(0);
    world.players[ben].core.join(room.room).unwrap();
    world.run(DELAY * 4);
    world.shard.unsteered = Some(1);
    let newer = world.player("ben");
    let call = world.players[newer].core.join(room.room).unwrap();
    world.run(DELAY * 4);
    (world.shard.asleep, world.shard.unsteered) = (None, None);
    world.run(SECOND);
    let events = world.events(newer).iter();
    let mut answers = events.filter_map(|event| match event {
        Event::Answer { call: of, result } if *of == call => Some(seated(result.clone())),
        _ => None,
    });
    let seat = answers.next().unwrap();
    world.act(newer, seat.seat, Act::Add(1));
    world.expect_view(newer, seat.seat, |view| view.adds == 1);
    world.run(Duration::from_secs(150));
    assert_eq!(room_end(&world, newer), None, "it keeps it");
}

#[test]
fn a_party_that_shares_a_request_meets_in_one_room_whichever_shards_it_comes_to() {
    let mut world = world();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let (cleo, dan) = (world.player("cleo"), world.player("dan"));
    // Both shards have a room with a free seat of their own.
    let here = world.create(ana, "yard", 1);
    let there = world.create(ben, "yard", 2);
    let [first, second] = [cleo, dan].map(|player| {
        let settings = RoomSettings::default();
        let found = world.ask(player, |core| {
            core.join_or_create(RequestId([3; 16]), "yard", vec![], settings)
        });
        seated(found).room
    });
    assert!(first == here.room || first == there.room);
    assert_eq!(first, second);
}

#[test]
fn a_room_that_was_closed_is_not_opened_again_by_its_request_at_the_other_shard() {
    let mut world = world();
    let [(ana, room), (ben, _)] = duet(&mut world, "yard");
    assert_eq!(
        world.ask(ana, |core| core.close_room(room.seat)),
        Ok(Answer::Closed)
    );
    let refused = world.ask(ben, |core| {
        core.create(RequestId([1; 16]), "yard", RoomSettings::default())
    });
    assert_eq!(refused.unwrap_err().code, RefusalCode::UnknownRoom);
}

/// Found by the simulator: the answer met no connection, and the seat was given up as one that nobody waits for.
#[test]
fn a_seat_asked_for_again_is_held_if_the_connection_is_lost_before_the_answer() {
    for steps in 8..16 {
        let mut world = world();
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let room = world.create(ana, "yard", 1);
        world.join(ben, room.room);
        world.run(SECOND);
        let session = world.players[ben].core.session().unwrap();
        let told = changes(&world, ana).len();
        world.players[ben].core.join(room.room).unwrap();
        world.run(STEP * steps);
        for shard in &mut world.shard.shards {
            shard.lose_connection(session, Some(CloseReason::InternalError), world.now);
        }
        world.run(SECOND);
        let changes = &changes(&world, ana)[told..];
        assert_eq!(
            changes,
            [SeatChange::Detached],
            "{steps} ms after it was asked for"
        );
    }
}
