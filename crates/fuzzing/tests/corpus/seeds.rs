//! Where the seeds come from: golden vectors, sound traffic, and scripts of chance.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::handshake::{ClientHandshake, HandshakeOptions, Permit, Welcome};
use rejoin_protocol::reset::ResetKey;
use rejoin_protocol::{
    ConnectionId, Epoch, Incarnation, Refusal, RefusalCode, Rng, SessionId, messagepack as mp,
};
use serde::Serialize;

use crate::traffic;

/// Inputs by name.
pub(crate) type Seeds = BTreeMap<String, Vec<u8>>;

/// Seeds by parser or machine.
pub(crate) fn all() -> BTreeMap<&'static str, Seeds> {
    let packets = ["packet-up-aes", "packet-down-aes"].map(vectors);
    let client = vectors("client-messages");
    let server = vectors("server-messages");
    let both = client.clone().into_iter().chain(server.clone()).collect();
    let mut all = BTreeMap::from([
        ("varint", joined(vectors("varints"))),
        ("header", packets.into_iter().flatten().collect()),
        ("guard", both),
        ("client-message", client),
        ("server-message", server),
        ("room-message", vectors("room-messages")),
        ("snapshot-head", vectors("snapshot-heads")),
        ("snapshot-delta", deltas()),
        ("hello", hellos()),
        ("permit", permits()),
        ("grant", grants()),
        (
            "ticket",
            [("sealed".to_owned(), of_a_resume("ticket"))].into(),
        ),
        ("bearer", bearers()),
        ("reset", [("reset".to_owned(), of_a_resume("reset"))].into()),
        ("offer", offers()),
        ("verdict", verdicts()),
        ("address", addresses()),
        ("connection", scripts("connection", 12, 600)),
        ("shard", scripts("shard", 8, 1_500)),
    ]);
    all.extend(traffic::all());
    all.entry("frames").or_default().extend(vectors("frames"));
    let refusal = vectors("version-refusal").remove("answer");
    let replies = all.entry("reply").or_default();
    replies.insert("version".into(), refusal.expect("it is a vector"));
    all
}

fn vectors(file: &str) -> Seeds {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(file)
        .with_extension("hex");
    let text = fs::read_to_string(path).expect("the file of vectors exists");
    let mut vectors = Seeds::new();
    let mut name = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (left, hex) = line.split_once('=').unwrap_or((name, line));
        name = left.trim();
        let bytes = HEXLOWER.decode(hex.trim().as_bytes()).unwrap();
        vectors.entry(name.to_owned()).or_default().extend(bytes);
    }
    vectors
}

fn joined(seeds: Seeds) -> Seeds {
    let all = seeds.into_values().flatten().collect();
    [("all".to_owned(), all)].into()
}

/// Length of the base, base, delta.
fn deltas() -> Seeds {
    let mut vectors = vectors("snapshot-deltas");
    let base = vectors.remove("base").unwrap();
    let head = u16::try_from(base.len()).unwrap().to_be_bytes();
    vectors
        .into_iter()
        .filter(|(name, _)| name.ends_with("delta"))
        .map(|(name, delta)| (name, [&head[..], &base, &delta].concat()))
        .collect()
}

fn hellos() -> Seeds {
    let hello = |receive_id| {
        let options = HandshakeOptions {
            server: StaticKeys::development().public(),
            identity: StaticKeys::generate(&mut Rng::from_number(1)),
            permit: Permit::dev("ana"),
            receive_id,
            moment: 1,
            suites: Suite::ALL.to_vec(),
        };
        let handshake = ClientHandshake::new(&options, &mut Rng::from_number(2)).unwrap();
        handshake.hello().to_vec()
    };
    let version = vectors("version-refusal").remove("hello").unwrap();
    let no_padding = |mut hello: Vec<u8>| {
        let len = hello.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        hello.truncate(len);
        hello
    };
    [
        ("plain".to_owned(), hello(None)),
        ("labelled".to_owned(), hello(Some([1, 2, 3, 4]))),
        // The machine pads it, so that changes meet what matters.
        ("unpadded".to_owned(), no_padding(hello(None))),
        ("old".to_owned(), version),
        ("resume".to_owned(), of_a_resume("hello")),
    ]
    .into()
}

