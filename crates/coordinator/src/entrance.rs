//! How a request finds its room, and asks it for a seat: here, or at another shard.

use rejoin_protocol::limits::SEATS_MAX;
use rejoin_protocol::message::{Filter, RoomCard};
use rejoin_protocol::{Liveness, Refusal, RoomId, Timestamp};

use crate::directory::Directory;
use crate::keys::{RoomKey, SessionKey};
use crate::lobby::{Caller, Found, Lobby, RETRY_SOON, busy, limit_reached, unknown_room};
use crate::mail::{Abroad, Ask, At, Content};
use crate::rooms::entry::Applicant;
use crate::rooms::room::HostedRoom;
use crate::sessions::AskedAbroad;

/// A question that may be wrong.
const GUESS: AskedAbroad = AskedAbroad {
    room: None,
    guess: true,
    by_code: false,
    else_here: None,
};

impl<D: Directory> Lobby<'_, D> {
    /// Where the room of an id is, if it is open.
    pub(crate) fn find(&self, room: RoomId) -> Option<Found> {
        let here = self.house.rooms.find(room).map(Found::Here);
        here.or_else(|| self.elsewhere(self.directory.owner(room)?, room))
    }

    pub(crate) fn elsewhere(&self, shard: u8, room: RoomId) -> Option<Found> {
        let other = self.house.mail.is_other(shard);
        other.then_some(Found::There { shard, room })
    }

    /// Where the room is that a request of that id reaches.
    pub(crate) fn reached(&self, request: RoomId) -> Option<Found> {
        let placed = || self.find(self.directory.placed(request)?);
        self.find(request).or_else(placed)
    }

    /// Asks a room for a seat that was reached by its id or by a request. The id of a listed room is no
    /// secret, so naming it is no guess. A private one opens only to insiders; to others it is as
    /// unknown as one that never was, and a guess like that.
    pub(crate) fn enter_uncoded(
        &mut self,
        caller: Caller,
        found: Option<Found>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let opens = |found: &Found| match found {
            Found::Here(key) => {
                let room = self.house.rooms.get(*key);
                room.is_some_and(|room| room.closing.is_none() && room.code.is_none())
                    || self.is_insider(caller.session, *key)
            }
            Found::There { room, .. } => {
                let session = self.house.sessions.get(caller.session);
                self.directory.card(*room).is_some()
                    || session.is_some_and(|known| known.seat_abroad(*room).is_some())
            }
        };
        if let Some(found) = found.filter(opens) {
            return self.admit(caller, found, AskedAbroad::default(), now);
        }
        if caller.returns.is_some() {
            // Whoever had a seat there is no guesser: the room knows.
            let found = found.ok_or_else(unknown_room)?;
            return self.admit(caller, found, AskedAbroad::default(), now);
        }
        self.house.check_guess(caller.session, now)?;
        match found {
            // Only its own shard knows who opened it.
            Some(found @ Found::There { .. }) => self.admit(caller, found, GUESS, now),
            Some(Found::Here(_)) | None => self.enter(caller, None, now),
        }
    }

    /// True if a session needs no code to enter a room: it holds a seat there, or opened the room.
    pub(crate) fn is_insider(&self, session: SessionKey, key: RoomKey) -> bool {
        let (session, room) = (self.house.sessions.get(session), self.house.rooms.get(key));
        session.zip(room).is_some_and(|(session, room)| {
            let player = session.player();
            room.owner == player || room.members.contains_key(&player)
        })
    }

    /// Asks the room that was guessed for a seat. One that is closing is as unknown as one that
    /// never was.
    pub(crate) fn enter(
        &mut self,
        caller: Caller,
        found: Option<Found>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let open = found.filter(|found| match found {
            Found::Here(key) => {
                let room = self.house.rooms.get(*key);
                room.is_some_and(|room| room.closing.is_none())
            }
            Found::There { .. } => true,
        });
        let Some(found) = open else {
            self.house.on_wrong_guess(caller.session, now);
            return Err(unknown_room());
        };
        let asked = AskedAbroad {
            by_code: true,
            ..GUESS
        };
        self.admit(caller, found, asked, now)
    }

    /// Sends a request to a room that fits it, unless another shard has found one for the same request.
    pub(crate) fn go(
        &mut self,
        caller: Caller,
        (request, found): (RoomId, Found),
        asked: AskedAbroad,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let room = match found {
            Found::Here(key) => self.house.rooms.get(key).map(|room| room.id),
            Found::There { room, .. } => Some(room),
        };
        let room = room.ok_or_else(unknown_room)?;
        let meets = self.directory.place(request, room);
        if meets == room {
            return self.admit(caller, found, asked, now);
        }
        match self.find(meets) {
            found @ Some(_) => self.enter_uncoded(caller, found, now),
            // It is about to open, or has just closed.
            None => Err(busy()),
        }
    }

    /// A room that fits: one where the session sits already, so that a relaunched client finds
    /// its seat; else the first here with a free seat.
    pub(crate) fn place_for(
        &self,
        session: SessionKey,
        kind: &str,
        filters: &[Filter],
    ) -> Option<Found> {
        let rooms = &self.house.rooms;
        let fits = |room: &HostedRoom| {
            room.kind.name == kind
                && room.closing.is_none()
                && filters.iter().all(|filter| filter.matches(room.metadata()))
        };
        let fits_there = |card: RoomCard| {
            card.kind == kind && filters.iter().all(|filter| filter.matches(&card.metadata))
        };
        let session = self.house.sessions.get(session);
        let held = session.into_iter().flat_map(|known| known.seats.values());
        let mut held = held.map(|holding| match holding.at {
            At::Here(key) => Found::Here(key),
            At::There(Abroad { shard, room, .. }) => Found::There { shard, room },
        });
        let own = held.find(|found| match found {
            Found::Here(key) => rooms.get(*key).is_some_and(fits),
            Found::There { room, .. } => self.directory.card(*room).is_some_and(fits_there),
        });
        own.or_else(|| {
            let mut free = rooms
                .by_id()
                .filter(|(_, room)| room.code.is_none() && room.has_free_seat() && fits(room));
            free.next().map(|(key, _)| Found::Here(key))
        })
    }

    /// Asks a room that is open for a seat, or for the one the session holds there.
    pub(crate) fn admit(
        &mut self,
        caller: Caller,
        found: Found,
        asked: AskedAbroad,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let Found::Here(key) = found {
            self.house.check_ask(key)?;
        }
        let Some(session) = self.house.sessions.get(caller.session) else {
            return Ok(());
        };
        let held = match found {
            Found::Here(key) => session.seat_in(key),
            Found::There { room, .. } => session.seat_abroad(room),
        };
        let holding = held.and_then(|seat| session.seats.get(seat));
        let claims = holding.is_some_and(|holding| !holding.claimed);
        if held.is_none() {
            self.check_seats(caller.session)?;
            self.house.spend_seat(caller.session, now)?;
        }
        match found {
            Found::Here(key) => self.ask_here(caller, key, false),
            Found::There { shard, room } => {
                let asked = AskedAbroad {
                    room: claims.then_some(room),
                    ..asked
                };
                self.ask_abroad(caller, (shard, room), asked)
            }
        }?;
        let session = self.house.sessions.get_mut(caller.session);
        let held = held.and_then(|seat| session?.seats.get_mut(seat));
        if let Some(holding) = held {
            holding.claimed = true;
        }
        Ok(())
    }

    /// Queues the question. The one who opens a room is the first to ask.
    pub(crate) fn ask_here(
        &mut self,
        caller: Caller,
        key: RoomKey,
        created: bool,
    ) -> Result<(), Refusal> {
        let from = self.house.sender(caller.session);
        if let (Some(from), Some(ask)) = (from, self.question(caller, false)) {
            self.house.ask(key, from, ask, created)?;
            self.on_asked(caller);
        }
        Ok(())
    }

    /// Sends the question to the room's own shard.
    pub(crate) fn ask_abroad(
        &mut self,
        caller: Caller,
        (shard, room): (u8, RoomId),
        asked: AskedAbroad,
    ) -> Result<(), Refusal> {
        let question = self.question(caller, asked.by_code);
        let Some((from, ask)) = self.house.guest(caller.session).zip(question) else {
            return Ok(());
        };
        let Some(session) = self.house.sessions.get_mut(caller.session) else {
            return Ok(());
        };
        if session.abroad.len() >= SEATS_MAX {
            let text = format!("at most {SEATS_MAX} questions of a session wait for other rooms");
            return Err(limit_reached(text).retry_after(RETRY_SOON));
        }
        if self.house.mail.is_full(shard, false) {
            return Err(busy());
        }
        let asker = (session.incarnation, caller.call);
        session.abroad.insert(asker, asked);
        let ask = Box::new(ask);
        self.house
            .mail
            .post(shard, Content::Ask { room, from, ask });
        self.on_asked(caller);
        Ok(())
    }

    pub(crate) fn on_asked(&mut self, caller: Caller) {
        if let Some(session) = self.house.sessions.get_mut(caller.session) {
            session.admits += 1;
        }
    }

    pub(crate) fn question(&self, caller: Caller, by_code: bool) -> Option<Ask> {
        let session = self.house.sessions.get(caller.session)?;
        Some(Ask {
            call: caller.call,
            applicant: Applicant {
                session: session.id,
                incarnation: session.incarnation,
                name: session.name.clone(),
                claims: session.claims.clone(),
                returns: caller.returns,
            },
            loading: self.house.liveness(caller.session) == Some(Liveness::Loading),
            by_code,
            held: caller.held,
        })
    }

    pub(crate) fn check_seats(&self, session: SessionKey) -> Result<(), Refusal> {
        let session = self.house.sessions.get(session);
        let taken = session.map_or(0, |session| session.seats.len() + session.admits);
        if taken >= SEATS_MAX {
            return Err(limit_reached(format!(
                "a session has at most {SEATS_MAX} seats"
            )));
        }
        Ok(())
    }
}
