//! The bytes a datagram costs.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::{
    ACK_DELAY_MAX, CONTROL_TO_SERVER_MAX, DATAGRAM_MAX, INPUT_MAX, LATEST_FRAGMENTS_MAX,
    LATEST_MAX, RELIABLE_TO_SERVER_MAX,
};
use rejoin_protocol::packet::Header;

use crate::world::{Link, Side, World};

/// Lengths of what `side` sends for one unreliable message of a key and of `len` bytes.
fn lens(world: &mut World, side: Side, (key, len): (u16, usize)) -> Vec<usize> {
    world.end(side).sent.clear();
    let body = Bytes::from(vec![0; len]);
    world
        .connection(side)
        .send_latest(key, b"", body, None)
        .unwrap();
    world.drain(side);
    let lens = world.end(side).sent.iter().map(|(_, len)| *len).collect();
    world.run_for(Duration::from_secs(1));
    lens
}

#[test]
fn a_datagram_costs_22_bytes_up_and_18_down_and_a_small_message_one_more_or_two() {
    let mut world = World::settled(1, Link::CLEAN);
    for len in [0, 1, 100, 1_000] {
        for (key, more) in [(0, 1), (1, 2)] {
            assert_eq!(
                lens(&mut world, Side::Client, (key, len)),
                [22 + more + len]
            );
            assert_eq!(
                lens(&mut world, Side::Server, (key, len)),
                [18 + more + len]
            );
        }
    }
}

#[test]
fn a_number_takes_a_second_byte_while_many_are_open() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let send = |world: &mut World| {
        let server = world.connection(Side::Server);
        let message = Bytes::from_static(b"x");
        server.send_latest(1, b"", message, None).unwrap();
        let mut datagram = Vec::new();
        assert!(server.poll_transmit(&mut datagram, now));
        let (header, _) = Header::decode(&datagram).unwrap();
        (header.number.len(), datagram)
    };
    let sent: Vec<_> = (0..300).map(|_| send(&mut world)).collect();
    let short = sent.iter().position(|(len, _)| *len == 2);
    // The last of those before has perhaps nothing in it that is acknowledged.
    assert!(matches!(short, Some(125..=126)), "{short:?}");
    let lens = sent.iter().map(|(len, _)| *len);
    assert!(lens.clone().is_sorted() && lens.max() == Some(2));
    // The newest comes, and its acknowledgement.
    let later = now + ACK_DELAY_MAX;
    let client = world.connection(Side::Client);
    let mut newest = sent.last().unwrap().1.clone();
    client.handle_datagram(&mut newest, now).unwrap();
    client.handle_timeout(later);
    let mut ack = Vec::new();
    assert!(client.poll_transmit(&mut ack, later));
    let server = world.connection(Side::Server);
    server.handle_datagram(&mut ack, later).unwrap();
    assert_eq!(send(&mut world).0, 1);
}

#[test]
fn the_longest_unreliable_message_takes_as_many_datagrams_as_fragments() {
    let mut world = World::settled(1, Link::CLEAN);
    let lens = lens(&mut world, Side::Server, (1, LATEST_MAX));
    assert_eq!(lens.len(), LATEST_FRAGMENTS_MAX);
    assert!(lens.into_iter().all(|len| len <= DATAGRAM_MAX));
}

#[test]
fn a_client_is_refused_what_its_server_would_not_take() {
    let mut world = World::settled(1, Link::CLEAN);
    let client = world.connection(Side::Client);
    let long = |max| Bytes::from(vec![0; max + 1]);
    for (result, max) in [
        (
            client.send_control(long(CONTROL_TO_SERVER_MAX)),
            CONTROL_TO_SERVER_MAX,
        ),
        (
            client.send_ordered(long(RELIABLE_TO_SERVER_MAX), None),
            RELIABLE_TO_SERVER_MAX,
        ),
        (client.send_latest(1, b"", long(INPUT_MAX), None), INPUT_MAX),
    ] {
        assert_eq!(result, Err(SendError::TooLong { len: max + 1, max }));
    }
}
