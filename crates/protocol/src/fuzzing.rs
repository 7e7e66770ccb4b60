//! Every parser of this crate as a function over any bytes, for generated inputs and fuzzers.
//!
//! Called by `rejoin-fuzzing` alone; built with the feature `fuzzing`. Each function panics if
//! something does not hold that must hold for every input: what was read is written and read
//! again as the same, readers take no more than there is, results keep within their bounds.
//! What must be seen from inside stands in `fuzzing` modules beside the parsers.

use bytes::Bytes;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::limits::{HEADER_MAX, MESSAGEPACK_ITEMS_MAX};
use crate::message::{ClientMessage, RoomSettings, ServerMessage};
use crate::messagepack::{self, Bounds, DecodeError};
use crate::packet::{Header, NUMBER_MAX};
use crate::refusal::Refusal;
use crate::room_message::{RoomMessage, SnapshotHead};
use crate::wire::{Reader, VARINT_MAX, put_varint, varint_len};
use crate::{connection, handshake, reset, snapshot};

/// A parser and what must hold for whatever it is given.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Names the folder of its corpus and its fuzz target.
    pub name: &'static str,
    /// Panics if something does not hold.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 18] = [
    target("varint", varints),
    target("header", header),
    target("frames", connection::fuzzing::frames),
    target("hello", handshake::fuzzing::hello),
    target("permit", handshake::fuzzing::permit),
    target("grant", handshake::fuzzing::grant),
    target("ticket", handshake::fuzzing::ticket),
    target("bearer", handshake::fuzzing::bearer),
    target("offer", handshake::fuzzing::offer),
    target("reply", handshake::fuzzing::reply),
    target("verdict", handshake::fuzzing::verdict),
    target("reset", reset),
    target("guard", guard),
    target("client-message", client_message),
    target("server-message", server_message),
    target("room-message", room_message),
    target("snapshot-head", snapshot_head),
    target("snapshot-delta", snapshot_delta),
];

/// One type of MessagePack that travels.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// The type.
    pub name: &'static str,
    /// Who writes it.
    pub sender: Sender,
    /// Decodes and forgets; true if the bytes are such a message.
    pub decode: fn(&[u8]) -> bool,
}

/// Who writes a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Anyone who can reach a server.
    Client,
    /// A server whose key the client has pinned.
    Server,
}

/// All of them.
pub const DECODERS: [Decoder; 4] = [
    decoder::<ClientMessage>("client-message", Sender::Client),
    decoder::<ServerMessage>("server-message", Sender::Server),
    handshake::fuzzing::OFFER,
    handshake::fuzzing::VERDICT,
];

pub(crate) const fn decoder<T: DeserializeOwned>(name: &'static str, sender: Sender) -> Decoder {
    Decoder {
        name,
        sender,
        decode: |bytes| messagepack::decode::<T>(bytes, Bounds::CONTROL).is_ok(),
    }
}

const fn target(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, check }
}

/// What a value may become when it is written again: names take the place of numbers and order,
/// so that it has more values than what was read.
const REWRITTEN: Bounds = Bounds {
    items: 4 * MESSAGEPACK_ITEMS_MAX,
    ..Bounds::CONTROL
};

/// Longest view in [`snapshot_delta`]: short, so that many are tried.
const VIEW_MAX: usize = 4_096;

/// Decodes a peer's message; whatever is accepted must be written and read again as the same.
pub(crate) fn message<T>(bytes: &[u8]) -> Option<T>
where
    T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug,
{
    let message: T = messagepack::decode(bytes, Bounds::CONTROL).ok()?;
    let written = messagepack::encode(&message).expect("what was read can be written");
    let again = messagepack::decode(&written, REWRITTEN).expect("what was written can be read");
    assert_eq!(message, again, "reads back as another message");
    Some(message)
}

fn varints(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    loop {
        let before = reader.rest().len();
        let Ok(value) = reader.varint() else {
            assert!(before < 8, "only a number that is cut short is malformed");
            return;
        };
        assert!(value <= VARINT_MAX, "62 bits");
        let taken = before - reader.rest().len();
        let mut written = Vec::new();
        put_varint(&mut written, value);
        assert!(written.len() <= taken, "the shortest form is written");
        assert_eq!(written.len(), varint_len(value));
        let mut again = Reader::new(&written);
        assert_eq!(again.varint(), Ok(value), "reads back as another number");
        assert!(again.is_empty(), "exactly the number is read");
    }
}

