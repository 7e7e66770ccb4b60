//! One shard: a thread's sessions and rooms, and the turn that moves them.

use std::net::SocketAddr;

use rejoin_protocol::handshake::TicketKeys;
use rejoin_protocol::message::RoomCloseReason;
use rejoin_protocol::{CloseReason, ConnectionId, Rng, SessionId, Timestamp, handshake, packet};
use rejoin_room::Kinds;
use rejoin_store::Store;
use tracing::{info, trace};

use crate::admission::{self, Heard};
use crate::auth::Auth;
use crate::config::Config;
use crate::connections::Stage;
use crate::directory::Directory;
use crate::hibernation;
use crate::house::House;
use crate::invariants;
use crate::keep::Keep;
use crate::keys::{RoomKey, Slot};
use crate::lobby::Lobby;
use crate::mail::{Content, Letter};
use crate::oversight::SessionCard;
use crate::paths::is_answerable;
use crate::recovery;
use crate::rooms::entry::Entry;
use crate::rooms::queue::Origin;
use crate::schedule::Due;
use crate::stats::ShardStats;
use crate::stopwatch::{Stopwatch, Unmeasured};
use crate::turn;

/// A shard. Feed it datagrams, then call [`Shard::turn`], then drain [`Shard::poll_transmit`].
#[derive(Debug)]
pub struct Shard<S, D> {
    pub(crate) house: House,
    kinds: Kinds,
    pub(crate) keep: Keep<S>,
    directory: D,
    chance: Chance,
    life: Life,
    /// The newest moment told.
    clock: Timestamp,
    scratch: Scratch,
}

/// Memory of one turn, kept for the next.
#[derive(Debug, Default)]
struct Scratch {
    due: Vec<Due>,
    active: Vec<RoomKey>,
    written: turn::Written,
    /// A view's bytes.
    view: Vec<u8>,
}

/// Chance by owner, so that one does not shift another's.
#[derive(Debug)]
struct Chance {
    handshakes: Rng,
    rooms: Rng,
    /// Names the stays of rooms that are taken up.
    stays: Rng,
}

/// Where the shard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// All sessions end with the next turn.
    Stopping(CloseReason),
    /// Only goodbyes are left.
    Stopped,
}

impl<S: Store, D: Directory> Shard<S, D> {
    /// A shard without sessions. With its first turns it takes up the rooms that the store holds, those first that
    /// somebody asks for: their seats are held until their clients come back, and those that cannot be rebuilt are named
    /// in the log and stay in the store.
    #[must_use]
    pub fn new(
        config: Config,
        kinds: Kinds,
        store: S,
        directory: D,
        rng: Rng,
        now: Timestamp,
    ) -> Self {
        let mut shard = Self {
            house: House::new(config, &mut rng.fork("connection ids"), now),
            kinds,
            keep: Keep::new(store),
            directory,
            chance: Chance {
                handshakes: rng.fork("handshakes"),
                rooms: rng.fork("rooms"),
                stays: rng.fork("stays"),
            },
            life: Life::Running,
            clock: now,
            scratch: Scratch::default(),
        };
        let mut hosts = turn::Hosts {
            keep: &mut shard.keep,
            directory: &mut shard.directory,
        };
        shard.house.dormant = recovery::survey(&mut hosts, shard.house.config.shard);
        shard
    }

