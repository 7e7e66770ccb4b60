//! How a room was asked for.

use rejoin_protocol::message::{Metadata, RoomSettings};
use rejoin_protocol::messagepack::{self, Bounds, DecodeError};
use rejoin_protocol::{PlayerId, RoomCode, RoomId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What [`Room::open`](crate::Room::open) is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSpec {
    /// The room's id.
    pub room: RoomId,
    /// The player who created it.
    pub owner: PlayerId,
    /// What the creator asked for; `members_max` is filled in.
    pub settings: RoomSettings,
    /// The code that lets others in, if the room is private. Kept with the room for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<RoomCode>,
}

impl RoomSpec {
    /// The creator's own options. Empty bytes read as `T::default()`.
    ///
    /// # Errors
    /// The creator's bytes are not a `T`.
    pub fn options<T: DeserializeOwned + Default>(&self) -> Result<T, DecodeError> {
        if self.settings.options.is_empty() {
            return Ok(T::default());
        }
        messagepack::decode(&self.settings.options, Bounds::PEER)
    }

    /// The facts the creator gave the room.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.settings.metadata
    }
}