fn header(bytes: &[u8]) {
    let Ok((header, len)) = Header::decode(bytes) else {
        return;
    };
    assert!(len <= HEADER_MAX, "a header is bounded");
    let mut written = Vec::new();
    assert_eq!(header.encode(&mut written), len, "its length is its own");
    assert!(bytes.starts_with(&written), "reads back as another header");
    let (_, rest) = bytes.split_at(len);
    if let Some(expected) = rest.first_chunk() {
        let number = header.number.expand(u64::from_be_bytes(*expected));
        assert!(
            number.is_none_or(|number| number <= NUMBER_MAX),
            "a number keeps within its range"
        );
    }
}

fn reset(bytes: &[u8]) {
    if let Some((connection, token)) = reset::decode(bytes) {
        let written = reset::encode(connection, token);
        assert_eq!(written.as_slice(), bytes, "reads back as another reset");
    }
}

fn guard(bytes: &[u8]) {
    let outcome = messagepack::guard(bytes, Bounds::PEER);
    // Whatever the guard says, serde may be asked too and must not panic.
    let skipped = messagepack::decode::<IgnoredAny>(bytes, Bounds::PEER);
    let Ok(()) = outcome else {
        assert!(skipped.is_err(), "nothing is decoded that was not admitted");
        return;
    };
    if let Some((_, front)) = bytes.split_last() {
        let cut = messagepack::guard(front, Bounds::PEER);
        assert_eq!(cut, Err(DecodeError::Truncated), "a value has one end");
    }
    let longer = [bytes, &[0xc0]].concat();
    let trailing = messagepack::guard(&longer, Bounds::PEER);
    assert_eq!(trailing, Err(DecodeError::Trailing), "a value has one end");
}

fn client_message(bytes: &[u8]) {
    let Some(message) = message::<ClientMessage>(bytes) else {
        return;
    };
    if let ClientMessage::Create { kind, settings, .. } = &message {
        check_settings(kind, settings);
    }
    if let ClientMessage::JoinOrCreate {
        kind,
        settings,
        filters,
        ..
    } = &message
    {
        check_settings(kind, settings);
        let fits = filters
            .iter()
            .all(|filter| filter.matches(&settings.metadata));
        assert!(
            !fits || filters.is_empty() || !settings.metadata.is_empty(),
            "a missing fact never matches"
        );
    }
}

fn check_settings(kind: &str, settings: &RoomSettings) {
    if let Err(error) = settings.check(kind) {
        let text = Refusal::from(error).text;
        assert!(text.ends_with("allowed"), "a refusal says why, uncut");
    }
}

fn server_message(bytes: &[u8]) {
    message::<ServerMessage>(bytes);
}

fn room_message(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(message) = RoomMessage::decode(&bytes) {
        let written = message.encode();
        assert!(written.len() <= bytes.len(), "the shortest form is written");
        assert_eq!(RoomMessage::decode(&written), Ok(message));
    }
}

fn snapshot_head(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    if let Ok(head) = SnapshotHead::decode(&mut reader) {
        assert!(head.base.is_none_or(|base| base.sequence < head.sequence));
        let mut written = Vec::new();
        head.encode(&mut written);
        assert!(written.len() <= bytes.len() - reader.rest().len());
        assert_eq!(SnapshotHead::decode(&mut Reader::new(&written)), Ok(head));
    }
}

/// Two bytes say how much of the rest is the base.
fn snapshot_delta(bytes: &[u8]) {
    let Some((len, rest)) = bytes.split_first_chunk() else {
        return;
    };
    let len = usize::from(u16::from_be_bytes(*len)) % (rest.len() + 1);
    let (base, delta) = rest.split_at(len);
    let Ok(view) = snapshot::apply(base, delta, VIEW_MAX) else {
        return;
    };
    assert!(view.len() <= VIEW_MAX, "a view keeps within its bound");
    for codec in snapshot::Codec::ALL {
        let Some(ours) = snapshot::delta_by(codec, base, &view) else {
            continue;
        };
        assert!(ours.len() < view.len(), "a delta is worth its bytes");
        let made = snapshot::apply(base, &ours, VIEW_MAX);
        assert_eq!(made.as_ref(), Ok(&view), "{codec:?}");
    }
}
