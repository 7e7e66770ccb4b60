//! A join written a second time, step by step: every value on the way from keys and chance to the
//! bytes of hello and reply and the secrets of the connection.

use blake2::Blake2sMac;
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput, KeyInit, Update};
use rejoin_protocol::Rng;
use rejoin_protocol::crypto::{Suite, TrafficKey, TrafficSecret};

use crate::golden::{Vectors, golden, stored};
use crate::join::{CLIENT_CHANCE, CLIENT_SECRET, SERVER_CHANCE, SERVER_SECRET};
use crate::noise::{Pair, Symmetric};

/// What stands in clear at the front of the hello `aes hello`.
const HEAD: [u8; 8] = [0x40, 1, 1, 0, 0, 0, 0, 0];
const PERMIT: &[u8] = b"\0ana";
/// `{"moment": 1_700_000_000_000_000, "suites": [0]}` as MessagePack.
pub(crate) const OFFER: &[u8] =
    b"\x82\xa6moment\xcf\x00\x06\x0a\x24\x18\x1e\x40\x00\xa6suites\x91\x00";

/// BLAKE2s with a key over parts, each behind its length in eight bytes, little-endian.
pub(crate) fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Blake2sMac<U32> as KeyInit>::new(key.into());
    for part in parts {
        let len = u64::try_from(part.len()).unwrap();
        Update::update(&mut mac, &len.to_le_bytes());
        Update::update(&mut mac, part);
    }
    mac.finalize_fixed().into()
}

/// Key, IV and next secret that come of a traffic secret.
pub(crate) fn of_secret(secret: &[u8; 32], suite: Suite) -> (Vec<u8>, [u8; 12], [u8; 32]) {
    let expand = |label: &[u8]| keyed(secret, &[label, &[suite.number()]]);
    let key_len = match suite {
        Suite::Aes128Gcm => 16,
        Suite::ChaCha20Poly1305 => 32,
    };
    let (key, iv) = (expand(b"key"), expand(b"key iv"));
    (
        key[..key_len].to_vec(),
        iv[..12].try_into().unwrap(),
        expand(b"next secret"),
    )
}

pub(crate) fn len(part: &[u8]) -> [u8; 2] {
    u16::try_from(part.len()).unwrap().to_be_bytes()
}

pub(crate) struct Writer(pub(crate) Vectors);

impl Writer {
    pub(crate) fn put(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.to_owned(), bytes.to_vec());
    }
}

/// The whole join of `aes hello` and `aes reply welcome`; only the reply's sealed payload is taken from
/// there. Gives the root of the connection's secrets.
fn derive(join: &Vectors, out: &mut Writer) -> [u8; 32] {
    let (client, server) = (Pair::of(CLIENT_SECRET), Pair::of(SERVER_SECRET));
    let ephemeral = Pair::of(Rng::from_number(CLIENT_CHANCE).bytes());
    let of_server = Pair::of(Rng::from_number(SERVER_CHANCE).bytes());
    for (name, pair) in [
        ("client static", &client),
        ("client ephemeral", &ephemeral),
        ("server static", &server),
        ("server ephemeral", &of_server),
    ] {
        out.put(&format!("{name} secret"), &pair.secret);
        out.put(&format!("{name} public"), &pair.public);
    }

    let prologue = [b"rejoin hello", HEAD.as_slice(), PERMIT].concat();
    out.put("prologue", &prologue);
    out.put("offer", OFFER);
    let mut noise = Symmetric::join(&prologue, &server.public);
    noise.mix_hash(&ephemeral.public);
    noise.mix_key(&ephemeral.secret, &server.public);
    let identity = noise.seal(&client.public);
    noise.mix_key(&client.secret, &server.public);
    let message = [&ephemeral.public, &identity[..], &noise.seal(OFFER)].concat();
    out.put("noise message 1", &message);

    let body = [&len(PERMIT), PERMIT, &len(&message), &message].concat();
    let mac1_key = keyed(&server.public, &[b"rejoin mac1"]);
    let mac1 = &keyed(&mac1_key, &[&HEAD, &body])[..16];
    out.put("mac1 key", &mac1_key);
    out.put("mac1", mac1);
    let mut hello = [&HEAD, mac1, &[0; 16], &body].concat();
    hello.resize(1200, 0);
    assert_eq!(hello, join["aes hello"]);

    let head = [&[0x44], &mac1[..8]].concat();
    let message = join["aes reply welcome"].strip_prefix(&head[..]);
    let message = message.expect("it answers the hello");
    let (theirs, payload) = message.split_at(32);
    assert_eq!(theirs, of_server.public);
    out.put("noise message 2", message);
    noise.mix_hash(&of_server.public);
    noise.mix_key(&ephemeral.secret, &of_server.public);
    noise.mix_key(&client.secret, &of_server.public);
    out.put("welcome", &noise.open(payload));

    let [first, second] = noise.split();
    out.put("transcript", &noise.hash);
    out.put("split 1", &first);
    out.put("split 2", &second);
    keyed(&first, &[b"rejoin traffic", &second, &noise.hash])
}

/// The secrets of a connection, and what comes of them. Gives the one to the client.
pub(crate) fn put_secrets(root: &[u8; 32], out: &mut Writer) -> [u8; 32] {
    let suite = Suite::Aes128Gcm;
    let expand = |label: &[u8]| keyed(root, &[label, &[suite.number()]]);
    let (to_server, to_client) = (expand(b"to server"), expand(b"to client"));
    out.put("root", root);
    out.put("to server", &to_server);
    out.put("to client", &to_client);
    out.put("resume psk", &expand(b"resume psk"));
    for (name, secret) in [("to server", to_server), ("to client", to_client)] {
        let (key, iv, next) = of_secret(&secret, suite);
        out.put(&format!("{name} key"), &key);
        out.put(&format!("{name} iv"), &iv);
        out.put(&format!("{name} next secret"), &next);
    }
    to_client
}

#[test]
fn a_join_written_a_second_time_has_the_same_bytes_and_secrets() {
    let join = stored("join");
    let mut out = Writer(Vectors::new());
    let root = derive(&join, &mut out);
    let to_client = put_secrets(&root, &mut out);
    assert_eq!(out.0["resume psk"], join["aes resume psk"]);
    let mut packet = b"headtext".to_vec();
    let key = TrafficSecret::new(Suite::Aes128Gcm, to_client).key();
    key.seal(258, &mut packet, 0, 4);
    assert_eq!(packet, join["aes packet to client"]);
    golden(
        "join-derivation",
        "Each step of the join `aes` of join.hex.",
        out.0,
    );
}

#[test]
fn a_secret_leads_to_its_key_and_to_the_next() {
    for suite in Suite::ALL {
        let mut secret = [1; 32];
        let mut theirs = TrafficSecret::new(suite, secret);
        for _ in 0..3 {
            let (key, iv, next) = of_secret(&secret, suite);
            let mut material = [0; 32];
            material[..key.len()].copy_from_slice(&key);
            let [mut ours, mut packet] = [b"headtext".to_vec(), b"headtext".to_vec()];
            TrafficKey::new(suite, &material, iv).seal(7, &mut ours, 0, 4);
            theirs.key().seal(7, &mut packet, 0, 4);
            assert_eq!(ours, packet);
            (secret, theirs) = (next, theirs.next());
        }
    }
}
