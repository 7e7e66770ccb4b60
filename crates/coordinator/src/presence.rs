//! Who is there: joins that were confirmed, players who fall silent and return, connections
//! that end. All of it reaches rooms as calls about seats.

use rejoin_protocol::crypto::PublicKey;
use rejoin_protocol::limits::{HEARTBEAT_IDLE, HEARTBEAT_SEATED};
use rejoin_protocol::message::SeatChange;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{CloseReason, Incarnation, Limit, Liveness, PlayerId, Timestamp};
use tracing::debug;

use crate::addresses::AddressKey;
use crate::connections::Stage;
use crate::house::House;
use crate::keys::{RoomKey, SessionKey, Slot};
use crate::limits::CLOSING_LIFE;
use crate::rooms::entry::Entry;
use crate::rooms::queue::Origin;
use crate::rooms::room::Member;
use crate::schedule::Due;

impl House {
    /// The first packet under a join's keys arrived: only now does a session change.
    pub(crate) fn confirm(&mut self, slot: Slot, now: Timestamp) {
        let Some(join) = self.connections.confirm(slot) else {
            return;
        };
        self.schedule.clear(Due::Join(slot));
        self.hellos.use_up(join.identity);
        let session = match self.sessions.find(join.visitor.session) {
            Some(session) if join.incarnation <= self.incarnation(session) => {
                return self.close(slot, CloseReason::Replaced, now);
            }
            Some(session) => session,
            None if self.sessions.len() >= self.config.sessions_max => {
                return self.close(slot, CloseReason::Overloaded, now);
            }
            None => match self.admit_address(slot) {
                Ok(address) => self.sessions.insert(&join, address),
                Err(limit) => return self.close(slot, CloseReason::OverLimit(limit), now),
            },
        };
        self.hold_to_budget(slot);
        // There was one left: of those who said hello meanwhile all but the first are older.
        self.spend_takeover(session, now);
        let Some(known) = self.sessions.get_mut(session) else {
            return;
        };
        known.incarnation = join.incarnation;
        // A permit minted anew may say something else; rooms hear it with the next seat.
        known.name.clone_from(&join.visitor.name);
        known.claims.clone_from(&join.visitor.claims);
        let older = known.connection.replace(slot);
        let seatless = known.seats.is_empty();
        debug!(session = %join.visitor.session, name = join.visitor.name, ?slot, "join is confirmed");
        if let Some(older) = older {
            self.end_connection(older, CloseReason::Replaced, now);
        }
        self.connections.bind(slot, session);
        self.stats.joins += 1;
        // The new client may know nothing of the seats: each is held until it asks for the room.
        let hold = now + self.config.seat_hold;
        for key in self.held_rooms(session) {
            self.detach_member(key, session);
            if let Some(player) = self.sessions.get(session).map(|session| session.player()) {
                self.schedule.set_earlier(Due::Hold(key, player), hold);
            }
        }
        if seatless {
            self.schedule
                .set(Due::Idle(session), now + self.config.idle_session_hold);
        }
        self.announce_heartbeat(session, now);
    }

    /// How many clients a session has had.
    fn incarnation(&self, session: SessionKey) -> Incarnation {
        let session = self.sessions.get(session);
        session.map_or(Incarnation::default(), |session| session.incarnation)
    }

    /// The client has shown its path only now: if it has opened the session, it counts there, and no longer
    /// where the reply to its hello went last.
    pub(crate) fn on_path_shown(&mut self, slot: Slot, session: SessionKey, now: Timestamp) {
        let known = self.sessions.get_mut(session);
        let Some(opened) = known.filter(|known| known.incarnation == Incarnation::FIRST) else {
            return;
        };
        let before = opened.address.take();
        self.addresses.release(before, now);
        match self.admit_address(slot) {
            Ok(address) => {
                if let Some(opened) = self.sessions.get_mut(session) {
                    opened.address = address;
                }
            }
            Err(limit) => self.close(slot, CloseReason::OverLimit(limit), now),
        }
    }

    /// Counts a new session at the address that the reply to its join went to last.
    fn admit_address(&mut self, slot: Slot) -> Result<AddressKey, Limit> {
        let Some(peer) = self.connections.get(slot) else {
            return Ok(None);
        };
        let admitted = self.addresses.admit_session(peer.path);
        admitted.map_err(|refusal| refusal.limit.unwrap_or(Limit::Other))
    }

