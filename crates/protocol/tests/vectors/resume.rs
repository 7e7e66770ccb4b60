//! The resume: a ticket, its hello and both answers, the reset, and the keys that come of it. And all of it a
//! second time from bare primitives.

use rejoin_protocol::crypto::{StaticKeys, Suite, TrafficKey, TrafficSecret};
use rejoin_protocol::handshake::{
    Bearer, ClientHandshake, HandshakeError, HandshakeOptions, Mac1Key, Permit, ReceivedHello,
    Ticket, TicketKeys,
};
use rejoin_protocol::reset;
use rejoin_protocol::{ConnectionId, Epoch, Incarnation, Rng, SessionId};

use crate::derivation::{OFFER, Writer, keyed, len, put_secrets};
use crate::golden::{Vectors, golden, stored, vectors};
use crate::join::{
    CLIENT_CHANCE, CLIENT_SECRET, SERVER_CHANCE, SERVER_SECRET, sealed, server_keys, welcome,
};
use crate::noise::{Pair, Symmetric};

/// What seals the ticket.
const KEY_ID: [u8; 4] = [0xa1, 0xb2, 0xc3, 0xd4];
const KEY: [u8; 32] = [7; 32];
const PSK: [u8; 32] = [8; 32];
/// What the reset key comes of.
const RESET_SECRET: [u8; 32] = [6; 32];
/// What stands in clear at the front of the hello.
const HEAD: [u8; 8] = [0x41, 1, 1, 0, 0, 0, 0, 0];

fn bearer() -> Bearer {
    Bearer {
        session: SessionId([5; 16]),
        incarnation: Incarnation(2),
        epoch: Epoch(3),
        psk: PSK,
        expires_unix_s: 1_700_086_400,
        name: "ana".into(),
        claims: b"team=red".to_vec(),
    }
}

fn ticket() -> Ticket {
    let key = "a1b2c3d4:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let keys = TicketKeys::new(vec![key.parse().expect("the text is a key's")]);
    let sealed = keys.expect("one key").seal(&bearer());
    Ticket { sealed, psk: PSK }
}

fn client() -> ClientHandshake {
    let options = HandshakeOptions {
        server: server_keys().public(),
        identity: StaticKeys::from_secret(CLIENT_SECRET),
        permit: Permit::dev("ana"),
        suites: vec![Suite::Aes128Gcm],
        receive_id: None,
        moment: 1_700_000_000_000_000,
    };
    ClientHandshake::resume(&options, &ticket(), &mut Rng::from_number(CLIENT_CHANCE))
}

