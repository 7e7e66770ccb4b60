//! What a turn moves: connections, sessions, rooms and their deadlines, side by side.
//!
//! Each part owns its own indexes. What touches several of them at once is written here and in
//! the files that extend it: `inbound` (what connections tell), `presence` (who is there), `tickets` (how they come back), `calls` (what
//! sessions ask of rooms), `seating` (what a room's calls lead to) and `news` (what rooms tell sessions).

use std::collections::{BTreeSet, VecDeque};

use rejoin_protocol::message::{Answer, CallId, ServerMessage};
use rejoin_protocol::reset::ResetKey;
use rejoin_protocol::{Bucket, CloseReason, Refusal, RefusalCode, Rng, SessionId, Timestamp};
use rejoin_store::StoreError;

use crate::addresses::Addresses;
use crate::answers::Answers;
use crate::auth::Auth;
use crate::config::Config;
use crate::connections::{Connections, Stage};
use crate::dormant::Dormant;
use crate::gate::Gate;
use crate::goodbyes::Goodbyes;
use crate::hellos::Hellos;
use crate::keys::{RoomKey, SessionKey, Slot};
use crate::limits::CANDIDATE_LIFE;
use crate::mail::{Content, Home, Mail};
use crate::pace::Pace;
use crate::request::Request;
use crate::rooms::Rooms;
use crate::rooms::queue::Origin;
use crate::schedule::{Due, Schedule};
use crate::sessions::Sessions;
use crate::stats::ShardStats;

/// See the module page.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) config: Config,
    pub(crate) gate: Gate,
    pub(crate) reset_key: ResetKey,
    /// Resets that may leave.
    pub(crate) resets: Bucket,
    /// When this shard began.
    pub(crate) began: Timestamp,
    pub(crate) addresses: Addresses,
    pub(crate) hellos: Hellos,
    pub(crate) answers: Answers,
    pub(crate) connections: Connections,
    pub(crate) goodbyes: Goodbyes,
    pub(crate) sessions: Sessions,
    pub(crate) rooms: Rooms,
    /// The store takes nothing any more: what it did not take is not done, and the process must end.
    pub(crate) store_failure: Option<StoreError>,
    /// Rooms whose calls wait for place in the store.
    pub(crate) paused: BTreeSet<RoomKey>,
    /// Rooms that are in the store alone.
    pub(crate) dormant: Dormant,
    /// Rooms with something that waits for the medium.
    pub(crate) unsynced: Vec<RoomKey>,
    pub(crate) schedule: Schedule<Due>,
    /// What other shards are told with the end of the turn.
    pub(crate) mail: Mail,
    /// Sessions that this shard may be the home of no longer.
    pub(crate) parted: Vec<SessionId>,
    /// Requests that wait for the turn; bounded per session.
    pub(crate) requests: VecDeque<Request>,
    pub(crate) stats: ShardStats,
    /// Turns so far.
    pub(crate) turns: u64,
    /// Memory for the heads of snapshots from abroad.
    pub(crate) scratch: Vec<u8>,
    /// Lines about faults of room logic, and about a store that refuses.
    pub(crate) fault_lines: Pace,
    pub(crate) store_lines: Pace,
    /// Lines about room logic that takes long.
    pub(crate) overtime_lines: Pace,
    /// True once no new session may begin.
    pub(crate) stopping: bool,
}

impl House {
    /// Nobody there yet.
    pub(crate) fn new(config: Config, rng: &mut Rng, now: Timestamp) -> Self {
        let cookie_secret = config
            .cookie_secret
            .unwrap_or_else(|| rng.fork("cookies").bytes());
        let seen = config.sessions_max.saturating_add(config.pending_joins_max);
        Self {
            gate: Gate::new(&config.keys.public(), cookie_secret),
            reset_key: ResetKey::of(&config.session_secret),
            resets: Bucket::default(),
            began: now,
            addresses: Addresses::new(
                config.budgets.address_sessions_max,
                matches!(config.auth, Auth::Dev),
            ),
            hellos: Hellos::new(seen),
            answers: Answers::default(),
            connections: Connections::new(config.shard, rng),
            goodbyes: Goodbyes::default(),
            sessions: Sessions::new(),
            rooms: Rooms::new(),
            store_failure: None,
            paused: BTreeSet::new(),
            dormant: Dormant::default(),
            unsynced: Vec::new(),
            schedule: Schedule::new(),
            mail: Mail::new(config.shard, config.shards),
            parted: Vec::new(),
            requests: VecDeque::new(),
            stats: ShardStats::default(),
            turns: 0,
            scratch: Vec::new(),
            fault_lines: Pace::default(),
            store_lines: Pace::default(),
            overtime_lines: Pace::default(),
            stopping: false,
            config,
        }
    }

