//! Golden bytes of everything that travels or is derived, but data packets: what is written
//! today can be read by every later version that speaks this one, by either back end.

mod golden;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use golden::{Vectors, golden};
use rejoin_protocol::crypto::{StaticKeys, Suite, TrafficKey};
use rejoin_protocol::handshake::{
    ClientHandshake, HandshakeError, HandshakeOptions, HelloError, OpenHello, Permit, Welcome,
    open_hello,
};
use rejoin_protocol::message::{
    Answer, ClientMessage, Comparison, Filter, Member, MetadataValue, RoomCard, RoomCloseReason,
    RoomSettings, SeatChange, Seated, ServerMessage,
};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::room_message::{RoomMessage, SnapshotHead};
use rejoin_protocol::wire::{Reader, VARINT_MAX, put_varint};
use rejoin_protocol::{
    Epoch, Incarnation, PlayerId, Refusal, RefusalCode, RequestId, Rng, RoomId, SeatId, SessionId,
    snapshot,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

const REQUEST: RequestId = RequestId([7; 16]);

fn vectors<const N: usize>(list: [(&str, Vec<u8>); N]) -> Vectors {
    list.into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect()
}

fn server_keys() -> StaticKeys {
    StaticKeys::from_secret([1; 32])
}

fn client(suites: &[Suite], receive_id: Option<[u8; 4]>) -> ClientHandshake {
    let options = HandshakeOptions {
        server: server_keys().public(),
        identity: StaticKeys::from_secret([2; 32]),
        permit: Permit::dev("ana"),
        receive_id,
        moment: 1_700_000_000_000_000,
    };
    ClientHandshake::with_suites(&options, suites, &mut Rng::from_number(3))
        .expect("the options are good")
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
        ticket: b"ticket".to_vec(),
    }
}

fn refusal() -> Refusal {
    Refusal::new(RefusalCode::PermitRefused, "not you").retry_after(Duration::from_secs(2))
}

/// A packet of our own choice: header `head`, text `text`, number 258.
fn sealed(key: &TrafficKey) -> Vec<u8> {
    let mut packet = b"headtext".to_vec();
    key.seal(258, &mut packet, 0, 4);
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
        let (mut reply, mut refused) = (Vec::new(), Vec::new());
        let accepted = open(&hello).accept(&welcome(suite), &mut reply);
        open(&hello).refuse(&refusal(), &mut refused);
        ours.insert(format!("{name} hello"), hello);
        ours.insert(format!("{name} reply welcome"), reply);
        ours.insert(format!("{name} reply refusal"), refused);
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
        assert_eq!((hello.suite, &hello.permit), (suite, &Permit::dev("ana")));
        assert_eq!(hello.moment, 1_700_000_000_000_000);
        let refused = client(&[suite], receive_id).handle_reply(get("reply refusal"));
        assert_eq!(refused.unwrap_err(), HandshakeError::Refused(refusal()));
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
    let key = rejoin_protocol::crypto::hash::keyed(&server_keys().public().0, &[b"rejoin mac1"]);
    let mac1 = rejoin_protocol::crypto::hash::keyed_short(&key, &[&hello[..8], &hello[40..]]);
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

/// Writes every value, compares with the file, and reads the stored bytes back.
fn messages_keep_their_bytes<T>(file: &str, about: &str, messages: &[(&str, T)])
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let ours = messages
        .iter()
        .map(|(name, message)| {
            let bytes = messagepack::encode(message).expect("messages are plain data");
            ((*name).to_owned(), bytes)
        })
        .collect();
    let stored = golden(file, about, ours);
    for (name, message) in messages {
        let bytes = stored.get(*name).expect("the names are compared");
        assert_eq!(
            messagepack::decode::<T>(bytes, Bounds::PEER).as_ref(),
            Ok(message),
            "{name}"
        );
    }
}

fn settings() -> RoomSettings {
    RoomSettings {
        members_max: 4,
        metadata: BTreeMap::from([
            ("level".into(), MetadataValue::Int(-5)),
            ("map".into(), MetadataValue::Text("moon".into())),
            ("ranked".into(), MetadataValue::Bool(true)),
        ]),
        options: vec![1, 2, 3],
    }
}

fn filters() -> Vec<Filter> {
    [
        Comparison::Equal,
        Comparison::NotEqual,
        Comparison::AtLeast,
        Comparison::AtMost,
    ]
    .into_iter()
    .map(|comparison| Filter {
        key: "level".into(),
        comparison,
        value: MetadataValue::Int(7),
    })
    .collect()
}

