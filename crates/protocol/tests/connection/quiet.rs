//! After the traffic: silence, and no work for its own sake.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::limits::HEARTBEAT_IDLE;

use crate::world::{Link, Side, World};

#[test]
fn only_heartbeats_remain_after_traffic_stops() {
    for seed in 1..=4 {
        let mut world = World::new(seed, Link::BAD);
        for number in 0..50_u8 {
            for side in Side::BOTH {
                let connection = world.connection(side);
                connection
                    .send_control(Bytes::from(vec![number; 900]))
                    .unwrap();
                connection
                    .send_latest(1, &[number], Bytes::from(vec![1; 3_000]), Some(1))
                    .unwrap();
            }
            world.run_for(Duration::from_millis(33));
        }
        world.link = Link::CLEAN;
        world.run_for(Duration::from_secs(20));
        for side in Side::BOTH {
            world.end(side).sent.clear();
        }
        let intervals = 10;
        world.run_for(HEARTBEAT_IDLE * intervals);
        for side in Side::BOTH {
            let sent = world.end(side).sent.len();
            let heartbeats = usize::try_from(intervals).unwrap();
            // Its own heartbeats and an acknowledgement of each of the other's.
            assert!(
                (heartbeats - 1..=2 * heartbeats + 2).contains(&sent),
                "{side:?} sent {sent}"
            );
            let stats = world.connection(side).stats();
            assert!(
                stats
                    .rtt
                    .is_some_and(|rtt| rtt.as_millis().abs_diff(50) < 15),
                "{stats:?}"
            );
        }
    }
}

#[test]
fn a_dead_peer_costs_few_packets_and_the_queue_is_bounded() {
    let mut world = World::settled(1, Link::CLEAN);
    world.link = Link::CUT;
    let client = world.connection(Side::Client);
    let mut queued = 0;
    while client
        .send_ordered(Bytes::from(vec![0; 1_000]), None)
        .is_ok()
    {
        queued += 1;
    }
    assert_eq!(queued, 512 * 1024 / 1_000);
    world.run_for(Duration::from_secs(120));
    let sent = world.end(Side::Client).sent.len();
    // A first window, then probes: every 0.2 s while suspect, every second or two otherwise.
    assert!(sent < 250, "{sent} packets to a dead peer in two minutes");
    // What was queued arrives once the peer is back.
    world.link = Link::CLEAN;
    world.run_until(Duration::from_secs(10), |world| {
        world.ends[Side::Server as usize].events.len() >= queued
    });
}

#[test]
fn acknowledgements_leave_within_their_delay_and_never_answer_each_other() {
    let mut world = World::settled(1, Link::CLEAN);
    world
        .connection(Side::Client)
        .send_control(Bytes::from_static(b"x"))
        .unwrap();
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.end(Side::Client).sent.len(), 1);
    let sent = world.end(Side::Server).sent.clone();
    let [(at, _)] = sent[..] else {
        panic!("one acknowledgement: {sent:?}")
    };
    let (asked_at, _) = world.end(Side::Client).sent[0];
    assert_eq!(at.since(asked_at), Duration::from_millis(25 + 40));
}

#[test]
fn all_of_a_tick_rides_in_one_datagram() {
    let mut world = World::settled(1, Link::CLEAN);
    world
        .connection(Side::Client)
        .send_control(Bytes::from_static(b"ask"))
        .unwrap();
    world.run_for(Duration::from_millis(30));
    let server = world.connection(Side::Server);
    server.send_control(Bytes::from_static(b"answer")).unwrap();
    server
        .send_latest(1, b"head", Bytes::from(vec![0; 500]), None)
        .unwrap();
    server
        .send_latest(2, b"head", Bytes::from(vec![0; 200]), None)
        .unwrap();
    server
        .send_ordered(Bytes::from_static(b"event"), None)
        .unwrap();
    server
        .send_ordered(Bytes::from_static(b"event"), None)
        .unwrap();
    world.drain(Side::Server);
    assert_eq!(
        world.end(Side::Server).sent.len(),
        1,
        "with the acknowledgement in it"
    );
    world.run_for(Duration::from_millis(30));
    assert_eq!(world.end(Side::Client).events.len(), 5);
}
