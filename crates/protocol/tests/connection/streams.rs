//! Several ordered streams: what one lacks does not hold up another.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::{ConnectionEvent, OrderedStream};
use rejoin_protocol::limits::RELIABLE_MAX;

use crate::world::{Link, Side, World};

fn ordered(world: &World) -> Vec<Bytes> {
    world.picked(Side::Client, |event| {
        if let ConnectionEvent::Ordered(message) = event {
            Some(message.clone())
        } else {
            None
        }
    })
}

fn send(world: &mut World, stream: usize, message: &[u8]) {
    let message = Bytes::copy_from_slice(message);
    world
        .connection(Side::Server)
        .send_ordered_on(OrderedStream::ALL[stream], message, None)
        .unwrap();
    world.drain(Side::Server);
}

#[test]
fn a_packet_lost_on_one_stream_delays_only_that_stream() {
    let mut world = World::settled(1, Link::CLEAN);
    world.link = Link::CUT;
    send(&mut world, 1, b"lost");
    world.link = Link::CLEAN;
    send(&mut world, 1, b"behind it");
    send(&mut world, 2, b"beside it");
    let one_way = Link::CLEAN.delay + Duration::from_millis(1);
    world.run_for(one_way);
    assert_eq!(ordered(&world), ["beside it"]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(ordered(&world), ["beside it", "lost", "behind it"]);
}

#[test]
fn a_long_message_on_one_stream_does_not_hold_up_a_short_one_on_another() {
    let mut world = World::settled(1, Link::CLEAN);
    let long = vec![7; RELIABLE_MAX];
    // More than the congestion window takes at once.
    send(&mut world, 0, &long);
    send(&mut world, 0, &long);
    send(&mut world, 3, b"short");
    world.run_for(Link::CLEAN.delay * 3 + Duration::from_millis(1));
    assert_eq!(ordered(&world), ["short"]);
    world.run_for(Duration::from_secs(2));
    assert_eq!(ordered(&world).len(), 3);
}

#[test]
fn every_stream_is_in_order_on_a_bad_link() {
    let mut world = World::new(5, Link::BAD);
    let names: Vec<_> = (0..200).map(|step| (step % 4, format!("{step}"))).collect();
    for (stream, name) in &names {
        send(&mut world, *stream, name.as_bytes());
        world.run_for(Duration::from_millis(20));
    }
    world.run_for(Duration::from_secs(30));
    let got = ordered(&world);
    assert_eq!(got.len(), names.len());
    for stream in 0..4 {
        let of = |name: &str| name.parse::<usize>().unwrap() % 4 == stream;
        let got: Vec<_> = got
            .iter()
            .map(|name| str::from_utf8(name).unwrap())
            .filter(|name| of(name))
            .collect();
        let sent: Vec<_> = names
            .iter()
            .map(|(_, name)| name.as_str())
            .filter(|name| of(name))
            .collect();
        assert_eq!(got, sent, "stream {stream}");
    }
}
