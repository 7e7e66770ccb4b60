//! Requests: create, join, join-or-create, leave, list, close, resync. Each becomes a call of
//! some room, an answer, or a typed refusal that names the limit.
//!
//! Called in step 1 of the turn. Whether a player may enter is for the room to say, so the
//! answers to joins wait for the calls of the turn.

use std::time::Duration;

use rejoin_protocol::limits::{LIST_MAX, SEATS_MAX};
use rejoin_protocol::message::{Answer, CallId, ClientMessage, Filter, RoomCard, RoomSettings};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::text::Quoted;
use rejoin_protocol::{
    Liveness, Refusal, RefusalCode, RequestId, Rng, RoomCode, RoomId, SeatId, Timestamp,
};
use rejoin_room::{Kind, Kinds, RoomSpec};
use tracing::debug;

use crate::directory::Directory;
use crate::house::{House, Request};
use crate::keys::{RoomKey, SessionKey};
use crate::limits::CODE_DRAWS_MAX;
use crate::listing;
use crate::mail::{Abroad, Ask, At, ToRoom};
use crate::rooms::entry::{Applicant, Entry, Opening};
use crate::rooms::queue::Origin;
use crate::rooms::room::HostedRoom;
use crate::sessions::AskedAbroad;

/// Where requests are handled. Borrowed from the shard for one turn.
pub(crate) struct Lobby<'a, D> {
    pub(crate) house: &'a mut House,
    pub(crate) kinds: &'a Kinds,
    pub(crate) directory: &'a mut D,
    /// Seeds new rooms.
    pub(crate) rng: &'a mut Rng,
}

/// Who asks, and under which number the answer goes back.
#[derive(Clone, Copy)]
struct Caller {
    session: SessionKey,
    call: CallId,
}

/// Which rooms will do, if it is not for one alone.
struct AnyRoom {
    request: RequestId,
    filters: Vec<Filter>,
    /// A room of another shard was asked already.
    tried: bool,
}

/// A room that a caller wants opened.
struct Wish {
    room: RoomId,
    kind: String,
    settings: RoomSettings,
}

