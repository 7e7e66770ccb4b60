//! Views travel whole once and as deltas after; nobody is sent what is in flight.

use std::time::Duration;

use rejoin_client::{Event, State};
use rejoin_coordinator::ShardStats;
use rejoin_protocol::SeatId;
use rejoin_protocol::message::{RoomCloseReason, SeatChange};

use crate::rooms::{Act, board};
use crate::world::{Network, World};

/// Of each view a player was shown: whether it was private and whether it came whole.
fn kinds(world: &World, player: usize) -> Vec<(bool, bool)> {
    let events = world.events(player).iter();
    events
        .filter_map(|event| match event {
            Event::View { private, full, .. } => Some((*private, *full)),
            _ => None,
        })
        .collect()
}

fn cursors(world: &World, player: usize) -> Vec<u64> {
    let events = world.events(player).iter();
    events
        .filter_map(|event| match event {
            Event::View { cursor, .. } => Some(*cursor),
            _ => None,
        })
        .collect()
}

#[test]
fn a_view_is_whole_once_and_then_a_delta() {
    for kind in ["yard", "mill"] {
        let mut world = World::new();
        let ana = world.player("ana");
        let seat = world.create(ana, kind, 1).seat;
        world.act(ana, seat, Act::Add(1));
        world.act(ana, seat, Act::Grow(500));
        world.expect_view(ana, seat, |board| board.pad.len() == 500);
        world.run(Duration::from_millis(200));
        let before = world.shard.stats();
        for adds in 2..=6 {
            world.act(ana, seat, Act::Add(1));
            world.expect_view(ana, seat, |board| board.adds == adds);
            world.run(Duration::from_millis(150));
        }
        let after = world.shard.stats();
        assert_eq!(after.snapshots_full, before.snapshots_full, "{kind}");
        assert!(
            after.snapshots_delta >= before.snapshots_delta + 5,
            "{kind}"
        );
        assert!(
            after.snapshots_delta <= before.snapshots_delta + 10,
            "{kind}: nothing twice"
        );
    }
}

#[test]
fn an_idle_room_sends_no_snapshots() {
    for kind in ["yard", "mill"] {
        let mut world = World::new();
        let ana = world.player("ana");
        let seat = world.create(ana, kind, 1).seat;
        world.expect_view(ana, seat, |_| true);
        world.run(Duration::from_millis(500));
        let before = world.shard.stats();
        world.run(Duration::from_secs(3));
        let after = world.shard.stats();
        let sent = |stats: ShardStats| stats.snapshots_full + stats.snapshots_delta;
        assert_eq!(sent(after), sent(before), "{kind}");
    }
}

#[test]
fn an_input_that_changes_nothing_still_moves_the_cursor() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat = world.create(ana, "mill", 1).seat;
    world.expect_view(ana, seat, |_| true);
    world.run(Duration::from_millis(300));
    let before = world.view_bytes(ana, seat);
    world.act(ana, seat, Act::Show);
    world.run(Duration::from_millis(200));
    assert_eq!(world.players[ana].core.cursor(seat), Some(1));
    assert_eq!(world.view_bytes(ana, seat), before);
    assert_eq!(cursors(&world, ana).last(), Some(&1));
    assert_eq!(
        kinds(&world, ana).last(),
        Some(&(false, false)),
        "told as the same view"
    );
}

#[test]
fn a_late_joiner_sees_the_same_as_everyone() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    for _ in 0..20 {
        world.act(ana, room.seat, Act::Add(2));
        world.run(Duration::from_millis(20));
    }
    let seat = world.join(ben, room.room).seat;
    world.expect_view(ben, seat, |board| board.adds == 20);
    world.run(Duration::from_millis(300));
    assert_eq!(
        world.view_bytes(ben, seat),
        world.view_bytes(ana, room.seat)
    );
}

#[test]
fn a_joiner_is_never_shown_a_view_from_before_it_joined() {
    for kind in ["yard", "mill"] {
        let mut world = World::new();
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let room = world.create(ana, kind, 1);
        let seat = world.join(ben, room.room).seat;
        world.act(ben, seat, Act::Hide(7));
        world.expect_view(ben, seat, |board| board.secret == Some(7));
        world.ask(ben, |core| core.leave(seat)).unwrap();
        let before = world.events(ben).len();
        // A view is made while the request is on its way, so the next one is not due at once.
        world.act(ana, room.seat, Act::Add(1));
        let again = world.join(ben, room.room).seat;
        world.expect_view(ben, again, |_| true);
        let first = world.events(ben)[before..]
            .iter()
            .find_map(|event| match event {
                Event::View { view, private, .. } => Some((board(view), *private)),
                _ => None,
            });
        let (first, private) = first.unwrap();
        let joins = first
            .seats
            .iter()
            .filter(|(_, change)| *change == SeatChange::Joined);
        assert_eq!(joins.count(), 3, "{kind}: the view knows of the join");
        assert!(
            private,
            "{kind}: what is hidden from the player stays hidden"
        );
    }
}

