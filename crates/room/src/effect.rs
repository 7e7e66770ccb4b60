//! What a call of room logic wants to happen outside the room.

use bytes::Bytes;
use rejoin_protocol::PlayerId;
use rejoin_protocol::message::Metadata;

/// Something for the host to carry out after the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send an event.
    Event {
        /// To whom.
        to: Audience,
        /// Encoded [`Room::Event`](crate::Room::Event).
        payload: Bytes,
        /// Hold it until the call that caused it is on the medium.
        when_durable: bool,
    },
    /// Take a player's seat away, with a word to the player.
    Remove {
        /// Whose.
        player: PlayerId,
        /// Why.
        word: String,
    },
    /// Close the room, with a word to its members.
    Close {
        /// Why.
        word: String,
    },
    /// Show other facts in lists.
    Metadata(Metadata),
}

/// Who receives an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every member.
    All,
    /// One member.
    Player(PlayerId),
}
