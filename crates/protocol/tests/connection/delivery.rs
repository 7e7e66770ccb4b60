//! What the lanes promise, whatever the link does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use rejoin_protocol::connection::ConnectionEvent;
use rejoin_protocol::limits::{FRAGMENT_MAX, LATEST_MAX, RELIABLE_MAX, RELIABLE_TO_SERVER_MAX};

use crate::world::{Link, Side, World};

fn control(event: &ConnectionEvent) -> Option<Bytes> {
    if let ConnectionEvent::Control(message) = event {
        Some(message.clone())
    } else {
        None
    }
}

fn ordered(event: &ConnectionEvent) -> Option<Bytes> {
    if let ConnectionEvent::Ordered(message) = event {
        Some(message.clone())
    } else {
        None
    }
}

fn latest(event: &ConnectionEvent) -> Option<(u16, Bytes)> {
    if let ConnectionEvent::Latest { key, message } = event {
        Some((*key, message.clone()))
    } else {
        None
    }
}

fn acked(event: &ConnectionEvent) -> Option<u64> {
    if let ConnectionEvent::Acked(tag) = event {
        Some(*tag)
    } else {
        None
    }
}

fn lost(event: &ConnectionEvent) -> Option<u64> {
    if let ConnectionEvent::Lost(tag) = event {
        Some(*tag)
    } else {
        None
    }
}

/// A message of a random length, mostly short, whose bytes tell where they belong.
fn message(world: &mut World, from: Side, number: u64) -> Bytes {
    let longest = match from {
        Side::Client => RELIABLE_TO_SERVER_MAX,
        Side::Server => RELIABLE_MAX,
    };
    let len_max = match world.rng.below(4) {
        0 => 0,
        1 => 40,
        2 => 3 * FRAGMENT_MAX,
        _ => longest,
    };
    let len = world.rng.below(u64::try_from(len_max).unwrap() + 1);
    (0..len).map(|at| (at ^ number).to_le_bytes()[0]).collect()
}

#[test]
fn reliable_messages_arrive_once_and_in_order_through_heavy_loss() {
    for seed in 1..=4 {
        let mut world = World::new(seed, Link::BAD);
        let mut offered: BTreeMap<&str, Vec<Bytes>> = BTreeMap::new();
        let count: usize = 40;
        for number in 0..u64::try_from(count).unwrap() {
            for (side, streams) in Side::BOTH.into_iter().zip([["c0", "c1"], ["s0", "s1"]]) {
                let [first, second] = [0, 1].map(|_| message(&mut world, side, number));
                let connection = world.connection(side);
                connection.send_control(first.clone()).unwrap();
                connection
                    .send_ordered(second.clone(), Some(number))
                    .unwrap();
                offered.entry(streams[0]).or_default().push(first);
                offered.entry(streams[1]).or_default().push(second);
            }
            world.run_until(Duration::from_secs(120), |world| {
                Side::BOTH
                    .iter()
                    .all(|side| world.picked(*side, ordered).len() + 6 > number as usize)
            });
        }
        world.link = Link {
            corruption: 0.1,
            ..Link::BAD
        };
        world.run_until(Duration::from_secs(600), |world| {
            Side::BOTH
                .iter()
                .all(|side| world.picked(*side, acked).len() == count)
        });
        world.run_for(Duration::from_secs(60));
        for (side, streams) in Side::BOTH.into_iter().zip([["s0", "s1"], ["c0", "c1"]]) {
            assert!(
                world.picked(side, control) == offered[streams[0]],
                "seed {seed}: control"
            );
            assert!(
                world.picked(side, ordered) == offered[streams[1]],
                "seed {seed}: ordered"
            );
            let mut tags = world.picked(side, acked);
            tags.sort_unstable();
            assert!(
                tags.into_iter().eq(0..u64::try_from(count).unwrap()),
                "each tag once"
            );
            assert!(
                world.picked(side, lost).is_empty(),
                "reliable messages are never lost"
            );
        }
    }
}

#[test]
fn latest_never_goes_back_and_every_tag_is_told_once() {
    for seed in 1..=6 {
        let link = Link {
            loss: 0.2,
            jitter: Duration::from_millis(80),
            ..Link::BAD
        };
        let mut world = World::new(seed, link);
        let mut tag_of = BTreeMap::new();
        for tick in 0..600_u64 {
            if tick == 599 {
                world.link = Link::CLEAN;
            }
            for key in [3_u16, 700] {
                let len_max = if world.rng.chance(0.3) {
                    LATEST_MAX - 8
                } else {
                    200
                };
                let len = usize::try_from(world.rng.below(len_max as u64)).unwrap();
                let tag = tick * 1_000 + u64::from(key);
                let head = tick.to_be_bytes();
                let body = Bytes::from(vec![1; len]);
                world
                    .connection(Side::Server)
                    .send_latest(key, &head, body, Some(tag))
                    .unwrap();
                tag_of.insert((key, tick), tag);
            }
            // Sometimes two in a row, so that the first is replaced unsent.
            if world.rng.chance(0.9) {
                world.run_for(Duration::from_millis(33));
            }
        }
        world.run_for(Duration::from_secs(10));

        let mut newest = BTreeMap::new();
        let mut delivered = BTreeSet::new();
        for (key, message) in world.picked(Side::Client, latest) {
            let tick = u64::from_be_bytes(message[..8].try_into().unwrap());
            let before = newest.insert(key, tick);
            assert!(before < Some(tick), "seed {seed}: {tick} after {before:?}");
            delivered.insert(tag_of[&(key, tick)]);
        }
        assert!(
            newest.into_values().all(|tick| tick == 599),
            "seed {seed}: the last one arrives"
        );

        let acked = world.picked(Side::Server, acked);
        let lost = world.picked(Side::Server, lost);
        let told: BTreeSet<_> = acked.iter().chain(&lost).copied().collect();
        assert_eq!(
            told.len(),
            acked.len() + lost.len(),
            "seed {seed}: no tag twice"
        );
        assert!(
            told.into_iter()
                .eq(tag_of.into_values().collect::<BTreeSet<_>>()),
            "no tag never"
        );
        assert!(!delivered.is_empty() && !lost.is_empty());
    }
}

