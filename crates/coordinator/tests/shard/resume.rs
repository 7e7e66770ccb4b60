//! Sessions outlive their connections: clients come back with tickets, by themselves or as another process.

use std::time::Duration;

use rejoin_client::{Ended, Event, Loss, Options, Permit, State};
use rejoin_protocol::handshake::TicketKeys;
use rejoin_protocol::limits::{DETACH_AFTER, SEAT_HOLD};
use rejoin_protocol::message::{RoomCloseReason, SeatChange};
use rejoin_protocol::{CloseReason, Liveness, RefusalCode, SeatId};

use crate::rooms::Act;
use crate::world::{World, identity};

/// A world whose clients come back.
fn world() -> World {
    let mut world = World::new();
    world.resume_for = SEAT_HOLD;
    world
}

/// What a player was told of its connection and seats, without the rest.
fn told(world: &World, player: usize) -> Vec<&Event> {
    let events = world.events(player).iter();
    let concerns = |event: &&Event| {
        matches!(
            event,
            Event::Away(_)
                | Event::Back { .. }
                | Event::Resumed { .. }
                | Event::RoomClosed { .. }
                | Event::Ended(_)
        )
    };
    events.filter(concerns).collect()
}

fn is_live(world: &World, player: usize) -> bool {
    *world.players[player].core.state() == State::Active(Liveness::Live)
}

fn resumed(world: &World, player: usize) -> usize {
    let told = told(world, player);
    let resumed = told
        .iter()
        .filter(|event| matches!(event, Event::Resumed { .. }));
    resumed.count()
}

/// A player with a seat whose client was away for longer than the server waited.
fn cut_off(world: &mut World, player: usize) {
    world.players[player].online = false;
    let span = DETACH_AFTER + Duration::from_secs(1);
    assert!(
        world.run_until(span, |world| *world.players[player].core.state()
            == State::Away)
    );
    world.run(Duration::from_secs(3));
    world.players[player].online = true;
}

fn come_back(world: &mut World, player: usize) {
    let before = resumed(world, player);
    let back = |world: &World| resumed(world, player) > before;
    assert!(
        world.run_until(Duration::from_secs(3), back),
        "{:?}",
        told(world, player)
    );
}

/// The options of a client that was started anew and has what the player's client left.
fn relaunched(world: &World, player: usize, name: &str) -> Options {
    let ticket = world.players[player].core.ticket().cloned();
    let mut options = Options::new(
        rejoin_protocol::crypto::StaticKeys::development().public(),
        identity("another device"),
        Permit::dev(name),
        world.now.as_micros(),
    );
    options.ticket = Some(ticket.expect("a ticket came with the join"));
    options
}

#[test]
fn a_player_who_was_cut_off_comes_back_to_the_seat_with_every_input_applied_once() {
    let mut world = world();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    let seat = world.join(ben, room.room).seat;
    for _ in 0..3 {
        world.act(ben, seat, Act::Add(1));
    }
    world.run(Duration::from_secs(1));
    // Some that leave and never arrive, and some that wait.
    world.players[ben].online = false;
    for _ in 0..3 {
        world.act(ben, seat, Act::Add(10));
    }
    cut_off(&mut world, ben);
    for _ in 0..3 {
        world.act(ben, seat, Act::Add(100));
    }
    come_back(&mut world, ben);
    let player = world.players[ben].core.player().unwrap();
    for of in [(ana, room.seat), (ben, seat)] {
        let board = world.expect_view(of.0, of.1, |board| board.adds >= 9);
        assert_eq!((board.adds, board.totals[&player]), (9, 333));
    }
    let told = told(&world, ben);
    let [
        Event::Away(Loss::Silence),
        Event::Back { away },
        Event::Resumed {
            receipt, members, ..
        },
    ] = told.as_slice()
    else {
        panic!("{told:?}");
    };
    assert!(*away >= Duration::from_secs(3) && receipt.away >= *away);
    assert_eq!(
        (receipt.cursor, receipt.inputs_resent, members.len()),
        (3, 6, 2)
    );
    let changes = world.events(ana).iter().filter_map(|event| match event {
        Event::Seat { change, .. } => Some(*change),
        _ => None,
    });
    use SeatChange::{Detached, Joined, Returned, Suspect};
    assert!(changes.eq([Joined, Suspect, Detached, Returned]));
    assert_eq!(world.shard.stats().resumes, 1);
}

