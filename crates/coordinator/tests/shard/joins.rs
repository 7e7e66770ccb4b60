//! Joins that others interfere with: copies from elsewhere, two devices at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rejoin_coordinator::{Auth, Config};
use rejoin_protocol::connection::{Role, Setup};
use rejoin_protocol::handshake::{ClientHandshake, HandshakeError, Permit};
use rejoin_protocol::message::ClientMessage;
use rejoin_protocol::{CloseReason, Connection, ConnectionEvent, Liveness, Timestamp, messagepack};

use crate::strangers::{
    HOME, Server, answer, hello_of, keys, permit, sent_to, server, server_with,
};
use crate::world::identity;

/// Somebody on the way who is faster than the client.
const OBSERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9)), 9);

/// What a client comes to that says hello and shows its address if it is asked to.
fn shown(
    server: &mut Server,
    client: &mut ClientHandshake,
    from: SocketAddr,
    now: Timestamp,
) -> Setup {
    let reply = answer(server, from, client.hello(), now).unwrap();
    let established = client.handle_reply(&reply).or_else(|asked| {
        assert_eq!(asked, HandshakeError::Cookie);
        client.handle_reply(&answer(server, from, client.hello(), now).unwrap())
    });
    established.unwrap().setup
}

/// The connection of a new client of `name`, whose first packet is still to be sent.
fn pending(server: &mut Server, name: &str, moment: u64, now: Timestamp) -> Connection {
    let mut client = hello_of(identity(name), Permit::dev(name), moment);
    Connection::new(shown(server, &mut client, HOME, now), None, now)
}

/// Sends what confirms a join, and all that is sent back goes nowhere.
fn confirm_from(server: &mut Server, setup: Setup, from: SocketAddr, now: Timestamp) {
    let mut client = Connection::new(setup, None, now);
    let mut packet = Vec::new();
    assert!(client.poll_transmit(&mut packet, now));
    server.handle_datagram(from, &mut packet, now);
    server.turn(now);
    while let Some((to, _)) = sent_to(server, now) {
        assert_eq!(to, from);
    }
    server.check_invariants();
}

/// Confirms a join, and the observer's copy is faster.
fn copy_first(server: &mut Server, client: &mut Connection, now: Timestamp) {
    let mut packet = Vec::new();
    assert!(client.poll_transmit(&mut packet, now));
    server.handle_datagram(OBSERVER, &mut packet.clone(), now);
    server.handle_datagram(HOME, &mut packet, now);
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
    assert_eq!(answers.count(), 1, "its ticket alone: {told:?}");
    assert_eq!(server.stats().joins, 2);
}

#[test]
fn a_join_that_is_confirmed_from_two_addresses_is_asked_for_its_own_before_anything_is_sent() {
    // The observer copies what confirms the join, or the hello too, and is faster.
    for copies_hello in [false, true] {
        let (mut server, now) = (server(Auth::Dev), Timestamp::from_millis(5));
        let mut client = hello_of(identity("ana"), Permit::dev("ana"), 1);
        if copies_hello {
            answer(&mut server, OBSERVER, client.hello(), now).unwrap();
        }
        let mut ana = Connection::new(shown(&mut server, &mut client, HOME, now), None, now);
        copy_first(&mut server, &mut ana, now);

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
        // The place that the hello came from is asked as soon as anything comes from there, and the other not any more.
        assert_eq!(up, 0);
        assert!(ana.liveness() == Liveness::Live && server.stats().sessions == 1);
        ana.close(CloseReason::Left);
        hand(&mut server, &mut ana, at);
        server.turn(at);
        assert_eq!(server.stats().sessions, 0);
    }
}

#[test]
fn a_client_that_moves_as_soon_as_its_path_is_shown_is_asked_at_once() {
    let (mut server, now) = (server(Auth::Dev), Timestamp::from_millis(5));
    let mut ana = pending(&mut server, "ana", 1, now);
    copy_first(&mut server, &mut ana, now);
    let (mut at, mut heard) = (now, 0);
    // The challenge, and what has waited for its answer.
    while heard < 2 {
        assert!(at < now + Duration::from_secs(5));
        at += Duration::from_millis(10);
        ana.handle_timeout(at);
        hand(&mut server, &mut ana, at);
        server.turn(at);
        while let Some((to, mut packet)) = sent_to(&mut server, at) {
            if to == HOME {
                heard += 1;
                ana.handle_datagram(&mut packet, at).unwrap();
            }
        }
    }
    let next = SocketAddr::from(([127, 0, 0, 1], 10));
    let mut packet = Vec::new();
    ana.send_latest(0, &[], vec![0].into(), None).unwrap();
    assert!(ana.poll_transmit(&mut packet, at));
    server.handle_datagram(next, &mut packet, at);
    server.turn(at);
    let mut sent = std::iter::from_fn(|| sent_to(&mut server, at));
    assert!(sent.any(|(to, _)| to == next));
}

