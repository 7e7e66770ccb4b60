//! Rebuilds a room from what the store holds of it.

use std::time::Duration;

use rejoin_protocol::wire::Malformed;
use rejoin_room::{Kinds, RoomFault};
use rejoin_store::Stored;

use super::checkpoint::{self, CheckpointError};
use super::durable::{Applied, Durable};
use super::entry::Entry;
use super::journal;

/// Why a room cannot be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReplayError {
    /// The checkpoint does not give a room.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A record cannot be read.
    #[error("record {0} is malformed")]
    Record(u64),
    /// Room logic failed in a call that it handled before.
    #[error("a replayed call failed: {0}")]
    Call(#[from] RoomFault),
    /// The history does not begin with an opening.
    #[error("the history does not open the room")]
    NotOpened,
    /// The history is of a kind that this server does not have.
    #[error("no room logic of kind {0}")]
    UnknownKind(String),
}

/// Applies the next call of a history, live or not: to the room, or to none yet if it opens it.
///
/// # Errors
/// See [`ReplayError`].
pub(crate) fn advance(
    room: &mut Option<Durable>,
    kinds: &Kinds,
    at: Duration,
    entry: &Entry,
) -> Result<Applied, ReplayError> {
    if let Some(room) = room {
        return Ok(room.apply(at, entry)?);
    }
    let Entry::Open(opening) = entry else {
        return Err(ReplayError::NotOpened);
    };
    let kind = kinds
        .get(&opening.kind)
        .ok_or_else(|| ReplayError::UnknownKind(opening.kind.clone()))?;
    let (opened, applied) = Durable::open(kind, opening)?;
    *room = Some(opened);
    Ok(applied)
}

/// Rebuilds the room as it was before record `before`. What its calls wanted to happen outside
/// has happened, and is thrown away.
///
/// # Errors
/// See [`ReplayError`].
pub(crate) fn rebuild(
    stored: &Stored,
    kinds: &Kinds,
    before: u64,
) -> Result<Option<Durable>, ReplayError> {
    let mut room = if stored.checkpoint.is_empty() {
        None
    } else {
        Some(checkpoint::decode(&stored.checkpoint, kinds)?)
    };
    for (sequence, body) in stored
        .records
        .iter()
        .filter(|(sequence, _)| *sequence < before)
    {
        let record = journal::decode(body).map_err(|Malformed| ReplayError::Record(*sequence))?;
        for entry in &record.entries {
            advance(&mut room, kinds, record.at, entry)?;
        }
    }
    Ok(room)
}
