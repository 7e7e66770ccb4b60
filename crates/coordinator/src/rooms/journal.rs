//! The bytes of one journal record: a room's share of one turn.
//!
//! ```text
//! record    room time in microseconds, varint | entries, to the end
//! entry     kind 1 | fields
//!   1 open    kind text | version varint | seed 32 | spec, MessagePack in a bytes field
//!   2 admit   session 16 | incarnation varint | name text | claims bytes | stay 8
//!             | wanted: 0, or 1 and a stay 8
//!   3 seat    player 8 | change 1 | incarnation varint
//!   4 input   player 8 | number varint, 0: a latest input | payload bytes
//!   5 void    player 8 | number varint
//!   6 tick
//!   7 timers
//!   8 restored flags 1: rolled back 1, rebuilt 2 | views varint
//!   9 ahead   player 8 | input varint | event varint
//!  10 asleep  until, seconds since 1970, varint | code text, empty: none
//! text, bytes   length varint | bytes
//! ```
//!
//! Stored journals outlive a build, so a number here is never given another meaning. A kind that is not in the list is of a
//! later version. Golden records are in `tests/vectors`.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::message::SeatChange;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::wire::{Malformed, Reader, VARINT_MAX, put_varint};
use rejoin_protocol::{Incarnation, PlayerId, SessionId, Stay};
use rejoin_room::Receipt;

use super::entry::{Applicant, Entry, Opening, Sleep};
use crate::limits::ROOM_ENTRIES_MAX;

const OPEN: u8 = 1;
const ADMIT: u8 = 2;
const SEAT: u8 = 3;
const INPUT: u8 = 4;
const VOID: u8 = 5;
const TICK: u8 = 6;
const TIMERS: u8 = 7;
const RESTORED: u8 = 8;
const AHEAD: u8 = 9;
const ASLEEP: u8 = 10;

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// The bytes are not ours.
    #[error("malformed")]
    Malformed,
    /// It holds a call that this version does not know.
    #[error(
        "it holds a call of kind {0}, this build reads 1 to {ASLEEP}: a later version wrote it"
    )]
    Later(u8),
}

impl From<Malformed> for RecordError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Room time of all its calls.
    pub(crate) at: Duration,
    /// The calls, in order.
    pub(crate) entries: Vec<Entry>,
}

/// Appends a record. `at` counts in whole microseconds.
pub(crate) fn encode<'a>(
    at: Duration,
    entries: impl Iterator<Item = &'a Entry>,
    out: &mut Vec<u8>,
) {
    let micros = u64::try_from(at.as_micros()).unwrap_or(VARINT_MAX);
    put_varint(out, micros.min(VARINT_MAX));
    for entry in entries {
        encode_entry(entry, out);
    }
}

/// Reads a record; payloads are not copied.
///
/// # Errors
/// The bytes are cut short, of an unknown kind, or too many.
pub(crate) fn decode(body: &Bytes) -> Result<Record, RecordError> {
    let mut reader = Reader::new(body);
    let at = Duration::from_micros(reader.varint()?);
    let mut entries = Vec::new();
    while !reader.is_empty() {
        if entries.len() >= ROOM_ENTRIES_MAX {
            return Err(RecordError::Malformed);
        }
        let kind = reader.byte()?;
        if kind > ASLEEP {
            return Err(RecordError::Later(kind));
        }
        entries.push(decode_entry(kind, &mut reader, body)?);
    }
    Ok(Record { at, entries })
}

fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Open(opening) => {
            out.push(OPEN);
            put_bytes(out, opening.kind.as_bytes());
            put_varint(out, u64::from(opening.version));
            out.extend_from_slice(&opening.seed);
            let spec = messagepack::encode(&opening.spec).expect("our own types can be written");
            put_bytes(out, &spec);
        }
        Entry::Admit { applicant, stay } => {
            out.push(ADMIT);
            out.extend_from_slice(&applicant.session.0);
            put_varint(out, u64::from(applicant.incarnation.0));
            put_bytes(out, applicant.name.as_bytes());
            put_bytes(out, &applicant.claims);
            put_stay(out, *stay);
            out.push(u8::from(applicant.returns.is_some()));
            if let Some(wanted) = applicant.returns {
                put_stay(out, wanted);
            }
        }
        Entry::Seat {
            player,
            change,
            incarnation,
        } => {
            out.push(SEAT);
            put_player(out, *player);
            out.push(change_number(*change));
            put_varint(out, u64::from(incarnation.0));
        }
        Entry::Input {
            player,
            number,
            payload,
        } => {
            out.push(INPUT);
            put_player(out, *player);
            put_varint(out, number.unwrap_or(0));
            put_bytes(out, payload);
        }
        Entry::Void { player, number } => {
            out.push(VOID);
            put_player(out, *player);
            put_varint(out, *number);
        }
        Entry::Tick => out.push(TICK),
        Entry::Timers => out.push(TIMERS),
        Entry::Restored { receipt, views } => {
            let rebuilt = u8::from(receipt.rebuilt) << 1;
            out.extend_from_slice(&[RESTORED, u8::from(receipt.rolled_back) | rebuilt]);
            put_varint(out, *views);
        }
        Entry::Asleep(sleep) => {
            out.push(ASLEEP);
            put_varint(out, sleep.until_unix_s.min(VARINT_MAX));
            let code = sleep.code.map(|code| code.to_string()).unwrap_or_default();
            put_bytes(out, code.as_bytes());
        }
        Entry::Ahead {
            player,
            input,
            event,
        } => {
            out.push(AHEAD);
            put_player(out, *player);
            put_varint(out, *input);
            put_varint(out, *event);
        }
    }
}