#[test]
fn a_client_is_back_after_two_datagrams_each_way() {
    let mut world = world();
    let ana = world.player("ana");
    let seat = world.create(ana, "yard", 1).seat;
    world.act(ana, seat, Act::Add(1));
    world.run(Duration::from_secs(1));
    cut_off(&mut world, ana);
    let before = world.packets;
    come_back(&mut world, ana);
    // Hello and reply; a packet that asks for the seat, and one with ticket and answer.
    assert_eq!(world.packets - before, 4);
}

#[test]
fn a_client_of_a_restarted_server_knows_it_at_once_and_its_session_goes_on() {
    let mut world = world();
    let ana = world.player("ana");
    let room = world.create(ana, "mill", 1);
    let session = world.players[ana].core.session();
    world.run(Duration::from_secs(1));
    world.restart(|_| {});
    // A round trip for the reset, one for the resume, one for the room's answer.
    world.run(Duration::from_millis(650));
    let told = told(&world, ana);
    let gone = Event::RoomClosed {
        seat: room.seat,
        reason: RoomCloseReason::Gone,
    };
    assert!(
        matches!(told.as_slice(), [Event::Away(Loss::Forgotten), Event::Back { .. }, closed] if **closed == gone),
        "{told:?}"
    );
    assert!(is_live(&world, ana));
    assert_eq!(world.players[ana].core.session(), session);
    let stats = world.shard.stats();
    assert_eq!((stats.sessions, stats.resumes, stats.joins), (1, 1, 1));
    assert!(stats.resets >= 1 && stats.resets <= 3, "{}", stats.resets);
    world.create(ana, "yard", 2);
}

#[test]
fn a_server_that_stops_in_order_is_waited_for() {
    let mut world = world();
    let ana = world.player("ana");
    world.create(ana, "yard", 1);
    world.run(Duration::from_secs(1));
    world.shard.stop(CloseReason::ServerStopping);
    world.run(Duration::from_millis(100));
    assert_eq!(*world.players[ana].core.state(), State::Away);
    let call = world.players[ana].core.list(None, Vec::new(), 5).unwrap();
    world.run(Duration::from_secs(20));
    world.restart(|_| {});
    world.run(Duration::from_secs(2));
    assert!(is_live(&world, ana));
    let answered = |event: &Event| matches!(event, Event::Answer { call: of, .. } if *of == call);
    assert!(
        world.events(ana).iter().any(answered),
        "what was asked meanwhile is answered"
    );
    let stopping = Event::Away(Loss::Closed(CloseReason::ServerStopping));
    assert_eq!(told(&world, ana).first(), Some(&&stopping));
}

#[test]
fn whoever_cannot_come_back_in_time_is_told_why_it_was_lost() {
    let mut world = world();
    world.resume_for = Duration::from_secs(10);
    let ana = world.player("ana");
    world.run(Duration::from_secs(1));
    world.shard.stop(CloseReason::ServerStopping);
    world.run(Duration::from_secs(9));
    assert_eq!(*world.players[ana].core.state(), State::Away);
    world.run(Duration::from_secs(2));
    let ended = Ended::Closed(CloseReason::ServerStopping);
    assert_eq!(*world.players[ana].core.state(), State::Ended(ended));
}

#[test]
fn a_seat_that_was_given_up_is_told_as_gone_and_no_other_taken_for_it() {
    let mut world = world();
    world.resume_for = SEAT_HOLD * 3;
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    let seat = world.join(ben, room.room).seat;
    for _ in 0..5 {
        world.act(ben, seat, Act::Add(1));
    }
    world.run(Duration::from_secs(1));
    world.players[ben].online = false;
    world.run(SEAT_HOLD + Duration::from_secs(20));
    world.players[ben].online = true;
    world.run(Duration::from_secs(5));
    let told = told(&world, ben);
    let reason = RoomCloseReason::Gone;
    assert_eq!(
        told.last(),
        Some(&&Event::RoomClosed { seat, reason }),
        "{told:?}"
    );
    assert!(is_live(&world, ben), "the session goes on");
    let board = world.view(ana, room.seat).unwrap();
    assert_eq!(board.adds, 5);
}

