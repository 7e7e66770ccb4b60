//! The bytes of a room's checkpoint: the table of seats and the instance's own checkpoint.
//!
//! ```text
//! format 2 | kind text | version varint | partial 1 | views varint | payloads varint | bytes* | seats varint | seat* | instance, to the end
//! seat      session 16 | stay 8 | incarnation varint | name text | claims bytes | cursor varint | events
//!           | presence 1 | rolled to varint: 0, or one more than the event | inputs lost varint
//! events    newest varint | acknowledged varint | kept varint | place of the payload varint*
//! ```
//!
//! It is partial if no journal follows it, so that more had happened. Format 1 has neither version, partial, views, rolled
//! to nor inputs lost. What was said to all members stands once among the payloads, and is shared again by who reads it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::wire::{Malformed, Reader, put_varint};
use rejoin_protocol::{Incarnation, Liveness, PlayerId, SessionId};
use rejoin_room::{Kind, Kinds, RoomFault};

use super::backlog::Backlog;
use super::by_player::ByPlayer;
use super::durable::Durable;
use super::journal::{bytes, put_bytes, put_stay, small, stay, text, truth};
use super::seat::Seat;
use crate::limits::EVENTS_KEPT_MAX;

/// A reader accepts this format and the one before. Golden checkpoints of both are in `tests/vectors`.
const FORMAT: u8 = 2;
const FORMAT_BEFORE: u8 = 1;

/// Why a checkpoint does not give a room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CheckpointError {
    /// The bytes are not ours.
    #[error("malformed checkpoint")]
    Malformed,
    /// They are of a format that this version does not know.
    #[error(
        "the checkpoint is of format {0}, this build reads {FORMAT_BEFORE} and {FORMAT}: a later version wrote it"
    )]
    Later(u8),
    /// This server has no such kind.
    #[error("no room logic of kind {0}")]
    UnknownKind(String),
    /// The kind cannot read its own part.
    #[error(transparent)]
    Room(#[from] RoomFault),
}

impl From<Malformed> for CheckpointError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// What a checkpoint says that the room does not know.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reach {
    /// So many more views have names.
    pub(crate) views: u64,
    /// Calls are made after it that nothing tells.
    pub(crate) partial: bool,
}

/// Appends a checkpoint of `room`.
///
/// # Errors
/// The room's state cannot be written.
pub(crate) fn encode(
    room: &Durable,
    kind: &Kind,
    reach: Reach,
    out: &mut Vec<u8>,
) -> Result<(), RoomFault> {
    out.push(FORMAT);
    put_bytes(out, kind.name.as_bytes());
    put_varint(out, u64::from(kind.version));
    out.push(u8::from(reach.partial));
    put_varint(out, room.views_from + reach.views);
    let payloads = Payloads::of(room);
    put_len(out, payloads.list.len());
    payloads
        .list
        .iter()
        .for_each(|payload| put_bytes(out, payload));
    put_len(out, room.seats.len());
    for seat in room.seats.values() {
        out.extend_from_slice(&seat.session.0);
        put_stay(out, seat.stay);
        put_varint(out, u64::from(seat.incarnation.0));
        put_bytes(out, seat.name.as_bytes());
        put_bytes(out, &seat.claims);
        put_varint(out, seat.cursor);
        put_varint(out, seat.events.newest());
        put_varint(out, seat.events.acked());
        put_len(out, seat.events.kept().len());
        for payload in seat.events.kept() {
            put_len(out, payloads.place(payload));
        }
        out.push(match seat.presence {
            Liveness::Live => 0,
            Liveness::Suspect => 1,
            Liveness::Detached => 2,
            Liveness::Loading => 3,
        });
        put_varint(out, seat.rolled_to.map_or(0, |event| event + 1));
        put_varint(out, seat.inputs_lost);
    }
    room.instance.checkpoint(out)
}

/// Restores the room of a checkpoint.
///
/// # Errors
/// See [`CheckpointError`].
pub(crate) fn decode(body: &[u8], kinds: &Kinds) -> Result<Durable, CheckpointError> {
    let Table {
        kind,
        seats,
        views_from,
        instance,
        ..
    } = decode_table(body)?;
    let kind = kinds.get(&kind).ok_or(CheckpointError::UnknownKind(kind))?;
    let instance = kind.restore(instance)?;
    if !instance.members().keys().eq(seats.keys()) {
        return Err(CheckpointError::Malformed);
    }
    Ok(Durable {
        instance,
        seats,
        views_from,
        ended: false,
    })
}