    /// Tells of datagrams that will be handled in a moment: the memory that they need is asked for, see
    /// [`Config::fetch`]. Nothing changes, and nothing has to be expected.
    pub fn expect<'a>(&self, datagrams: impl Iterator<Item = &'a [u8]>) {
        self.house.expect(datagrams);
    }

    /// Step 1 for one datagram: opens it and keeps what it asks for until the turn.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &mut [u8], now: Timestamp) {
        self.clock = self.clock.max(now);
        self.house.stats.received += 1;
        if !is_answerable(from) {
            self.house.stats.dropped += 1;
        } else if handshake::is_hello(datagram) {
            let heard = Heard {
                from,
                datagram,
                forwarded: false,
            };
            self.handle_hello(heard, now);
        } else if let Some(shard) = self.other_addressee(datagram) {
            self.forward(shard, from, datagram);
        } else if !self.house.handle_packet(from, datagram, now) {
            self.house.stats.dropped += 1;
        }
    }

    /// Step 1 for one letter of another shard.
    pub fn handle_letter(&mut self, letter: Letter, now: Timestamp) {
        self.clock = self.clock.max(now);
        match letter.0 {
            Content::Datagram { from, mut bytes } => {
                if handshake::is_hello(&bytes) {
                    let heard = Heard {
                        from,
                        datagram: &bytes,
                        forwarded: true,
                    };
                    self.handle_hello(heard, now);
                } else if !self.house.handle_packet(from, &mut bytes, now) {
                    self.house.stats.dropped += 1;
                }
            }
            Content::Ask { room, from, ask } => self.house.ask_from_abroad(room, from, ask),
            Content::ToRoom { room, from, what } => {
                self.house.take_from_abroad(room, from, what, now);
            }
            Content::ToSession { to, room, what } => self.house.hear(to, room, what, now),
            Content::Reply {
                to,
                call,
                ask,
                result,
            } => self
                .house
                .on_reply_from_abroad(to, (call, ask), result, now),
        }
    }

    /// Step 5 for the other shards: moves the letters for `shard` to `taken`. They must arrive there in this
    /// order, each once. If a shard does not keep up, leave them: what waits here is bounded.
    pub fn take_letters(&mut self, shard: u8, taken: &mut Vec<Letter>) {
        self.house.mail.take(shard, taken);
    }

    /// The rest of the turn: due ticks and timers, journal, apply, encode, release.
    pub fn turn(&mut self, now: Timestamp) {
        self.turn_measured(&mut Unmeasured, now);
    }

    /// The same, with the calls of room logic measured: what takes longer than `Config::call_budget` is counted
    /// and named, and its room slowed.
    pub fn turn_measured(&mut self, stopwatch: &mut dyn Stopwatch, now: Timestamp) {
        self.clock = self.clock.max(now);
        self.house.answers.on_turn();
        self.house.turns += 1;
        self.collect_requests(now);
        self.recover(stopwatch, now);
        self.collect_due(now);
        let Scratch {
            active,
            written,
            view,
            ..
        } = &mut self.scratch;
        self.house.rooms.take_active(active);
        self.house.expect_turn(active, now);
        turn::write(&mut self.keep, &mut self.house, active, written, now);
        if self.house.store_failure.is_some() {
            return;
        }
        for work in written.works.drain(..) {
            let (kinds, house) = (&self.kinds, &mut self.house);
            turn::apply(&mut self.keep, kinds, house, work, stopwatch, now);
        }
        let mut hosts = turn::Hosts {
            keep: &mut self.keep,
            directory: &mut self.directory,
        };
        for key in active.drain(..) {
            turn::finish(&mut hosts, &mut self.house, key, view, stopwatch, now);
        }
        self.house.on_synced(&self.keep, now);
        if let Some(failure) = self.keep.failure() {
            // Something that was told of this turn is not written: a room that is closed, say.
            self.house.store_failure = Some(failure);
            return;
        }
        if let Life::Stopping(reason) = self.life {
            self.end_all(reason, now);
        }
        self.house.close_doomed(now);
        self.house.sweep(now);
        for session in self.house.take_departed() {
            self.directory.depart(session, self.house.config.shard);
        }
    }

    /// Appends the next datagram to `out` and tells where it goes.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Timestamp) -> Option<SocketAddr> {
        if let Some((to, answer)) = self.house.answers.pop() {
            out.extend_from_slice(&answer);
            self.house.stats.sent += 1;
            return Some(to);
        }
        let start = out.len();
        while let Some(slot) = self.house.connections.first_ready() {
            if let Some(to) = self.house.challenge(slot, out, now) {
                self.house.stats.sent += 1;
                return Some(to);
            }
            if let Some(peer) = self.house.connections.get_mut(slot)
                && !matches!(peer.stage, Stage::Pending(_))
                && peer.path_shown
                && peer.connection.poll_transmit(out, now)
            {
                let path = peer.path;
                if peer.connection.is_closed() {
                    let packet = out.get(start..).unwrap_or_default();
                    self.house.remember_goodbye(slot, packet);
                }
                self.house.stats.sent += 1;
                return Some(path);
            }
            self.house.connections.pop_ready();
            self.house.drain(slot, now);
            self.house.schedule_timers(slot, now);
        }
        None
    }

    /// When the next turn is due if no datagram comes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let waiting = self.house.rooms.is_active()
            || !self.house.requests.is_empty()
            || !self.house.answers.is_empty()
            || !self.house.mail.is_empty()
            || self.house.dormant.has_more()
            || self.house.connections.first_ready().is_some()
            || matches!(self.life, Life::Stopping(_));
        if waiting {
            Some(self.clock)
        } else {
            let asleep = self.house.dormant.next_end();
            let forget = asleep.map(|until| self.house.config.moment(until));
            [self.house.schedule.next(), forget]
                .into_iter()
                .flatten()
                .min()
        }
    }

    /// Changes who may open a session from now on: new permit keys, say. A change to `dev` auth is
    /// passed over, because only at the start is the address looked at.
    pub fn set_auth(&mut self, auth: Auth) {
        if auth != Auth::Dev {
            self.house.config.auth = auth;
        }
    }

    /// Changes the keys that seal and open tickets from now on.
    pub fn set_ticket_keys(&mut self, keys: TicketKeys) {
        self.house.config.ticket_keys = keys;
    }

    /// Ends every session with `reason` in the next turn; new joins are refused from now on.
    pub fn stop(&mut self, reason: CloseReason) {
        if self.life == Life::Running {
            self.house.stopping = true;
            self.life = Life::Stopping(reason);
        }
    }

    /// True once nothing is left to send after [`Shard::stop`].
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.life == Life::Stopped
            && self.house.connections.len() == 0
            && self.house.answers.is_empty()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> ShardStats {
        ShardStats {
            sessions: self.house.sessions.len(),
            joins_pending: self.house.connections.pending().all,
            rooms: self.house.rooms.len(),
            rooms_paused: self.house.paused.len(),
            rooms_asleep: self.house.dormant.asleep(),
            rooms_to_come: self.house.dormant.to_come(),
            letters: self.house.mail.written(),
            ..self.house.stats
        }
    }

    /// Every session.
    pub fn sessions(&self) -> impl Iterator<Item = SessionCard> + '_ {
        self.house.session_cards()
    }

    /// Takes a session's connection away: with a word, or as if it had never been there. Its seats are held,
    /// and its client can come back.
    pub fn lose_connection(
        &mut self,
        session: SessionId,
        word: Option<CloseReason>,
        now: Timestamp,
    ) {
        self.clock = self.clock.max(now);
        self.house.lose_connection(session, word, now);
    }

    /// Checks what must always hold. The simulator calls it after every step.
    ///
    /// # Panics
    /// If something does not hold: a defect of ours.
    pub fn check_invariants(&self) {
        invariants::check(&self.house, &self.directory);
    }

    /// The other shard of this server that a datagram is for. The system steers most to the right one.
    fn other_addressee(&self, datagram: &[u8]) -> Option<u8> {
        let ConnectionId([shard, ..]) = packet::label(datagram)?;
        self.house.mail.is_other(shard).then_some(shard)
    }

    fn forward(&mut self, shard: u8, from: SocketAddr, datagram: &[u8]) {
        if self.house.mail.is_full(shard, true) {
            self.house.stats.dropped += 1;
            return;
        }
        self.house.stats.forwarded += 1;
        let bytes = datagram.to_vec();
        self.house
            .mail
            .post(shard, Content::Datagram { from, bytes });
    }

    fn handle_hello(&mut self, heard: Heard<'_>, now: Timestamp) {
        let answers = &self.house.answers;
        let no_place = answers.has_demands_enough() && !handshake::carries_cookie(heard.datagram);
        if answers.is_full() || no_place {
            self.house.stats.hellos_refused += 1;
            return;
        }
        let rng = &mut self.chance.handshakes;
        let homes = &mut self.directory;
        let answer = admission::handle_hello(&mut self.house, homes, heard, rng, now);
        if let Some(answer) = answer {
            self.house.answers.push(heard.from, answer);
        }
    }

    fn collect_requests(&mut self, now: Timestamp) {
        let mut requests = std::mem::take(&mut self.house.requests);
        let mut lobby = Lobby {
            house: &mut self.house,
            kinds: &self.kinds,
            directory: &mut self.directory,
            rng: &mut self.chance.rooms,
        };
        for request in requests.drain(..) {
            if let Some(request) = lobby.unless_dormant(request) {
                lobby.handle(request, now);
            }
        }
    }

    fn recover(&mut self, stopwatch: &mut dyn Stopwatch, now: Timestamp) {
        let mut hosts = turn::Hosts {
            keep: &mut self.keep,
            directory: &mut self.directory,
        };
        hibernation::forget_overdue(&mut hosts, &mut self.house, now);
        if self.house.dormant.is_quiet() {
            return;
        }
        let with = (&self.kinds, &mut self.chance.stays);
        recovery::recover(&mut hosts, &mut self.house, with, stopwatch, now);
        self.collect_requests(now);
    }

    fn collect_due(&mut self, now: Timestamp) {
        let mut all = std::mem::take(&mut self.scratch.due);
        self.house.schedule.take_due(now, &mut all);
        for due in all.drain(..) {
            trace!(?due, "is due");
            match due {
                Due::Join(slot) => self.house.on_join_expired(slot),
                Due::Timers(slot) => self.on_timers(slot, now),
                Due::Gone(slot) => self.house.on_gone(slot, now),
                Due::Idle(session) => self.house.on_idle(session, now),
                Due::Ticket(session) => self.house.issue_ticket(session, now),
                Due::Hold(room, player) => self.house.on_hold_over(room, player, now),
                Due::Room(key) => self.on_room_due(key, now),
            }
        }
        self.scratch.due = all;
    }

    fn on_timers(&mut self, slot: Slot, now: Timestamp) {
        if let Some(peer) = self.house.connections.get_mut(slot) {
            peer.connection.handle_timeout(now);
            self.house.connections.mark_ready(slot);
            self.house.drain(slot, now);
        }
    }

    fn on_room_due(&mut self, key: RoomKey, now: Timestamp) {
        self.house.rooms.activate(key);
        let Some(room) = self.house.rooms.get_mut(key) else {
            return;
        };
        if room.is_paused() {
            return;
        }
        if room.upkeep.empty_until.is_some_and(|until| until <= now) && room.queue.is_empty() {
            let word = "nobody was there".to_owned();
            room.closing.get_or_insert(RoomCloseReason::Ended(word));
            return;
        }
        let timers = room.is_timer_due(room.clock.at(now));
        let tick = room.clock.take_tick(now);
        if timers {
            self.house.rooms.push(key, Entry::Timers, Origin::None);
        }
        if let Some(tick) = tick {
            self.house.stats.ticks_skipped += tick.skipped;
            self.house.rooms.push(key, Entry::Tick, Origin::None);
        }
    }

    /// The orderly end: rooms are kept, sessions told.
    fn end_all(&mut self, reason: CloseReason, now: Timestamp) {
        info!(shard = self.house.config.shard, %reason, sessions = self.house.sessions.len(), "shard stops");
        let mut hosts = turn::Hosts {
            keep: &mut self.keep,
            directory: &mut self.directory,
        };
        turn::close_all(&mut hosts, &mut self.house, now);
        self.house.end_sessions(reason, now);
        self.life = Life::Stopped;
    }
}
