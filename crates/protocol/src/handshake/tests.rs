//! Both halves of a join against each other.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::connection::Setup;
use crate::crypto::{PublicKey, StaticKeys, Suite};
use crate::ids::{ConnectionId, Epoch, Incarnation, SessionId};
use crate::limits::{DATAGRAM_MAX, REFUSAL_TEXT_MAX};
use crate::random::Rng;
use crate::refusal::{Refusal, RefusalCode};
use crate::reset::ResetKey;
use crate::time::Timestamp;

struct World {
    server: StaticKeys,
    options: HandshakeOptions,
    rng: Rng,
}

fn world() -> World {
    let mut rng = Rng::from_number(11);
    let server = StaticKeys::generate(&mut rng);
    let options = HandshakeOptions {
        server: server.public(),
        identity: StaticKeys::generate(&mut rng),
        permit: Permit::dev("ana"),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment: 77,
    };
    World {
        server,
        options,
        rng,
    }
}

fn welcome(hello: &OpenHello) -> Welcome {
    Welcome {
        version: hello.version,
        suite: hello.suite.number(),
        connection: [3, 1, 2, 3],
        session: SessionId([4; 16]),
        incarnation: Incarnation(1),
        epoch: Epoch(5),
        reset_token: ResetKey::of(&[6; 32]).token(Epoch(5), ConnectionId([3, 1, 2, 3])),
    }
}

impl World {
    fn start(&mut self) -> ClientHandshake {
        ClientHandshake::new(&self.options, &mut self.rng).unwrap()
    }

    fn open(&mut self, datagram: &[u8]) -> Result<OpenHello, HelloError> {
        open_hello(datagram, &self.server, &mut self.rng)
    }

    /// The bytes of a hello with byte `index` changed and MAC1 made right again.
    fn forge(&self, datagram: &[u8], index: usize) -> Vec<u8> {
        let mut forged = datagram.to_vec();
        forged[index] ^= 1;
        hello::remake_mac1(&mut forged, &self.options.server);
        forged
    }
}

/// Seals with one end and opens with the other.
fn crosses(from: &Setup, to: &Setup) -> bool {
    let mut packet = b"head text".to_vec();
    from.seal.key().seal(7, &mut packet, 0, 5);
    let (header, body) = packet.split_at_mut(5);
    to.open
        .key()
        .open(7, header, body)
        .is_ok_and(|text| text == b"text")
}

#[test]
fn a_join_gives_both_ends_the_same_keys() {
    for (receive_id, suites, suite) in [
        (None, Suite::ALL.as_slice(), Suite::Aes128Gcm),
        (
            Some([9, 8, 7, 6]),
            &[Suite::ChaCha20Poly1305],
            Suite::ChaCha20Poly1305,
        ),
    ] {
        let mut world = world();
        world.options.receive_id = receive_id;
        world.options.suites = suites.to_vec();
        let mut client = world.start();
        assert!(is_hello(client.hello()));
        let received = ReceivedHello::read(client.hello(), &Mac1Key::of(&world.options.server));
        assert_eq!(received.unwrap().permit().unwrap(), world.options.permit);
        let hello = world.open(client.hello()).unwrap();
        assert_eq!(hello.identity, Some(world.options.identity.public()));
        assert_eq!(hello.moment, 77);
        assert_eq!(hello.suite, suite);
        let welcome = welcome(&hello);
        let mut reply = Vec::new();
        let accepted = hello.accept(&welcome, &mut reply);
        assert!(reply.len() < DATAGRAM_MAX && ClientHandshake::is_reply(&reply));

        let established = client.handle_reply(&reply).unwrap();
        assert_eq!(established.welcome, welcome);
        assert_eq!(established.resume_psk, accepted.resume_psk);
        let (client, server) = (established.setup, accepted.setup);
        assert!(crosses(&client, &server) && crosses(&server, &client));
        assert!(!crosses(&client, &client) && !crosses(&server, &server));
        assert_eq!((server.send_id, server.labelled), (receive_id, true));
        assert_eq!(client.send_id, Some(welcome.connection));
        assert_eq!(client.labelled, receive_id.is_some());
        assert_eq!((client.epoch, server.epoch), (Epoch(5), Epoch(5)));
    }
}

