//! What a shard reads back from its store, as functions over any bytes.
//!
//! Called by `rejoin-fuzzing` alone; built with the feature `fuzzing`. Each function panics if
//! something does not hold that must hold for every input.

use std::sync::LazyLock;

use bytes::Bytes;
use rejoin_protocol::fuzzing::Target;
use rejoin_room::Kinds;
use rejoin_room::builtin::arena::Arena;
use rejoin_room::builtin::chat::Chat;

use crate::limits::ROOM_ENTRIES_MAX;
use crate::rooms::durable::Durable;
use crate::rooms::{checkpoint, journal};

/// All of them.
pub const TARGETS: [Target; 2] = [
    Target {
        name: "journal-record",
        check: journal_record,
    },
    Target {
        name: "room-checkpoint",
        check: room_checkpoint,
    },
];

static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::new().with::<Arena>().with::<Chat>());

fn journal_record(bytes: &[u8]) {
    let Ok(record) = journal::decode(&Bytes::copy_from_slice(bytes)) else {
        return;
    };
    assert!(record.entries.len() <= ROOM_ENTRIES_MAX);
    assert!(record.entries.len() < bytes.len(), "a call takes a byte");
    let mut written = Vec::new();
    journal::encode(record.at, record.entries.iter(), &mut written);
    assert_eq!(journal::decode(&written.into()), Ok(record));
}

fn room_checkpoint(bytes: &[u8]) {
    let Ok(room) = checkpoint::decode(bytes, &KINDS) else {
        return;
    };
    assert!(
        room.seats.len() * 16 <= bytes.len(),
        "a seat takes the bytes of its session"
    );
    let Some(written) = write(&room, bytes) else {
        return;
    };
    let again = checkpoint::decode(&written, &KINDS).expect("what was written can be read");
    assert_eq!(again.seats, room.seats, "reads back with other seats");
    assert_eq!(
        write(&again, &written),
        Some(written),
        "reads back as another room"
    );
}

/// `None` if the state became too long, since names took the place of order.
fn write(room: &Durable, from: &[u8]) -> Option<Vec<u8>> {
    let head = checkpoint::Head::of(from).expect("it was read before");
    let kind = KINDS.get(&head.kind).expect("it was found before");
    let mut out = Vec::new();
    checkpoint::encode(room, kind, checkpoint::Reach::default(), &mut out).ok()?;
    Some(out)
}
