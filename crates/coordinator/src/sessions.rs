//! The sessions of a shard: each player's presence, its connection and its seats.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rejoin_protocol::limits::{LATEST_KEYS_MAX, SEATS_MAX};
use rejoin_protocol::message::{CallId, ClientMessage};
use rejoin_protocol::{Fetch, Incarnation, PlayerId, RoomId, SeatId, SessionId};

use crate::addresses::AddressKey;
use crate::holdings::{Holding, Holdings};
use crate::keys::{RoomKey, SessionKey, Slot};
use crate::mail::{At, Guest};
use crate::pending_joins::PendingJoin;
use crate::purse::Purse;
use crate::slab::Slab;

/// All sessions of a shard.
#[derive(Debug)]
pub(crate) struct Sessions {
    slab: Slab<SessionKey, Session>,
    by_id: BTreeMap<SessionId, SessionKey>,
    /// Sessions that may have nothing left that keeps them.
    loose: BTreeSet<SessionKey>,
}

/// One session.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) name: String,
    /// What the game's backend says about the player.
    pub(crate) claims: Vec<u8>,
    pub(crate) incarnation: Incarnation,
    /// The incarnation that opened it here.
    pub(crate) opened_by: Incarnation,
    /// What the tickets of its connection hold.
    pub(crate) psk: [u8; 32],
    /// The connection that carries it now.
    pub(crate) connection: Option<Slot>,
    /// Its seats, by its own names for them.
    pub(crate) seats: Holdings,
    /// Questions for seats that have no answer yet.
    pub(crate) admits: usize,
    /// Those of them that went to other shards, by who asked, with what their answers may lead to.
    pub(crate) abroad: BTreeMap<(Incarnation, CallId), AskedAbroad>,
    /// Where it was opened from, as far as that counts.
    pub(crate) address: AddressKey,
    /// What it may still do.
    pub(crate) purse: Purse,
    /// Reliable inputs for other shards in this turn, and which turn that was.
    pub(crate) sent_abroad: (u64, u64),
    /// Requests it made in this turn.
    pub(crate) requests: u16,
    /// Seats that its client asks for again, and its names for them. Bounded as seats are.
    returning: BTreeMap<RoomId, SeatId>,
    /// Where the search for the next seat's name begins.
    next_seat: u16,
}

/// What may become of a question that another shard refuses.
#[derive(Debug, Default)]
pub(crate) struct AskedAbroad {
    /// The room of a seat that the session holds there, if its client had not asked for it before.
    pub(crate) room: Option<RoomId>,
    /// It named a room that is not listed: to be wrong is to have guessed.
    pub(crate) guess: bool,
    /// It came by the room's code.
    pub(crate) by_code: bool,
    /// Any room would do, so that one may be opened here.
    pub(crate) else_here: Option<Box<ClientMessage>>,
}

impl fmt::Debug for Session {
    /// Leaves the secret out, and what is many lines long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("incarnation", &self.incarnation)
            .field("connection", &self.connection)
            .field("seats", &self.seats)
            .finish_non_exhaustive()
    }
}

/// Names that a session has for its seats.
const NAMES: u16 = 64;
const _: () = assert!(NAMES as usize == LATEST_KEYS_MAX && 2 * SEATS_MAX < LATEST_KEYS_MAX);

impl Session {
    /// See [`crate::fetch`]: asks for what each datagram touches.
    pub(crate) fn fetch_ahead(&self, fetch: Fetch) {
        fetch.whole(&self.id);
        fetch.whole(&self.incarnation);
        fetch.whole(&self.seats);
    }

    /// The player it is seen as.
    pub(crate) fn player(&self) -> PlayerId {
        self.id.player()
    }

    /// The seat it holds in a room of this shard.
    pub(crate) fn seat_in(&self, room: RoomKey) -> Option<SeatId> {
        self.seat_where(|at| at == At::Here(room))
    }

    /// The seat it holds in a room of another shard.
    pub(crate) fn seat_abroad(&self, room: RoomId) -> Option<SeatId> {
        self.seat_where(|at| matches!(at, At::There(abroad) if abroad.room == room))
    }

    fn seat_where(&self, fits: impl Fn(At) -> bool) -> Option<SeatId> {
        let mut seats = self.seats.iter();
        let found = seats.find(|(_, held)| fits(held.at));
        found.map(|(seat, _)| seat)
    }