#[test]
fn a_session_counts_at_the_address_that_has_shown_itself() {
    let here = SocketAddr::from(([198, 51, 100, 7], 9));
    let victim = SocketAddr::from(([203, 0, 113, 7], 9));
    let one = |config: &mut Config| config.budgets.address_sessions_max = 1;
    let (mut server, now) = (server_with(Auth::Dev, one), Timestamp::from_millis(5));
    let hello = |name: &str| hello_of(identity(name), Permit::dev(name), 1);
    // Mallory writes the victim's address on her hello, and then her own.
    let mut mallory = hello("mallory");
    answer(&mut server, victim, mallory.hello(), now).unwrap();
    let mallory = shown(&mut server, &mut mallory, here, now);
    confirm_from(&mut server, mallory, here, now);
    assert_eq!(server.stats().sessions, 1);
    // It was hers that was counted.
    let mut next = hello("mallory's next");
    answer(&mut server, victim, next.hello(), now).unwrap();
    let demand = answer(&mut server, here, next.hello(), now).unwrap();
    next.handle_reply(&demand).unwrap_err();
    assert_eq!(answer(&mut server, here, next.hello(), now), None);
    let mut ana = hello("ana");
    let ana = shown(&mut server, &mut ana, victim, now);
    confirm_from(&mut server, ana, victim, now);
    assert_eq!(server.stats().sessions, 2);
}

#[test]
fn a_session_counts_at_its_clients_address_whoever_pastes_a_cookie_into_its_hello() {
    let home = SocketAddr::from(([198, 51, 100, 7], 9));
    let observer = SocketAddr::from(([203, 0, 113, 7], 9));
    let one = |config: &mut Config| config.budgets.address_sessions_max = 1;
    let (mut server, now) = (server_with(Auth::Dev, one), Timestamp::from_millis(5));
    let hello = |name: &str| hello_of(identity(name), Permit::dev(name), 1);
    let (mut ana, mut copy) = (hello("ana"), hello("ana"));
    let reply = answer(&mut server, home, ana.hello(), now).unwrap();
    shown(&mut server, &mut copy, observer, now);
    let mut ana = Connection::new(ana.handle_reply(&reply).unwrap().setup, None, now);
    for millis in 0..500 {
        let at = now + Duration::from_millis(millis);
        ana.handle_timeout(at);
        let mut packet = Vec::new();
        while ana.poll_transmit(&mut packet, at) {
            server.handle_datagram(home, &mut packet, at);
            packet.clear();
        }
        server.turn(at);
        server.check_invariants();
        while let Some((to, mut packet)) = sent_to(&mut server, at) {
            assert_eq!(to, home);
            ana.handle_datagram(&mut packet, at).unwrap();
        }
    }
    let later = now + Duration::from_secs(1);
    let mut refused = hello("ana's next");
    let refusal = answer(&mut server, home, refused.hello(), later).unwrap();
    assert!(matches!(
        refused.handle_reply(&refusal),
        Err(HandshakeError::Refused(_))
    ));
    let mut own = hello("mallory");
    let own = shown(&mut server, &mut own, observer, later);
    let mut mallory = Connection::new(own, None, later);
    let mut packet = Vec::new();
    assert!(mallory.poll_transmit(&mut packet, later));
    server.handle_datagram(observer, &mut packet, later);
    assert_eq!(server.stats().sessions, 2);
}

#[test]
fn a_client_that_ends_itself_before_its_path_is_shown_holds_nothing() {
    for floods in [false, true] {
        let (mut server, now) = (server(Auth::Dev), Timestamp::from_millis(5));
        let mut client = hello_of(identity("ana"), Permit::dev("ana"), 1);
        let setup = shown(&mut server, &mut client, HOME, now);
        // It takes the other end for a client, and sends what only those take.
        let role = Role::Server;
        let mut ana = Connection::new(Setup { role, ..setup }, None, now);
        copy_first(&mut server, &mut ana, now);
        assert_eq!(server.stats().sessions, 1);
        let (times, len) = if floods { (9_000, 1) } else { (1, 9_000) };
        for _ in 0..times {
            ana.send_latest(0, &[], vec![0; len].into(), None).unwrap();
            hand(&mut server, &mut ana, now);
        }
        server.turn(now);
        server.check_invariants();
        assert_eq!(server.stats().sessions, 0, "floods: {floods}");
        let later = now + Duration::from_secs(10);
        server.turn(later);
        while sent_to(&mut server, later).is_some() {}
        assert_eq!(server.poll_timeout(), None, "nothing is waited for");
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
