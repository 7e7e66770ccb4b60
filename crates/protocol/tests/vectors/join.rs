//! The join: hello, both replies, version refusal, and the keys that come of it.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use rejoin_protocol::crypto::{StaticKeys, Suite, TrafficSecret, hash};
use rejoin_protocol::handshake::{
    ClientHandshake, Cookies, Grant, HandshakeError, HandshakeOptions, HelloError, Mac1Key,
    OpenHello, Permit, PermitId, PermitKeys, ReceivedHello, Welcome, open_hello,
};
use rejoin_protocol::reset::ResetKey;
use rejoin_protocol::{
    ConnectionId, Epoch, Incarnation, Refusal, RefusalCode, Rng, SessionId, Timestamp,
};

use crate::golden::{Vectors, golden, vectors};

pub(crate) const SERVER_SECRET: [u8; 32] = [1; 32];
pub(crate) const CLIENT_SECRET: [u8; 32] = [2; 32];
/// What the ephemeral keys are drawn from.
pub(crate) const CLIENT_CHANCE: u64 = 3;
/// See above.
pub(crate) const SERVER_CHANCE: u64 = 4;

pub(crate) fn server_keys() -> StaticKeys {
    StaticKeys::from_secret(SERVER_SECRET)
}

fn client(suites: &[Suite], receive_id: Option<[u8; 4]>) -> ClientHandshake {
    let options = HandshakeOptions {
        server: server_keys().public(),
        identity: StaticKeys::from_secret(CLIENT_SECRET),
        permit: Permit::dev("ana"),
        suites: suites.to_vec(),
        receive_id,
        moment: 1_700_000_000_000_000,
    };
    ClientHandshake::new(&options, &mut Rng::from_number(CLIENT_CHANCE))
        .expect("the options are good")
}

fn open(hello: &[u8]) -> OpenHello {
    open_hello(hello, &server_keys(), &mut Rng::from_number(SERVER_CHANCE))
        .expect("the hello is good")
}

pub(crate) fn welcome(suite: Suite) -> Welcome {
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
pub(crate) fn sealed(secret: &TrafficSecret) -> Vec<u8> {
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
    let refused = open_hello(&hello, &server_keys(), &mut Rng::from_number(SERVER_CHANCE));
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

#[test]
fn a_cookie_keeps_its_bytes() {
    let from = "192.0.2.7:5000".parse().unwrap();
    let (cookies, now) = (Cookies::new([7; 32]), Timestamp::from_millis(90_000));
    let mac1 = Mac1Key::of(&server_keys().public());
    let mut client = client(&[Suite::Aes128Gcm], None);
    let hello = client.hello().to_vec();
    let received = ReceivedHello::read(&hello, &mac1).unwrap();
    let demand = received.ask_cookie(from, &cookies, now);
    let ours = vectors([("demand", demand.clone())]);
    let stored = golden("cookie", "What asks for a cookie.", ours);
    let asked = client.handle_reply(&stored["demand"]);
    assert_eq!(asked.unwrap_err(), HandshakeError::Cookie);
    let again = client.hello();
    assert_eq!((&again[..24], &again[40..]), (&hello[..24], &hello[40..]));
    assert_eq!(again[24..40], demand[17..]);
    let received = ReceivedHello::read(again, &mac1).unwrap();
    assert!(received.proves(from, &cookies, now));
}

#[test]
fn permits_keep_their_bytes() {
    let text = "0a0b0c0d:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    let keys = PermitKeys::new(vec![text.parse().unwrap()]).unwrap();
    let grant = Grant {
        id: PermitId([7; 16]),
        expires_unix_s: 1_800_000_000,
        client: StaticKeys::from_secret(CLIENT_SECRET).public(),
        name: "ana".into(),
        claims: b"team=red".to_vec(),
    };
    let bytes = |permit: &Permit| {
        let text = permit.to_string();
        BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
    };
    let sealed = keys.mint(&grant, &mut Rng::from_number(5)).unwrap();
    let ours = vectors([
        ("dev", bytes(&Permit::dev("ana"))),
        ("sealed", bytes(&sealed)),
    ]);
    let stored = golden("permits", "Permits as a hello carries them.", ours);
    let text = BASE64URL_NOPAD.encode(&stored["sealed"]);
    let Ok(Permit::Sealed(permit)) = text.parse() else {
        panic!("a sealed permit reads back")
    };
    assert_eq!(keys.open(&permit), Ok(grant));
}