#[test]
fn an_acknowledged_latest_message_was_delivered_or_overtaken() {
    // A sender builds deltas on the newest acknowledged snapshot, so that one must be there.
    for seed in 1..=6 {
        let link = Link {
            loss: 0.1,
            jitter: Duration::from_millis(60),
            ..Link::BAD
        };
        let mut world = World::new(seed, link);
        let mut newest_acked = None;
        for tick in 0..900_u64 {
            let len = usize::try_from(world.rng.below(3 * FRAGMENT_MAX as u64)).unwrap();
            let head = tick.to_be_bytes();
            let body = Bytes::from(vec![1; len]);
            world
                .connection(Side::Server)
                .send_latest(0, &head, body, Some(tick))
                .unwrap();
            world.run_for(Duration::from_millis(16));
            newest_acked = newest_acked.max(world.picked(Side::Server, acked).into_iter().max());
            let delivered: Vec<_> = world
                .picked(Side::Client, latest)
                .into_iter()
                .map(|(_, message)| u64::from_be_bytes(message[..8].try_into().unwrap()))
                .collect();
            if let Some(acked) = newest_acked {
                assert!(
                    delivered.contains(&acked),
                    "seed {seed}: {acked} is not there"
                );
            }
        }
        assert!(newest_acked > Some(800), "seed {seed}: {newest_acked:?}");
    }
}

#[test]
fn a_long_transfer_fills_a_clean_link() {
    let mut world = World::settled(1, Link::CLEAN);
    let message = Bytes::from(vec![5; RELIABLE_MAX]);
    for _ in 0..8 {
        world
            .connection(Side::Server)
            .send_ordered(message.clone(), None)
            .unwrap();
    }
    let start = world.now;
    world.run_until(Duration::from_secs(5), |world| {
        world.picked(Side::Client, ordered).len() == 8
    });
    // 512 KiB at 50 ms: slow start from 12 KB needs five round trips.
    assert!(
        world.now.since(start) < Duration::from_millis(500),
        "{:?}",
        world.now.since(start)
    );
    assert_eq!(world.connection(Side::Server).stats().lost, 0);
}

#[test]
fn control_and_latest_pass_a_stalled_bulk_transfer() {
    let mut world = World::settled(1, Link::CLEAN);
    let bulk = Bytes::from(vec![5; RELIABLE_MAX]);
    for _ in 0..8 {
        world
            .connection(Side::Server)
            .send_ordered(bulk.clone(), None)
            .unwrap();
    }
    world.run_for(Duration::from_millis(1));
    let server = world.connection(Side::Server);
    server.send_control(Bytes::from_static(b"now")).unwrap();
    server
        .send_latest(1, b"", Bytes::from_static(b"move"), None)
        .unwrap();
    world.run_for(Duration::from_millis(26));
    assert_eq!(world.picked(Side::Client, control).len(), 1);
    assert_eq!(world.picked(Side::Client, latest).len(), 1);
    assert_eq!(world.picked(Side::Client, ordered).len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_link_delivers_in_the_end(
        seed: u64,
        loss in 0.0..0.5_f64,
        duplication in 0.0..0.5_f64,
        corruption in 0.0..0.2_f64,
        jitter_ms in 0_u64..300,
        pauses in prop::collection::vec(0_u64..400, 1..30),
    ) {
        let jitter = Duration::from_millis(jitter_ms);
        let delay = Duration::from_millis(20);
        let mut world = World::new(seed, Link { delay, jitter, loss, duplication, corruption });
        let mut offered = Vec::new();
        for (number, pause) in (0_u64..).zip(pauses) {
            let message = message(&mut world, Side::Client, number);
            if world.connection(Side::Client).send_ordered(message.clone(), None).is_ok() {
                offered.push(message);
            }
            world.run_for(Duration::from_millis(pause));
        }
        world.run_until(Duration::from_secs(900), |world| {
            world.picked(Side::Server, ordered).len() == offered.len()
        });
        prop_assert!(world.picked(Side::Server, ordered) == offered);
    }
}