fn decode_entry(kind: u8, reader: &mut Reader<'_>, body: &Bytes) -> Result<Entry, Malformed> {
    match kind {
        OPEN => Ok(Entry::Open(Box::new(Opening {
            kind: text(reader)?,
            version: small(reader)?,
            seed: reader.array()?,
            spec: messagepack::decode(bytes(reader)?, Bounds::PEER).map_err(|_| Malformed)?,
        }))),
        ADMIT => decode_admit(reader),
        SEAT => Ok(Entry::Seat {
            player: player(reader)?,
            change: change(reader.byte()?)?,
            incarnation: Incarnation(small(reader)?),
        }),
        INPUT => Ok(Entry::Input {
            player: player(reader)?,
            number: Some(reader.varint()?).filter(|number| *number > 0),
            payload: body.slice_ref(bytes(reader)?),
        }),
        VOID => Ok(Entry::Void {
            player: player(reader)?,
            number: reader.varint()?,
        }),
        TICK => Ok(Entry::Tick),
        TIMERS => Ok(Entry::Timers),
        RESTORED => match reader.byte()? {
            flags @ 0..4 => Ok(Entry::Restored {
                receipt: Receipt::new(flags & 1 != 0, flags & 2 != 0),
                views: reader.varint()?,
            }),
            _ => Err(Malformed),
        },
        ASLEEP => decode_sleep(reader).map(Entry::Asleep),
        AHEAD => Ok(Entry::Ahead {
            player: player(reader)?,
            input: reader.varint()?,
            event: reader.varint()?,
        }),
        _ => Err(Malformed),
    }
}

fn decode_admit(reader: &mut Reader<'_>) -> Result<Entry, Malformed> {
    let mut applicant = Box::new(Applicant {
        session: SessionId(reader.array()?),
        incarnation: Incarnation(small(reader)?),
        name: text(reader)?,
        claims: bytes(reader)?.to_vec(),
        returns: None,
    });
    let begins = stay(reader)?;
    if truth(reader)? {
        applicant.returns = Some(stay(reader)?);
    }
    Ok(Entry::Admit {
        applicant,
        stay: begins,
    })
}

fn decode_sleep(reader: &mut Reader<'_>) -> Result<Sleep, Malformed> {
    let until_unix_s = reader.varint()?;
    let code = text(reader)?;
    let code = (!code.is_empty()).then(|| code.parse().map_err(|_| Malformed));
    Ok(Sleep {
        until_unix_s,
        code: code.transpose()?,
    })
}

/// How a room sleeps, if that is all that a record says.
pub(crate) fn sleep_of(body: &Bytes) -> Option<Sleep> {
    match decode(body).ok()?.entries.as_slice() {
        [Entry::Asleep(sleep)] => Some(*sleep),
        _ => None,
    }
}

fn put_player(out: &mut Vec<u8>, player: PlayerId) {
    out.extend_from_slice(&player.0.to_be_bytes());
}

/// Appends a stay.
pub(crate) fn put_stay(out: &mut Vec<u8>, stay: Stay) {
    out.extend_from_slice(&stay.0.to_be_bytes());
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(
        out,
        u64::try_from(bytes.len()).expect("a length in memory fits 64 bits"),
    );
    out.extend_from_slice(bytes);
}

fn player(reader: &mut Reader<'_>) -> Result<PlayerId, Malformed> {
    Ok(PlayerId(u64::from_be_bytes(reader.array()?)))
}

/// Reads a stay.
pub(crate) fn stay(reader: &mut Reader<'_>) -> Result<Stay, Malformed> {
    Ok(Stay(u64::from_be_bytes(reader.array()?)))
}

/// Reads a length and as many bytes.
pub(crate) fn bytes<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
    reader.take(len)
}

/// Reads a text of at most what follows.
pub(crate) fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    Ok(std::str::from_utf8(bytes(reader)?)
        .map_err(|_| Malformed)?
        .to_owned())
}

/// Reads a byte that is one or zero.
pub(crate) fn truth(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

/// Reads a varint of 32 bits.
pub(crate) fn small(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    u32::try_from(reader.varint()?).map_err(|_| Malformed)
}

const fn change_number(change: SeatChange) -> u8 {
    match change {
        SeatChange::Joined => 0,
        SeatChange::Suspect => 1,
        SeatChange::Detached => 2,
        SeatChange::Returned => 3,
        SeatChange::Left => 4,
        SeatChange::Loading => 5,
    }
}

const fn change(number: u8) -> Result<SeatChange, Malformed> {
    match number {
        0 => Ok(SeatChange::Joined),
        1 => Ok(SeatChange::Suspect),
        2 => Ok(SeatChange::Detached),
        3 => Ok(SeatChange::Returned),
        4 => Ok(SeatChange::Left),
        5 => Ok(SeatChange::Loading),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests;
