//! The planted defects of this layer show in the world.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::ConnectionEvent;
use rejoin_protocol::planted::{Bug, plant};

use crate::world::{Link, Side, World};

/// Reliable and latest messages through a bad link, under a defect of this thread's.
fn played(bug: Option<Bug>) -> World {
    plant(bug);
    let link = Link {
        jitter: Duration::from_millis(90),
        ..Link::BAD
    };
    let mut world = World::new(5, link);
    for number in 0..100_u64 {
        let body = Bytes::copy_from_slice(&number.to_be_bytes());
        let client = world.connection(Side::Client);
        client.send_control(body.clone()).unwrap();
        client.send_latest(0, b"", body, None).unwrap();
        world.run_for(Duration::from_millis(33));
    }
    world.run_for(Duration::from_secs(30));
    plant(None);
    world
}

fn controls(world: &World) -> usize {
    let control =
        |event: &ConnectionEvent| matches!(event, ConnectionEvent::Control(_)).then_some(());
    world.picked(Side::Server, control).len()
}

fn goes_back(world: &World) -> bool {
    let latest = |event: &ConnectionEvent| {
        if let ConnectionEvent::Latest { message, .. } = event {
            Some(message.clone())
        } else {
            None
        }
    };
    !world.picked(Side::Server, latest).is_sorted()
}

fn replays(world: &mut World) -> u64 {
    let sent = world.connection(Side::Client).stats().sent;
    world
        .connection(Side::Server)
        .stats()
        .received
        .saturating_sub(sent)
}

#[test]
fn without_a_defect_all_is_well() {
    let world = played(None);
    assert_eq!(controls(&world), 100);
    assert!(!goes_back(&world));
}

#[test]
fn a_fragment_not_sent_again_stalls_its_stream() {
    assert!(controls(&played(Some(Bug::LostNotResent))) < 100);
}

#[test]
fn a_latest_lane_that_goes_back_is_seen() {
    assert!(goes_back(&played(Some(Bug::LatestGoesBack))));
}

#[test]
fn an_accepted_replay_is_counted() {
    plant(Some(Bug::ReplayAccepted));
    let mut world = World::new(
        5,
        Link {
            duplication: 1.0,
            ..Link::CLEAN
        },
    );
    world.run_for(Duration::from_secs(60));
    plant(None);
    assert!(
        replays(&mut world) > 0,
        "the server took in more packets than were sent"
    );
    let mut sound = World::new(
        5,
        Link {
            duplication: 1.0,
            ..Link::CLEAN
        },
    );
    sound.run_for(Duration::from_secs(60));
    assert_eq!(replays(&mut sound), 0);
}
