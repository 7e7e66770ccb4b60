//! Golden checkpoints and journal records: what a release wrote, every later one reads.
//!
//! ```text
//! checkpoint-1.hex       of format 1, which is written no more
//! checkpoint-2.hex       of the present format
//! journal-records.hex    a record of each kind of call
//! ```

mod migration;
mod vault;
#[path = "../../../../tests/vectors/golden.rs"]
mod vectors;

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::message::SeatChange;
use rejoin_protocol::{Incarnation, Liveness, Stay};
use rejoin_room::{Kind, Kinds, Receipt};
use vault::{Coins, Vault, admit, calls, input, opening, session};
use vectors::{golden, stored, vectors};

use super::checkpoint::{self, CheckpointError, Reach};
use super::durable::Durable;
use super::entry::{Entry, Sleep};
use super::journal::{self, Record, RecordError};
use super::replay;
use super::seat::{SETTLED, Seat};

/// What both formats hold: all that was called, and an event that was acknowledged.
fn room() -> Durable {
    let kinds = Kinds::new().with::<Vault>();
    let mut room = None;
    for (at, call) in calls() {
        replay::advance(&mut room, &kinds, at, &call).unwrap();
    }
    let mut room: Durable = room.unwrap();
    seat_mut(&mut room, 1).events.on_acked(1);
    room
}

/// The same, with what format 1 has no place for.
fn room_of_now() -> Durable {
    let mut room = room();
    room.views_from = 70_000;
    seat_mut(&mut room, 2).rolled_to = Some(2);
    seat_mut(&mut room, 3).rolled_to = Some(SETTLED);
    seat_mut(&mut room, 3).inputs_lost = 20_000;
    room
}

fn seat_mut(room: &mut Durable, number: u8) -> &mut Seat {
    room.seats.get_mut(&session(number).player()).unwrap()
}

fn written(room: &Durable) -> Vec<u8> {
    let mut out = Vec::new();
    checkpoint::encode(room, &Kind::of::<Vault>(), Reach::default(), &mut out).unwrap();
    out
}

/// The checkpoint of a file.
pub(super) fn of_format(format: u8) -> Vec<u8> {
    let file = stored(&format!("checkpoint-{format}"));
    file.get("vault").unwrap().clone()
}

#[test]
fn a_checkpoint_is_written_as_ever() {
    let about =
        "A checkpoint of format 2: the room of crates/coordinator/src/rooms/golden/vault.rs.";
    let ours = vectors([("vault", written(&room_of_now()))]);
    golden("checkpoint-2", about, ours);
}

#[test]
fn checkpoints_of_both_formats_read_as_what_was_written() {
    let kinds = Kinds::new().with::<Vault>();
    for (format, expected) in [(1, room()), (2, room_of_now())] {
        let read = checkpoint::decode(&of_format(format), &kinds).unwrap();
        assert_eq!(read.seats, expected.seats, "format {format}");
        assert_eq!(read.views_from, expected.views_from);
        // All else, in the present format.
        assert_eq!(written(&read), written(&expected), "format {format}");
    }
    let [ana, bob, cid, dee] = [1, 2, 3, 4].map(|number| seat_mut(&mut room(), number).clone());
    assert_eq!((ana.name.as_str(), ana.cursor), ("ana", 300));
    assert_eq!((ana.events.newest(), ana.events.acked()), (2, 1));
    assert_eq!(bob.events.kept().len(), 3, "one is for bob alone");
    let presences = [ana, bob, cid, dee].map(|seat| seat.presence);
    let all = [
        Liveness::Live,
        Liveness::Suspect,
        Liveness::Detached,
        Liveness::Loading,
    ];
    assert_eq!(presences, all);
}

#[test]
fn what_a_later_version_wrote_is_refused_with_its_number() {
    let kinds = Kinds::new().with::<Vault>();
    let mut later = of_format(2);
    later[0] = 3;
    let refused = checkpoint::decode(&later, &kinds).unwrap_err();
    assert_eq!(refused, CheckpointError::Later(3));
    let told = "the checkpoint is of format 3, this build reads 1 and 2: a later version wrote it";
    assert_eq!(refused.to_string(), told);
    later[0] = 0;
    let refused = checkpoint::decode(&later, &kinds).unwrap_err();
    assert_eq!(refused, CheckpointError::Malformed);

    let refused = journal::decode(&Bytes::from_static(&[0, 6, 11])).unwrap_err();
    assert_eq!(refused, RecordError::Later(11));
    let told = "it holds a call of kind 11, this build reads 1 to 10: a later version wrote it";
    assert_eq!(refused.to_string(), told);
}

/// A record of each kind of call, and of each form of it.
fn records() -> Vec<(&'static str, Vec<Entry>)> {
    let player = session(1).player();
    let seat = |change| {
        let incarnation = Incarnation(70_000);
        vec![Entry::Seat {
            player,
            change,
            incarnation,
        }]
    };
    let restored = |rolled_back, rebuilt| {
        let receipt = Receipt::new(rolled_back, rebuilt);
        let views = if rolled_back { 70_000 } else { 0 };
        vec![Entry::Restored { receipt, views }]
    };
    let asleep = |code: Option<&str>| {
        let code = code.map(|code| code.parse().unwrap());
        let until_unix_s = 1_800_000_000;
        vec![Entry::Asleep(Sleep { until_unix_s, code })]
    };
    let (input_is, event_is) = (20_000, 3);
    vec![
        ("open", vec![opening(None)]),
        ("open-private", vec![opening(Some("K7QZ4M"))]),
        ("admit", vec![admit(1, "ana", None)]),
        ("admit-returning", vec![admit(1, "ana", Some(Stay(5)))]),
        ("seat-joined", seat(SeatChange::Joined)),
        ("seat-suspect", seat(SeatChange::Suspect)),
        ("seat-detached", seat(SeatChange::Detached)),
        ("seat-returned", seat(SeatChange::Returned)),
        ("seat-left", seat(SeatChange::Left)),
        ("seat-loading", seat(SeatChange::Loading)),
        ("input-reliable", vec![input(1, Some(300), 5)]),
        ("input-latest", vec![input(1, None, 5)]),
        ("void", vec![Entry::Void { player, number: 9 }]),
        ("tick", vec![Entry::Tick]),
        ("timers", vec![Entry::Timers]),
        ("restored", restored(false, false)),
        ("restored-rolled-back", restored(true, false)),
        ("restored-rebuilt", restored(false, true)),
        ("restored-both", restored(true, true)),
        (
            "ahead",
            vec![Entry::Ahead {
                player,
                input: input_is,
                event: event_is,
            }],
        ),
        ("asleep", asleep(None)),
        ("asleep-private", asleep(Some("K7QZ4M"))),
        (
            "turn",
            vec![input(1, Some(1), 2), input(2, None, 3), Entry::Tick],
        ),
    ]
}

#[test]
fn records_keep_their_bytes() {
    let at = Duration::from_micros(1_234_567);
    let ours = records().into_iter().map(|(name, entries)| {
        let mut body = Vec::new();
        journal::encode(at, entries.iter(), &mut body);
        (name.to_owned(), body)
    });
    let stored = golden("journal-records", "Records of a journal.", ours.collect());
    for (name, entries) in records() {
        let body = Bytes::from(stored.get(name).unwrap().clone());
        assert_eq!(journal::decode(&body), Ok(Record { at, entries }), "{name}");
    }
}

/// A state of the golden room.
fn coins(room: &Durable) -> Coins {
    let mut view = Vec::new();
    room.instance.view(&mut view).unwrap();
    vault::read(&view)
}
