//! Reading control messages, those of a newer server included.

use std::collections::BTreeMap;

use rejoin_protocol::message::ServerMessage;
use rejoin_protocol::messagepack::{self, Bounds, DecodeError};
use serde::de::IgnoredAny;

/// The messages this build knows, by the names they travel under.
const KNOWN: [&str; 4] = ["Reply", "Seat", "InputRefused", "RoomClosed"];

/// Reads a message; `None` if it is one that only newer builds know.
pub(crate) fn decode(message: &[u8]) -> Result<Option<ServerMessage>, DecodeError> {
    match messagepack::decode(message, Bounds::CONTROL) {
        Ok(message) => Ok(Some(message)),
        Err(_) if is_of_newer_server(message) => Ok(None),
        Err(error) => Err(error),
    }
}

/// True for one well-formed message of a name that this build does not know.
fn is_of_newer_server(message: &[u8]) -> bool {
    let name = messagepack::decode::<BTreeMap<String, IgnoredAny>>(message, Bounds::CONTROL)
        .map(|map| {
            if map.len() == 1 {
                map.into_keys().next()
            } else {
                None
            }
        })
        .or_else(|_| messagepack::decode::<String>(message, Bounds::CONTROL).map(Some));
    matches!(name, Ok(Some(name)) if !KNOWN.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::message::{Answer, RoomCloseReason, SeatChange};
    use rejoin_protocol::{PlayerId, Refusal, RefusalCode, SeatId};

    use super::*;

    #[test]
    fn every_known_message_is_read() {
        let seat = SeatId(1);
        let refusal = Refusal::new(RefusalCode::BadRequest, "no");
        let messages = [
            ServerMessage::Reply {
                call: 1,
                result: Ok(Answer::Left),
            },
            ServerMessage::Seat {
                seat,
                player: PlayerId(1),
                name: "ana".into(),
                change: SeatChange::Joined,
            },
            ServerMessage::InputRefused {
                seat,
                number: 1,
                refusal,
            },
            ServerMessage::RoomClosed {
                seat,
                reason: RoomCloseReason::ClosedByOwner,
            },
        ];
        assert_eq!(messages.len(), KNOWN.len());
        for (message, name) in messages.into_iter().zip(KNOWN) {
            let bytes = messagepack::encode(&message).unwrap();
            assert!(String::from_utf8_lossy(&bytes).contains(name));
            assert!(!is_of_newer_server(&bytes));
            assert_eq!(decode(&bytes), Ok(Some(message)));
        }
    }

    #[test]
    fn a_message_of_a_newer_server_is_passed_over() {
        let newer = BTreeMap::from([("Weather", BTreeMap::from([("rain", true)]))]);
        assert_eq!(decode(&messagepack::encode(&newer).unwrap()), Ok(None));
        assert_eq!(decode(&messagepack::encode("Goodbye").unwrap()), Ok(None));
    }

    #[test]
    fn a_known_name_with_senseless_content_is_an_error() {
        let wrong = BTreeMap::from([("Reply", 7)]);
        assert!(decode(&messagepack::encode(&wrong).unwrap()).is_err());
        assert!(decode(&messagepack::encode("Seat").unwrap()).is_err());
        assert!(decode(&messagepack::encode(&7).unwrap()).is_err());
        assert!(decode(&[0xc1]).is_err());
        assert!(decode(&[]).is_err());
    }
}
