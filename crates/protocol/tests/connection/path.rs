//! Path validation: a challenge is answered once, and asks for nothing else.

use std::time::Duration;

use rejoin_protocol::ConnectionEvent;

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
