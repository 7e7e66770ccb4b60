//! Keys change once an hour, in each direction alone, and nobody notices.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::ConnectionEvent;
use rejoin_protocol::limits::REKEY_AFTER;
use rejoin_protocol::packet::Header;
use rejoin_protocol::{Liveness, Timestamp};

use crate::world::{Link, Side, World};

/// The phase of the packet that `side` sends next.
fn phase(world: &mut World, side: Side) -> bool {
    let now = world.now;
    let connection = world.connection(side);
    connection.send_control(Bytes::new()).unwrap();
    let mut datagram = Vec::new();
    assert!(connection.poll_transmit(&mut datagram, now));
    let (header, _) = Header::decode(&datagram).unwrap();
    world.inject(side, datagram);
    header.key_phase
}

fn phases(world: &mut World) -> [bool; 2] {
    Side::BOTH.map(|side| phase(world, side))
}

#[test]
fn both_directions_change_their_key_once_an_hour() {
    let mut world = World::settled(1, Link::CLEAN);
    assert_eq!(phases(&mut world), [false, false]);
    world.run_for(REKEY_AFTER - Duration::from_secs(10));
    assert_eq!(phases(&mut world), [false, false], "not yet an hour");
    for expected in [true, false, true] {
        world.run_for(Duration::from_secs(30));
        assert_eq!(phases(&mut world), [expected; 2]);
        world.run_for(REKEY_AFTER - Duration::from_secs(30));
    }
    for side in Side::BOTH {
        assert_eq!(world.connection(side).liveness(), Liveness::Live);
        assert_eq!(world.connection(side).stats().dropped, 0);
    }
}

#[test]
fn a_bad_link_loses_nothing_reliable_over_three_changes() {
    let around = Duration::from_secs(15);
    let mut world = World::new(9, Link::BAD);
    let mut sent = Vec::new();
    for hour in 0..3_u32 {
        // Play is dense around each change, where packets overtake each other and get lost.
        let until = REKEY_AFTER * (hour + 1) - around;
        let quiet = until.saturating_sub(world.now.since(Timestamp::from_millis(1_000)));
        world.run_for(quiet);
        for step in 0..120_u32 {
            let message = Bytes::from(format!("{hour}:{step}"));
            for side in Side::BOTH {
                let connection = world.connection(side);
                connection.send_ordered(message.clone(), None).unwrap();
            }
            sent.push(message);
            world.run_for(around * 2 / 120);
        }
    }
    world.run_for(Duration::from_secs(60));
    for side in Side::BOTH {
        let got = world.picked(side, |event| {
            if let ConnectionEvent::Ordered(message) = event {
                Some(message.clone())
            } else {
                None
            }
        });
        assert_eq!(got, sent);
    }
    assert_eq!(phases(&mut world), [true, true]);
}
