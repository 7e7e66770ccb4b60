//! Requests: create, join, join-or-create, leave, list, close, resync. Each becomes a call of
//! some room, an answer, or a typed refusal that names the limit.
//!
//! Called in step 1 of the turn. Whether a player may enter is for the room to say, so the
//! answers to joins wait for the calls of the turn.

use std::time::Duration;

use rejoin_protocol::limits::{LIST_MAX, SEATS_MAX};
use rejoin_protocol::message::{
    Answer, CallId, ClientMessage, Filter, RoomCloseReason, RoomSettings, SeatChange,
};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::text::Quoted;
use rejoin_protocol::{Refusal, RefusalCode, Rng, RoomCode, RoomId, SeatId, Timestamp};
use rejoin_room::{Kinds, RoomSpec};
use tracing::debug;

use crate::directory::Directory;
use crate::house::{House, Request};
use crate::keys::{RoomKey, SessionKey};
use crate::limits::{CODE_DRAWS_MAX, ROOM_CALLS_MAX};
use crate::listing;
use crate::rooms::entry::{Applicant, Entry, Opening};
use crate::rooms::queue::Origin;
use crate::rooms::room::HostedRoom;

/// Where requests are handled. Borrowed from the shard for one turn.
pub(crate) struct Lobby<'a, D> {
    pub(crate) house: &'a mut House,
    pub(crate) kinds: &'a Kinds,
    pub(crate) directory: &'a D,
    /// Seeds new rooms.
    pub(crate) rng: &'a mut Rng,
}

