use proptest::collection::vec;
use proptest::prelude::*;
use rejoin_protocol::{RequestId, RoomId};
use rejoin_room::{MetadataValue, RoomSettings, RoomSpec};

use super::*;

fn opening(seed: u8) -> Entry {
    let settings = RoomSettings {
        members_max: 4,
        metadata: [("map".to_owned(), MetadataValue::Text("moon".into()))].into(),
        options: vec![seed; 3],
        private: true,
    };
    let room = RoomId::of("duel", RequestId([seed; 16]));
    let spec = RoomSpec {
        room,
        owner: PlayerId(7),
        settings,
        code: "K7QZ4M".parse().ok(),
    };
    Entry::Open(Box::new(Opening {
        kind: "duel".into(),
        version: 3,
        seed: [seed; 32],
        spec,
    }))
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let player = any::<u64>().prop_map(PlayerId);
    let number = 1..=VARINT_MAX;
    let change = (0_u8..5).prop_map(|number| change(number).unwrap());
    prop_oneof![
        any::<u8>().prop_map(opening),
        (
            any::<[u8; 16]>(),
            any::<u32>(),
            ".{0,8}",
            vec(any::<u8>(), 0..9),
            proptest::option::of(any::<u64>()),
            any::<u64>()
        )
            .prop_map(|(session, incarnation, name, claims, returns, stay)| {
                let applicant = Box::new(Applicant {
                    session: SessionId(session),
                    incarnation: Incarnation(incarnation),
                    name,
                    claims,
                    returns: returns.map(Stay),
                });
                let stay = Stay(stay);
                Entry::Admit { applicant, stay }
            }),
        (player.clone(), change, any::<u32>()).prop_map(|(player, change, incarnation)| {
            Entry::Seat {
                player,
                change,
                incarnation: Incarnation(incarnation),
            }
        }),
        (
            player.clone(),
            proptest::option::of(number.clone()),
            vec(any::<u8>(), 0..80)
        )
            .prop_map(|(player, number, payload)| {
                Entry::Input {
                    player,
                    number,
                    payload: payload.into(),
                }
            }),
        (player.clone(), number.clone())
            .prop_map(|(player, number)| Entry::Void { player, number }),
        (number.clone(), any::<bool>()).prop_map(|(until_unix_s, private)| {
            let code = private.then(|| "K7QZ4M".parse().unwrap());
            Entry::Asleep(Sleep { until_unix_s, code })
        }),
        Just(Entry::Tick),
        Just(Entry::Timers),
        (any::<bool>(), any::<bool>(), number.clone()).prop_map(|(rolled_back, rebuilt, views)| {
            let receipt = Receipt::new(rolled_back, rebuilt);
            Entry::Restored { receipt, views }
        }),
        (player, number.clone(), number).prop_map(|(player, input, event)| Entry::Ahead {
            player,
            input,
            event,
        }),
    ]
}

proptest! {
    #[test]
    fn records_read_back_what_was_written(
        micros in 0..=VARINT_MAX,
        entries in vec(any_entry(), 0..12),
    ) {
        let at = Duration::from_micros(micros);
        let mut body = Vec::new();
        encode(at, entries.iter(), &mut body);
        prop_assert_eq!(decode(&body.into()), Ok(Record { at, entries }));
    }

    #[test]
    fn a_cut_record_never_reads_as_more(entries in vec(any_entry(), 1..4), cut in 1_usize..40) {
        let mut body = Vec::new();
        encode(Duration::ZERO, entries.iter(), &mut body);
        body.truncate(body.len().saturating_sub(cut));
        if let Ok(record) = decode(&body.into()) {
            prop_assert!(record.entries.len() < entries.len());
            prop_assert!(entries.starts_with(&record.entries));
        }
    }

    #[test]
    fn any_bytes_decode_or_fail(body in vec(any::<u8>(), 0..200)) {
        drop(decode(&body.into()));
    }
}

#[test]
fn the_bytes_stay_the_same_for_ever() {
    let player = PlayerId(0x0102_0304_0506_0708);
    let entries = [
        Entry::Input {
            player,
            number: Some(300),
            payload: Bytes::from_static(b"hi"),
        },
        Entry::Input {
            player,
            number: None,
            payload: Bytes::new(),
        },
        Entry::Seat {
            player,
            change: SeatChange::Detached,
            incarnation: Incarnation(2),
        },
        Entry::Void { player, number: 5 },
        Entry::Tick,
        Entry::Timers,
    ];
    let mut body = Vec::new();
    encode(Duration::from_micros(1_000_000), entries.iter(), &mut body);
    let id = [1, 2, 3, 4, 5, 6, 7, 8];
    let expected = [
        [0x80, 0x0f, 0x42, 0x40].as_slice(),
        &[4],
        &id,
        &[0x41, 0x2c, 2, b'h', b'i'],
        &[4],
        &id,
        &[0, 0],
        &[3],
        &id,
        &[2, 2],
        &[5],
        &id,
        &[5],
        &[6, 7],
    ];
    assert_eq!(body, expected.concat());
}

#[test]
fn one_entry_beyond_the_bound_is_refused() {
    let mut body = vec![0];
    body.resize(1 + ROOM_ENTRIES_MAX, TICK);
    assert_eq!(
        decode(&body.clone().into()).map(|r| r.entries.len()),
        Ok(ROOM_ENTRIES_MAX)
    );
    body.push(TICK);
    assert_eq!(decode(&body.into()), Err(RecordError::Malformed));
}