#[test]
fn the_client_chooses_among_the_suites() {
    let mut world = world();
    world.options.suites = vec![Suite::ChaCha20Poly1305, Suite::Aes128Gcm];
    let client = world.start();
    let hello = world.open(client.hello()).unwrap();
    assert_eq!(hello.suite, Suite::ChaCha20Poly1305);
}

#[test]
fn a_cookie_is_answered_with_the_same_hello() {
    let mut world = world();
    let mut client = world.start();
    let cookies = Cookies::new([1; 32]);
    let from = SocketAddr::from(([10, 0, 0, 1], 9));
    let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(120_000));
    let server = Mac1Key::of(&world.server.public());

    let first = client.hello().to_vec();
    let hello = ReceivedHello::read(&first, &server).unwrap();
    assert!(!hello.proves(from, &cookies, early));
    let demand = hello.ask_cookie(from, &cookies, early);
    assert_eq!(demand.len(), 33);
    assert!(ClientHandshake::is_reply(&demand));
    let asked = client.handle_reply(&demand).unwrap_err();
    assert_eq!(asked, HandshakeError::Cookie);

    let second = client.hello().to_vec();
    let hello = ReceivedHello::read(&second, &server).unwrap();
    assert!(hello.proves(from, &cookies, early) && !hello.proves(from, &cookies, late));
    assert!(!hello.proves(SocketAddr::from(([10, 0, 0, 2], 9)), &cookies, early));
    let before = world.open(&first).unwrap().fingerprint;
    let hello = world.open(&second).unwrap();
    assert_eq!(hello.fingerprint, before);

    let welcome = welcome(&hello);
    let mut reply = Vec::new();
    let _accepted = hello.accept(&welcome, &mut reply);
    assert!(client.handle_reply(&reply).is_ok());
    let late = client.handle_reply(&demand).unwrap_err();
    assert_eq!(late, HandshakeError::NotForUs);
}

#[test]
fn a_cookie_that_answers_another_hello_is_none() {
    let mut world = world();
    let (mut client, other) = (world.start(), world.start());
    let hello = ReceivedHello::read(other.hello(), &Mac1Key::of(&world.options.server)).unwrap();
    let from = SocketAddr::from(([10, 0, 0, 1], 9));
    let demand = hello.ask_cookie(from, &Cookies::new([1; 32]), Timestamp::ZERO);
    let before = client.hello().to_vec();
    for forged in [&demand[..], &demand[..32], &[&demand[..], &[0]].concat()] {
        let answer = client.handle_reply(forged).unwrap_err();
        assert_eq!(answer, HandshakeError::NotForUs);
    }
    assert_eq!(client.hello(), before);
}

#[test]
fn a_range_of_versions_cut_down_on_the_way_ends_the_join() {
    // What stands in clear is part of the transcript: with MAC1 made right, the hello still reads as
    // one of a client that speaks version 0 too, but no longer authenticates.
    let mut world = world();
    let client = world.start();
    let forged = world.forge(client.hello(), 1);
    assert!(ReceivedHello::read(&forged, &Mac1Key::of(&world.options.server)).is_ok());
    assert_eq!(world.open(&forged).unwrap_err(), HelloError::NotAuthentic);
}

#[test]
fn a_hello_sent_again_has_the_same_fingerprint() {
    let mut world = world();
    let (first, second) = (world.start(), world.start());
    let fingerprint = |world: &mut World, hello: &[u8]| world.open(hello).unwrap().fingerprint;
    let once = fingerprint(&mut world, first.hello());
    assert_eq!(once, fingerprint(&mut world, first.hello()));
    assert_ne!(once, fingerprint(&mut world, second.hello()));
}

