//! What a peer may send: charged to nobody else, and dropped like a lost packet at first.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::{Budget, ConnectionEvent, PacketError};
use rejoin_protocol::{CloseReason, Limit, Rate};

use crate::world::{Link, Side, World};

fn budget(datagrams: Rate) -> Budget {
    Budget::new(datagrams, Rate::per_second(10_000_000, 10_000_000))
}

/// A datagram of the client that the server has not seen.
fn datagram(world: &mut World) -> Vec<u8> {
    let now = world.now;
    let client = world.connection(Side::Client);
    let body = Bytes::from_static(b"x");
    client.send_latest(0, &[], body, None).unwrap();
    let mut datagram = Vec::new();
    assert!(client.poll_transmit(&mut datagram, now));
    datagram
}

#[test]
fn junk_and_repetitions_cost_the_peer_nothing() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let rate = Rate::per_second(1, 2);
    world.connection(Side::Server).set_budget(budget(rate));
    let genuine = datagram(&mut world);
    let server = world.connection(Side::Server);
    assert_eq!(server.handle_datagram(&mut genuine.clone(), now), Ok(()));
    for _ in 0..1_000 {
        let mut junk = genuine.clone();
        *junk.last_mut().unwrap() ^= 1;
        junk[5] ^= 0x40;
        assert_eq!(
            server.handle_datagram(&mut junk, now),
            Err(PacketError::NotAuthentic)
        );
        assert_eq!(
            server.handle_datagram(&mut genuine.clone(), now),
            Err(PacketError::Replayed)
        );
    }
    let mut next = datagram(&mut world);
    let server = world.connection(Side::Server);
    assert_eq!(server.handle_datagram(&mut next, now), Ok(()));
}

#[test]
fn beyond_the_budget_packets_are_dropped_and_beyond_twice_that_the_peer_is_told() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let rate = Rate::per_second(1, 4);
    world.connection(Side::Server).set_budget(budget(rate));
    let mut outcomes = Vec::new();
    for _ in 0..10 {
        let mut datagram = datagram(&mut world);
        let server = world.connection(Side::Server);
        outcomes.push(server.handle_datagram(&mut datagram, now));
    }
    let over = Err(PacketError::OverBudget(Limit::Datagrams));
    let expected = [&[Ok(()); 4][..], &[over; 5], &[Err(PacketError::Closed)]].concat();
    assert_eq!(outcomes, expected);
    world.drain(Side::Server);
    world.run_for(Duration::from_millis(100));
    let reason = CloseReason::OverLimit(Limit::Datagrams);
    for side in Side::BOTH {
        let (_, last) = world.end(side).events.last().unwrap().clone();
        assert_eq!(last, ConnectionEvent::Closed(reason));
    }
}

#[test]
fn a_sound_peer_that_comes_over_its_budget_loses_nothing() {
    let mut world = World::settled(1, Link::CLEAN);
    let rate = Rate::per_second(60, 30);
    world.connection(Side::Server).set_budget(budget(rate));
    for number in 0..60_u16 {
        let mut message = vec![0; 1_000];
        message[..2].copy_from_slice(&number.to_be_bytes());
        let client = world.connection(Side::Client);
        client.send_ordered(message.into(), None).unwrap();
    }
    let number = |event: &ConnectionEvent| {
        let ConnectionEvent::Ordered(message) = event else {
            return None;
        };
        Some(u16::from_be_bytes([message[0], message[1]]))
    };
    world.run_until(Duration::from_secs(60), |world| {
        world.picked(Side::Server, number).len() == 60
    });
    let numbers = world.picked(Side::Server, number);
    assert_eq!(numbers, (0..60).collect::<Vec<_>>());
    assert!(world.connection(Side::Server).stats().dropped > 0);
}
