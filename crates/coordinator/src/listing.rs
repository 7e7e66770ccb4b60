//! Lists of rooms, cut to what one answer carries.

use rejoin_protocol::message::{MetadataValue, RoomCard};

use crate::limits::{LIST_BYTES_MAX, LIST_VALUES_MAX};

/// The first of `cards` that fit one answer.
pub(crate) fn cut(mut cards: Vec<RoomCard>) -> Vec<RoomCard> {
    let (mut bytes, mut values) = (0, 0);
    let fitting = cards.iter().take_while(|card| {
        bytes += bytes_of(card);
        values += values_of(card);
        bytes <= LIST_BYTES_MAX && values <= LIST_VALUES_MAX
    });
    let count = fitting.count();
    cards.truncate(count);
    cards
}

/// At most what a card takes: field names, id and numbers are below 96 bytes.
fn bytes_of(card: &RoomCard) -> usize {
    let facts = card.metadata.iter().map(|(key, value)| {
        let text = match value {
            MetadataValue::Bool(_) | MetadataValue::Int(_) => 0,
            MetadataValue::Text(text) => text.len(),
        };
        key.len() + text + 20
    });
    96 + card.kind.len() + facts.sum::<usize>()
}

/// MessagePack values of a card: five fields with their names, the map, and four per fact.
fn values_of(card: &RoomCard) -> usize {
    11 + 4 * card.metadata.len()
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::limits::{LIST_MAX, RELIABLE_MAX};
    use rejoin_protocol::message::{Answer, Metadata, ServerMessage};
    use rejoin_protocol::messagepack::{self, Bounds};
    use rejoin_protocol::{RequestId, RoomId};

    use super::*;

    fn card(text: usize) -> RoomCard {
        let fact = |number: u8| {
            let key = format!("{number:0>64}");
            (key, MetadataValue::Text("x".repeat(text)))
        };
        RoomCard {
            room: RoomId::of("duel", RequestId([1; 16])),
            kind: "k".repeat(32),
            members: 1_000,
            members_max: 1_000,
            metadata: (0..16).map(fact).collect::<Metadata>(),
        }
    }

    #[test]
    fn the_longest_list_fits_a_message_and_the_clients_bounds() {
        for text in [0, 64] {
            let cards = cut(vec![card(text); LIST_MAX]);
            assert!(cards.len() >= 10 && cards.len() < LIST_MAX);
            let message = ServerMessage::Reply {
                call: 1,
                result: Ok(Answer::Rooms(cards)),
            };
            let bytes = messagepack::encode(&message).unwrap();
            assert!(bytes.len() <= RELIABLE_MAX);
            assert_eq!(
                messagepack::decode::<ServerMessage>(&bytes, Bounds::PEER),
                Ok(message)
            );
        }
    }

    #[test]
    fn usual_lists_are_whole() {
        let plain = RoomCard {
            kind: "duel".into(),
            metadata: Metadata::new(),
            ..card(0)
        };
        assert_eq!(cut(vec![plain; LIST_MAX]).len(), LIST_MAX);
    }
}