#[test]
fn a_refusal_arrives_with_its_reason() {
    let mut world = world();
    let mut client = world.start();
    let refusal = Refusal::new(RefusalCode::PermitRefused, "x".repeat(1_000));
    let mut reply = Vec::new();
    world
        .open(client.hello())
        .unwrap()
        .refuse(&refusal, &mut reply);
    assert!(reply.len() < DATAGRAM_MAX);
    let cut = Refusal {
        text: "x".repeat(REFUSAL_TEXT_MAX),
        ..refusal
    };
    assert_eq!(
        client.handle_reply(&reply).unwrap_err(),
        HandshakeError::Refused(cut)
    );
}

#[test]
fn each_gate_refuses_what_it_guards() {
    let mut world = world();
    let hello = world.start().hello().to_vec();
    let permit_len = usize::from(hello[41]);
    let noise = 42 + permit_len + 2;
    for (index, gate) in [
        (0, HelloError::Credential),
        // The receive id: the hello was made without it, and Noise knows.
        (4, HelloError::NotAuthentic),
        (3, HelloError::NotAuthentic),
        (42, HelloError::Credential),
        // The last letter of the player's name.
        (41 + permit_len, HelloError::NotAuthentic),
        (noise, HelloError::NotAuthentic),
        (noise + 40, HelloError::NotAuthentic),
        (noise + 90, HelloError::NotAuthentic),
        (DATAGRAM_MAX - 1, HelloError::Malformed),
    ] {
        let forged = world.forge(&hello, index);
        assert_eq!(world.open(&forged).unwrap_err(), gate, "byte {index}");
    }
    let mut changed = hello.clone();
    changed[noise] ^= 1;
    assert_eq!(world.open(&changed).unwrap_err(), HelloError::WrongKey);
    assert_eq!(
        world.open(&hello[..DATAGRAM_MAX - 1]).unwrap_err(),
        HelloError::Malformed
    );
    world.server = StaticKeys::generate(&mut world.rng);
    assert_eq!(world.open(&hello).unwrap_err(), HelloError::WrongKey);
}

#[test]
fn chance_is_not_drawn_before_diffie_hellman() {
    let mut world = world();
    let hello = world.start().hello().to_vec();
    let before = world.rng.position();
    for index in [0, 42, DATAGRAM_MAX - 1] {
        let forged = world.forge(&hello, index);
        assert!(world.open(&forged).is_err());
    }
    assert_eq!(world.rng.position(), before);
}

#[test]
fn a_newer_client_is_told_which_versions_the_server_speaks() {
    let mut world = world();
    let mut client = world.start();
    let mut newer = client.hello().to_vec();
    (newer[1], newer[2]) = (200, 201);
    let HelloError::WrongKey = world.open(&newer).unwrap_err() else {
        panic!("a version alone gets no answer");
    };
    hello::remake_mac1(&mut newer, &world.options.server);
    let Err(HelloError::Version {
        client_min: 200,
        client_max: 201,
        answer,
    }) = world.open(&newer)
    else {
        panic!("the versions have nothing in common");
    };
    assert!(answer.len() < DATAGRAM_MAX && ClientHandshake::is_reply(&answer));
    // Made for another hello, and a range that this client does speak.
    assert_eq!(
        client.handle_reply(&answer).unwrap_err(),
        HandshakeError::NotForUs
    );
    let mut lie = answer.clone();
    lie[1..17].copy_from_slice(&client.hello()[8..24]);
    assert_eq!(
        client.handle_reply(&lie).unwrap_err(),
        HandshakeError::NotForUs
    );
    (lie[17], lie[18]) = (2, 3);
    let versions = HandshakeError::Version {
        server_min: 2,
        server_max: 3,
    };
    assert_eq!(client.handle_reply(&lie).unwrap_err(), versions);
}

