//! The directory of a server: one map that all shards share, touched on the control path only.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::DashMap;
use rejoin_coordinator::Directory;
use rejoin_protocol::message::{Filter, RoomCard};
use rejoin_protocol::{RoomCode, RoomId};

/// The open rooms of all shards. Clones share one map.
#[derive(Clone, Debug, Default)]
pub struct SharedDirectory {
    rooms: Arc<DashMap<RoomId, (u8, RoomCard)>>,
    private: Arc<DashMap<RoomCode, (u8, RoomId)>>,
}

impl SharedDirectory {
    /// All listed rooms with their shards, by id.
    #[must_use]
    pub fn all(&self) -> Vec<(u8, RoomCard)> {
        let mut all: Vec<_> = self
            .rooms
            .iter()
            .map(|entry| entry.value().clone())
            .collect();
        all.sort_by_key(|(_, card)| card.room);
        all
    }

    /// How many rooms are open and not listed.
    #[must_use]
    pub fn private_len(&self) -> usize {
        self.private.len()
    }
}

impl Directory for SharedDirectory {
    fn publish(&mut self, shard: u8, card: RoomCard) {
        self.rooms.insert(card.room, (shard, card));
    }

    fn publish_private(&mut self, shard: u8, room: RoomId, code: RoomCode) {
        self.private.insert(code, (shard, room));
    }

    fn by_code(&self, code: RoomCode) -> Option<RoomId> {
        self.private.get(&code).map(|entry| entry.1)
    }

    fn withdraw(&mut self, room: RoomId) {
        self.rooms.remove(&room);
        self.private.retain(|_, (_, private)| *private != room);
    }

    fn owner(&self, room: RoomId) -> Option<u8> {
        let listed = self.rooms.get(&room).map(|entry| entry.0);
        let mut private = self.private.iter();
        listed.or_else(|| private.find(|entry| entry.1 == room).map(|entry| entry.0))
    }

    fn find(&self, kind: Option<&str>, filters: &[Filter], max: usize) -> Vec<RoomCard> {
        // The map has no order of its own, so the first `max` by id are kept while it is walked.
        let mut found = BTreeMap::new();
        for entry in self.rooms.iter() {
            let (_, card) = entry.value();
            let wanted = kind.is_none_or(|kind| kind == card.kind)
                && filters.iter().all(|filter| filter.matches(&card.metadata));
            if wanted {
                found.insert(card.room, card.clone());
            }
            if found.len() > max {
                found.pop_last();
            }
        }
        found.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rejoin_coordinator::MemoryDirectory;
    use rejoin_protocol::message::{Comparison, Metadata, MetadataValue};
    use rejoin_protocol::{RequestId, Rng};

    fn card(kind: &str, number: u8, level: i64) -> RoomCard {
        RoomCard {
            room: RoomId::of(kind, RequestId([number; 16])),
            kind: kind.to_owned(),
            members: 1,
            members_max: 4,
            metadata: Metadata::from([("level".to_owned(), MetadataValue::Int(level))]),
        }
    }

    #[test]
    fn it_answers_as_the_directory_of_the_simulator_does() {
        let mut shared = SharedDirectory::default();
        let mut plain = MemoryDirectory::default();
        let mut rng = Rng::from_number(5);
        for _ in 0..2_000 {
            let kind = if rng.chance(0.5) { "arena" } else { "chat" };
            let number = rng.bytes::<1>()[0];
            let card = card(kind, number, i64::from(number % 7));
            if rng.chance(0.3) {
                shared.withdraw(card.room);
                plain.withdraw(card.room);
            } else {
                let shard = number % 4;
                shared.publish(shard, card.clone());
                plain.publish(shard, card.clone());
            }
            assert_eq!(shared.owner(card.room), plain.owner(card.room));
        }
        let level = |value| Filter {
            key: "level".to_owned(),
            comparison: Comparison::AtLeast,
            value: MetadataValue::Int(value),
        };
        for max in [0, 1, 5, 1_000] {
            for kind in [None, Some("arena"), Some("duel")] {
                for filters in [vec![], vec![level(4)]] {
                    assert_eq!(
                        shared.find(kind, &filters, max),
                        plain.find(kind, &filters, max)
                    );
                }
            }
        }
    }

    #[test]
    fn clones_see_the_same_rooms() {
        let mut one = SharedDirectory::default();
        let other = one.clone();
        let card = card("arena", 1, 0);
        one.publish(3, card.clone());
        assert_eq!(other.owner(card.room), Some(3));
    }
}
