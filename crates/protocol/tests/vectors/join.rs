//! The join: hello, both replies, version refusal, and the keys that come of it.

use std::time::Duration;

use rejoin_protocol::crypto::{StaticKeys, Suite, TrafficSecret, hash};
use rejoin_protocol::handshake::{
    Bearer, ClientHandshake, HandshakeError, HandshakeOptions, HelloError, Mac1Key, OpenHello,
    Permit, ReceivedHello, Ticket, TicketKeys, Welcome, open_hello,
};
use rejoin_protocol::reset::{self, ResetKey};
use rejoin_protocol::{ConnectionId, Epoch, Incarnation, Refusal, RefusalCode, Rng, SessionId};

use crate::golden::{Vectors, golden, vectors};

fn server_keys() -> StaticKeys {
    StaticKeys::from_secret([1; 32])
}

fn client(suites: &[Suite], receive_id: Option<[u8; 4]>) -> ClientHandshake {
    let options = HandshakeOptions {
        server: server_keys().public(),
        identity: StaticKeys::from_secret([2; 32]),
        permit: Permit::dev("ana"),
        suites: suites.to_vec(),
        receive_id,
        moment: 1_700_000_000_000_000,
    };
    ClientHandshake::new(&options, &mut Rng::from_number(3)).expect("the options are good")
}

fn open(hello: &[u8]) -> OpenHello {
    open_hello(hello, &server_keys(), &mut Rng::from_number(4)).expect("the hello is good")
}

fn welcome(suite: Suite) -> Welcome {
    Welcome {
        version: 1,
        suite: suite.number(),
        connection: [9, 8, 7, 6],
        session: SessionId([5; 16]),
        incarnation: Incarnation(2),
        epoch: Epoch(3),
        reset_token: ResetKey::of(&[6; 32]).token(Epoch(3), ConnectionId([9, 8, 7, 6])),
    }
}

fn refusal() -> Refusal {
    Refusal::new(RefusalCode::PermitRefused, "not you").retry_after(Duration::from_secs(2))
}

const NEWEST: u64 = 1_800_000_000_000_000;

/// A packet of our own choice: header `head`, text `text`, number 258.
fn sealed(secret: &TrafficSecret) -> Vec<u8> {
    let mut packet = b"headtext".to_vec();
    secret.key().seal(258, &mut packet, 0, 4);
    packet
}

#[test]
fn a_join_keeps_its_bytes() {
    let mut ours = Vectors::new();
    for (name, suite, receive_id) in [
        ("aes", Suite::Aes128Gcm, None),
        ("chacha", Suite::ChaCha20Poly1305, Some([1, 2, 3, 4])),
    ] {
        let hello = client(&[suite], receive_id).hello().to_vec();
        let (mut reply, mut refused, mut old) = (Vec::new(), Vec::new(), Vec::new());
        let accepted = open(&hello).accept(&welcome(suite), &mut reply);
        open(&hello).refuse(&refusal(), &mut refused);
        open(&hello).refuse(&Refusal::old_hello(NEWEST), &mut old);
        ours.insert(format!("{name} hello"), hello);
        ours.insert(format!("{name} reply welcome"), reply);
        ours.insert(format!("{name} reply refusal"), refused);
        ours.insert(format!("{name} reply old hello"), old);
        ours.insert(format!("{name} resume psk"), accepted.resume_psk.to_vec());
        ours.insert(
            format!("{name} packet to client"),
            sealed(&accepted.setup.seal),
        );
    }
    let stored = golden("join", "The join, with fixed keys and chance.", ours);
    for (name, suite, receive_id) in [
        ("aes", Suite::Aes128Gcm, None),
        ("chacha", Suite::ChaCha20Poly1305, Some([1, 2, 3, 4])),
    ] {
        let get = |what: &str| stored[&format!("{name} {what}")].as_slice();
        let hello = open(get("hello"));
        assert_eq!(hello.suite, suite);
        assert_eq!(hello.moment, 1_700_000_000_000_000);
        let refused = client(&[suite], receive_id).handle_reply(get("reply refusal"));
        assert_eq!(refused.unwrap_err(), HandshakeError::Refused(refusal()));
        let old = client(&[suite], receive_id).handle_reply(get("reply old hello"));
        let expected = HandshakeError::Refused(Refusal::old_hello(NEWEST));
        assert_eq!(old.unwrap_err(), expected);
        let joined = client(&[suite], receive_id)
            .handle_reply(get("reply welcome"))
            .unwrap();
        assert_eq!(joined.welcome, welcome(suite));
        assert_eq!(joined.resume_psk, get("resume psk"));
        let mut packet = get("packet to client").to_vec();
        let (header, body) = packet.split_at_mut(4);
        let opened = joined
            .setup
            .open
            .key()
            .open(258, header, body)
            .map(|text| text.to_vec());
        assert_eq!(opened, Ok(b"text".to_vec()));
    }
}

