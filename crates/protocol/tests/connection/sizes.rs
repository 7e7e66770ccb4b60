//! The bytes a datagram costs.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::limits::{DATAGRAM_MAX, LATEST_FRAGMENTS_MAX, LATEST_MAX};

use crate::world::{Link, Side, World};

/// Lengths of what `side` sends for one unreliable message of `len` bytes.
fn lens(world: &mut World, side: Side, len: usize) -> Vec<usize> {
    world.end(side).sent.clear();
    let body = Bytes::from(vec![0; len]);
    world
        .connection(side)
        .send_latest(1, b"", body, None)
        .unwrap();
    world.drain(side);
    let lens = world.end(side).sent.iter().map(|(_, len)| *len).collect();
    world.run_for(Duration::from_secs(1));
    lens
}

#[test]
fn a_datagram_costs_23_bytes_up_and_19_down_and_a_small_message_two_more() {
    let mut world = World::settled(1, Link::CLEAN);
    for len in [0, 1, 100, 1_000] {
        assert_eq!(lens(&mut world, Side::Client, len), [23 + 2 + len]);
        assert_eq!(lens(&mut world, Side::Server, len), [19 + 2 + len]);
    }
}

#[test]
fn the_longest_unreliable_message_takes_as_many_datagrams_as_fragments() {
    let mut world = World::settled(1, Link::CLEAN);
    let lens = lens(&mut world, Side::Client, LATEST_MAX);
    assert_eq!(lens.len(), LATEST_FRAGMENTS_MAX);
    assert!(lens.into_iter().all(|len| len <= DATAGRAM_MAX));
}
