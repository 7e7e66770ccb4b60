//! Joins that others interfere with: copies from elsewhere, two devices at once.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_coordinator::Auth;
use rejoin_protocol::handshake::Permit;
use rejoin_protocol::message::ClientMessage;
use rejoin_protocol::{CloseReason, Connection, ConnectionEvent, Liveness, Timestamp, messagepack};

use crate::strangers::{HOME, Server, answer, hello_of, keys, permit, sent_to, server};
use crate::world::identity;

/// Joins: the connection of a new client of `name`, whose first packet is still to be sent.
fn pending(server: &mut Server, name: &str, moment: u64, now: Timestamp) -> Connection {
    let mut client = hello_of(identity(name), Permit::dev(name), moment);
    let reply = answer(server, HOME, client.hello(), now).unwrap();
    Connection::new(client.handle_reply(&reply).unwrap().setup, None, now)
}

/// Hands the shard all that a client has to send.
fn hand(server: &mut Server, client: &mut Connection, now: Timestamp) {
    let mut packet = Vec::new();
    while client.poll_transmit(&mut packet, now) {
        server.handle_datagram(HOME, &mut packet, now);
        packet.clear();
    }
}

/// What a client was told since, once the shard has taken its turn.
fn told(server: &mut Server, client: &mut Connection, now: Timestamp) -> Vec<ConnectionEvent> {
    server.turn(now);
    server.check_invariants();
    while let Some((_, mut packet)) = sent_to(server, now) {
        // Those for another client do not authenticate.
        let _taken = client.handle_datagram(&mut packet, now);
    }
    std::iter::from_fn(|| client.poll_event()).collect()
}

#[test]
fn a_request_of_a_client_that_is_replaced_in_the_same_turn_is_not_answered_to_the_next() {
    let (mut server, now) = (server(Auth::Dev), Timestamp::from_millis(5));
    let mut first = pending(&mut server, "ana", 1, now);
    hand(&mut server, &mut first, now);
    told(&mut server, &mut first, now);
    let mut second = pending(&mut server, "ana", 2, now);

    let list = ClientMessage::List {
        call: 0,
        kind: None,
        filters: Vec::new(),
        max: 1,
    };
    let list = messagepack::encode(&list).unwrap();
    first.send_control(list.into()).unwrap();
    hand(&mut server, &mut first, now);
    hand(&mut server, &mut second, now);
    let told = told(&mut server, &mut second, now);
    let answers = told
        .iter()
        .filter(|event| matches!(event, ConnectionEvent::Control(_)));
    assert_eq!(answers.count(), 0, "{told:?}");
    assert_eq!(server.stats().joins, 2);
}

#[test]
fn a_join_that_came_from_two_addresses_is_asked_for_its_own_before_anything_is_sent() {
    let observer = SocketAddr::from(([127, 9, 9, 9], 9));
    // The observer copies the hello, or what confirms the join, or both, and is faster.
    for (copies_hello, copies_packet) in [(true, false), (false, true), (true, true)] {
        let (mut server, now) = (server(Auth::Dev), Timestamp::from_millis(5));
        let mut client = hello_of(identity("ana"), Permit::dev("ana"), 1);
        if copies_hello {
            answer(&mut server, observer, client.hello(), now).unwrap();
        }
        let reply = answer(&mut server, HOME, client.hello(), now).unwrap();
        let mut ana = Connection::new(client.handle_reply(&reply).unwrap().setup, None, now);
        let mut packet = Vec::new();
        assert!(ana.poll_transmit(&mut packet, now));
        if copies_packet {
            server.handle_datagram(observer, &mut packet.clone(), now);
        }
        server.handle_datagram(HOME, &mut packet, now);

        let (mut at, mut moved, mut up) = (now, false, 0);
        for _ in 0..200 {
            at += Duration::from_millis(10);
            ana.handle_timeout(at);
            hand(&mut server, &mut ana, at);
            server.turn(at);
            while let Some((to, mut packet)) = sent_to(&mut server, at) {
                moved |= to == HOME && packet.len() > 40;
                if to == HOME {
                    ana.handle_datagram(&mut packet, at).unwrap();
                } else {
                    up += 1;
                    assert!(packet.len() <= 40 && !moved, "only a challenge");
                }
            }
        }
        assert_eq!(up, u32::from(copies_packet));
        assert!(ana.liveness() == Liveness::Live && server.stats().sessions == 1);
        ana.close(CloseReason::Left);
        hand(&mut server, &mut ana, at);
        server.turn(at);
        assert_eq!(server.stats().sessions, 0);
    }
}

#[test]
fn of_two_joins_that_were_pending_together_the_first_has_the_session_even_if_it_left() {
    let mut server = server(Auth::Token(keys(1)));
    let now = Timestamp::from_millis(5);
    // One permit id, two devices.
    let mut pending = ["phone", "desk"].map(|device| {
        let device = identity(device);
        let mut client = hello_of(device.clone(), permit(&device, 1, b""), 1);
        let reply = answer(&mut server, HOME, client.hello(), now).unwrap();
        Connection::new(client.handle_reply(&reply).unwrap().setup, None, now)
    });
    let [phone, desk] = &mut pending;
    hand(&mut server, phone, now);
    phone.close(CloseReason::Left);
    hand(&mut server, phone, now);
    hand(&mut server, desk, now);
    let told = told(&mut server, desk, now);
    let why = CloseReason::Replaced;
    assert_eq!(told.last(), Some(&ConnectionEvent::Closed(why)), "{told:?}");
    assert_eq!(server.stats().joins, 1);
}