#[test]
fn forged_replies_do_not_end_a_join() {
    let mut world = world();
    let mut client = world.start();
    let hello = world.open(client.hello()).unwrap();
    let welcome = welcome(&hello);
    let mut reply = Vec::new();
    let _accepted = hello.accept(&welcome, &mut reply);
    for index in 0..reply.len() {
        let mut forged = reply.clone();
        forged[index] ^= 1;
        assert_eq!(
            client.handle_reply(&forged).unwrap_err(),
            HandshakeError::NotForUs
        );
        let cut = client.handle_reply(&reply[..index]);
        assert_eq!(cut.unwrap_err(), HandshakeError::NotForUs);
    }
    assert!(client.handle_reply(&reply).is_ok());
    assert_eq!(
        client.handle_reply(&reply).unwrap_err(),
        HandshakeError::NotForUs
    );
}

#[test]
fn input_of_the_caller_that_makes_no_hello_is_an_error() {
    let mut world = world();
    world.options.permit = Permit::dev("x".repeat(2_000));
    let error = ClientHandshake::new(&world.options, &mut world.rng).unwrap_err();
    assert_eq!(error, StartError::Permit(PermitError::NameLength));
    world.options = HandshakeOptions {
        permit: Permit::dev("ana"),
        server: PublicKey([0; 32]),
        ..world.options
    };
    let error = ClientHandshake::new(&world.options, &mut world.rng).unwrap_err();
    assert_eq!(error, StartError::ServerKey);
}

#[test]
fn debug_shows_no_secret() {
    let mut world = world();
    let mut client = world.start();
    let hello = world.open(client.hello()).unwrap();
    let welcome = welcome(&hello);
    let mut reply = Vec::new();
    let accepted = hello.accept(&welcome, &mut reply);
    let shown = format!(
        "{accepted:?} {:?} {client:?}",
        client.handle_reply(&reply).unwrap()
    );
    assert!(!shown.contains("psk") && !shown.contains(&format!("{:?}", accepted.resume_psk)));
}

proptest! {
    #[test]
    fn garbage_behind_a_right_mac_is_refused(
        garbage in prop::collection::vec(any::<u8>(), DATAGRAM_MAX - 42),
        permit_len in 0_u16..600,
    ) {
        let mut world = world();
        let head = [0x40, 1, 1, 0, 0, 0, 0, 0];
        let mut datagram = [head.as_slice(), &[0; 32], &permit_len.to_be_bytes(), &garbage].concat();
        hello::remake_mac1(&mut datagram, &world.options.server);
        prop_assert!(world.open(&datagram).is_err());
    }

    #[test]
    fn garbage_is_no_reply(garbage in prop::collection::vec(any::<u8>(), 0..DATAGRAM_MAX)) {
        let mut client = world().start();
        let mut reply = [&[0x44], &client.hello()[8..16], garbage.as_slice()].concat();
        for kind in [0x43, 0x44] {
            reply[0] = kind;
            prop_assert_eq!(client.handle_reply(&reply).unwrap_err(), HandshakeError::NotForUs);
        }
    }
}

/// What a server needs to resume a session, and its client's ticket.
fn ticketed() -> (TicketKeys, Ticket) {
    let keys = TicketKeys::of(&[6; 32]);
    let bearer = Bearer {
        session: SessionId([4; 16]),
        incarnation: Incarnation(1),
        epoch: Epoch(5),
        psk: [8; 32],
        expires_unix_s: 100,
        name: "ana".into(),
        claims: Vec::new(),
    };
    let sealed = keys.seal(&bearer);
    let ticket = Ticket {
        sealed,
        psk: bearer.psk,
    };
    (keys, ticket)
}

impl World {
    fn resume(&mut self, ticket: &Ticket) -> ClientHandshake {
        ClientHandshake::resume(&self.options, ticket, &mut self.rng)
    }