#[test]
fn client_messages_keep_their_bytes() {
    let kind = || "duel".to_owned();
    let room = RoomId::of("duel", REQUEST);
    let seat = SeatId(3);
    let messages = [
        (
            "create",
            ClientMessage::Create {
                call: 1,
                request: REQUEST,
                kind: kind(),
                settings: settings(),
            },
        ),
        ("join", ClientMessage::Join { call: 2, room }),
        (
            "join or create",
            ClientMessage::JoinOrCreate {
                call: 3,
                request: REQUEST,
                kind: kind(),
                filters: filters(),
                settings: RoomSettings::default(),
            },
        ),
        ("leave", ClientMessage::Leave { call: 4, seat }),
        (
            "list",
            ClientMessage::List {
                call: 5,
                kind: Some(kind()),
                filters: filters(),
                max: 9,
            },
        ),
        (
            "list all",
            ClientMessage::List {
                call: 6,
                kind: None,
                filters: vec![],
                max: 64,
            },
        ),
        ("close", ClientMessage::Close { call: 7, seat }),
        ("resync", ClientMessage::Resync { seat }),
    ];
    messages_keep_their_bytes(
        "client-messages",
        "Control messages of a client.",
        &messages,
    );
}

fn seated() -> Answer {
    Answer::Seated(Seated {
        seat: SeatId(3),
        room: RoomId::of("duel", REQUEST),
        kind: "duel".into(),
        version: 1,
        tick_hz: 30,
        player: PlayerId(0x0102_0304_0506_0708),
        cursor: 70_000,
        event: 6,
        created: true,
        members: vec![Member {
            player: PlayerId(8),
            name: "ana".into(),
        }],
    })
}

fn rooms() -> Answer {
    Answer::Rooms(vec![RoomCard {
        room: RoomId::of("duel", REQUEST),
        kind: "duel".into(),
        members: 1,
        members_max: 2,
        metadata: settings().metadata,
    }])
}

#[test]
fn server_messages_keep_their_bytes() {
    let reply = |result| ServerMessage::Reply { call: 300, result };
    let (seat, player) = (SeatId(3), PlayerId(8));
    let change = |change| ServerMessage::Seat {
        seat,
        player,
        name: "ana".into(),
        change,
    };
    let closed = |reason| ServerMessage::RoomClosed { seat, reason };
    let word = || "enough".to_owned();
    let messages = [
        ("reply seated", reply(Ok(seated()))),
        ("reply left", reply(Ok(Answer::Left))),
        ("reply rooms", reply(Ok(rooms()))),
        ("reply closed", reply(Ok(Answer::Closed))),
        ("reply refused", reply(Err(refusal()))),
        ("seat joined", change(SeatChange::Joined)),
        ("seat suspect", change(SeatChange::Suspect)),
        ("seat detached", change(SeatChange::Detached)),
        ("seat returned", change(SeatChange::Returned)),
        ("seat left", change(SeatChange::Left)),
        (
            "input refused",
            ServerMessage::InputRefused {
                seat,
                number: 12,
                refusal: Refusal::new(RefusalCode::RoomFailed, "no"),
            },
        ),
        ("room ended", closed(RoomCloseReason::Ended(word()))),
        (
            "room closed by owner",
            closed(RoomCloseReason::ClosedByOwner),
        ),
        ("room removed", closed(RoomCloseReason::Removed(word()))),
        ("room failed", closed(RoomCloseReason::Failed(word()))),
        (
            "room server stopping",
            closed(RoomCloseReason::ServerStopping),
        ),
    ];
    messages_keep_their_bytes(
        "server-messages",
        "Control messages of a server.",
        &messages,
    );
}

#[test]
fn refusal_codes_keep_their_names() {
    let codes = [
        ("unknown kind", RefusalCode::UnknownKind),
        ("unknown room", RefusalCode::UnknownRoom),
        ("unknown seat", RefusalCode::UnknownSeat),
        ("room full", RefusalCode::RoomFull),
        ("not admitted", RefusalCode::NotAdmitted),
        ("already seated", RefusalCode::AlreadySeated),
        ("not owner", RefusalCode::NotOwner),
        ("limit reached", RefusalCode::LimitReached),
        ("bad request", RefusalCode::BadRequest),
        ("permit refused", RefusalCode::PermitRefused),
        ("stopping", RefusalCode::Stopping),
        ("room failed", RefusalCode::RoomFailed),
        ("other", RefusalCode::Other),
    ];
    messages_keep_their_bytes("refusal-codes", "Codes of a refusal.", &codes);
}

#[test]
fn what_a_newer_peer_adds_does_not_stop_an_older_one() {
    #[derive(Serialize)]
    struct NewerRefusal {
        code: &'static str,
        text: &'static str,
        retry_after_ms: Option<u32>,
        colour: &'static str,
    }
    #[derive(Serialize)]
    enum NewerReason {
        Eaten,
    }
    let newer = NewerRefusal {
        code: "TooLoud",
        text: "hush",
        retry_after_ms: None,
        colour: "red",
    };
    let bytes = messagepack::encode(&newer).unwrap();
    let refusal = messagepack::decode::<Refusal>(&bytes, Bounds::PEER);
    assert_eq!(refusal, Ok(Refusal::new(RefusalCode::Other, "hush")));
    let bytes = messagepack::encode(&NewerReason::Eaten).unwrap();
    let reason = messagepack::decode::<RoomCloseReason>(&bytes, Bounds::PEER);
    assert_eq!(reason, Ok(RoomCloseReason::Other));
}

