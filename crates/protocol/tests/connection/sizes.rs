//! The bytes a datagram costs.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::{
    CONTROL_TO_SERVER_MAX, DATAGRAM_MAX, INPUT_MAX, LATEST_FRAGMENTS_MAX, LATEST_MAX,
    RELIABLE_TO_SERVER_MAX,
};

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
