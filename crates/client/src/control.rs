//! Reading control messages, those of a newer server included.

use std::collections::BTreeMap;

use rejoin_protocol::limits::NAME_MAX;
use rejoin_protocol::message::{Answer, ServerMessage};
use rejoin_protocol::messagepack::{self, Bounds};
use serde::de::IgnoredAny;

/// The messages this build knows, by the names they travel under.
const KNOWN: [&str; 5] = ["Ticket", "Reply", "Seat", "InputRefused", "RoomClosed"];

/// What no sound server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Senseless;

/// Reads a message; `None` if it is one that only newer builds know.
pub(crate) fn decode(message: &[u8]) -> Result<Option<ServerMessage>, Senseless> {
    match messagepack::decode(message, Bounds::CONTROL) {
        Ok(message) if has_long_name(&message) => Err(Senseless),
        Ok(message) => Ok(Some(message)),
        Err(_) if is_of_newer_server(message) => Ok(None),
        Err(_) => Err(Senseless),
    }
}

/// True if it names a player as none is called: names are kept for as long as their players stay.
fn has_long_name(message: &ServerMessage) -> bool {
    if let ServerMessage::Seat { name, .. } = message {
        return name.len() > NAME_MAX;
    }
    let ServerMessage::Reply {
        result: Ok(Answer::Seated(seated)),
        ..
    } = message
    else {
        return false;
    };
    let mut members = seated.members.iter();
    members.any(|member| member.name.len() > NAME_MAX)
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
    use rejoin_protocol::message::{Member, RoomCloseReason, SeatChange, Seated};
    use rejoin_protocol::{PlayerId, Refusal, RefusalCode, RoomId, SeatId, Stay};

    use super::*;

    #[test]
    fn every_known_message_is_read() {
        let seat = SeatId(1);
        let refusal = Refusal::new(RefusalCode::BadRequest, "no");
        let messages = [
            ServerMessage::Ticket {
                ticket: b"sealed".to_vec(),
                life_s: 9,
            },
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

    #[test]
    fn a_name_longer_than_any_player_has_is_an_error() {
        for (len, sound) in [(NAME_MAX, true), (NAME_MAX + 1, false)] {
            let (player, name) = (PlayerId(1), "x".repeat(len));
            let seat = SeatId(1);
            let change = SeatChange::Joined;
            let told = ServerMessage::Seat {
                seat,
                player,
                name: name.clone(),
                change,
            };
            let seated = Seated {
                seat,
                room: RoomId([1; 16]),
                stay: Stay(1),
                kind: "arena".into(),
                version: 1,
                tick_hz: 30,
                player,
                cursor: 0,
                event: 0,
                events_dropped: 0,
                inputs_lost: 0,
                created: true,
                found: false,
                members: vec![Member { player, name }],
                code: None,
            };
            let result = Ok(Answer::Seated(seated));
            for message in [told, ServerMessage::Reply { call: 1, result }] {
                let bytes = messagepack::encode(&message).unwrap();
                assert_eq!(decode(&bytes).is_ok(), sound);
            }
        }
    }
}
