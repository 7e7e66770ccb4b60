//! The table of frame types: which there are, what each is called, and who asks for an acknowledgement.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::PacketError;
use rejoin_protocol::limits::ACK_DELAY_MAX;

use super::page::{page, table};
use crate::frames::settled;
use crate::golden::stored;

/// What a connection makes of a packet with one frame, and whether it acknowledges it in time.
fn told(frame: &[u8]) -> (Result<(), PacketError>, bool) {
    let (mut client, mut server, now) = settled();
    // So that there is something to acknowledge.
    for _ in 0..8 {
        server.connection.send_control(Bytes::new()).unwrap();
        server.send(now).unwrap();
    }
    let taken = server
        .connection
        .handle_datagram(&mut client.forge(frame), now);
    let later = now + ACK_DELAY_MAX + Duration::from_millis(1);
    let answer = server.send(later).map(|(_, frames)| frames);
    // An acknowledgement stands first.
    (
        taken,
        answer.is_some_and(|frames| frames.first() == Some(&0x02)),
    )
}

fn type_of(text: &str) -> u8 {
    u8::from_str_radix(text, 16).unwrap_or_else(|_| panic!("{text:?} is no type"))
}

#[test]
fn the_table_of_frames_is_what_a_connection_takes() {
    let page = page();
    let vectors = stored("frames");
    let mut listed = BTreeMap::new();
    for row in table(&page, &["type", "frame", "acknowledged", "example"]) {
        let [kind, _, acknowledged, example] = &row[..] else {
            panic!("a row has four cells: {row:?}")
        };
        let kind = type_of(kind);
        let frame = vectors
            .get(example)
            .unwrap_or_else(|| panic!("no vector {example:?}"));
        assert_eq!(frame.first(), Some(&kind), "the type of {example}");
        let (taken, acked) = told(frame);
        assert_eq!(taken, Ok(()), "{example}");
        assert_eq!(acknowledged, if acked { "yes" } else { "no" }, "{example}");
        assert_eq!(
            listed.insert(kind, example.clone()),
            None,
            "{kind:#x} twice"
        );
    }
    for kind in 0..=u8::MAX {
        let unknown = told(&[kind]).0 == Err(PacketError::Violation("unknown frame"));
        assert_eq!(listed.contains_key(&kind), !unknown, "type {kind:#x}");
    }
    let mut shown: Vec<_> = listed.into_values().collect();
    shown.sort();
    let mut twice = vectors.into_keys().filter(|name| !shown.contains(name));
    assert_eq!(twice.next().as_deref(), Some("close, over a limit"));
    assert_eq!(twice.next().as_deref(), Some("loaded"));
    assert_eq!(twice.next(), None);
}