#[test]
fn a_resume_keeps_its_bytes() {
    let hello = client().hello().to_vec();
    let key = Mac1Key::of(&server_keys().public());
    let received = ReceivedHello::read(&hello, &key).expect("the hello is good");
    let open = received.open_resume(&PSK, &mut Rng::from_number(SERVER_CHANCE));
    let mut reply = Vec::new();
    let accepted = open
        .expect("the client has the psk")
        .accept(&welcome(Suite::Aes128Gcm), &mut reply);
    let reset = reset::encode(
        ConnectionId([9, 8, 7, 6]),
        welcome(Suite::Aes128Gcm).reset_token,
    );
    let ours = vectors([
        ("ticket", ticket().sealed.as_bytes().to_vec()),
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
    let refused = client().handle_reply(&stored["ticket refusal"]);
    assert_eq!(refused.unwrap_err(), HandshakeError::TicketRefused);
    let shown = reset::decode(&stored["reset"]).expect("it is one");
    assert_eq!(
        shown,
        (ConnectionId([9, 8, 7, 6]), resumed.welcome.reset_token)
    );
}

/// The ticket from its content on, as the server alone can make it.
fn derive_ticket(out: &mut Writer) -> Vec<u8> {
    let of = bearer();
    let content = [
        &[1],
        of.session.0.as_slice(),
        &of.incarnation.0.to_be_bytes(),
        &of.epoch.0.to_be_bytes(),
        &of.psk,
        &of.expires_unix_s.to_be_bytes(),
        &[3],
        b"ana",
        b"team=red",
    ]
    .concat();
    out.put("ticket key", &KEY);
    out.put("ticket content", &content);
    let nonce: [u8; 12] = keyed(&KEY, &[b"rejoin sealing nonce", &content])[..12]
        .try_into()
        .unwrap();
    let mut ticket = [&[2], KEY_ID.as_slice(), &nonce, &content].concat();
    TrafficKey::new(Suite::ChaCha20Poly1305, &KEY, nonce).seal(0, &mut ticket, 0, 17);
    ticket
}

/// The whole resume; only the reply's sealed payload is taken from the file. Gives the root of the connection's
/// secrets.
fn derive(resume: &Vectors, out: &mut Writer) -> [u8; 32] {
    let server = Pair::of(SERVER_SECRET);
    let ephemeral = Pair::of(Rng::from_number(CLIENT_CHANCE).bytes());
    let of_server = Pair::of(Rng::from_number(SERVER_CHANCE).bytes());
    out.put("client ephemeral secret", &ephemeral.secret);
    out.put("server ephemeral public", &of_server.public);

    let ticket = derive_ticket(out);
    assert_eq!(ticket, resume["ticket"]);
    let prologue = [b"rejoin hello", HEAD.as_slice(), &ticket].concat();
    out.put("ticket psk", &PSK);
    out.put("prologue", &prologue);
    let mut noise = Symmetric::resume(&prologue, &PSK);
    noise.mix_ephemeral(&ephemeral.public);
    let message = [&ephemeral.public, &noise.seal(OFFER)[..]].concat();
    out.put("noise message 1", &message);

    let body = [&len(&ticket), &ticket[..], &len(&message), &message].concat();
    let mac1_key = keyed(&server.public, &[b"rejoin mac1"]);
    let mac1 = &keyed(&mac1_key, &[&HEAD, &body])[..16];
    out.put("mac1", mac1);
    let mut hello = [&HEAD, mac1, &[0; 16], &body].concat();
    hello.resize(1200, 0);
    assert_eq!(hello, resume["hello"]);
    assert_eq!(resume["ticket refusal"], [&[0x45], mac1].concat());

    let head = [&[0x44], &mac1[..8]].concat();
    let message = resume["reply welcome"].strip_prefix(&head[..]);
    let message = message.expect("it answers the hello");
    let (theirs, payload) = message.split_at(32);
    assert_eq!(theirs, of_server.public);
    out.put("noise message 2", message);
    noise.mix_ephemeral(&of_server.public);
    noise.mix_key(&ephemeral.secret, &of_server.public);
    assert_eq!(noise.open(payload), stored("join-derivation")["welcome"]);

    let [first, second] = noise.split();
    out.put("transcript", &noise.hash);
    out.put("split 1", &first);
    out.put("split 2", &second);
    keyed(&first, &[b"rejoin traffic", &second, &noise.hash])
}

#[test]
fn a_resume_written_a_second_time_has_the_same_bytes_and_secrets() {
    let resume = stored("resume");
    let mut out = Writer(Vectors::new());
    let root = derive(&resume, &mut out);
    let to_client = put_secrets(&root, &mut out);
    assert_eq!(out.0["resume psk"], resume["resume psk"]);
    let mut packet = b"headtext".to_vec();
    let key = TrafficSecret::new(Suite::Aes128Gcm, to_client).key();
    key.seal(258, &mut packet, 0, 4);
    assert_eq!(packet, resume["packet to client"]);
    golden(
        "resume-derivation",
        "Each step of the resume of resume.hex.",
        out.0,
    );
}

#[test]
fn a_reset_written_a_second_time_has_the_same_bytes() {
    let (connection, epoch) = ([9, 8, 7, 6], 3_u64);
    let key = keyed(&RESET_SECRET, &[b"rejoin reset"]);
    let token = &keyed(&key, &[&epoch.to_be_bytes(), &connection])[..16];
    let reset = [&[0x46], connection.as_slice(), token].concat();
    assert_eq!(reset, stored("resume")["reset"]);
}
