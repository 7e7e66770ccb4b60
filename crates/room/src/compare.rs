//! Whether two rooms are the same: what is written of them, and what they show.
//!
//! Asked by `TestRoom` of a room that was rebuilt in a test, and by a server of one that was rebuilt beside the living one.

use crate::difference;
use crate::fault::RoomFault;
use crate::hosted::RoomInstance;

/// In what a room is another than the one that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The first field in which what is written of them differs.
    #[error("{path} was {left} and became {right}")]
    Field {
        /// Names, indexes and keys from the root, such as `state.players[3].x`.
        path: String,
        /// What stands there in the one that it should be.
        left: String,
        /// What stands there in the other.
        right: String,
    },
    /// The same is written in other bytes.
    #[error("it is written otherwise")]
    Bytes,
    /// They show something else, the state is the same.
    #[error("a view is another")]
    View,
    /// One of them cannot be written or shown.
    #[error(transparent)]
    Fault(#[from] RoomFault),
}

/// Compares `again` with the room that it should be.
///
/// # Errors
/// The first [`Mismatch`].
pub fn compare(live: &dyn RoomInstance, again: &dyn RoomInstance) -> Result<(), Mismatch> {
    let (before, now) = (written(live)?, written(again)?);
    if before != now {
        let found = difference::between(&before, &now);
        return Err(found.map_or(Mismatch::Bytes, |found| Mismatch::Field {
            path: found.path,
            left: found.left,
            right: found.right,
        }));
    }
    if views(live)? == views(again)? {
        Ok(())
    } else {
        Err(Mismatch::View)
    }
}

/// A room's checkpoint.
pub(crate) fn written(room: &dyn RoomInstance) -> Result<Vec<u8>, RoomFault> {
    let mut out = Vec::new();
    room.checkpoint(&mut out)?;
    Ok(out)
}

/// All views of a room: the shared one, then each member's own.
pub(crate) fn views(room: &dyn RoomInstance) -> Result<Vec<Vec<u8>>, RoomFault> {
    let mut shared = Vec::new();
    room.view(&mut shared)?;
    let mut all = vec![shared];
    for player in room.members().keys() {
        let mut own = Vec::new();
        room.private_view(*player, &mut own)?;
        all.push(own);
    }
    Ok(all)
}
