//! Rooms of one session do not wait for each other.

use std::time::Duration;

use rejoin_client::Event;
use rejoin_protocol::SeatId;
use rejoin_protocol::messagepack::{self, Bounds};

use crate::rooms::Act;
use crate::world::World;

/// What the events of a seat's room say, as the client was told.
fn told(world: &World, player: usize, of: SeatId) -> Vec<u32> {
    let events = world.events(player).iter();
    events
        .filter_map(|event| match event {
            Event::Room { seat, payload, .. } if *seat == of => {
                Some(messagepack::decode(payload, Bounds::PEER).unwrap())
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_packet_lost_for_one_room_delays_only_that_room_on_both_ways() {
    let mut world = World::new();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let here = world.create(ana, "yard", 1);
    let there = world.create(ana, "yard", 2);
    let (ben_here, ben_there) = (world.join(ben, here.room), world.join(ben, there.room));
    world.run(Duration::from_millis(500));

    // Up: the input for the first room is lost, the one for the second follows at once.
    world.players[ana].online = false;
    world.act(ana, here.seat, Act::Say(1));
    world.step();
    world.players[ana].online = true;
    world.act(ana, there.seat, Act::Say(2));
    world.run(Duration::from_millis(15));
    world.run(Duration::from_millis(10));
    assert_eq!(told(&world, ben, ben_there.seat), [2]);
    assert_eq!(told(&world, ben, ben_here.seat), [], "its packet is lost");
    world.run(Duration::from_secs(1));
    assert_eq!(told(&world, ben, ben_here.seat), [1]);

    // Down: the same with what the rooms tell.
    world.act(ana, here.seat, Act::Say(3));
    world.run(Duration::from_millis(10));
    world.players[ben].online = false;
    world.run(Duration::from_millis(5));
    world.players[ben].online = true;
    world.act(ana, there.seat, Act::Say(4));
    world.run(Duration::from_millis(25));
    assert_eq!(told(&world, ben, ben_there.seat), [2, 4]);
    assert_eq!(told(&world, ben, ben_here.seat), [1], "its packet is lost");
    world.run(Duration::from_secs(1));
    assert_eq!(told(&world, ben, ben_here.seat), [1, 3]);
}
