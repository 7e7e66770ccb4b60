//! Requests: create, join, join-or-create, leave, list, close, resync. Each becomes a call of
//! some room, an answer, or a typed refusal that names the limit.
//!
//! Called in step 1 of the turn. Whether a player may enter is for the room to say, so the
//! answers to joins wait for the calls of the turn.

use std::time::Duration;

use rejoin_protocol::limits::LIST_MAX;
use rejoin_protocol::message::{Answer, CallId, ClientMessage, Filter, Held, RoomSettings};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::text::Quoted;
use rejoin_protocol::{
    Refusal, RefusalCode, RequestId, Rng, RoomCode, RoomId, SeatId, Stay, Timestamp,
};
use rejoin_room::{Kind, Kinds, RoomSpec};
use tracing::debug;

use crate::directory::Directory;
use crate::house::House;
use crate::keys::{RoomKey, SessionKey};
use crate::limits::CODE_DRAWS_MAX;
use crate::listing;
use crate::mail::ToRoom;
use crate::request::Request;
use crate::rooms::entry::{Entry, Opening};
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
pub(crate) struct Caller {
    pub(crate) session: SessionKey,
    pub(crate) call: CallId,
    /// What its client still has of the seat that it asks for.
    pub(crate) held: Option<Held>,
    /// It asks for the seat of that stay, and for no other.
    pub(crate) returns: Option<Stay>,
}

impl Caller {
    /// One who asks for any seat, and says nothing of one it had.
    const fn new(session: SessionKey, call: CallId) -> Self {
        Self {
            session,
            call,
            held: None,
            returns: None,
        }
    }
}

/// Where a room is.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    Here(RoomKey),
    There { shard: u8, room: RoomId },
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

