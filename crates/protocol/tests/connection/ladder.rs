//! Heartbeats kept, and the ladder at its documented times.

use std::time::Duration;

use rejoin_protocol::connection::ConnectionEvent;
use rejoin_protocol::limits::{
    DETACH_AFTER, HEARTBEAT_SEATED, PROBE_INTERVAL, SUSPECT_AFTER_MAX, SUSPECT_AFTER_MIN,
};
use rejoin_protocol::{Liveness, Timestamp};

use crate::world::{Link, Side, World};

fn changes(world: &World, side: Side) -> Vec<(Timestamp, Liveness)> {
    let events = &world.ends[side as usize].events;
    let pick = |(at, event): &(Timestamp, ConnectionEvent)| {
        if let ConnectionEvent::Liveness(liveness) = event {
            Some((*at, *liveness))
        } else {
            None
        }
    };
    events.iter().filter_map(pick).collect()
}

/// Both ends seated and quiet for a while.
fn seated(link: Link) -> World {
    let mut world = World::settled(1, link);
    for side in Side::BOTH {
        world.connection(side).set_heartbeat(HEARTBEAT_SEATED);
    }
    world.run_for(Duration::from_secs(5));
    world
}

#[test]
fn quiet_peers_stay_live_at_the_announced_pace() {
    let mut world = seated(Link::CLEAN);
    for side in Side::BOTH {
        world.end(side).sent.clear();
    }
    world.run_for(Duration::from_secs(60));
    for side in Side::BOTH {
        assert_eq!(changes(&world, side), []);
        let sent = world.end(side).sent.len();
        // Two heartbeats a second, and at most as many acknowledgements of the other's.
        assert!((120..=245).contains(&sent), "{side:?} sent {sent}");
    }
}

#[test]
fn quiet_peers_stay_live_on_a_link_that_loses_a_third() {
    let link = Link {
        loss: 0.3,
        ..Link::CLEAN
    };
    let mut world = World::new(7, link);
    for side in Side::BOTH {
        world.connection(side).set_heartbeat(HEARTBEAT_SEATED);
    }
    world.run_for(Duration::from_secs(300));
    for side in Side::BOTH {
        let detached = changes(&world, side)
            .iter()
            .any(|(_, now)| *now == Liveness::Detached);
        assert!(!detached, "{side:?}: loss alone detaches nobody");
        assert_eq!(world.connection(side).liveness(), Liveness::Live);
    }
}

#[test]
fn a_silent_peer_climbs_down_on_time_and_up_at_once() {
    let mut world = seated(Link::CLEAN);
    let cut_at = world.now;
    world.link = Link::CUT;
    world.run_for(Duration::from_secs(30));
    let steps = changes(&world, Side::Server);
    let [
        (suspect_at, Liveness::Suspect),
        (detached_at, Liveness::Detached),
    ] = steps[..]
    else {
        panic!("{steps:?}")
    };
    // The last packet was heard at most a heartbeat before the cut, or in flight at it.
    let silent = suspect_at.since(cut_at);
    let shortest = SUSPECT_AFTER_MIN;
    let longest = HEARTBEAT_SEATED + SUSPECT_AFTER_MAX + Link::CLEAN.delay;
    assert!(
        silent >= shortest && silent <= longest,
        "suspect after {silent:?}"
    );
    let between = detached_at.since(suspect_at);
    assert_eq!(
        between,
        DETACH_AFTER - SUSPECT_AFTER_MIN,
        "50 ms need no more than the minimum"
    );

    world.link = Link::CLEAN;
    let healed_at = world.now;
    world.run_for(Duration::from_secs(2));
    let (live_at, liveness) = changes(&world, Side::Server)[2];
    assert_eq!(liveness, Liveness::Live);
    assert!(
        live_at.since(healed_at) < Duration::from_millis(1_100),
        "a probe each second"
    );
}

#[test]
fn suspects_are_probed_often_and_the_detached_seldom() {
    let mut world = seated(Link::CLEAN);
    world.link = Link::CUT;
    world.run_for(Duration::from_secs(60));
    let steps = changes(&world, Side::Client);
    let (suspect_at, detached_at) = (steps[0].0, steps[1].0);
    let sent = world.end(Side::Client).sent.clone();
    let between = |from, to| {
        sent.iter()
            .filter(|(at, _)| (from..to).contains(at))
            .count()
    };
    let span = detached_at.since(suspect_at);
    let probes = usize::try_from(span.as_millis() / PROBE_INTERVAL.as_millis()).unwrap();
    let sent_suspect = between(suspect_at, detached_at);
    assert!(
        sent_suspect.abs_diff(probes) <= 2,
        "{sent_suspect} probes, expected {probes}"
    );
    // Heartbeats every 500 ms go on: they are what we announced.
    let last_ten = between(world.now - Duration::from_secs(10), world.now);
    assert!(
        (18..=22).contains(&last_ten),
        "{last_ten} packets in ten seconds"
    );
}

#[test]
fn an_idle_peer_is_not_suspected_for_its_longer_silence() {
    let mut world = World::settled(3, Link::CLEAN);
    world.run_for(Duration::from_secs(120));
    for side in Side::BOTH {
        assert_eq!(changes(&world, side), []);
    }
    world.link = Link::CUT;
    world.run_for(Duration::from_secs(8));
    assert_eq!(
        world.connection(Side::Server).liveness(),
        Liveness::Live,
        "15 s were announced"
    );
    world.run_for(Duration::from_secs(40));
    assert_eq!(
        world.connection(Side::Server).liveness(),
        Liveness::Detached
    );
}

#[test]
fn an_endless_announcement_counts_for_no_more_than_the_other_side_bears() {
    let mut world = World::settled(5, Link::CLEAN);
    world
        .connection(Side::Client)
        .set_heartbeat(Duration::from_secs(60));
    world
        .connection(Side::Server)
        .set_heartbeat(HEARTBEAT_SEATED);
    let now = world.now;
    world
        .connection(Side::Server)
        .bear_interval(HEARTBEAT_SEATED, now);
    // It answers our heartbeats, so it lives.
    world.run_for(Duration::from_secs(60));
    assert_eq!(changes(&world, Side::Server), []);
    let cut_at = world.now;
    world.link = Link::CUT;
    world.run_for(Duration::from_secs(10));
    let steps = changes(&world, Side::Server);
    let [(suspect_at, Liveness::Suspect), (detached_at, _)] = steps[..] else {
        panic!("{steps:?}")
    };
    let longest = HEARTBEAT_SEATED + SUSPECT_AFTER_MAX + Link::CLEAN.delay;
    assert!(suspect_at.since(cut_at) <= longest);
    assert!(detached_at.since(cut_at) <= HEARTBEAT_SEATED + DETACH_AFTER + Link::CLEAN.delay);
}
