//! Ends of connections.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::CloseReason;
use rejoin_protocol::connection::{ConnectionEvent, PacketError, SendError};

use crate::world::{Link, Side, World};

#[test]
fn a_close_reaches_both_ends_once() {
    let mut world = World::settled(1, Link::CLEAN);
    world
        .connection(Side::Server)
        .close(CloseReason::ServerStopping);
    assert!(
        !world.connection(Side::Server).is_closed(),
        "the packet has yet to leave"
    );
    world.run_for(Duration::from_secs(100));
    for side in Side::BOTH {
        let events: Vec<_> = world
            .end(side)
            .events
            .iter()
            .map(|(_, event)| event.clone())
            .collect();
        assert_eq!(
            events,
            [ConnectionEvent::Closed(CloseReason::ServerStopping)]
        );
        let connection = world.connection(side);
        assert!(connection.is_closed());
        assert_eq!(connection.poll_timeout(), None);
        assert_eq!(
            connection.send_control(Bytes::new()),
            Err(SendError::Closed)
        );
        assert_eq!(
            connection.send_ordered(Bytes::new(), None),
            Err(SendError::Closed)
        );
        assert_eq!(
            connection.send_latest(0, b"", Bytes::new(), None),
            Err(SendError::Closed)
        );
    }
    assert_eq!(world.end(Side::Server).sent.len(), 1);
    assert_eq!(world.end(Side::Client).sent.len(), 0);
}

#[test]
fn nothing_is_taken_or_queued_while_closing() {
    let mut world = World::settled(1, Link::CLEAN);
    let client = world.connection(Side::Client);
    client.close(CloseReason::Left);
    client.close(CloseReason::Kicked);
    assert_eq!(client.send_control(Bytes::new()), Err(SendError::Closed));
    assert_eq!(
        client.handle_datagram(&mut [0; 40], rejoin_protocol::Timestamp::ZERO),
        Err(PacketError::Closed)
    );
    world.drain(Side::Client);
    let (_, event) = world.end(Side::Client).events[0].clone();
    assert_eq!(
        event,
        ConnectionEvent::Closed(CloseReason::Left),
        "the first reason stands"
    );
}

#[test]
fn a_timeout_is_concluded_without_a_packet() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let client = world.connection(Side::Client);
    client.close(CloseReason::TimedOut);
    assert!(client.is_closed());
    assert!(!client.poll_transmit(&mut Vec::new(), now));
    assert_eq!(
        client.poll_event(),
        Some(ConnectionEvent::Closed(CloseReason::TimedOut))
    );
}