    /// Its client asks for a seat again that it calls so: the seat `known`, or one that no client of this process has asked
    /// for. A seat that has the name is given another, unless the client has asked for it already: then it is false.
    pub(crate) fn on_return(&mut self, room: RoomId, known: Option<SeatId>, seat: SeatId) -> bool {
        if known == Some(seat) {
            return true;
        }
        if seat.0 >= NAMES || self.returning.len() >= SEATS_MAX {
            return false;
        }
        if self.seats.get(seat).is_some() {
            let other = self.free_name();
            if !self.seats.rename(seat, other) {
                return false;
            }
        }
        // Nor does the name come again soon once the seat is gone.
        self.next_seat = self.next_seat.max(seat.0 + 1) % NAMES;
        match known {
            Some(known) => self.seats.rename(known, seat),
            None => {
                self.returning.insert(room, seat);
                true
            }
        }
    }

    /// Another client has the session: what the one before asked for again is of no matter.
    pub(crate) fn on_client(&mut self) {
        self.returning.clear();
    }

    /// A name that no seat has, nor one that its client asks for again.
    fn free_name(&mut self) -> SeatId {
        let mut names = (0..NAMES).map(|step| SeatId((self.next_seat + step) % NAMES));
        let free = names.find(|seat| {
            let mut others = self.returning.values();
            self.seats.get(*seat).is_none() && !others.any(|other| other == seat)
        });
        let free = free.expect("a session has fewer seats than the latest lane has keys");
        self.next_seat = (free.0 + 1) % NAMES;
        free
    }

    /// Names a new seat, or one that its client has again: that keeps its name if no other has it. Names go round
    /// through all that the latest lane has keys for, so that what was meant for an earlier seat cannot meet a
    /// later one.
    pub(crate) fn take_seat(&mut self, at: At, (room, found): (RoomId, bool)) -> SeatId {
        let is_free = |seat: &SeatId| self.seats.get(*seat).is_none();
        let kept = self.returning.remove(&room);
        let kept = kept.filter(|seat| found && is_free(seat));
        let free = kept.unwrap_or_else(|| self.free_name());
        let holding = Holding {
            at,
            claimed: false,
            unanswered: false,
            queued_to: 0,
        };
        self.seats.insert(free, holding);
        free
    }
}

impl Sessions {
    /// No sessions.
    pub(crate) const fn new() -> Self {
        Self {
            slab: Slab::new(),
            by_id: BTreeMap::new(),
            loose: BTreeSet::new(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// A session.
    pub(crate) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.slab.get(key)
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.slab.get_mut(key)
    }

    /// True if the newest client of a session is the one of that incarnation.
    pub(crate) fn is_carried_by(&self, key: SessionKey, client: Incarnation) -> bool {
        let session = self.get(key);
        session.is_some_and(|session| session.incarnation == client)
    }

    /// The session that another shard knows as `guest`.
    pub(crate) fn of_guest(&self, guest: Guest) -> Option<&Session> {
        self.get(guest.key)
            .filter(|session| session.id == guest.session)
    }

    /// The session of that id.
    pub(crate) fn find(&self, id: SessionId) -> Option<SessionKey> {
        self.by_id.get(&id).copied()
    }

    /// All sessions, in order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionKey, &Session)> {
        self.slab.iter()
    }

    /// Adds the session of a confirmed join.
    pub(crate) fn insert(&mut self, join: &PendingJoin, address: AddressKey) -> SessionKey {
        let key = self.slab.insert(Session {
            id: join.visitor.session,
            name: join.visitor.name.clone(),
            claims: join.visitor.claims.clone(),
            incarnation: join.incarnation,
            opened_by: join.incarnation,
            psk: join.psk,
            connection: None,
            seats: Holdings::default(),
            admits: 0,
            abroad: BTreeMap::new(),
            address,
            purse: Purse::default(),
            sent_abroad: (0, 0),
            requests: 0,
            returning: BTreeMap::new(),
            next_seat: 0,
        });
        let before = self.by_id.insert(join.visitor.session, key);
        assert!(before.is_none(), "one id names one session");
        key
    }

    /// The session may have nothing left that keeps it: looked at when the turn ends.
    pub(crate) fn loosen(&mut self, key: SessionKey) {
        self.loose.insert(key);
    }

    /// Drops sessions without connection and seats, and gives them out.
    pub(crate) fn sweep(&mut self) -> Vec<(SessionKey, Session)> {
        let mut gone = Vec::new();
        for key in std::mem::take(&mut self.loose) {
            let kept = self.slab.get(key).is_none_or(|session| {
                session.connection.is_some() || !session.seats.is_empty() || session.admits > 0
            });
            if !kept && let Some(session) = self.slab.remove(key) {
                self.by_id.remove(&session.id);
                gone.push((key, session));
            }
        }
        gone
    }

    /// Checks that the indexes agree.
    pub(crate) fn check(&self) {
        assert_eq!(
            self.by_id.len(),
            self.slab.len(),
            "every session has one id"
        );
        for (id, key) in &self.by_id {
            let session = self
                .slab
                .get(*key)
                .expect("an index names only sessions there are");
            assert_eq!(session.id, *id, "an id leads to its session");
        }
    }
}
