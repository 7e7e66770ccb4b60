//! Parsers that can be reached without looking inside of a crate.

use std::sync::LazyLock;

use rejoin_client::ServerAddress;
use rejoin_protocol::fuzzing::Target;
use rejoin_room::builtin::arena::Arena;
use rejoin_room::builtin::chat::Chat;
use rejoin_room::{Kinds, RoomInstance};

pub(crate) const TARGETS: [Target; 2] = [
    Target {
        name: "address",
        check: address,
    },
    Target {
        name: "room-instance",
        check: room_instance,
    },
];

static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::new().with::<Arena>().with::<Chat>());

fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<ServerAddress>() {
        Ok(address) => {
            assert!(!address.host.is_empty(), "a host has a name");
            let written = address.to_string();
            assert_eq!(written.parse(), Ok(address), "reads back as another");
        }
        Err(error) => assert!(!error.0.is_empty(), "an error says what is wrong"),
    }
}

/// The envelope and the state inside, as the first byte's kind.
fn room_instance(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let name = if first % 2 == 0 { "arena" } else { "chat" };
    let kind = KINDS.get(name).expect("both kinds are there");
    let Ok(room) = kind.restore(bytes) else {
        return;
    };
    let Some(written) = write(&*room) else { return };
    let again = kind
        .restore(&written)
        .expect("what was written can be read");
    assert_eq!(again.members(), room.members());
    assert_eq!((again.tick(), again.now()), (room.tick(), room.now()));
    assert_eq!(again.next_timer(), room.next_timer());
    assert_eq!(again.spec(), room.spec());
    assert_eq!(write(&*again), Some(written), "reads back as another room");
}

/// `None` if the state became too long, since names took the place of order.
fn write(room: &dyn RoomInstance) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    room.checkpoint(&mut out).ok()?;
    Some(out)
}
