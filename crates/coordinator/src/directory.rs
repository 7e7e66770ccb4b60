//! Which rooms there are, and which shard has what: told by shards, asked by joins and lists. Control path
//! only.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rejoin_protocol::message::{Filter, RoomCard};
use rejoin_protocol::{RoomCode, RoomId, SessionId, Timestamp};

use crate::cards::Cards;
use crate::requests::Requests;

/// Knows the open rooms and the sessions of all shards, which share one.
pub trait Directory {
    /// A shard is about to open a room. Tells whose it is: that shard's, unless another came first.
    fn claim(&mut self, room: RoomId, shard: u8) -> u8;

    /// A request is to be met by `room`, which is open. Tells which room meets it, see [`Requests::place`].
    fn place(&mut self, request: RoomId, room: RoomId) -> RoomId;

    /// The room that met a request has no seat for it.
    fn displace(&mut self, request: RoomId);

    /// The room that met a request, which may be closed by now.
    fn placed(&self, request: RoomId) -> Option<RoomId>;

    /// A room is closed: for a while no request opens it again.
    fn bury(&mut self, room: RoomId, now: Timestamp);

    /// True if a room of that id was closed a short while ago.
    fn is_buried(&mut self, room: RoomId, now: Timestamp) -> bool;

    /// Shows a room, or its newest card.
    fn publish(&mut self, shard: u8, card: RoomCard);

    /// Makes a private room known to those who have its code, and to nobody else.
    fn publish_private(&mut self, shard: u8, room: RoomId, code: RoomCode);

    /// The private room of a code.
    fn by_code(&self, code: RoomCode) -> Option<RoomId>;

    /// A room is open no longer, and its shard may take it up again: it is in no list.
    fn conceal(&mut self, room: RoomId);

    /// Takes a closed room away, or one that was claimed and does not open.
    fn withdraw(&mut self, room: RoomId);

    /// The shard that owns a room.
    fn owner(&self, room: RoomId) -> Option<u8>;

    /// The newest card of a listed room.
    fn card(&self, room: RoomId) -> Option<RoomCard>;

    /// Open rooms that match, in order of id, at most `max`.
    fn find(&self, kind: Option<&str>, filters: &[Filter], max: usize) -> Vec<RoomCard>;

    /// A listed room of another shard than `but` that matches and has a free seat, and its shard.
    fn vacant(&self, kind: &str, filters: &[Filter], but: u8) -> Option<(u8, RoomId)>;

    /// A session, or a join to it, is at a shard. Tells its home: that shard, unless it has one already.
    fn settle(&mut self, session: SessionId, shard: u8) -> u8;

    /// A session is over at a shard, and no join to it is pending there. Nothing if that is not its home.
    fn depart(&mut self, session: SessionId, shard: u8);
}

/// One that several shards share in one thread.
impl<D: Directory> Directory for Rc<RefCell<D>> {
    fn claim(&mut self, room: RoomId, shard: u8) -> u8 {
        self.borrow_mut().claim(room, shard)
    }

    fn place(&mut self, request: RoomId, room: RoomId) -> RoomId {
        self.borrow_mut().place(request, room)
    }

    fn displace(&mut self, request: RoomId) {
        self.borrow_mut().displace(request);
    }

    fn placed(&self, request: RoomId) -> Option<RoomId> {
        self.borrow().placed(request)
    }

    fn bury(&mut self, room: RoomId, now: Timestamp) {
        self.borrow_mut().bury(room, now);
    }

    fn is_buried(&mut self, room: RoomId, now: Timestamp) -> bool {
        self.borrow_mut().is_buried(room, now)
    }

    fn publish(&mut self, shard: u8, card: RoomCard) {
        self.borrow_mut().publish(shard, card);
    }

    fn publish_private(&mut self, shard: u8, room: RoomId, code: RoomCode) {
        self.borrow_mut().publish_private(shard, room, code);
    }

    fn by_code(&self, code: RoomCode) -> Option<RoomId> {
        self.borrow().by_code(code)
    }

