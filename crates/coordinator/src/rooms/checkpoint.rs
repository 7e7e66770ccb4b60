//! The bytes of a room's checkpoint: the table of seats and the instance's own checkpoint.
//!
//! ```text
//! format 1 | kind text | seats varint | seat* | instance, to the end
//! seat      session 16 | incarnation varint | name text | claims bytes | cursor varint | events varint
//!           | presence 1
//! ```

use rejoin_protocol::wire::{Malformed, Reader, put_varint};
use rejoin_protocol::{Incarnation, Liveness, PlayerId, SessionId};
use rejoin_room::{Kinds, RoomFault};

use super::by_player::ByPlayer;
use super::durable::{Durable, Seat};
use super::journal::{bytes, put_bytes, small, text};

/// The only format so far. A reader accepts its own and the one before.
const FORMAT: u8 = 1;

/// Why a checkpoint does not give a room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CheckpointError {
    /// The bytes are not ours, or of another format.
    #[error("malformed checkpoint")]
    Malformed,
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

/// Appends a checkpoint of `room`.
///
/// # Errors
/// The room's state cannot be written.
pub(crate) fn encode(room: &Durable, kind: &str, out: &mut Vec<u8>) -> Result<(), RoomFault> {
    out.push(FORMAT);
    put_bytes(out, kind.as_bytes());
    put_varint(
        out,
        u64::try_from(room.seats.len()).expect("a length in memory fits 64 bits"),
    );
    for seat in room.seats.values() {
        out.extend_from_slice(&seat.session.0);
        put_varint(out, u64::from(seat.incarnation.0));
        put_bytes(out, seat.name.as_bytes());
        put_bytes(out, &seat.claims);
        put_varint(out, seat.cursor);
        put_varint(out, seat.events);
        out.push(match seat.presence {
            Liveness::Live => 0,
            Liveness::Suspect => 1,
            Liveness::Detached => 2,
            Liveness::Loading => 3,
        });
    }
    room.instance.checkpoint(out)
}

/// Restores the room of a checkpoint.
///
/// # Errors
/// See [`CheckpointError`].
pub(crate) fn decode(body: &[u8], kinds: &Kinds) -> Result<Durable, CheckpointError> {
    let mut reader = Reader::new(body);
    if reader.byte()? != FORMAT {
        return Err(CheckpointError::Malformed);
    }
    let kind = text(&mut reader)?;
    let mut seats = ByPlayer::default();
    for _ in 0..reader.varint()? {
        let (player, seat) = decode_seat(&mut reader)?;
        seats.insert(player, seat);
    }
    let kind = kinds.get(&kind).ok_or(CheckpointError::UnknownKind(kind))?;
    let instance = kind.restore(reader.rest())?;
    if !instance.members().keys().eq(seats.keys()) {
        return Err(CheckpointError::Malformed);
    }
    Ok(Durable {
        instance,
        seats,
        ended: false,
    })
}

fn decode_seat(reader: &mut Reader<'_>) -> Result<(PlayerId, Seat), Malformed> {
    let session = SessionId(reader.array()?);
    let seat = Seat {
        session,
        incarnation: Incarnation(small(reader)?),
        name: text(reader)?,
        claims: bytes(reader)?.to_vec(),
        cursor: reader.varint()?,
        events: reader.varint()?,
        presence: match reader.byte()? {
            0 => Liveness::Live,
            1 => Liveness::Suspect,
            2 => Liveness::Detached,
            3 => Liveness::Loading,
            _ => return Err(Malformed),
        },
    };
    Ok((session.player(), seat))
}
