//! The tables of numbers and names: close reasons, limits, refusals, first bytes of datagrams.

use std::time::Duration;

use rejoin_protocol::limits::DATAGRAM_MAX;
use rejoin_protocol::wire::Reader;
use rejoin_protocol::{CloseReason, Limit};

use super::notation;
use super::page::{page, table};
use crate::golden::stored;

fn seconds(wait: Option<Duration>) -> String {
    wait.map_or("no".into(), |wait| format!("{} s", wait.as_secs()))
}

#[test]
fn close_reasons_are_listed() {
    let rows = table(&page(), &["reason", "name", "try again", "means"]);
    let ours = rows.iter().map(|row| row[..3].to_vec());
    let theirs = (0_u8..).zip(CloseReason::PLAIN).map(|(number, reason)| {
        let read = CloseReason::read(&mut Reader::new(&[number]));
        assert_eq!(read, Ok(reason));
        let name = format!("{reason:?}");
        vec![number.to_string(), name, seconds(reason.retry_after())]
    });
    let over = vec!["8".into(), "OverLimit".into(), "by the limit".to_owned()];
    assert!(ours.eq(theirs.chain([over])));
}

#[test]
fn limits_are_listed() {
    let rows = table(&page(), &["limit", "name", "try again", "of what"]);
    let theirs = Limit::ALL.map(|limit| {
        let wait = seconds(Some(limit.retry_after()));
        let (name, text) = (format!("{limit:?}"), limit.to_string());
        vec![limit.number().to_string(), name, wait, text]
    });
    assert_eq!(rows, theirs);
}

#[test]
fn refusal_codes_are_listed() {
    let rows = table(&page(), &["code", "when"]);
    let mut ours: Vec<_> = rows.iter().map(|row| format!("{:?}", row[0])).collect();
    let stored = stored("refusal-codes").into_values();
    let mut theirs: Vec<_> = stored.map(|bytes| notation::show(&bytes)).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

#[test]
fn datagrams_are_listed() {
    let rows = table(&page(), &["first byte", "datagram", "from", "length"]);
    let theirs = [
        ("join", "aes hello", "hello: join"),
        ("resume", "hello", "hello: resume"),
        ("cookie", "demand", "cookie demand"),
        ("version-refusal", "answer", "version refusal"),
        ("join", "aes reply welcome", "reply"),
        ("resume", "ticket refusal", "ticket refusal"),
        ("resume", "reset", "reset"),
    ];
    for (file, vector, name) in theirs {
        let datagram = &stored(file)[vector];
        let row = rows.iter().find(|row| row[1] == name);
        let row = row.unwrap_or_else(|| panic!("docs/protocol.md lacks {name:?}"));
        assert_eq!(row[0], format!("{:02x}", datagram[0]), "{name}");
        match row[3].as_str() {
            "below 1,200" => assert!(datagram.len() < DATAGRAM_MAX),
            len => assert_eq!(len.replace(',', ""), datagram.len().to_string(), "{name}"),
        }
    }
    assert_eq!(rows.len(), theirs.len() + 1, "data packets and no others");
}
