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

/// Writes an input that a room can read: one that it cannot would be refused there, or on the latest
/// lane vanish.
#[cfg(feature = "driver")]
pub(crate) fn input<T: Serialize + ?Sized>(
    input: &T,
) -> Result<bytes::Bytes, crate::error::InputError> {
    let payload = encode(input)?;
    // A longer one is refused for its length.
    if payload.len() <= rejoin_protocol::limits::INPUT_MAX {
        messagepack::guard(&payload, Bounds::PEER).map_err(crate::error::InputError::Unreadable)?;
    }
    Ok(payload)
}

#[cfg(all(test, feature = "driver"))]
mod tests {
    use rejoin_protocol::messagepack::DecodeError;
    use serde::Serialize;

    use super::*;
    use crate::error::InputError;

    #[derive(Serialize)]
    struct Nest(Option<Box<[Self; 1]>>);

    #[test]
    fn an_input_nested_deeper_than_a_room_reads_is_an_error_at_once() {
        let nest =
            |depth: usize| (0..depth).fold(Nest(None), |nest, _| Nest(Some(Box::new([nest]))));
        assert!(input(&nest(16)).is_ok());
        let deep = input(&nest(17)).unwrap_err();
        assert_eq!(deep, InputError::Unreadable(DecodeError::TooDeep(16)));
    }
}
