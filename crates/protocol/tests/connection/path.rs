//! Path validation: a challenge is answered until the peer knows, and asks for nothing else. What a move
//! does to the rest.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::ConnectionEvent;
use rejoin_protocol::connection::Estimates;

use crate::world::{Link, Side, World};

#[test]
fn a_challenge_is_small_and_its_answer_repeats_it() {
    let mut world = World::settled(1, Link::CLEAN);
    world.run_for(Duration::from_secs(1));
    let now = world.now;
    let mut datagram = Vec::new();
    let server = world.connection(Side::Server);
    assert!(server.challenge(*b"are you?", &mut datagram, now));
    assert!(datagram.len() <= 40, "{}", datagram.len());
    let client = world.connection(Side::Client);
    client.handle_datagram(&mut datagram.clone(), now).unwrap();
    // The same one again is a replay: one answer leaves.
    assert!(client.handle_datagram(&mut datagram, now).is_err());
    world.run_for(Duration::from_millis(100));
    let answers = world.end(Side::Server).events.iter();
    let answers =
        answers.filter(|(_, event)| *event == ConnectionEvent::PathAnswered(*b"are you?"));
    assert_eq!(answers.count(), 1);
}

#[test]
fn a_connection_that_is_over_challenges_nobody() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let server = world.connection(Side::Server);
    server.close(rejoin_protocol::CloseReason::Left);
    let mut datagram = Vec::new();
    assert!(!server.challenge([1; 8], &mut datagram, now));
    assert_eq!(datagram, []);
}

/// Hands the client a challenge of the server's, out of band.
fn challenge(world: &mut World, token: [u8; 8]) {
    let now = world.now;
    let mut datagram = Vec::new();
    let server = world.connection(Side::Server);
    assert!(server.challenge(token, &mut datagram, now));
    let client = world.connection(Side::Client);
    client.handle_datagram(&mut datagram, now).unwrap();
}

fn answers(world: &World) -> usize {
    let answered = |event: &ConnectionEvent| matches!(event, ConnectionEvent::PathAnswered(_));
    world
        .picked(Side::Server, |event| answered(event).then_some(()))
        .len()
}

#[test]
fn an_answer_that_is_lost_rides_along_with_the_next_packet_until_the_peer_has_it() {
    let mut world = World::settled(1, Link::CLEAN);
    world.link = Link::CUT;
    challenge(&mut world, [7; 8]);
    world.drain(Side::Client);
    assert_eq!(world.end(Side::Client).sent.len(), 1, "it leaves at once");
    world.link = Link::CLEAN;
    world.run_for(Duration::from_millis(1));
    let say = |world: &mut World| {
        let client = world.connection(Side::Client);
        client
            .send_latest(1, b"still here", Bytes::new(), None)
            .unwrap();
        world.drain(Side::Client);
    };
    say(&mut world);
    world.run_for(Link::CLEAN.delay);
    assert_eq!(answers(&world), 1, "long before a probe");
    // Once acknowledged it is told no more.
    world.run_for(Duration::from_secs(1));
    let told = answers(&world);
    say(&mut world);
    world.run_for(Duration::from_secs(1));
    assert_eq!(answers(&world), told);
}

#[test]
fn a_client_that_moved_speaks_at_once_and_answers_for_its_old_address_no_more() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    challenge(&mut world, [7; 8]);
    let client = world.connection(Side::Client);
    assert!(client.stats().rtt.is_some());
    client.handle_moved(now);
    assert_eq!(client.stats().rtt, None, "it may be another link");
    assert_eq!(client.poll_timeout(), Some(now));
    world.drain(Side::Client);
    assert_eq!(world.end(Side::Client).sent.len(), 1);
    world.run_for(Duration::from_secs(1));
    assert_eq!(answers(&world), 0);
    let rtt = world.connection(Side::Client).stats().rtt.unwrap();
    assert!(rtt.as_millis().abs_diff(50) < 15, "{rtt:?}");
}

#[test]
fn what_is_under_way_to_a_peer_that_moved_is_lost_at_once() {
    for estimates in [Estimates::Keep, Estimates::Reset] {
        let mut world = World::settled(1, Link::CLEAN);
        world.link = Link::CUT;
        let now = world.now;
        let server = world.connection(Side::Server);
        server
            .send_latest(1, b"view", Bytes::new(), Some(8))
            .unwrap();
        server
            .send_ordered(Bytes::from_static(b"event"), Some(9))
            .unwrap();
        world.drain(Side::Server);
        world.link = Link::CLEAN;
        let server = world.connection(Side::Server);
        let before = server.stats();
        assert!(!server.poll_transmit(&mut Vec::new(), now));
        server.handle_peer_moved(estimates, now);
        let after = server.stats();
        assert_eq!((after.lost, after.loss), (before.lost + 1, before.loss));
        match estimates {
            Estimates::Keep => assert_eq!(after.rtt, before.rtt),
            Estimates::Reset => assert_eq!(after.rtt, None),
        }
        world.drain(Side::Server);
        let told = world.picked(Side::Server, |event| Some(event.clone()));
        assert_eq!(told, [ConnectionEvent::Lost(8)]);
        world.run_for(Link::CLEAN.delay);
        let heard = world.picked(Side::Client, |event| Some(event.clone()));
        let event = ConnectionEvent::Ordered(Bytes::from_static(b"event"));
        assert_eq!(heard, [event], "sent again, and no view that is old");
    }
}
