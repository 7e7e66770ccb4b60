//! Which rooms there are: told by shards, asked by joins and lists. Control path only.

use std::collections::BTreeMap;

use rejoin_protocol::message::{Filter, RoomCard};
use rejoin_protocol::{RoomCode, RoomId};

/// Knows the open rooms of all shards. The server shares one among its shards; the simulator
/// gives each its own.
pub trait Directory {
    /// Shows a room, or its newest card.
    fn publish(&mut self, shard: u8, card: RoomCard);

    /// Makes a private room known to those who have its code, and to nobody else.
    fn publish_private(&mut self, shard: u8, room: RoomId, code: RoomCode);

    /// The private room of a code.
    fn by_code(&self, code: RoomCode) -> Option<RoomId>;

    /// Takes a closed room away.
    fn withdraw(&mut self, room: RoomId);

    /// The shard that owns a room.
    fn owner(&self, room: RoomId) -> Option<u8>;

    /// Open rooms that match, in order of id, at most `max`.
    fn find(&self, kind: Option<&str>, filters: &[Filter], max: usize) -> Vec<RoomCard>;
}

/// A directory in one thread.
#[derive(Clone, Debug, Default)]
pub struct MemoryDirectory {
    rooms: BTreeMap<RoomId, (u8, RoomCard)>,
    private: BTreeMap<RoomCode, (u8, RoomId)>,
}

impl Directory for MemoryDirectory {
    fn publish(&mut self, shard: u8, card: RoomCard) {
        self.rooms.insert(card.room, (shard, card));
    }

    fn publish_private(&mut self, shard: u8, room: RoomId, code: RoomCode) {
        self.private.insert(code, (shard, room));
    }

    fn by_code(&self, code: RoomCode) -> Option<RoomId> {
        self.private.get(&code).map(|(_, room)| *room)
    }

    fn withdraw(&mut self, room: RoomId) {
        self.rooms.remove(&room);
        self.private.retain(|_, (_, private)| *private != room);
    }

    fn owner(&self, room: RoomId) -> Option<u8> {
        let listed = self.rooms.get(&room).map(|(shard, _)| *shard);
        let mut private = self.private.values();
        listed.or_else(|| private.find(|(_, of)| *of == room).map(|(shard, _)| *shard))
    }

    fn find(&self, kind: Option<&str>, filters: &[Filter], max: usize) -> Vec<RoomCard> {
        let cards = self.rooms.values().map(|(_, card)| card);
        cards
            .filter(|card| kind.is_none_or(|kind| kind == card.kind))
            .filter(|card| filters.iter().all(|filter| filter.matches(&card.metadata)))
            .take(max)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::RequestId;
    use rejoin_protocol::message::{Comparison, Metadata, MetadataValue};

    use super::*;

    fn card(kind: &str, number: u8) -> RoomCard {
        RoomCard {
            room: RoomId::of(kind, RequestId([number; 16])),
            kind: kind.into(),
            members: 1,
            members_max: 4,
            metadata: Metadata::from([("level".into(), MetadataValue::Int(number.into()))]),
        }
    }

    #[test]
    fn a_search_names_kind_facts_and_number() {
        let mut directory = MemoryDirectory::default();
        for number in 0..6 {
            directory.publish(2, card("duel", number));
        }
        directory.publish(2, card("chat", 9));
        let filter = Filter {
            key: "level".into(),
            comparison: Comparison::AtLeast,
            value: MetadataValue::Int(3),
        };
        assert_eq!(directory.find(None, &[], 64).len(), 7);
        assert_eq!(directory.find(Some("duel"), &[], 64).len(), 6);
        assert_eq!(
            directory
                .find(Some("duel"), std::slice::from_ref(&filter), 64)
                .len(),
            3
        );
        assert_eq!(directory.find(None, &[filter], 2).len(), 2);

        let chat = card("chat", 9).room;
        assert_eq!(directory.owner(chat), Some(2));
        directory.withdraw(chat);
        assert_eq!(
            (directory.owner(chat), directory.find(Some("chat"), &[], 64)),
            (None, vec![])
        );
    }
}