#[test]
fn room_messages_keep_their_bytes() {
    let payload = Bytes::from_static(b"game");
    let messages = [
        (
            "input",
            RoomMessage::Input {
                seat: SeatId(3),
                number: 900,
                payload: payload.clone(),
            },
        ),
        (
            "event",
            RoomMessage::Event {
                seat: SeatId(0),
                number: 1,
                payload: payload.clone(),
            },
        ),
        (
            "snapshot",
            RoomMessage::Snapshot {
                seat: SeatId(700),
                payload,
            },
        ),
    ];
    let ours = messages
        .iter()
        .map(|(name, message)| (name.to_string(), message.encode().to_vec()));
    let stored = golden(
        "room-messages",
        "Messages on the ordered stream.",
        ours.collect(),
    );
    for (name, message) in messages {
        assert_eq!(
            RoomMessage::decode(&stored[name].clone().into()),
            Ok(message),
            "{name}"
        );
    }
}

#[test]
fn snapshot_heads_keep_their_bytes() {
    let full = SnapshotHead {
        sequence: 44,
        base: None,
        tick: 9,
        cursor: 7,
        check: 5,
        private: false,
    };
    let heads = [
        ("full", full),
        (
            "delta",
            SnapshotHead {
                base: Some(41),
                check: 0xdead_beef,
                ..full
            },
        ),
        (
            "private delta",
            SnapshotHead {
                sequence: 70_000,
                base: Some(1),
                private: true,
                ..full
            },
        ),
    ];
    let ours = heads.iter().map(|(name, head)| {
        let mut bytes = Vec::new();
        head.encode(&mut bytes);
        (name.to_string(), bytes)
    });
    let stored = golden(
        "snapshot-heads",
        "What stands before a snapshot.",
        ours.collect(),
    );
    for (name, head) in heads {
        let mut reader = Reader::new(&stored[name]);
        assert_eq!(SnapshotHead::decode(&mut reader), Ok(head), "{name}");
        assert!(reader.is_empty());
    }
}

#[test]
fn snapshot_deltas_keep_their_bytes() {
    let base: Vec<u8> = (0..100).collect();
    let changed = |edit: fn(&mut Vec<u8>)| {
        let mut view = base.clone();
        edit(&mut view);
        view
    };
    let views = [
        ("same", base.clone()),
        (
            "changed",
            changed(|view| (view[3], view[6], view[90]) = (0, 0, 0)),
        ),
        ("longer", changed(|view| view.extend([1, 0, 0, 0, 0, 2]))),
        ("shorter", changed(|view| view.truncate(50))),
    ];
    let mut ours = Vectors::from([("base".to_owned(), base.clone())]);
    for (name, view) in &views {
        let delta = snapshot::delta(&base, view).unwrap();
        ours.insert(format!("{name} delta"), delta.to_vec());
        ours.insert(
            format!("{name} check"),
            snapshot::check(view).to_be_bytes().to_vec(),
        );
    }
    let stored = golden(
        "snapshot-deltas",
        "Deltas against a base of 0, 1, .. 99.",
        ours,
    );
    for (name, view) in views {
        let delta = &stored[&format!("{name} delta")];
        assert_eq!(
            snapshot::apply(&stored["base"], delta, 200),
            Ok(view),
            "{name}"
        );
    }
}

#[test]
fn varints_keep_their_bytes() {
    let values = [
        0,
        63,
        64,
        16_383,
        16_384,
        (1 << 30) - 1,
        1 << 30,
        VARINT_MAX,
    ];
    let ours = values.iter().map(|value| {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, *value);
        (format!("{value:#x}"), bytes)
    });
    let stored = golden(
        "varints",
        "Numbers on both sides of each length.",
        ours.collect(),
    );
    for value in values {
        assert_eq!(
            Reader::new(&stored[&format!("{value:#x}")]).varint(),
            Ok(value)
        );
    }
}

#[test]
fn what_is_derived_stays_the_same() {
    // Stored rooms, pinned keys and sessions depend on these.
    let mut rng = Rng::from_number(42);
    let ours = vectors([
        ("room id", RoomId::of("duel", REQUEST).0.to_vec()),
        ("chance", rng.bytes::<32>().to_vec()),
        ("forked chance", rng.fork("rooms").bytes::<32>().to_vec()),
        (
            "development key",
            StaticKeys::development().public().0.to_vec(),
        ),
    ]);
    golden(
        "derived",
        "Ids, chance and keys that must never change.",
        ours,
    );
}