    fn hold_to_budget(&mut self, slot: Slot) {
        if let Some(peer) = self.connections.get_mut(slot) {
            peer.connection.set_budget(self.config.budgets.connection());
        }
    }

    /// The peer moved on the ladder.
    pub(crate) fn on_liveness(
        &mut self,
        slot: Slot,
        session: SessionKey,
        liveness: Liveness,
        now: Timestamp,
    ) {
        debug!(?slot, %liveness, "peer moved on the ladder");
        let change = match liveness {
            Liveness::Live => {
                self.schedule.clear(Due::Gone(slot));
                SeatChange::Returned
            }
            Liveness::Loading => SeatChange::Loading,
            Liveness::Suspect if planted::is(Bug::LatenessShownAsLoading) => SeatChange::Loading,
            Liveness::Suspect => SeatChange::Suspect,
            Liveness::Detached => {
                self.schedule
                    .set(Due::Gone(slot), now + self.config.seat_hold);
                SeatChange::Detached
            }
        };
        for key in self.held_rooms(session) {
            if change != SeatChange::Returned || self.is_claimed(key, session) {
                self.push_change(key, session, change);
            }
        }
    }

    /// The session's client asked for a seat that the session holds: it is there again. One that asks
    /// again and again changes nothing, since all the others are told of each change.
    pub(crate) fn claim(&mut self, key: RoomKey, session: SessionKey) {
        let Some(player) = self.sessions.get(session).map(|session| session.player()) else {
            return;
        };
        self.schedule.clear(Due::Hold(key, player));
        let room = self.rooms.get_mut(key);
        let member = room.and_then(|room| room.members.get_mut(&player));
        if !member.is_some_and(Member::claim) {
            return;
        }
        self.push_change(key, session, SeatChange::Returned);
        if self.liveness(session) == Some(Liveness::Loading) {
            self.push_change(key, session, SeatChange::Loading);
        }
    }

    /// True if the session's client has asked for its seat in the room.
    fn is_claimed(&self, key: RoomKey, session: SessionKey) -> bool {
        let player = self.sessions.get(session).map(|session| session.player());
        let room = self.rooms.get(key);
        let member = room.and_then(|room| room.members.get(&player?));
        member.is_some_and(Member::is_claimed)
    }

    /// Ends a connection from this side; its seats are held.
    pub(crate) fn close(&mut self, slot: Slot, reason: CloseReason, now: Timestamp) {
        debug!(?slot, %reason, "connection is closed");
        if let Some(session) = self.end_connection(slot, reason, now) {
            self.part(session, slot, SeatChange::Detached);
        }
    }

    /// The connection is over. Whoever left on purpose leaves all seats; the others' are held.
    pub(crate) fn on_closed(&mut self, slot: Slot, reason: CloseReason, now: Timestamp) {
        debug!(?slot, %reason, ?now, "connection is over");
        let change = match reason {
            CloseReason::Left => SeatChange::Left,
            CloseReason::ServerStopping
            | CloseReason::Replaced
            | CloseReason::TimedOut
            | CloseReason::ProtocolViolation
            | CloseReason::Kicked
            | CloseReason::Overloaded
            | CloseReason::InternalError
            | CloseReason::OverLimit(_) => SeatChange::Detached,
            // A reason of a newer protocol crate.
            _ => SeatChange::Detached,
        };
        if let Some(session) = self.forget_connection(slot) {
            self.part(session, slot, change);
        }
    }

    /// Its time is over: silent for the whole hold, or closed without a word.
    pub(crate) fn on_gone(&mut self, slot: Slot) {
        if let Some(session) = self.forget_connection(slot) {
            self.part(session, slot, SeatChange::Detached);
        }
    }

    /// A join was not confirmed in time, or its connection ended before.
    pub(crate) fn on_join_expired(&mut self, slot: Slot) {
        let identity = match self.connections.get(slot).map(|peer| &peer.stage) {
            Some(Stage::Pending(join)) => join.identity,
            Some(Stage::Active(_) | Stage::Closing) | None => return,
        };
        self.hellos.on_expired(identity, slot);
        self.forget_connection(slot);
    }

    /// A newer hello takes the place of a pending join. The slot is looked at first: it may have
    /// been given to somebody else.
    pub(crate) fn on_join_replaced(&mut self, identity: PublicKey, slot: Slot) {
        let stage = self.connections.get(slot).map(|peer| &peer.stage);
        if matches!(stage, Some(Stage::Pending(join)) if join.identity == identity) {
            self.forget_connection(slot);
            // Should the newer one be refused, the older one leads nowhere any more.
            self.hellos.use_up(identity);
        }
    }

