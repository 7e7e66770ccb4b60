//! The fixed binary parts, and what is derived and kept for ever.

use bytes::Bytes;
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::room_message::{Base, RoomMessage, SnapshotHead};
use rejoin_protocol::wire::{Reader, VARINT_MAX, put_varint};
use rejoin_protocol::{CloseReason, Limit, RequestId, Rng, RoomId, SeatId, snapshot};

use crate::golden::{Vectors, golden, vectors};

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
        (
            "missed",
            RoomMessage::Missed {
                seat: SeatId(3),
                number: 744,
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
fn close_reasons_keep_their_bytes() {
    let limits = Limit::ALL.map(CloseReason::OverLimit);
    let reasons: Vec<_> = CloseReason::PLAIN.into_iter().chain(limits).collect();
    let bytes = |reason: &CloseReason| {
        let mut bytes = Vec::new();
        reason.write(&mut bytes);
        (reason.to_string(), bytes)
    };
    let stored = golden(
        "close-reasons",
        "Why a connection ends, as its close frame tells it.",
        reasons.iter().map(bytes).collect(),
    );
    for reason in reasons {
        let bytes = &stored[&reason.to_string()];
        assert_eq!(CloseReason::read(&mut Reader::new(bytes)), Ok(reason));
    }
}

#[test]
fn snapshot_heads_keep_their_bytes() {
    let full = SnapshotHead {
        sequence: 44,
        base: None,
        tick: 9,
        cursor: 7,
        private: false,
    };
    let base = |sequence, check| Base { sequence, check };
    let heads = [
        ("full", full),
        (
            "delta",
            SnapshotHead {
                base: Some(base(41, 0xdead_beef)),
                ..full
            },
        ),
        (
            "private delta",
            SnapshotHead {
                sequence: 70_000,
                base: Some(base(1, 5)),
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
fn deltas_of_moved_bytes_and_of_values_keep_their_bytes() {
    let base: Vec<u8> = (0..100).collect();
    let moved = [&[7; 3], base.as_slice()].concat();
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    // {"hp": 100, "units": [[1, 2], [3, 4]], "x": 1.5}, and {"hp": 98, "units": [[1, 2], [9, 4], [3, 5]], "x": 1.75}.
    let values = hex("83a2687064a5756e69747392920102920304a178ca3fc00000");
    let became = hex("83a2687062a5756e69747393920102920904920305a178ca3fe00000");
    let by = |codec, base: &[u8], view: &[u8]| {
        let delta = snapshot::delta_by(codec, base, view).expect("it is shorter");
        assert_eq!(snapshot::apply(base, &delta, 200).as_deref(), Ok(view));
        delta.to_vec()
    };
    let dictionary = by(snapshot::Codec::Dictionary, &base, &moved);
    let changed = by(snapshot::Codec::Values, &values, &became);
    let ours = Vectors::from([
        ("moved view".to_owned(), moved.clone()),
        ("moved delta".to_owned(), dictionary),
        ("values base".to_owned(), values.clone()),
        ("values view".to_owned(), became.clone()),
        ("values delta".to_owned(), changed),
    ]);
    let stored = golden(
        "snapshot-codecs",
        "Deltas by the other codecs: of moved bytes against 0, 1, .. 99, and of MessagePack values.",
        ours,
    );
    for (base, view, delta) in [
        (&base, &moved, "moved delta"),
        (&values, &became, "values delta"),
    ] {
        let made = snapshot::apply(base, &stored[delta], 200);
        assert_eq!(made.as_ref(), Ok(view), "{delta}");
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
        ("room id", RoomId::of("duel", RequestId([7; 16])).0.to_vec()),
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