#[test]
fn a_relaunched_client_has_its_session_and_seat_and_the_older_one_is_told() {
    let mut world = world();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    let seat = world.join(ben, room.room).seat;
    world.act(ben, seat, Act::Add(7));
    world.run(Duration::from_secs(1));
    let options = relaunched(&world, ben, "ben");
    let again = world.start_from("ben", options);
    world.run(Duration::from_secs(1));
    let session = |player: usize| world.players[player].core.session();
    assert_eq!(session(again), session(ben));
    let ended = Ended::Closed(CloseReason::Replaced);
    assert_eq!(
        *world.players[ben].core.state(),
        State::Ended(ended),
        "and stays away"
    );
    let found = world.join(again, room.room);
    assert_eq!((found.seat, found.cursor), (seat, 1));
    world.act(again, found.seat, Act::Add(1));
    let board = world.expect_view(ana, room.seat, |board| board.adds == 2);
    assert_eq!(
        board.totals[&world.players[again].core.player().unwrap()],
        8
    );
    world.run(Duration::from_secs(30));
    assert!(is_live(&world, again));
    assert_eq!(world.shard.stats().resumes, 1, "nobody takes it back");
}

#[test]
fn tickets_open_while_their_key_is_kept_and_their_time_lasts() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let keys = |seeds: &[u8]| {
        let keys = seeds.iter().flat_map(|seed| {
            let keys = TicketKeys::of(&[*seed; 32]);
            keys.iter().cloned().collect::<Vec<_>>()
        });
        TicketKeys::new(keys.collect()).unwrap()
    };
    for (later, after, opens) in [
        (&[1][..], Duration::ZERO, true),
        (&[2, 1], DAY - Duration::from_secs(3_600), true),
        (&[3, 2], Duration::ZERO, false),
        (&[1], DAY + Duration::from_secs(60), false),
    ] {
        let mut world = World::with(|config| config.ticket_keys = keys(&[1]));
        world.resume_for = SEAT_HOLD;
        let ana = world.player("ana");
        world.create(ana, "yard", 1);
        world.run(Duration::from_secs(1));
        world.restart(|config| {
            config.ticket_keys = keys(later);
            config.unix_start += after;
        });
        world.run(Duration::from_secs(2));
        // Its permit leads to the same session all the same.
        assert!(is_live(&world, ana), "{later:?}");
        let stats = world.shard.stats();
        assert_eq!(
            (stats.joins, stats.resumes),
            (1, u64::from(opens)),
            "{later:?} {after:?}"
        );
    }
}

#[test]
fn a_session_that_lasts_is_given_fresh_tickets() {
    let mut world = World::new();
    let ana = world.player("ana");
    world.run(Duration::from_millis(100));
    let first = world.players[ana].core.ticket().cloned().unwrap();
    world.create(ana, "yard", 1);
    world.run_long(Duration::from_secs(12 * 3_600 + 10));
    let second = world.players[ana].core.ticket().cloned().unwrap();
    assert_ne!(first, second);
    assert_eq!(
        world
            .events(ana)
            .iter()
            .filter(|event| **event == Event::Ticket)
            .count(),
        2
    );
}

#[test]
fn a_seat_keeps_its_number_over_connections() {
    let mut world = world();
    let ana = world.player("ana");
    let seats: Vec<SeatId> = (1..=3)
        .map(|number| world.create(ana, "yard", number).seat)
        .collect();
    let left = world.ask(ana, |core| core.leave(seats[0]));
    assert!(left.is_ok());
    world.run(Duration::from_secs(1));
    for _ in 0..2 {
        let before = world.events(ana).len();
        cut_off(&mut world, ana);
        world.run(Duration::from_secs(3));
        let events = world.events(ana)[before..].iter();
        let resumed: Vec<SeatId> = events
            .filter_map(|event| match event {
                Event::Resumed { seat, .. } => Some(*seat),
                _ => None,
            })
            .collect();
        assert_eq!(resumed, seats[1..]);
    }
}