/// What a checkpoint says to who does not know the room's logic.
pub(crate) struct Table<'a> {
    pub(crate) kind: String,
    pub(crate) seats: ByPlayer<Seat>,
    views_from: u64,
    /// More had happened that is not stored.
    pub(crate) partial: bool,
    /// For the room's own kind.
    pub(crate) instance: &'a [u8],
}

/// Reads a checkpoint as far as it is the coordinator's.
///
/// # Errors
/// The bytes are not ours, or of another format.
pub(crate) fn decode_table(body: &[u8]) -> Result<Table<'_>, CheckpointError> {
    let mut reader = Reader::new(body);
    let Head {
        format,
        kind,
        partial,
        ..
    } = Head::read(&mut reader)?;
    let views_from = if format > FORMAT_BEFORE {
        reader.varint()?
    } else {
        0
    };
    let mut payloads = Vec::new();
    for _ in 0..reader.varint()? {
        // Copied, so that none keeps the whole checkpoint in memory.
        payloads.push(Bytes::copy_from_slice(bytes(&mut reader)?));
    }
    let mut seats = ByPlayer::default();
    for _ in 0..reader.varint()? {
        let (player, seat) = decode_seat(&mut reader, format, &payloads)?;
        seats.insert(player, seat);
    }
    let instance = reader.rest();
    Ok(Table {
        kind,
        seats,
        views_from,
        partial,
        instance,
    })
}

/// What a checkpoint says first.
pub(crate) struct Head {
    format: u8,
    /// Name of the room's kind.
    pub(crate) kind: String,
    /// Version of the logic that wrote it, if it says so.
    pub(crate) version: Option<u32>,
    /// More had happened that is not stored.
    pub(crate) partial: bool,
}

impl Head {
    /// The head of a checkpoint, without the rest.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub(crate) fn of(body: &[u8]) -> Result<Self, CheckpointError> {
        Self::read(&mut Reader::new(body))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CheckpointError> {
        let format = match reader.byte()? {
            0 => return Err(CheckpointError::Malformed),
            format @ FORMAT_BEFORE..=FORMAT => format,
            later => return Err(CheckpointError::Later(later)),
        };
        let kind = text(reader)?;
        let (version, partial) = match format {
            FORMAT_BEFORE => (None, false),
            _ => (Some(small(reader)?), truth(reader)?),
        };
        Ok(Self {
            format,
            kind,
            version,
            partial,
        })
    }
}

fn decode_seat(
    reader: &mut Reader<'_>,
    format: u8,
    payloads: &[Bytes],
) -> Result<(PlayerId, Seat), Malformed> {
    let session = SessionId(reader.array()?);
    let seat = Seat {
        session,
        stay: stay(reader)?,
        incarnation: Incarnation(small(reader)?),
        name: text(reader)?,
        claims: bytes(reader)?.to_vec(),
        cursor: match reader.varint()? {
            _ if planted::is(Bug::CursorForgotten) => 0,
            cursor => cursor,
        },
        events: decode_events(reader, payloads)?,
        presence: match reader.byte()? {
            0 => Liveness::Live,
            1 => Liveness::Suspect,
            2 => Liveness::Detached,
            3 => Liveness::Loading,
            _ => return Err(Malformed),
        },
        rolled_to: match format {
            FORMAT_BEFORE => None,
            _ => reader.varint()?.checked_sub(1),
        },
        inputs_lost: match format {
            FORMAT_BEFORE => 0,
            _ => reader.varint()?,
        },
    };
    Ok((session.player(), seat))
}

fn decode_events(reader: &mut Reader<'_>, payloads: &[Bytes]) -> Result<Backlog, Malformed> {
    let (newest, acked, count) = (reader.varint()?, reader.varint()?, reader.varint()?);
    if count > u64::try_from(EVENTS_KEPT_MAX).expect("the bound is small") {
        return Err(Malformed);
    }
    let mut kept = VecDeque::new();
    for _ in 0..count {
        let place = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
        kept.push_back(payloads.get(place).ok_or(Malformed)?.clone());
    }
    Backlog::restore(newest, acked, kept).ok_or(Malformed)
}

/// The payloads that the seats of a room keep, each once however many keep it.
struct Payloads<'a> {
    list: Vec<&'a Bytes>,
    places: BTreeMap<(usize, usize), usize>,
}

impl<'a> Payloads<'a> {
    fn of(room: &'a Durable) -> Self {
        let (mut list, mut places) = (Vec::new(), BTreeMap::new());
        for payload in room.seats.values().flat_map(|seat| seat.events.kept()) {
            places.entry(Self::name(payload)).or_insert_with(|| {
                list.push(payload);
                list.len() - 1
            });
        }
        Self { list, places }
    }