#[test]
fn a_version_refusal_keeps_its_bytes() {
    // A hello of a far version, with MAC1 as its client would have made it.
    let mut hello = client(&Suite::ALL, None).hello().to_vec();
    (hello[1], hello[2]) = (250, 251);
    let key = hash::keyed(&server_keys().public().0, &[b"rejoin mac1"]);
    let len_at = |at: usize| usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
    let noise_at = 42 + len_at(40);
    let end = noise_at + 2 + len_at(noise_at);
    let mac1 = hash::keyed_short(&key, &[&hello[..8], &hello[40..end]]);
    hello[8..24].copy_from_slice(&mac1);
    let refused = open_hello(&hello, &server_keys(), &mut Rng::from_number(4));
    let Err(HelloError::Version { answer, .. }) = refused else {
        panic!("there is no common version")
    };
    let ours = vectors([("hello", hello), ("answer", answer)]);
    golden(
        "version-refusal",
        "A hello of versions 250 to 251, and what it is told.",
        ours,
    );
}

fn ticket() -> Ticket {
    let key = "a1b2c3d4:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let keys = TicketKeys::new(vec![key.parse().expect("the text is a key's")]);
    let bearer = Bearer {
        session: SessionId([5; 16]),
        incarnation: Incarnation(2),
        epoch: Epoch(3),
        psk: [8; 32],
        expires_unix_s: 1_700_086_400,
        name: "ana".into(),
        claims: b"team=red".to_vec(),
    };
    let sealed = keys.expect("one key").seal(&bearer);
    Ticket {
        sealed,
        psk: bearer.psk,
    }
}

#[test]
fn a_resume_keeps_its_bytes() {
    let ticket = ticket();
    let options = HandshakeOptions {
        server: server_keys().public(),
        identity: StaticKeys::from_secret([2; 32]),
        permit: Permit::dev("ana"),
        suites: vec![Suite::Aes128Gcm],
        receive_id: None,
        moment: 1_700_000_000_000_000,
    };
    let client = || ClientHandshake::resume(&options, &ticket, &mut Rng::from_number(3));
    let hello = client().hello().to_vec();
    let key = Mac1Key::of(&server_keys().public());
    let received = ReceivedHello::read(&hello, &key).expect("the hello is good");
    let open = received.open_resume(&ticket.psk, &mut Rng::from_number(4));
    let mut reply = Vec::new();
    let accepted = open
        .expect("the client has the psk")
        .accept(&welcome(Suite::Aes128Gcm), &mut reply);
    let reset = reset::encode(
        ConnectionId([9, 8, 7, 6]),
        welcome(Suite::Aes128Gcm).reset_token,
    );
    let ours = vectors([
        ("ticket", ticket.sealed.as_bytes().to_vec()),
        ("hello", hello.clone()),
        ("reply welcome", reply),
        ("ticket refusal", received.refuse_ticket()),
        ("resume psk", accepted.resume_psk.to_vec()),
        ("packet to client", sealed(&accepted.setup.seal)),
        ("reset", reset.to_vec()),
    ]);
    let stored = golden("resume", "A resume, with fixed keys and chance.", ours);
    let resumed = client().handle_reply(&stored["reply welcome"]).unwrap();
    assert_eq!(resumed.welcome, welcome(Suite::Aes128Gcm));
    assert_eq!(resumed.resume_psk, stored["resume psk"].as_slice());
}