/// Who asks, and under which number the answer goes back.
#[derive(Clone, Copy)]
struct Caller {
    session: SessionKey,
    call: CallId,
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
                (call, self.join_or_create(caller(call), wish, &filters, now))
            }
            ClientMessage::Leave { call, seat } => (call, self.leave(caller(call), seat)),
            ClientMessage::List {
                call,
                kind,
                filters,
                max,
            } => (
                call,
                self.list(caller(call), kind.as_deref(), &filters, max),
            ),
            ClientMessage::Close { call, seat } => (call, self.close_room(caller(call), seat)),
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
        match self.house.rooms.reached(wish.room) {
            Some(key) => self.enter_uncoded(caller, Some(key), now),
            None => self.open(caller, wish, now),
        }
    }

    fn join(&mut self, caller: Caller, room: RoomId, now: Timestamp) -> Result<(), Refusal> {
        let found = self.house.rooms.find(room);
        self.enter_uncoded(caller, found, now)
    }

    /// Asks a room for a seat that was reached by its id or by a request. The id of a listed room is no
    /// secret, so naming it is no guess. A private one opens only to insiders; to others it is as
    /// unknown as one that never was, and a guess like that.
    fn enter_uncoded(
        &mut self,
        caller: Caller,
        found: Option<RoomKey>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let opens = |key: &RoomKey| {
            let room = self.house.rooms.get(*key);
            room.is_some_and(|room| room.closing.is_none() && room.code.is_none())
                || self.is_insider(caller.session, *key)
        };
        if let Some(key) = found.filter(opens) {
            return self.admit(caller, key, now);
        }
        self.house.check_guess(caller.session, now)?;
        self.enter(caller, None, now)
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
        let mut found = room.and_then(|room| self.house.rooms.find(room));
        if planted::is(Bug::AnyCodeOpens) {
            let mut rooms = self.house.rooms.by_id();
            let private = rooms.find(|(_, room)| room.code.is_some());
            found = found.or(private.map(|(key, _)| key));
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
    fn enter(
        &mut self,
        caller: Caller,
        found: Option<RoomKey>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let open = found.filter(|key| {
            let room = self.house.rooms.get(*key);
            room.is_some_and(|room| room.closing.is_none())
        });
        let Some(key) = open else {
            self.house.on_wrong_guess(caller.session, now);
            return Err(unknown_room());
        };
        self.admit(caller, key, now)
    }

    fn join_or_create(
        &mut self,
        caller: Caller,
        wish: Wish,
        filters: &[Filter],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        Filter::check_all(filters)?;
        if let Some(key) = self.house.rooms.reached(wish.room) {
            if planted::is(Bug::RequestIdIgnored) {
                let room = RoomId(self.rng.bytes());
                return self.open(caller, Wish { room, ..wish }, now);
            }
            return self.enter_uncoded(caller, Some(key), now);
        }
        if self.house.rooms.is_buried(wish.room, now) {
            return Err(closed_room());
        }
        match self.place_for(caller.session, &wish.kind, filters) {
            Some(key) => {
                self.house.rooms.place(wish.room, key);
                self.admit(caller, key, now)
            }
            None => self.open(caller, wish, now),
        }
    }

    /// A room that fits: one where the session sits already, so that a relaunched client finds
    /// its seat; else the first with a free seat.
    fn place_for(&self, session: SessionKey, kind: &str, filters: &[Filter]) -> Option<RoomKey> {
        let rooms = &self.house.rooms;
        let fits = |room: &HostedRoom| {
            room.kind.name == kind
                && room.closing.is_none()
                && filters.iter().all(|filter| filter.matches(room.metadata()))
        };
        let held = self.house.held_rooms(session);
        let own = held
            .into_iter()
            .find(|key| rooms.get(*key).is_some_and(fits));
        own.or_else(|| {
            let mut free = rooms
                .by_id()
                .filter(|(_, room)| room.code.is_none() && room.has_free_seat() && fits(room));
            free.next().map(|(key, _)| key)
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
        self.ask_seat(caller, key, true)
    }

    /// Asks a room that is open for a seat, or for the one the session holds there.
    fn admit(&mut self, caller: Caller, key: RoomKey, now: Timestamp) -> Result<(), Refusal> {
        let room = self.house.rooms.get(key).ok_or_else(unknown_room)?;
        if room.closing.is_some() {
            return Err(unknown_room());
        }
        if room.queue.len() >= ROOM_CALLS_MAX {
            let text = format!("at most {ROOM_CALLS_MAX} calls wait for a room");
            return Err(limit_reached(text).retry_after(RETRY_SOON));
        }
        let Some(session) = self.house.sessions.get(caller.session) else {
            return Ok(());
        };
        if session.seat_in(key).is_none() {
            self.check_seats(caller.session)?;
            self.house.spend_seat(caller.session, now)?;
        } else {
            self.house.claim(key, caller.session);
        }
        self.ask_seat(caller, key, false)
    }

    /// Queues the question. The one who opens a room is the first to ask.
    fn ask_seat(&mut self, caller: Caller, key: RoomKey, created: bool) -> Result<(), Refusal> {
        let Some(session) = self.house.sessions.get_mut(caller.session) else {
            return Ok(());
        };
        session.admits += 1;
        let applicant = Applicant {
            session: session.id,
            incarnation: session.incarnation,
            name: session.name.clone(),
            claims: session.claims.clone(),
        };
        let Caller { session, call } = caller;
        let origin = Origin::Admit {
            session,
            call,
            created,
        };
        self.house
            .rooms
            .push(key, Entry::Admit(Box::new(applicant)), origin);
        Ok(())
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

    fn leave(&mut self, caller: Caller, seat: SeatId) -> Result<(), Refusal> {
        let (key, player) = self
            .house
            .held(caller.session, seat)
            .ok_or_else(unknown_seat)?;
        let session = self.house.sessions.get(caller.session);
        let incarnation = session
            .map(|session| session.incarnation)
            .unwrap_or_default();
        let entry = Entry::Seat {
            player,
            change: SeatChange::Left,
            incarnation,
        };
        let Caller { session, call } = caller;
        self.house
            .rooms
            .push(key, entry, Origin::Leave { session, call });
        Ok(())
    }

    fn close_room(&mut self, caller: Caller, seat: SeatId) -> Result<(), Refusal> {
        let (key, player) = self
            .house
            .held(caller.session, seat)
            .ok_or_else(unknown_seat)?;
        let room = self.house.rooms.get_mut(key).ok_or_else(unknown_room)?;
        if room.owner != player {
            let text = "only the player who created the room may close it";
            return Err(Refusal::new(RefusalCode::NotOwner, text));
        }
        room.closing.get_or_insert(RoomCloseReason::ClosedByOwner);
        self.house.rooms.activate(key);
        self.house
            .reply(caller.session, caller.call, Ok(Answer::Closed));
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
        let Some((key, player)) = self.house.held(session, seat) else {
            return;
        };
        let room = self.house.rooms.get_mut(key);
        if let Some(member) = room.and_then(|room| room.members.get_mut(&player))
            && member.resync(now)
        {
            self.house.stats.resyncs += 1;
            self.house.resend(key);
        }
    }
}

/// When a request that met a busy moment may try again.
const RETRY_SOON: Duration = Duration::from_millis(100);

fn limit_reached(text: String) -> Refusal {
    Refusal::new(RefusalCode::LimitReached, text)
}

fn unknown_room() -> Refusal {
    Refusal::new(RefusalCode::UnknownRoom, "no such room is open")
}

fn closed_room() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownRoom,
        "the room of this request was closed",
    )
}

fn unknown_seat() -> Refusal {
    Refusal::new(RefusalCode::UnknownSeat, "the session holds no such seat")
}
