//! The cards of the listed rooms: by kind, those with a free seat apart.
//!
//! Kept by a directory. What is asked most, rooms of one kind, looks at no room of another; a search for a free seat looks
//! at no room that is full.

use std::collections::{BTreeMap, BTreeSet};

use rejoin_protocol::RoomId;
use rejoin_protocol::message::{Filter, RoomCard};

/// See the module page.
#[derive(Clone, Debug, Default)]
pub struct Cards {
    /// Kinds are as few as the server's own.
    kinds: BTreeMap<String, OfKind>,
}

#[derive(Clone, Debug, Default)]
struct OfKind {
    cards: BTreeMap<RoomId, RoomCard>,
    /// Those with a free seat.
    vacant: BTreeSet<RoomId>,
}

impl Cards {
    /// Takes a room's newest card.
    pub fn put(&mut self, card: RoomCard) {
        if !self.kinds.contains_key(&card.kind) {
            self.kinds.insert(card.kind.clone(), OfKind::default());
        }
        let Some(of) = self.kinds.get_mut(&card.kind) else {
            return;
        };
        if card.members < card.members_max {
            of.vacant.insert(card.room);
        } else {
            of.vacant.remove(&card.room);
        }
        of.cards.insert(card.room, card);
    }

    /// Takes a room away.
    pub fn remove(&mut self, room: RoomId) {
        for of in self.kinds.values_mut() {
            of.vacant.remove(&room);
            of.cards.remove(&room);
        }
    }

    /// The card of a room.
    #[must_use]
    pub fn get(&self, room: RoomId) -> Option<&RoomCard> {
        self.kinds.values().find_map(|of| of.cards.get(&room))
    }

    /// Rooms that match, in order of id, at most `max`.
    #[must_use]
    pub fn find(&self, kind: Option<&str>, filters: &[Filter], max: usize) -> Vec<RoomCard> {
        let kinds = self.kinds.iter();
        let kinds = kinds.filter(|(name, _)| kind.is_none_or(|kind| kind == *name));
        let mut found: Vec<&RoomCard> = kinds
            .flat_map(|(_, of)| {
                let cards = of.cards.values();
                cards.filter(|card| fits(card, filters)).take(max)
            })
            .collect();
        found.sort_by_key(|card| card.room);
        found.into_iter().take(max).cloned().collect()
    }

    /// The first room by id that matches, has a free seat and is to the asker's liking. Everyone who looks goes to the
    /// same room.
    pub fn vacant(
        &self,
        kind: &str,
        filters: &[Filter],
        mut likes: impl FnMut(RoomId) -> bool,
    ) -> Option<RoomId> {
        let of = self.kinds.get(kind)?;
        let mut rooms = of.vacant.iter().copied();
        rooms
            .find(|room| of.cards.get(room).is_some_and(|card| fits(card, filters)) && likes(*room))
    }
}

fn fits(card: &RoomCard, filters: &[Filter]) -> bool {
    filters.iter().all(|filter| filter.matches(&card.metadata))
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::message::{Comparison, MetadataValue};
    use rejoin_protocol::{RequestId, Rng};

    use super::*;

    const KINDS: [&str; 3] = ["arena", "chat", "duel"];

    fn drawn(rng: &mut Rng) -> RoomCard {
        let kind = KINDS[rng.index(3)];
        let request = RequestId([u8::try_from(rng.below(40)).unwrap(); 16]);
        let level = i64::try_from(rng.below(5)).unwrap();
        RoomCard {
            room: RoomId::of(kind, request),
            kind: kind.to_owned(),
            members: u16::try_from(rng.below(4)).unwrap(),
            members_max: 3,
            metadata: [("level".to_owned(), MetadataValue::Int(level))].into(),
        }
    }

    #[test]
    fn it_answers_as_a_plain_list_would() {
        let mut rng = Rng::from_number(7);
        let mut cards = Cards::default();
        let mut list: BTreeMap<RoomId, RoomCard> = BTreeMap::new();
        let filter = Filter {
            key: "level".to_owned(),
            comparison: Comparison::AtLeast,
            value: MetadataValue::Int(2),
        };
        for _ in 0..3_000 {
            let card = drawn(&mut rng);
            if rng.chance(0.4) {
                cards.remove(card.room);
                list.remove(&card.room);
            } else {
                cards.put(card.clone());
                list.insert(card.room, card.clone());
            }
            assert_eq!(cards.get(card.room), list.get(&card.room));
            let filters = if rng.chance(0.5) {
                vec![filter.clone()]
            } else {
                vec![]
            };
            let kind = rng.chance(0.8).then(|| KINDS[rng.index(3)]);
            let max = rng.index(6);
            let wanted =
                |of: &&RoomCard| kind.is_none_or(|kind| kind == of.kind) && fits(of, &filters);
            let expected: Vec<_> = list.values().filter(wanted).take(max).cloned().collect();
            assert_eq!(cards.find(kind, &filters, max), expected);
            let (even, kind) = (
                |room: RoomId| room.0[0].is_multiple_of(2),
                KINDS[rng.index(3)],
            );
            let mut vacant = list.values().filter(|of| {
                of.kind == kind
                    && of.members < of.members_max
                    && fits(of, &filters)
                    && even(of.room)
            });
            let expected = vacant.next().map(|card| card.room);
            assert_eq!(cards.vacant(kind, &filters, even), expected);
        }
        assert_eq!(cards.find(None, &[], usize::MAX).len(), list.len());
    }
}