impl<D: Directory> Lobby<'_, D> {
    /// Handles one request.
    pub(crate) fn handle(&mut self, request: Request, now: Timestamp) {
        let session = request.session;
        let Some(asker) = self.house.sessions.get_mut(session) else {
            return;
        };
        asker.requests = 0;
        // Another client may have taken the session over since.
        if asker.connection != Some(request.slot) {
            return;
        }
        let tried = request.tried;
        let caller = |call| Caller { session, call };
        let (call, done) = match request.message {
            ClientMessage::Create {
                call,
                request,
                kind,
                settings,
            } => {
                let room = RoomId::of(&kind, request);
                (
                    call,
                    self.create(
                        caller(call),
                        Wish {
                            room,
                            kind,
                            settings,
                        },
                        now,
                    ),
                )
            }
            ClientMessage::Join { call, room } => (call, self.join(caller(call), room, now)),
            ClientMessage::JoinByCode { call, code } => {
                (call, self.join_by_code(caller(call), code, now))
            }
            ClientMessage::JoinOrCreate {
                call,
                request,
                kind,
                filters,
                settings,
            } => {
                let room = RoomId::of(&kind, request);
                let wish = Wish {
                    room,
                    kind,
                    settings,
                };
                let any = AnyRoom {
                    request,
                    filters,
                    tried,
                };
                (call, self.join_or_create(caller(call), wish, any, now))
            }
            ClientMessage::Leave { call, seat } => (call, self.leave(caller(call), seat, now)),
            ClientMessage::List {
                call,
                kind,
                filters,
                max,
            } => (
                call,
                self.list(caller(call), kind.as_deref(), &filters, max),
            ),
            ClientMessage::Close { call, seat } => (call, self.close_room(caller(call), seat, now)),
            ClientMessage::Resync { seat } => return self.resync(session, seat, now),
            // A request of a newer protocol crate; the wire cannot give it to this one.
            _ => return,
        };
        if let Err(refusal) = done {
            debug!(?session, refusal = %Quoted(&refusal), "request is refused");
            self.house.reply(session, call, Err(refusal));
        }
    }

    fn create(&mut self, caller: Caller, wish: Wish, now: Timestamp) -> Result<(), Refusal> {
        match self.reached(wish.room) {
            Some(at) => self.enter_uncoded(caller, Some(at), now),
            None => self.open(caller, wish, now),
        }
    }

    fn join(&mut self, caller: Caller, room: RoomId, now: Timestamp) -> Result<(), Refusal> {
        let found = self.find(room);
        self.enter_uncoded(caller, found, now)
    }

    /// Where the room of an id is, if it is open.
    fn find(&self, room: RoomId) -> Option<At> {
        let here = self.house.rooms.find(room).map(At::Here);
        here.or_else(|| {
            let shard = self.directory.owner(room)?;
            let other = self.house.mail.is_other(shard);
            other.then_some(At::There(abroad(shard, room)))
        })
    }

    /// Where the room is that a request of that id reaches.
    fn reached(&self, request: RoomId) -> Option<At> {
        let placed = || self.find(self.house.rooms.placed(request)?);
        self.find(request).or_else(placed)
    }

    /// Asks a room for a seat that was reached by its id or by a request. The id of a listed room is no
    /// secret, so naming it is no guess. A private one opens only to insiders; to others it is as
    /// unknown as one that never was, and a guess like that.
    fn enter_uncoded(
        &mut self,
        caller: Caller,
        found: Option<At>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let opens = |at: &At| match at {
            At::Here(key) => {
                let room = self.house.rooms.get(*key);
                room.is_some_and(|room| room.closing.is_none() && room.code.is_none())
                    || self.is_insider(caller.session, *key)
            }
            At::There(abroad) => {
                let session = self.house.sessions.get(caller.session);
                self.directory.card(abroad.room).is_some()
                    || session.is_some_and(|known| known.seat_abroad(abroad.room).is_some())
            }
        };
        if let Some(at) = found.filter(opens) {
            return self.admit(caller, at, AskedAbroad::default(), now);
        }
        self.house.check_guess(caller.session, now)?;
        match found {
            // Only its own shard knows who opened it.
            Some(at @ At::There(_)) => self.admit(caller, at, GUESS, now),
            Some(At::Here(_)) | None => self.enter(caller, None, now),
        }
    }

    /// True if a session needs no code to enter a room: it holds a seat there, or opened the room.
    fn is_insider(&self, session: SessionKey, key: RoomKey) -> bool {
        let (session, room) = (self.house.sessions.get(session), self.house.rooms.get(key));
        session.zip(room).is_some_and(|(session, room)| {
            room.owner == session.player() || session.seat_in(key).is_some()
        })
    }

    fn join_by_code(
        &mut self,
        caller: Caller,
        code: RoomCode,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.house.check_guess(caller.session, now)?;
        let room = self.directory.by_code(code);
        let mut found = room.and_then(|room| self.find(room));
        if planted::is(Bug::AnyCodeOpens) {
            let mut rooms = self.house.rooms.by_id();
            let private = rooms.find(|(_, room)| room.code.is_some());
            found = found.or(private.map(|(key, _)| At::Here(key)));
        }
        self.enter(caller, found, now)
    }

    /// A code that no open room has.
    fn fresh_code(&mut self) -> Result<RoomCode, Refusal> {
        for _ in 0..CODE_DRAWS_MAX {
            let code = RoomCode::draw(self.rng);
            let mut rooms = self.house.rooms.by_id();
            let new = rooms.any(|(_, room)| room.code == Some(code));
            if !new && self.directory.by_code(code).is_none() {
                return Ok(code);
            }
        }
        let text = "no room code is free";
        Err(limit_reached(text.to_owned()).retry_after(RETRY_SOON))
    }

    /// Asks the room that was guessed for a seat. One that is closing is as unknown as one that
    /// never was.
    fn enter(&mut self, caller: Caller, found: Option<At>, now: Timestamp) -> Result<(), Refusal> {
        let open = found.filter(|at| match at {
            At::Here(key) => {
                let room = self.house.rooms.get(*key);
                room.is_some_and(|room| room.closing.is_none())
            }
            At::There(_) => true,
        });
        let Some(at) = open else {
            self.house.on_wrong_guess(caller.session, now);
            return Err(unknown_room());
        };
        let asked = AskedAbroad {
            by_code: true,
            ..GUESS
        };
        self.admit(caller, at, asked, now)
    }

    fn join_or_create(
        &mut self,
        caller: Caller,
        wish: Wish,
        any: AnyRoom,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        Filter::check_all(&any.filters)?;
        if let Some(at) = self.reached(wish.room) {
            if planted::is(Bug::RequestIdIgnored) {
                let room = RoomId(self.rng.bytes());
                return self.open(caller, Wish { room, ..wish }, now);
            }
            return self.enter_uncoded(caller, Some(at), now);
        }
        if self.house.rooms.is_buried(wish.room, now) {
            return Err(closed_room());
        }
        if let Some(at) = self.place_for(caller.session, &wish.kind, &any.filters) {
            let placed = match at {
                At::Here(key) => self.house.rooms.get(key).map(|room| room.id),
                At::There(abroad) => Some(abroad.room),
            };
            if let Some(room) = placed {
                self.house.rooms.place(wish.room, room);
            }
            return self.admit(caller, at, AskedAbroad::default(), now);
        }
        // Its card may be a turn old: it may be full, or closed. Then the next room is opened here.
        let own = self.house.config.shard;
        let vacant = || self.directory.vacant(&wish.kind, &any.filters, own);
        let elsewhere = (!any.tried).then(vacant).flatten();
        match elsewhere.filter(|(shard, _)| self.house.mail.is_other(*shard)) {
            Some((shard, room)) => {
                let again = ClientMessage::JoinOrCreate {
                    call: caller.call,
                    request: any.request,
                    kind: wish.kind,
                    filters: any.filters,
                    settings: wish.settings,
                };
                let asked = AskedAbroad {
                    else_here: Some(Box::new(again)),
                    ..AskedAbroad::default()
                };
                self.admit(caller, At::There(abroad(shard, room)), asked, now)
            }
            None => self.open(caller, wish, now),
        }
    }

    /// A room that fits: one where the session sits already, so that a relaunched client finds
    /// its seat; else the first here with a free seat.
    fn place_for(&self, session: SessionKey, kind: &str, filters: &[Filter]) -> Option<At> {
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
        let mut held = held.map(|holding| holding.at);
        let own = held.find(|at| match at {
            At::Here(key) => rooms.get(*key).is_some_and(fits),
            At::There(abroad) => self.directory.card(abroad.room).is_some_and(fits_there),
        });
        own.or_else(|| {
            let mut free = rooms
                .by_id()
                .filter(|(_, room)| room.code.is_none() && room.has_free_seat() && fits(room));
            free.next().map(|(key, _)| At::Here(key))
        })
    }

    /// Opens a room and asks it for its first seat.
    fn open(&mut self, caller: Caller, wish: Wish, now: Timestamp) -> Result<(), Refusal> {
        let Wish {
            room,
            kind,
            mut settings,
        } = wish;
        if self.house.rooms.is_buried(room, now) {
            return Err(closed_room());
        }
        // First of all: from here on the name is short enough to be repeated.
        settings.check(&kind)?;
        let kind = self.kinds.get(&kind).copied().ok_or_else(|| {
            Refusal::new(
                RefusalCode::UnknownKind,
                format!("no rooms of kind {kind} here"),
            )
        })?;
        if settings.members_max == 0 {
            settings.members_max = kind.members_max;
        }
        let rooms_max = self.house.config.rooms_max;
        if self.house.rooms.len() >= rooms_max {
            let text = format!("the server has at most {rooms_max} rooms");
            let wait = self.house.config.empty_room_hold;
            return Err(limit_reached(text).retry_after(wait));
        }
        self.check_seats(caller.session)?;
        // Somebody at another shard may have asked for the same room a moment ago.
        let owner = self.directory.claim(room, self.house.config.shard);
        if self.house.mail.is_other(owner) {
            return self.enter_uncoded(caller, Some(At::There(abroad(owner, room))), now);
        }
        let wish = Wish {
            room,
            kind: kind.name.to_owned(),
            settings,
        };
        let opened = self.open_here(caller, wish, kind, now);
        if opened.is_err() {
            self.directory.withdraw(room);
        }
        opened
    }

    /// Opens a room that this shard owns.
    fn open_here(
        &mut self,
        caller: Caller,
        wish: Wish,
        kind: Kind,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Wish { room, settings, .. } = wish;
        self.house.spend_create(caller.session, now)?;
        let code = settings.private.then(|| self.fresh_code()).transpose()?;
        let Some(session) = self.house.sessions.get(caller.session) else {
            return Ok(());
        };
        let spec = RoomSpec {
            room,
            owner: session.player(),
            settings,
            code,
        };
        let mut room = HostedRoom::new(kind, &spec, now);
        room.address = session.address;
        self.house.addresses.on_room_opened(room.address);
        let key = self.house.rooms.insert(room);
        let opening = Opening {
            kind: kind.name.to_owned(),
            version: kind.version,
            seed: self.rng.bytes(),
            spec,
        };
        self.house
            .rooms
            .push(key, Entry::Open(Box::new(opening)), Origin::None);
        self.ask_here(caller, key, true)
    }

    /// Asks a room that is open for a seat, or for the one the session holds there.
    fn admit(
        &mut self,
        caller: Caller,
        at: At,
        asked: AskedAbroad,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let At::Here(key) = at {
            self.house.check_ask(key)?;
        }
        let Some(session) = self.house.sessions.get(caller.session) else {
            return Ok(());
        };
        let held = match at {
            At::Here(key) => session.seat_in(key),
            At::There(abroad) => session.seat_abroad(abroad.room),
        };
        if held.is_none() {
            self.check_seats(caller.session)?;
            self.house.spend_seat(caller.session, now)?;
        }
        match at {
            At::Here(key) => self.ask_here(caller, key, false),
            At::There(room) => self.ask_abroad(caller, room, asked, now),
        }?;
        let session = self.house.sessions.get_mut(caller.session);
        let held = held.and_then(|seat| session?.seats.get_mut(&seat));
        if let Some(holding) = held {
            holding.claimed = true;
        }
        Ok(())
    }

    /// Queues the question. The one who opens a room is the first to ask.
    fn ask_here(&mut self, caller: Caller, key: RoomKey, created: bool) -> Result<(), Refusal> {
        let from = self.house.sender(caller.session);
        if let (Some(from), Some(ask)) = (from, self.question(caller, false)) {
            self.house.ask(key, from, ask, created)?;
            self.on_asked(caller);
        }
        Ok(())
    }

    /// Sends the question to the room's own shard.
    fn ask_abroad(
        &mut self,
        caller: Caller,
        room: Abroad,
        asked: AskedAbroad,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(ask) = self.question(caller, asked.by_code) else {
            return Ok(());
        };
        let Some(session) = self.house.sessions.get_mut(caller.session) else {
            return Ok(());
        };
        if session.abroad.len() >= SEATS_MAX {
            let text = format!("at most {SEATS_MAX} questions of a session wait for other rooms");
            return Err(limit_reached(text).retry_after(RETRY_SOON));
        }
        session.abroad.insert(caller.call, asked);
        let question = ToRoom::Ask(Box::new(ask));
        self.house
            .to_room(caller.session, At::There(room), question, now);
        self.on_asked(caller);
        Ok(())
    }

    fn on_asked(&mut self, caller: Caller) {
        if let Some(session) = self.house.sessions.get_mut(caller.session) {
            session.admits += 1;
        }
    }

    fn question(&self, caller: Caller, by_code: bool) -> Option<Ask> {
        let session = self.house.sessions.get(caller.session)?;
        Some(Ask {
            call: caller.call,
            applicant: Applicant {
                session: session.id,
                incarnation: session.incarnation,
                name: session.name.clone(),
                claims: session.claims.clone(),
            },
            loading: self.house.liveness(caller.session) == Some(Liveness::Loading),
            by_code,
        })
    }

    fn check_seats(&self, session: SessionKey) -> Result<(), Refusal> {
        let session = self.house.sessions.get(session);
        let taken = session.map_or(0, |session| session.seats.len() + session.admits);
        if taken >= SEATS_MAX {
            return Err(limit_reached(format!(
                "a session has at most {SEATS_MAX} seats"
            )));
        }
        Ok(())
    }

    fn leave(&mut self, caller: Caller, seat: SeatId, now: Timestamp) -> Result<(), Refusal> {
        let held = self.house.held(caller.session, seat);
        let at = held.ok_or_else(unknown_seat)?;
        let Caller { session, call } = caller;
        self.house.to_room(session, at, ToRoom::Leave { call }, now);
        Ok(())
    }

    fn close_room(&mut self, caller: Caller, seat: SeatId, now: Timestamp) -> Result<(), Refusal> {
        let held = self.house.held(caller.session, seat);
        let at = held.ok_or_else(unknown_seat)?;
        let Caller { session, call } = caller;
        self.house.to_room(session, at, ToRoom::Close { call }, now);
        Ok(())
    }

    fn list(
        &mut self,
        caller: Caller,
        kind: Option<&str>,
        filters: &[Filter],
        max: u16,
    ) -> Result<(), Refusal> {
        Filter::check_all(filters)?;
        let max = usize::from(max).min(LIST_MAX);
        let cards = listing::cut(self.directory.find(kind, filters, max));
        self.house
            .reply(caller.session, caller.call, Ok(Answer::Rooms(cards)));
        Ok(())
    }

    fn resync(&mut self, session: SessionKey, seat: SeatId, now: Timestamp) {
        if let Some(at) = self.house.held(session, seat) {
            self.house.to_room(session, at, ToRoom::Resync, now);
        }
    }
}

/// A question that may be wrong.
const GUESS: AskedAbroad = AskedAbroad {
    guess: true,
    by_code: false,
    else_here: None,
};

/// A room of another shard that the session does not sit in yet.
const fn abroad(shard: u8, room: RoomId) -> Abroad {
    Abroad {
        shard,
        key: None,
        room,
        stay: 0,
    }
}

/// When a request that met a busy moment may try again.
pub(crate) const RETRY_SOON: Duration = Duration::from_millis(100);

pub(crate) fn limit_reached(text: String) -> Refusal {
    Refusal::new(RefusalCode::LimitReached, text)
}

pub(crate) fn unknown_room() -> Refusal {
    Refusal::new(RefusalCode::UnknownRoom, "no such room is open")
}

fn closed_room() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownRoom,
        "the room of this request was closed",
    )
}

pub(crate) fn unknown_seat() -> Refusal {
    Refusal::new(RefusalCode::UnknownSeat, "the session holds no such seat")
}