    fn conceal(&mut self, room: RoomId) {
        self.borrow_mut().conceal(room);
    }

    fn withdraw(&mut self, room: RoomId) {
        self.borrow_mut().withdraw(room);
    }

    fn owner(&self, room: RoomId) -> Option<u8> {
        self.borrow().owner(room)
    }

    fn card(&self, room: RoomId) -> Option<RoomCard> {
        self.borrow().card(room)
    }

    fn find(&self, kind: Option<&str>, filters: &[Filter], max: usize) -> Vec<RoomCard> {
        self.borrow().find(kind, filters, max)
    }

    fn vacant(&self, kind: &str, filters: &[Filter], but: u8) -> Option<(u8, RoomId)> {
        self.borrow().vacant(kind, filters, but)
    }

    fn settle(&mut self, session: SessionId, shard: u8) -> u8 {
        self.borrow_mut().settle(session, shard)
    }

    fn depart(&mut self, session: SessionId, shard: u8) {
        self.borrow_mut().depart(session, shard);
    }
}

/// A directory in one thread.
#[derive(Clone, Debug, Default)]
pub struct MemoryDirectory {
    owners: BTreeMap<RoomId, u8>,
    cards: Cards,
    private: BTreeMap<RoomCode, RoomId>,
    homes: BTreeMap<SessionId, u8>,
    requests: Requests,
}

impl Directory for MemoryDirectory {
    fn claim(&mut self, room: RoomId, shard: u8) -> u8 {
        *self.owners.entry(room).or_insert(shard)
    }

    fn place(&mut self, request: RoomId, room: RoomId) -> RoomId {
        let owners = &self.owners;
        let is_open = |room| owners.contains_key(&room);
        self.requests.place(request, room, is_open)
    }

    fn displace(&mut self, request: RoomId) {
        self.requests.displace(request);
    }

    fn placed(&self, request: RoomId) -> Option<RoomId> {
        self.requests.placed(request)
    }

    fn bury(&mut self, room: RoomId, now: Timestamp) {
        self.requests.bury(room, now);
    }

    fn is_buried(&mut self, room: RoomId, now: Timestamp) -> bool {
        self.requests.is_buried(room, now)
    }

    fn publish(&mut self, shard: u8, card: RoomCard) {
        self.owners.insert(card.room, shard);
        self.cards.put(card);
    }

    fn publish_private(&mut self, shard: u8, room: RoomId, code: RoomCode) {
        self.owners.insert(room, shard);
        self.private.insert(code, room);
    }

    fn by_code(&self, code: RoomCode) -> Option<RoomId> {
        self.private.get(&code).copied()
    }

    fn conceal(&mut self, room: RoomId) {
        self.cards.remove(room);
    }

    fn withdraw(&mut self, room: RoomId) {
        self.owners.remove(&room);
        self.cards.remove(room);
        self.private.retain(|_, private| *private != room);
    }

    fn owner(&self, room: RoomId) -> Option<u8> {
        self.owners.get(&room).copied()
    }

    fn card(&self, room: RoomId) -> Option<RoomCard> {
        self.cards.get(room).cloned()
    }

    fn find(&self, kind: Option<&str>, filters: &[Filter], max: usize) -> Vec<RoomCard> {
        self.cards.find(kind, filters, max)
    }

    fn vacant(&self, kind: &str, filters: &[Filter], but: u8) -> Option<(u8, RoomId)> {
        let elsewhere = |room| self.owner(room).is_some_and(|shard| shard != but);
        let room = self.cards.vacant(kind, filters, elsewhere)?;
        Some((self.owner(room)?, room))
    }

    fn settle(&mut self, session: SessionId, shard: u8) -> u8 {
        *self.homes.entry(session).or_insert(shard)
    }

    fn depart(&mut self, session: SessionId, shard: u8) {
        if self.homes.get(&session) == Some(&shard) {
            self.homes.remove(&session);
        }
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