/// The rooms that a player was told are gone.
fn gone(world: &World, player: usize) -> usize {
    let told = told(world, player);
    let gone = told.iter().filter(|event| {
        matches!(
            event,
            Event::RoomClosed {
                reason: RoomCloseReason::Gone,
                ..
            }
        )
    });
    gone.count()
}

#[test]
fn a_room_that_begins_anew_under_its_old_id_is_another_room() {
    let mut world = world();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    let seat = world.join(ben, room.room).seat;
    for _ in 0..3 {
        world.act(ben, seat, Act::Add(1));
    }
    world.run(Duration::from_secs(1));
    world.players[ben].online = false;
    world.restart(|_| {});
    world.run(Duration::from_secs(1));
    // The same request opens the room that ben will ask for.
    let again = world.create(ana, "yard", 1);
    assert_eq!((again.room, again.created), (room.room, true));
    world.players[ben].online = true;
    world.run(Duration::from_secs(3));
    assert!(is_live(&world, ben), "{:?}", told(&world, ben));
    assert_eq!((resumed(&world, ben), gone(&world, ben)), (0, 1));
    // Nobody sits there who does not know it.
    let board = world.join(ana, room.room);
    assert_eq!(board.members.len(), 1, "{board:?}");
    let fresh = world.join(ben, room.room);
    assert_eq!(fresh.cursor, 0);
    world.act(ben, fresh.seat, Act::Add(7));
    let player = world.players[ben].core.player().unwrap();
    let board = world.expect_view(ana, again.seat, |board| board.adds == 1);
    assert_eq!(board.totals[&player], 7);
}

#[test]
fn a_seat_that_is_given_back_while_away_is_that_seat_and_no_other_of_its_number() {
    let mut world = World::with(|config| config.seat_hold = Duration::from_secs(2));
    world.resume_for = SEAT_HOLD;
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let seat = world.create(ana, "yard", 1).seat;
    world.run(Duration::from_secs(1));
    let options = relaunched(&world, ana, "ana");
    // Away for so long that the seat is lost, and the session with it.
    world.players[ana].online = false;
    world.run(DETACH_AFTER * 3);
    assert_eq!(*world.players[ana].core.state(), State::Away);
    let call = world.players[ana].core.leave(seat).unwrap();
    // Another client opens the session again and takes a seat of the same number elsewhere.
    let room = world.create(ben, "yard", 2);
    let again = world.start_from("ana", options);
    world.run(Duration::from_secs(1));
    let other = world.join(again, room.room);
    assert_eq!(other.seat, seat);
    world.act(again, other.seat, Act::Add(5));
    world.run(Duration::from_secs(1));
    world.players[ana].online = true;
    let told_so = |world: &World| gone(world, ana) == 1;
    assert!(world.run_until(Duration::from_secs(3), told_so));
    let refused = |event: &Event| {
        matches!(event, Event::Answer { call: of, result: Err(refusal) }
            if *of == call && refusal.code == RefusalCode::UnknownSeat)
    };
    assert!(world.events(ana).iter().any(refused));
    let found = world.join(ana, room.room);
    assert_eq!(found.cursor, 1, "the seat of the other client is there");
}

#[test]
fn whoever_takes_connections_away_sees_who_has_them() {
    let mut world = world();
    let ana = world.player("ana");
    world.create(ana, "yard", 1);
    world.run(Duration::from_secs(1));
    let session = world.players[ana].core.session().unwrap();
    for (word, loss) in [
        (None, Loss::Forgotten),
        (
            Some(CloseReason::InternalError),
            Loss::Closed(CloseReason::InternalError),
        ),
    ] {
        let before = world.shard.sessions().next().unwrap();
        assert!(before.id == session && before.connection.is_some() && before.path_shown);
        world.shard.lose_connection(session, word, world.now);
        assert_eq!(world.shard.sessions().next().unwrap().connection, None);
        come_back(&mut world, ana);
        assert!(told(&world, ana).contains(&&Event::Away(loss)));
        let after = world.shard.sessions().next().unwrap();
        assert!(after.incarnation > before.incarnation);
    }
}
