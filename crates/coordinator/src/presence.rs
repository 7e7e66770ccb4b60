//! Who is there: joins that were confirmed, players who fall silent and return, connections
//! that end. All of it reaches rooms as calls about seats.

use rejoin_protocol::limits::{HEARTBEAT_IDLE, HEARTBEAT_SEATED};
use rejoin_protocol::message::SeatChange;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{CloseReason, Incarnation, Limit, Liveness, Timestamp};
use tracing::debug;

use crate::addresses::AddressKey;
use crate::connections::Stage;
use crate::hellos::Claimant;
use crate::holdings::Holding;
use crate::house::House;
use crate::keys::{SessionKey, Slot};
use crate::limits::CLOSING_LIFE;
use crate::mail::{At, ToRoom};
use crate::schedule::Due;

impl House {
    /// The first packet under a join's keys arrived: only now does a session change.
    pub(crate) fn confirm(&mut self, slot: Slot, now: Timestamp) {
        let Some(join) = self.connections.confirm(slot) else {
            return;
        };
        self.schedule.clear(Due::Join(slot));
        self.hellos.use_up(join.claimant);
        let session = match self.sessions.find(join.visitor.session) {
            Some(session)
                if join.incarnation <= self.incarnation(session)
                    && !planted::is(Bug::OlderClientWins) =>
            {
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
        known.psk = join.psk;
        // A permit minted anew may say something else; rooms hear it with the next seat.
        known.name.clone_from(&join.visitor.name);
        known.claims.clone_from(&join.visitor.claims);
        let older = known.connection.replace(slot);
        let seatless = known.seats.is_empty();
        debug!(session = %join.visitor.session, name = join.visitor.name, ?slot, "join is confirmed");
        if let Some(older) = older {
            self.end_older(older, slot, now);
        }
        self.connections.bind(slot, session);
        self.stats.joins += 1;
        self.stats.resumes += u64::from(matches!(join.claimant, Claimant::Session(_)));
        // The new client may know nothing of the seats: each is held until it asks for the room.
        for at in self.unclaim(session) {
            self.call_room(session, at, ToRoom::Detach, now);
        }
        if seatless {
            self.schedule
                .set(Due::Idle(session), now + self.config.idle_session_hold);
        }
        self.announce_heartbeat(session, now);
        self.issue_ticket(session, now);
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
        let Some(opened) = known.filter(|known| known.incarnation == known.opened_by) else {
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
        let Some(known) = self.sessions.get(session) else {
            return;
        };
        let concerned = |holding: &&Holding| change != SeatChange::Returned || holding.claimed;
        let rooms = known.seats.values().filter(concerned);
        let rooms: Vec<_> = rooms.map(|holding| holding.at).collect();
        for at in rooms {
            self.call_room(session, at, ToRoom::Change(change), now);
        }
    }

    /// Ends a connection from this side; its seats are held.
    pub(crate) fn close(&mut self, slot: Slot, reason: CloseReason, now: Timestamp) {
        debug!(?slot, %reason, "connection is closed");
        if let Some(session) = self.end_connection(slot, reason, now) {
            self.part(session, slot, SeatChange::Detached, now);
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
            self.part(session, slot, change, now);
        }
    }

    /// Its time is over: silent for the whole hold, or closed without a word.
    pub(crate) fn on_gone(&mut self, slot: Slot, now: Timestamp) {
        if let Some(session) = self.forget_connection(slot) {
            self.part(session, slot, SeatChange::Detached, now);
        }
    }

    /// A join was not confirmed in time, or its connection ended before.
    pub(crate) fn on_join_expired(&mut self, slot: Slot) {
        let claimant = match self.connections.get(slot).map(|peer| &peer.stage) {
            Some(Stage::Pending(join)) => join.claimant,
            Some(Stage::Active(_) | Stage::Closing) | None => return,
        };
        self.hellos.on_expired(claimant, slot);
        self.forget_connection(slot);
    }

    /// A newer hello takes the place of a pending join. The slot is looked at first: it may have
    /// been given to somebody else.
    pub(crate) fn on_join_replaced(&mut self, claimant: Claimant, slot: Slot) {
        let stage = self.connections.get(slot).map(|peer| &peer.stage);
        if matches!(stage, Some(Stage::Pending(join)) if join.claimant == claimant) {
            self.forget_connection(slot);
            // Should the newer one be refused, the older one leads nowhere any more.
            self.hellos.use_up(claimant);
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

    /// True if a connection carries the session and its peer is there.
    pub(crate) fn is_connected(&self, session: SessionKey) -> bool {
        self.liveness(session)
            .is_some_and(|liveness| liveness != Liveness::Detached)
    }

    /// Where the client of a session stands on the ladder, if there is one.
    pub(crate) fn liveness(&self, session: SessionKey) -> Option<Liveness> {
        let slot = self.sessions.get(session)?.connection?;
        let peer = self.connections.get(slot)?;
        Some(peer.connection.liveness())
    }

    /// Announces how often the session will hear from us, and bears no longer silence of its client
    /// than the rules allow: one that has not asked for the session's seats knows of none.
    pub(crate) fn announce_heartbeat(&mut self, session: SessionKey, now: Timestamp) {
        let Some(session) = self.sessions.get(session) else {
            return;
        };
        let claimed = session.seats.values().any(|holding| holding.claimed);
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

    /// Nobody has asked for the session's seats: tells where they are.
    fn unclaim(&mut self, session: SessionKey) -> Vec<At> {
        let Some(session) = self.sessions.get_mut(session) else {
            return Vec::new();
        };
        let unclaimed = session.seats.values_mut().map(|holding| {
            holding.claimed = false;
            holding.unanswered = matches!(holding.at, At::There(_));
            holding.at
        });
        unclaimed.collect()
    }

    /// A session has another connection. The client of the one before is told, unless it is the same: nobody else
    /// receives there.
    fn end_older(&mut self, older: Slot, newer: Slot, now: Timestamp) {
        if self.connections.path(older) == self.connections.path(newer) {
            self.forget_connection(older);
        } else {
            self.end_connection(older, CloseReason::Replaced, now);
        }
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
    fn part(&mut self, key: SessionKey, slot: Slot, change: SeatChange, now: Timestamp) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if session.connection != Some(slot) {
            return;
        }
        session.connection = None;
        self.sessions.loosen(key);
        self.schedule.clear(Due::Idle(key));
        self.schedule.clear(Due::Ticket(key));
        for at in self.unclaim(key) {
            self.call_room(key, at, ToRoom::Detach, now);
            self.call_room(key, at, ToRoom::Change(change), now);
        }
    }
}