    fn open_resume(&mut self, datagram: &[u8], psk: [u8; 32]) -> Result<OpenHello, HelloError> {
        let hello = ReceivedHello::read(datagram, &Mac1Key::of(&self.options.server))?;
        assert_eq!(hello.purpose(), Purpose::Resume);
        hello.open_resume(&psk, &mut self.rng)
    }
}

#[test]
fn a_resume_gives_both_ends_the_same_keys_and_other_ones_each_time() {
    let mut world = world();
    let (keys, ticket) = ticketed();
    let mut seen = Vec::new();
    for receive_id in [None, Some([9, 8, 7, 6])] {
        world.options.receive_id = receive_id;
        let mut client = world.resume(&ticket);
        assert!(is_hello(client.hello()) && client.hello().len() == DATAGRAM_MAX);
        let hello = ReceivedHello::read(client.hello(), &Mac1Key::of(&world.options.server));
        let bearer = keys.open(&hello.unwrap().ticket().unwrap(), 100).unwrap();
        let hello = world.open_resume(client.hello(), bearer.psk).unwrap();
        assert_eq!((hello.identity, hello.moment), (None, 77));
        let welcome = welcome(&hello);
        let mut reply = Vec::new();
        let accepted = hello.accept(&welcome, &mut reply);
        let established = client.handle_reply(&reply).unwrap();
        assert_eq!(established.welcome, welcome);
        assert_eq!(established.resume_psk, accepted.resume_psk);
        let (client, server) = (established.setup, accepted.setup);
        assert!(crosses(&client, &server) && crosses(&server, &client));
        assert_eq!(
            (server.send_id, client.labelled),
            (receive_id, receive_id.is_some())
        );
        seen.push(established.resume_psk);
    }
    seen.push(ticket.psk);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 3, "each connection has a secret of its own");
}

#[test]
fn a_ticket_without_its_secret_opens_nothing() {
    let mut world = world();
    let (_, ticket) = ticketed();
    let stolen = Ticket {
        psk: [9; 32],
        ..ticket.clone()
    };
    let thief = world.resume(&stolen);
    let opened = world.open_resume(thief.hello(), ticket.psk);
    assert_eq!(opened.unwrap_err(), HelloError::NotAuthentic);
}

#[test]
fn what_stands_in_a_resume_cannot_be_changed() {
    let mut world = world();
    let (_, ticket) = ticketed();
    let hello = world.resume(&ticket).hello().to_vec();
    for index in [1, 2, 3, 4, 45, 60, 42 + ticket.sealed.as_bytes().len() + 10] {
        let forged = world.forge(&hello, index);
        if let Ok(hello) = ReceivedHello::read(&forged, &Mac1Key::of(&world.options.server)) {
            let opened = hello.open_resume(&ticket.psk, &mut world.rng);
            assert_eq!(
                opened.unwrap_err(),
                HelloError::NotAuthentic,
                "byte {index}"
            );
        }
    }
    // Nor does a resume pass for a join, or the other way round.
    let forged = world.forge(&hello, 0);
    assert_eq!(world.open(&forged).unwrap_err(), HelloError::Credential);
}

#[test]
fn a_ticket_that_opens_nothing_is_told_so_in_fewer_bytes_than_a_hello_has() {
    let mut world = world();
    let (_, ticket) = ticketed();
    let (mut client, mut other) = (world.resume(&ticket), world.resume(&ticket));
    let hello = client.hello().to_vec();
    let hello = ReceivedHello::read(&hello, &Mac1Key::of(&world.options.server)).unwrap();
    let refusal = hello.refuse_ticket();
    assert!(refusal.len() == 17 && ClientHandshake::is_reply(&refusal));
    assert_eq!(
        other.handle_reply(&refusal).unwrap_err(),
        HandshakeError::NotForUs
    );
    let told = client.handle_reply(&refusal).unwrap_err();
    assert_eq!(told, HandshakeError::TicketRefused);
}