    /// Tells a session something, if a connection carries it.
    pub(crate) fn tell(&mut self, session: SessionKey, message: &ServerMessage) {
        let slot = self
            .sessions
            .get(session)
            .and_then(|session| session.connection);
        if let Some(slot) = slot {
            self.connections.tell(slot, message);
        }
    }

    /// Answers a request.
    pub(crate) fn reply(
        &mut self,
        session: SessionKey,
        call: CallId,
        result: Result<Answer, Refusal>,
    ) {
        self.tell(session, &ServerMessage::Reply { call, result });
    }

    /// Refuses a call that will not be made.
    pub(crate) fn refuse(&mut self, origin: Origin, refusal: Refusal) {
        match origin {
            Origin::None => {}
            Origin::Admit {
                home: Home::Here(session),
                call,
                created: _,
            } => {
                self.on_ask_over(session);
                self.reply(session, call, Err(refusal));
            }
            Origin::Admit {
                home: Home::There(guest),
                call,
                created: _,
            } => self.mail.post(
                guest.shard,
                Content::Reply {
                    to: guest,
                    call,
                    ask: true,
                    result: Err(refusal),
                },
            ),
            Origin::Leave { home, call } => self.answer_to(home, call, Err(refusal)),
        }
    }

    /// Answers a request, wherever its session lives.
    pub(crate) fn answer_to(&mut self, home: Home, call: CallId, result: Result<Answer, Refusal>) {
        match home {
            Home::Here(session) => self.reply(session, call, result),
            Home::There(guest) => self.mail.post(
                guest.shard,
                Content::Reply {
                    to: guest,
                    call,
                    ask: false,
                    result,
                },
            ),
        }
    }

    /// A question for a seat has its answer.
    pub(crate) fn on_ask_over(&mut self, session: SessionKey) {
        if let Some(asker) = self.sessions.get_mut(session) {
            asker.admits = asker.admits.saturating_sub(1);
        }
        self.sessions.loosen(session);
    }

    /// Drops a connection with all that waits for it.
    pub(crate) fn forget_connection(&mut self, slot: Slot) -> Option<SessionKey> {
        for due in [Due::Join(slot), Due::Timers(slot), Due::Gone(slot)] {
            self.schedule.clear(due);
        }
        self.connections.remove(slot)
    }

    /// Brings a connection's deadline up to date. An earlier one stands: when it is due, the
    /// right one is set, which saves moving the deadline with every datagram.
    pub(crate) fn schedule_timers(&mut self, slot: Slot, now: Timestamp) {
        if let Some(peer) = self.connections.get(slot)
            && !matches!(peer.stage, Stage::Pending(_))
            && let Some(mut due) = peer.connection.poll_timeout()
        {
            if !peer.path_shown {
                // What it would send waits for its client.
                due = due.max(now + CANDIDATE_LIFE);
            }
            self.schedule.set_earlier(Due::Timers(slot), due);
        }
    }

    /// Closes those that could not be sent what they must not miss.
    pub(crate) fn close_doomed(&mut self, now: Timestamp) {
        for (slot, reason) in self.connections.take_doomed() {
            self.close(slot, reason, now);
        }
    }

    /// Drops sessions that nothing keeps.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        for (key, session) in self.sessions.sweep() {
            self.addresses.release(session.address, now);
            self.schedule.clear(Due::Idle(key));
            self.schedule.clear(Due::Ticket(key));
            self.parted.push(session.id);
        }
    }

    /// Takes the sessions that this shard is the home of no longer.
    pub(crate) fn take_departed(&mut self) -> Vec<SessionId> {
        let mut departed = std::mem::take(&mut self.parted);
        departed.append(&mut self.connections.awaited.take_over());
        departed.sort_unstable();
        departed.dedup();
        departed.retain(|session| {
            self.sessions.find(*session).is_none() && !self.connections.awaited.contains(*session)
        });
        departed
    }

    /// The refusal of a room that fails or is gone.
    pub(crate) fn room_failed() -> Refusal {
        Refusal::new(RefusalCode::RoomFailed, "the room failed")
    }
}

/// Why a peer that breaks the rules is closed.
pub(crate) const VIOLATION: CloseReason = CloseReason::ProtocolViolation;
