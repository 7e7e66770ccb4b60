//! What the sessions of one address may do together.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_coordinator::Budgets;
use rejoin_protocol::message::{Answer, RoomSettings};
use rejoin_protocol::{CloseReason, Limit, Refusal, RequestId};

use crate::world::{World, seated};

fn world(change: impl FnOnce(&mut Budgets)) -> World {
    World::with(|config| change(&mut config.budgets))
}

/// A client of 203.0.113.7 that has joined.
fn neighbour(world: &mut World, name: &str) -> usize {
    let player = world.start(name);
    let port = 100 + u16::try_from(player).unwrap();
    world.players[player].address = SocketAddr::from(([203, 0, 113, 7], port));
    let joined = |world: &World| !world.events(player).is_empty();
    assert!(world.run_until(Duration::from_secs(5), joined));
    player
}

fn create(world: &mut World, player: usize, number: u8) -> Result<Answer, Refusal> {
    let request = RequestId([number; 16]);
    world.ask(player, |core| {
        core.create(request, "yard", RoomSettings::default())
    })
}

#[test]
fn one_address_holds_only_so_many_rooms_and_others_still_open_theirs() {
    let mut world = world(|budgets| budgets.address_rooms_max = 3);
    let players = ["ana", "ben"].map(|name| neighbour(&mut world, name));
    let mut seats = Vec::new();
    for number in 0..3 {
        let player = players[usize::from(number % 2)];
        seats.push((player, seated(create(&mut world, player, number)).seat));
    }
    for player in players {
        let refusal = create(&mut world, player, 9).unwrap_err();
        assert_eq!(refusal.limit, Some(Limit::AddressRooms));
        assert!(refusal.text.contains("3 rooms (address_rooms_max)"));
        assert!(refusal.retry_after_ms.is_some());
    }
    seated(create(&mut world, players[1], 0));
    let elsewhere = world.player("cyd");
    world.create(elsewhere, "yard", 8);
    let (player, seat) = seats[0];
    world.ask(player, |core| core.close_room(seat)).unwrap();
    world.run(Duration::from_millis(10));
    seated(create(&mut world, players[1], 9));
}

#[test]
fn rooms_that_are_left_and_sessions_that_come_back_renew_nothing() {
    let mut world = world(|budgets| {
        budgets.address_room_creates_per_min = 6;
        budgets.address_room_creates_burst = 4;
        budgets.address_rooms_max = 100;
        budgets.room_creates_burst = 2;
    });
    let mut opened = 0;
    let refusal = loop {
        let mallory = neighbour(&mut world, "mallory");
        let refused = (0..2).find_map(|_| match create(&mut world, mallory, opened) {
            Ok(Answer::Seated(told)) => {
                opened += 1;
                world.ask(mallory, |core| core.leave(told.seat)).unwrap();
                None
            }
            other => Some(other.unwrap_err()),
        });
        world.players[mallory].core.close(CloseReason::Left);
        world.run(Duration::from_millis(100));
        if let Some(refusal) = refused {
            break refusal;
        }
        assert!(opened < 20, "nothing stops it");
    };
    assert_eq!(opened, 4);
    assert_eq!(refusal.limit, Some(Limit::RoomCreates));
    let setting = "6 rooms per minute (address_room_creates_per_min)";
    assert!(refusal.text.contains(setting), "{refusal:?}");
    // Empty rooms close, and their address is not charged for them any more.
    world.run(Duration::from_secs(70));
    assert_eq!(world.shard.stats().rooms, 0);
    let back = neighbour(&mut world, "mallory");
    seated(create(&mut world, back, 50));
}
