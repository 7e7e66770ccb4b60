//! Control messages, as MessagePack.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use rejoin_protocol::message::{
    Answer, ClientMessage, Comparison, Filter, Held, HeldSnapshot, Member, MetadataValue, RoomCard,
    RoomCloseReason, RoomSettings, SeatChange, Seated, ServerMessage,
};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::{Limit, PlayerId, Refusal, RefusalCode, RequestId, RoomId, SeatId, Stay};

/// The stay that all of them speak of.
const STAY: Stay = Stay(0x1122_3344_5566_7788);
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::golden::golden;

const REQUEST: RequestId = RequestId([7; 16]);

fn refusal() -> Refusal {
    Refusal::new(RefusalCode::RoomFull, "no seat left").retry_after(Duration::from_secs(2))
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
        private: true,
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

fn join(call: u32, room: RoomId, held: Option<Held>) -> ClientMessage {
    ClientMessage::Join { call, room, held }
}

fn held(snapshot: Option<HeldSnapshot>) -> Option<Held> {
    Some(Held {
        stay: STAY,
        event: 70,
        input: 0,
        snapshot,
    })
}

fn return_to(room: RoomId, view: HeldSnapshot) -> ClientMessage {
    let held = Held {
        stay: STAY,
        event: 70,
        input: 69_990,
        snapshot: Some(view),
    };
    let (call, seat) = (10, SeatId(3));
    ClientMessage::Return {
        call,
        room,
        seat,
        held,
    }
}

#[test]
fn client_messages_keep_their_bytes() {
    let kind = || "duel".to_owned();
    let room = RoomId::of("duel", REQUEST);
    let seat = SeatId(3);
    let view = HeldSnapshot {
        sequence: 90_000,
        check: 0x0102_0304,
    };
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
        ("join", join(2, room, None)),
        ("join held", join(9, room, held(Some(view)))),
        ("join held without a view", join(9, room, held(None))),
        ("return", return_to(room, view)),
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
        (
            "join by code",
            ClientMessage::JoinByCode {
                call: 8,
                code: "K7QZ4M".parse().unwrap(),
            },
        ),
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
        stay: STAY,
        kind: "duel".into(),
        version: 1,
        tick_hz: 30,
        player: PlayerId(0x0102_0304_0506_0708),
        cursor: 70_000,
        event: 6,
        events_dropped: 0,
        inputs_lost: 0,
        created: true,
        found: false,
        members: vec![Member {
            player: PlayerId(8),
            name: "ana".into(),
        }],
        code: None,
    })
}

fn seated_in_private() -> Answer {
    let Answer::Seated(seated) = seated() else {
        unreachable!("it is a seat")
    };
    let code = "K7QZ4M".parse().ok();
    Answer::Seated(Seated { code, ..seated })
}

fn seated_again() -> Answer {
    let Answer::Seated(seated) = seated() else {
        unreachable!("it is a seat")
    };
    Answer::Seated(Seated {
        event: 800,
        events_dropped: 744,
        inputs_lost: 10,
        created: false,
        found: true,
        ..seated
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
        (
            "ticket",
            ServerMessage::Ticket {
                ticket: b"sealed".to_vec(),
                life_s: 86_400,
            },
        ),
        ("reply seated", reply(Ok(seated()))),
        ("seated in private", reply(Ok(seated_in_private()))),
        ("seated again", reply(Ok(seated_again()))),
        ("reply left", reply(Ok(Answer::Left))),
        ("reply rooms", reply(Ok(rooms()))),
        ("reply closed", reply(Ok(Answer::Closed))),
        ("reply refused", reply(Err(refusal()))),
        ("seat joined", change(SeatChange::Joined)),
        ("seat loading", change(SeatChange::Loading)),
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
        ("room closed gone", closed(RoomCloseReason::Gone)),
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
        ("old hello", RefusalCode::OldHello),
        ("other", RefusalCode::Other),
    ];
    messages_keep_their_bytes("refusal-codes", "Codes of a refusal.", &codes);
}

#[test]
fn a_refusal_that_names_a_limit_keeps_its_bytes() {
    let of = |limit| Refusal::over(limit, "too much", Duration::from_secs(2));
    let refusals = Limit::ALL.map(|limit| (limit.to_string(), of(limit)));
    let named = refusals
        .iter()
        .map(|(name, refusal)| (name.as_str(), refusal.clone()));
    messages_keep_their_bytes(
        "limit-refusals",
        "Refusals of those who went over a limit.",
        &named.collect::<Vec<_>>(),
    );
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
