//! Game payloads between the room's types and bytes, as the server reads and writes them.

use rejoin_protocol::limits::{MESSAGEPACK_DEPTH_MAX, RELIABLE_MAX};
use rejoin_protocol::messagepack::{self, Bounds, DecodeError, EncodeError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a client accepts as a view or an event: each value takes a byte, so the longest message
/// bounds their number.
const SHOWN: Bounds = Bounds {
    depth: MESSAGEPACK_DEPTH_MAX,
    items: RELIABLE_MAX,
    ..Bounds::PEER
};

/// Reads a view or an event.
///
/// # Errors
/// The room speaks of other types than the caller: most likely another version of the game.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    messagepack::decode(bytes, SHOWN)
}

/// Writes an input.
///
/// # Errors
/// The input's own `Serialize` failed.
pub fn encode<T: Serialize + ?Sized>(input: &T) -> Result<bytes::Bytes, EncodeError> {
    messagepack::encode(input).map(Into::into)
}
