//! The directory of a server: one map that all shards share, touched on the control path only.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dashmap::DashMap;
use rejoin_coordinator::{Cards, Directory, Requests};
use rejoin_protocol::message::{Filter, RoomCard};
use rejoin_protocol::{RoomCode, RoomId, SessionId, Timestamp};

/// The open rooms and the sessions of all shards. Clones share one.
#[derive(Clone, Debug, Default)]
pub struct SharedDirectory {
    owners: Arc<DashMap<RoomId, u8>>,
    /// In order, which a map of its own locks has not.
    cards: Arc<RwLock<Cards>>,
    private: Arc<DashMap<RoomCode, RoomId>>,
    /// The codes of private rooms.
    codes: Arc<DashMap<RoomId, RoomCode>>,
    homes: Arc<DashMap<SessionId, u8>>,
    requests: Arc<Mutex<Requests>>,
}

impl SharedDirectory {
    /// All listed rooms with their shards, by id.
    #[must_use]
    pub fn all(&self) -> Vec<(u8, RoomCard)> {
        let cards = self.cards().find(None, &[], usize::MAX);
        let all = cards
            .into_iter()
            .filter_map(|card| Some((self.owner(card.room)?, card)));
        all.collect()
    }

    /// A shard that panicked with these in its hands left them whole.
    fn cards(&self) -> RwLockReadGuard<'_, Cards> {
        self.cards.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn cards_mut(&self) -> RwLockWriteGuard<'_, Cards> {
        self.cards.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many rooms are open and not listed.
    #[must_use]
    pub fn private_len(&self) -> usize {
        self.private.len()
    }
}

impl Directory for SharedDirectory {
    fn claim(&mut self, room: RoomId, shard: u8) -> u8 {
        *self.owners.entry(room).or_insert(shard)
    }

    fn place(&mut self, request: RoomId, room: RoomId) -> RoomId {
        let is_open = |room| self.owners.contains_key(&room);
        self.requests().place(request, room, is_open)
    }

    fn displace(&mut self, request: RoomId) {
        self.requests().displace(request);
    }

    fn placed(&self, request: RoomId) -> Option<RoomId> {
        self.requests().placed(request)
    }

    fn bury(&mut self, room: RoomId, now: Timestamp) {
        self.requests().bury(room, now);
    }

    fn is_buried(&mut self, room: RoomId, now: Timestamp) -> bool {
        self.requests().is_buried(room, now)
    }

    fn publish(&mut self, shard: u8, card: RoomCard) {
        self.owners.insert(card.room, shard);
        self.cards_mut().put(card);
    }

    fn publish_private(&mut self, shard: u8, room: RoomId, code: RoomCode) {
        self.owners.insert(room, shard);
        self.private.insert(code, room);
        self.codes.insert(room, code);
    }

    fn by_code(&self, code: RoomCode) -> Option<RoomId> {
        self.private.get(&code).map(|entry| *entry)
    }

    fn conceal(&mut self, room: RoomId) {
        self.cards_mut().remove(room);
    }

    fn withdraw(&mut self, room: RoomId) {
        // What is listed leads to its owner, so the owner goes last.
        self.cards_mut().remove(room);
        if let Some((_, code)) = self.codes.remove(&room) {
            self.private.remove_if(&code, |_, of| *of == room);
        }
        self.owners.remove(&room);
    }

    fn owner(&self, room: RoomId) -> Option<u8> {
        self.owners.get(&room).map(|entry| *entry)
    }

    fn card(&self, room: RoomId) -> Option<RoomCard> {
        self.cards().get(room).cloned()
    }

    fn find(&self, kind: Option<&str>, filters: &[Filter], max: usize) -> Vec<RoomCard> {
        self.cards().find(kind, filters, max)
    }

    fn vacant(&self, kind: &str, filters: &[Filter], but: u8) -> Option<(u8, RoomId)> {
        let elsewhere = |room| self.owner(room).is_some_and(|shard| shard != but);
        let room = self.cards().vacant(kind, filters, elsewhere)?;
        Some((self.owner(room)?, room))
    }

    fn settle(&mut self, session: SessionId, shard: u8) -> u8 {
        *self.homes.entry(session).or_insert(shard)
    }

    fn depart(&mut self, session: SessionId, shard: u8) {
        self.homes.remove_if(&session, |_, home| *home == shard);
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
            let (shard, code) = (
                number % 4,
                RoomCode::draw(&mut Rng::from_number(number.into())),
            );
            let session = SessionId([number; 16]);
            match rng.below(6) {
                0 | 1 => {
                    shared.withdraw(card.room);
                    plain.withdraw(card.room);
                }
                2 => {
                    shared.publish_private(shard, card.room, code);
                    plain.publish_private(shard, card.room, code);
                }
                3 => {
                    let claimed = shared.claim(card.room, shard);
                    assert_eq!(claimed, plain.claim(card.room, shard));
                }
                4 => {
                    let home = shared.settle(session, shard);
                    assert_eq!(home, plain.settle(session, shard));
                }
                _ => {
                    shared.publish(shard, card.clone());
                    plain.publish(shard, card.clone());
                }
            }
            if rng.chance(0.1) {
                shared.depart(session, shard);
                plain.depart(session, shard);
            }
            assert_eq!(shared.owner(card.room), plain.owner(card.room));
            assert_eq!(shared.card(card.room), plain.card(card.room));
            assert_eq!(shared.by_code(code), plain.by_code(code));
            let vacant = shared.vacant(kind, &[], shard);
            assert_eq!(vacant, plain.vacant(kind, &[], shard));
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