/// `dev` permits, and one whose sealed part is of any bytes.
fn permits() -> Seeds {
    let dev = |name: &str| [&[0], name.as_bytes()].concat();
    [
        ("short".to_owned(), dev("a")),
        ("wide".to_owned(), dev("Zoë")),
        ("long".to_owned(), dev(&"x".repeat(32))),
        ("sealed".to_owned(), [&[1], [7; 90].as_slice()].concat()),
    ]
    .into()
}

/// Format, id, time, key, name, claims.
fn grants() -> Seeds {
    let grant = |name: &str, claims: &[u8]| {
        let name_len = u8::try_from(name.len()).unwrap();
        let head = [&[1], [5; 16].as_slice(), &[0; 8], &[6; 32], &[name_len]].concat();
        [head.as_slice(), name.as_bytes(), claims].concat()
    };
    [
        ("plain".to_owned(), grant("ana", b"")),
        ("claims".to_owned(), grant("Zoë", b"\x81\xa5level\x05")),
    ]
    .into()
}

/// Format, session, incarnation, epoch, secret, time, name, claims.
fn bearers() -> Seeds {
    let bearer = |name: &str, claims: &[u8]| {
        let name_len = u8::try_from(name.len()).unwrap();
        let session = [
            &[1],
            [5; 16].as_slice(),
            &[0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0, 3],
        ]
        .concat();
        let rest = [
            [6; 32].as_slice(),
            &[0; 8],
            &[name_len],
            name.as_bytes(),
            claims,
        ]
        .concat();
        [session, rest].concat()
    };
    [
        ("plain".to_owned(), bearer("ana", b"")),
        ("claims".to_owned(), bearer("Zoë", b"\x81\xa5level\x05")),
    ]
    .into()
}

fn of_a_resume(name: &str) -> Vec<u8> {
    vectors("resume").remove(name).expect("it is a vector")
}

#[derive(Serialize)]
struct Offer {
    moment: u64,
    suites: Vec<u8>,
}

fn offers() -> Seeds {
    [vec![0, 1], vec![1], vec![]]
        .map(|suites| {
            let name = format!("suites {}", suites.len());
            let moment = 1 << 50;
            (name, mp::encode(&Offer { moment, suites }).unwrap())
        })
        .into()
}

fn verdicts() -> Seeds {
    let welcome: Result<Welcome, Refusal> = Ok(Welcome {
        version: 1,
        suite: 0,
        connection: [1, 2, 3, 4],
        session: SessionId([5; 16]),
        incarnation: Incarnation(6),
        epoch: Epoch(7),
        reset_token: ResetKey::of(&[8; 32]).token(Epoch(1), ConnectionId([0, 1, 2, 3])),
    });
    let refusal: Result<Welcome, Refusal> = Err(Refusal::new(
        RefusalCode::Stopping,
        "the server is stopping",
    ));
    [
        ("welcome".to_owned(), mp::encode(&welcome).unwrap()),
        ("refusal".to_owned(), mp::encode(&refusal).unwrap()),
    ]
    .into()
}

fn addresses() -> Seeds {
    let key = StaticKeys::development().public();
    let texts = [
        "localhost".to_owned(),
        "127.0.0.1:9".to_owned(),
        "rejoin://[::1]:7777".to_owned(),
        format!("rejoin://{key}@game.example:7777"),
        format!("{key}@[2001:db8::1]"),
        format!("{key}@203.0.113.5"),
    ];
    let numbered = texts.into_iter().enumerate();
    numbered
        .map(|(index, text)| (index.to_string(), text.into_bytes()))
        .collect()
}

fn scripts(machine: &str, count: u32, len: usize) -> Seeds {
    let mut rng = Rng::from_number(7).fork(machine);
    (0..count)
        .map(|index| {
            let mut script = vec![0; len];
            rng.fill(&mut script);
            (format!("script {index}"), script)
        })
        .collect()
}