    fn place(&self, payload: &Bytes) -> usize {
        let place = self.places.get(&Self::name(payload));
        *place.expect("all payloads were listed")
    }

    /// Where it stands in memory. Nothing is nowhere.
    fn name(payload: &Bytes) -> (usize, usize) {
        match payload.len() {
            0 => (0, 0),
            len => (payload.as_ptr().addr(), len),
        }
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    put_varint(
        out,
        u64::try_from(len).expect("a length in memory fits 64 bits"),
    );
}

#[cfg(test)]
mod tests {
    use std::ptr;
    use std::time::Duration;

    use rejoin_protocol::messagepack;
    use rejoin_protocol::{RoomId, Stay};
    use rejoin_room::builtin::chat::{Chat, Say};
    use rejoin_room::{RoomSettings, RoomSpec};

    use super::*;
    use crate::rooms::entry::{Applicant, Entry, Opening};

    /// A chat with members, and what was said there.
    fn chat(kinds: &Kinds, members: u8, lines: usize) -> Durable {
        let kind = kinds.get("chat").unwrap();
        let spec = RoomSpec {
            room: RoomId([1; 16]),
            owner: PlayerId(1),
            settings: RoomSettings::default(),
            code: None,
        };
        let opening = Opening {
            kind: kind.name.to_owned(),
            version: kind.version,
            seed: [0; 32],
            spec,
        };
        let mut room = Durable::open(kind, &opening).unwrap().0;
        for number in 0..members {
            let applicant = Applicant {
                session: SessionId([number; 16]),
                incarnation: Incarnation(1),
                name: format!("p{number}"),
                claims: Vec::new(),
                returns: None,
            };
            let admit = Entry::Admit {
                applicant: Box::new(applicant),
                stay: Stay(u64::from(number)),
            };
            room.apply(Duration::ZERO, &admit).unwrap();
        }
        for line in 0..lines {
            let text = format!("line {line} of many");
            let said = Entry::Input {
                player: SessionId([0; 16]).player(),
                number: None,
                payload: messagepack::encode(&Say { text }).unwrap().into(),
            };
            room.apply(Duration::ZERO, &said).unwrap();
        }
        room
    }

    fn bytes_of(room: &Durable) -> Vec<u8> {
        let mut out = Vec::new();
        let kinds = Kinds::new().with::<Chat>();
        encode(room, kinds.get("chat").unwrap(), Reach::default(), &mut out).unwrap();
        out
    }

    #[test]
    fn what_was_said_to_all_stands_once_and_is_shared_by_who_reads_it() {
        let kinds = Kinds::new().with::<Chat>();
        let mut room = chat(&kinds, 8, 20);
        let of_one = |room: &Durable, number: u8| {
            let seat = room.seats.get(&SessionId([number; 16]).player()).unwrap();
            seat.events.kept().back().unwrap().as_ptr()
        };
        let written = bytes_of(&room);
        let copies = |text: &[u8]| written.windows(text.len()).filter(|at| *at == text).count();
        assert_eq!(copies(b"line 7 of many"), 2, "the other is the chat's own");
        let read = decode(&written, &kinds).unwrap();
        assert_eq!(read.seats, room.seats);
        assert!(ptr::eq(of_one(&read, 0), of_one(&read, 7)));
        assert_eq!(bytes_of(&read), written);
        let players: Vec<_> = room.seats.keys().copied().collect();
        for player in players {
            let seat = room.seats.get_mut(&player).unwrap();
            seat.events.on_acked(u64::MAX);
        }
        assert!(bytes_of(&room).len() + 20 * 25 < written.len());
    }

    #[test]
    fn a_seat_that_keeps_what_is_not_there_is_malformed() {
        let kinds = Kinds::new().with::<Chat>();
        let written = bytes_of(&chat(&kinds, 1, 1));
        let seat = b"\x01\x02p0\x00\x00\x01\x00\x01\x00";
        let mut seats = written.windows(seat.len());
        // Incarnation, name, no claims, cursor, newest, acknowledged, kept, and where that is.
        let place = seats.position(|at| at == seat).unwrap() + seat.len() - 1;
        for (at, wrong) in [(place, 1), (place - 2, 1), (place - 3, 0)] {
            let mut changed = written.clone();
            changed[at] = wrong;
            assert!(decode(&written, &kinds).is_ok());
            assert!(decode(&changed, &kinds).is_err(), "{at}");
        }
    }
}