impl Wish {
    fn new(request: RequestId, kind: String, settings: RoomSettings) -> Self {
        Self {
            room: RoomId::of(&kind, request),
            kind,
            settings,
        }
    }
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
        let caller = |call| Caller::new(session, call);
        let (call, done) = match request.message {
            ClientMessage::Create {
                call,
                request,
                kind,
                settings,
            } => {
                let wish = Wish::new(request, kind, settings);
                (call, self.create(caller(call), wish, now))
            }
            ClientMessage::Join { call, room, held } => {
                let caller = Caller {
                    held,
                    ..caller(call)
                };
                (call, self.join(caller, room, now))
            }
            ClientMessage::Return {
                call,
                room,
                seat,
                held,
            } => (call, self.come_back(caller(call), (room, seat, held), now)),
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
                let wish = Wish::new(request, kind, settings);
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

    fn come_back(
        &mut self,
        caller: Caller,
        (room, seat, held): (RoomId, SeatId, Held),
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let key = self.house.rooms.find(room);
        if let Some(asker) = self.house.sessions.get_mut(caller.session) {
            let here = key.and_then(|key| asker.seat_in(key));
            let known = here.or_else(|| asker.seat_abroad(room));
            if !asker.on_return(room, known, seat) {
                return Err(unknown_seat());
            }
        }
        let caller = Caller {
            returns: Some(held.stay),
            held: Some(held),
            ..caller
        };
        self.join(caller, room, now)
    }

    fn join(&mut self, caller: Caller, room: RoomId, now: Timestamp) -> Result<(), Refusal> {
        let found = self.find(room);
        self.enter_uncoded(caller, found, now)
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
            found = found.or(private.map(|(key, _)| Found::Here(key)));
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

    fn join_or_create(
        &mut self,
        caller: Caller,
        wish: Wish,
        any: AnyRoom,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        Filter::check_all(&any.filters)?;
        if any.tried {
            self.directory.displace(wish.room);
        }
        if let Some(found) = self.reached(wish.room) {
            if planted::is(Bug::RequestIdIgnored) {
                let room = RoomId(self.rng.bytes());
                return self.open(caller, Wish { room, ..wish }, now);
            }
            return self.enter_uncoded(caller, Some(found), now);
        }
        if self.directory.is_buried(wish.room, now) {
            return Err(closed_room());
        }
        if let Some(found) = self.place_for(caller.session, &wish.kind, &any.filters) {
            return self.go(caller, (wish.room, found), AskedAbroad::default(), now);
        }
        // Its card may be a turn old: it may be full, or closed. Then the next room is opened here.
        let own = self.house.config.shard;
        let vacant = || self.directory.vacant(&wish.kind, &any.filters, own);
        let vacant = (!any.tried).then(vacant).flatten();
        match vacant.and_then(|(shard, room)| self.elsewhere(shard, room)) {
            Some(found) => {
                let request = wish.room;
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
                self.go(caller, (request, found), asked, now)
            }
            None => self.open(caller, wish, now),
        }
    }

    /// Opens a room and asks it for its first seat.
    fn open(&mut self, caller: Caller, wish: Wish, now: Timestamp) -> Result<(), Refusal> {
        let Wish {
            room,
            kind,
            mut settings,
        } = wish;
        if self.directory.is_buried(room, now) {
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
        if self.house.rooms.len() + self.house.dormant.to_come() >= rooms_max {
            let text = format!("the server has at most {rooms_max} rooms");
            let wait = self.house.config.empty_room_hold;
            return Err(limit_reached(text).retry_after(wait));
        }
        self.check_seats(caller.session)?;
        // Somebody at another shard may have asked for the same room a moment ago.
        let owner = self.directory.claim(room, self.house.config.shard);
        if let Some(found) = self.elsewhere(owner, room) {
            return self.enter_uncoded(caller, Some(found), now);
        }
        if let Some(found) = self.reached(room) {
            self.directory.withdraw(room);
            return self.enter_uncoded(caller, Some(found), now);
        }
        // It may have been closed since that was asked above.
        if self.directory.is_buried(room, now) {
            self.directory.withdraw(room);
            return Err(closed_room());
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
        let mut room = HostedRoom::new(kind, &spec, Stay(self.rng.next_u64()), now);
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

    fn leave(&mut self, caller: Caller, seat: SeatId, now: Timestamp) -> Result<(), Refusal> {
        let held = self.house.held(caller.session, seat);
        let at = held.ok_or_else(unknown_seat)?;
        let Caller { session, call, .. } = caller;
        let ask = ToRoom::Leave { call };
        let asked = self.house.call_room(session, at, ask, now);
        if asked { Ok(()) } else { Err(busy()) }
    }

    fn close_room(&mut self, caller: Caller, seat: SeatId, now: Timestamp) -> Result<(), Refusal> {
        let held = self.house.held(caller.session, seat);
        let at = held.ok_or_else(unknown_seat)?;
        let Caller { session, call, .. } = caller;
        let ask = ToRoom::Close { call };
        let asked = self.house.call_room(session, at, ask, now);
        if asked { Ok(()) } else { Err(busy()) }
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
            self.house.call_room(session, at, ToRoom::Resync, now);
        }
    }
}

/// When a request that met a busy moment may try again.
pub(crate) const RETRY_SOON: Duration = Duration::from_millis(100);

/// The refusal of what has to wait for another shard.
pub(crate) fn busy() -> Refusal {
    limit_reached("the room does not keep up".to_owned()).retry_after(RETRY_SOON)
}

pub(crate) fn limit_reached(text: String) -> Refusal {
    Refusal::new(RefusalCode::LimitReached, text)
}

pub(crate) fn unknown_room() -> Refusal {
    Refusal::new(RefusalCode::UnknownRoom, "no such room is open")
}

/// The refusal of a room that the store has, and that cannot be taken up.
pub(crate) fn unrestored() -> Refusal {
    let text = "the room could not be restored";
    Refusal::new(RefusalCode::RoomFailed, text)
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