#[test]
fn a_seat_found_again_is_never_shown_a_view_older_than_the_answer() {
    for kind in ["yard", "mill"] {
        let mut world = World::new();
        let ana = world.player("ana");
        let room = world.create(ana, kind, 1);
        world.expect_view(ana, room.seat, |_| true);
        let again = world.start("ana");
        while *world.players[again].core.state() == State::Joining {
            world.act(ana, room.seat, Act::Add(1));
            world.step();
        }
        let seat = world.create(again, kind, 1);
        assert!(
            seat.cursor > 5,
            "{kind}: inputs arrived until the last moment"
        );
        world.expect_view(again, seat.seat, |board| board.adds == seat.cursor);
        let first = cursors(&world, again)[0];
        assert_eq!(first, seat.cursor, "{kind}");
    }
}

#[test]
fn views_agree_after_loss_and_duplication() {
    for kind in ["yard", "mill"] {
        let mut world = World::new();
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let room = world.create(ana, kind, 1);
        let seat = world.join(ben, room.room).seat;
        world.act(ana, room.seat, Act::Grow(3_000));
        world.network = Network {
            loss: 0.3,
            duplication: 0.2,
        };
        for _ in 0..100 {
            world.act(ana, room.seat, Act::Add(1));
            world.run(Duration::from_millis(30));
        }
        world.network = Network::default();
        for (player, seat) in [(ana, room.seat), (ben, seat)] {
            world.expect_view(player, seat, |board| board.adds == 100);
        }
        assert_eq!(
            world.view_bytes(ben, seat),
            world.view_bytes(ana, room.seat),
            "{kind}"
        );
        for player in [ana, ben] {
            assert!(
                cursors(&world, player).is_sorted(),
                "{kind}: a cursor never falls"
            );
        }
    }
}

#[test]
fn a_private_view_is_for_its_player_alone_and_starts_whole() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "mill", 1);
    let seat = world.join(ben, room.room).seat;
    world.act(ben, seat, Act::Grow(400));
    world.expect_view(ben, seat, |board| board.pad.len() == 400);
    world.run(Duration::from_millis(200));
    let shown = kinds(&world, ben).len();
    world.act(ben, seat, Act::Hide(7));
    world.expect_view(ben, seat, |board| board.secret == Some(7));
    assert_eq!(
        kinds(&world, ben)[shown..][0],
        (true, true),
        "the first one is whole"
    );
    world.run(Duration::from_millis(200));
    world.act(ben, seat, Act::Hide(8));
    world.expect_view(ben, seat, |board| board.secret == Some(8));
    assert_eq!(
        kinds(&world, ben).last(),
        Some(&(true, false)),
        "then deltas"
    );
    assert_eq!(world.view(ana, room.seat).unwrap().secret, None);
    world.act(ben, seat, Act::Show);
    world.expect_view(ben, seat, |board| board.secret.is_none());
    assert_eq!(
        kinds(&world, ben).last(),
        Some(&(false, true)),
        "back to shared, whole again"
    );
    assert!(kinds(&world, ana).iter().all(|(private, _)| !private));
}

#[test]
fn a_long_view_travels_on_the_stream_and_deltas_after() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat: SeatId = world.create(ana, "mill", 1).seat;
    // From here on a change stays in its place.
    world.act(ana, seat, Act::Add(1));
    world.act(ana, seat, Act::Grow(40_000));
    world.expect_view(ana, seat, |board| board.pad.len() == 40_000);
    world.run(Duration::from_millis(500));
    let before = world.shard.stats();
    world.act(ana, seat, Act::Add(1));
    world.expect_view(ana, seat, |board| board.adds == 2);
    let after = world.shard.stats();
    assert_eq!(after.snapshots_full, before.snapshots_full);
    assert_eq!(after.snapshots_delta, before.snapshots_delta + 1);
}

#[test]
fn a_view_beyond_the_bound_closes_its_room() {
    let mut world = World::new();
    let ana = world.player("ana");
    let seat = world.create(ana, "mill", 1).seat;
    world.act(ana, seat, Act::Grow(70_000));
    world.run(Duration::from_millis(200));
    let closed = world.events(ana).iter().any(|event| {
        matches!(
            event,
            Event::RoomClosed {
                reason: RoomCloseReason::Failed(_),
                ..
            }
        )
    });
    assert!(closed);
    assert_eq!(
        (world.shard.stats().rooms, world.shard.stats().rooms_failed),
        (0, 1)
    );
}