    /// The session had no seat for too long.
    pub(crate) fn on_idle(&mut self, session: SessionKey, now: Timestamp) {
        let slot = self
            .sessions
            .get(session)
            .and_then(|session| session.connection);
        if let Some(slot) = slot {
            self.close(slot, CloseReason::Kicked, now);
        }
    }

    /// A detached player did not return in time, or its client did not ask for the seat.
    pub(crate) fn on_hold_over(&mut self, key: RoomKey, player: PlayerId) {
        let room = self.rooms.get(key);
        let member = room.and_then(|room| room.members.get(&player));
        let Some(session) = member.map(|member| member.session) else {
            return;
        };
        // Back within this very turn: the room hears of it in a moment.
        if !self.is_claimed(key, session) || !self.is_connected(session) {
            self.push_change(key, session, SeatChange::Left);
        }
    }

    /// True if a connection carries the session and its peer is there.
    pub(crate) fn is_connected(&self, session: SessionKey) -> bool {
        self.liveness(session)
            .is_some_and(|liveness| liveness != Liveness::Detached)
    }

    /// Where the client of a session stands on the ladder, if there is one.
    fn liveness(&self, session: SessionKey) -> Option<Liveness> {
        let slot = self.sessions.get(session)?.connection?;
        let peer = self.connections.get(slot)?;
        Some(peer.connection.liveness())
    }

    /// Queues a change of a session's seat in a room.
    pub(crate) fn push_change(&mut self, key: RoomKey, session: SessionKey, change: SeatChange) {
        let Some(session) = self.sessions.get(session) else {
            return;
        };
        let (player, incarnation) = (session.player(), session.incarnation);
        self.rooms.push(
            key,
            Entry::Seat {
                player,
                change,
                incarnation,
            },
            Origin::None,
        );
    }

    /// Announces how often the session will hear from us, and bears no longer silence of its client
    /// than the rules allow: one that has not asked for the session's seats knows of none.
    pub(crate) fn announce_heartbeat(&mut self, session: SessionKey, now: Timestamp) {
        let rooms = self.held_rooms(session);
        let claimed = rooms.into_iter().any(|key| self.is_claimed(key, session));
        let Some(session) = self.sessions.get(session) else {
            return;
        };
        let pace = |seated| match seated {
            true => HEARTBEAT_SEATED,
            false => HEARTBEAT_IDLE,
        };
        let interval = pace(!session.seats.is_empty());
        let Some(slot) = session.connection else {
            return;
        };
        if let Some(peer) = self.connections.get_mut(slot) {
            peer.connection.set_heartbeat(interval);
            peer.connection.bear_interval(pace(claimed), now);
            self.connections.mark_ready(slot);
        }
    }

    /// The rooms a session has a seat in.
    pub(crate) fn held_rooms(&self, session: SessionKey) -> Vec<RoomKey> {
        let session = self.sessions.get(session);
        session
            .map(|session| session.seats.values().copied().collect())
            .unwrap_or_default()
    }

    /// Says goodbye on a connection; it is forgotten soon after, heard or not.
    pub(crate) fn end_connection(
        &mut self,
        slot: Slot,
        reason: CloseReason,
        now: Timestamp,
    ) -> Option<SessionKey> {
        // It may be gone already: several things can end it in one turn.
        self.connections.get(slot)?;
        self.schedule.set(Due::Gone(slot), now + CLOSING_LIFE);
        self.connections.close(slot, reason)
    }

    /// A session lost its connection.
    fn part(&mut self, key: SessionKey, slot: Slot, change: SeatChange) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if session.connection != Some(slot) {
            return;
        }
        session.connection = None;
        self.sessions.loosen(key);
        self.schedule.clear(Due::Idle(key));
        for room in self.held_rooms(key) {
            self.detach_member(room, key);
            self.push_change(room, key, change);
        }
    }

    /// Nothing is sent to the member until its client claims the seat on a connection.
    fn detach_member(&mut self, key: RoomKey, session: SessionKey) {
        let Some(player) = self.sessions.get(session).map(|session| session.player()) else {
            return;
        };
        let room = self.rooms.get_mut(key);
        if let Some(member) = room.and_then(|room| room.members.get_mut(&player)) {
            member.attach(None);
        }
    }
}
