//! What a shard is told when it starts.

use std::fmt;
use std::time::Duration;

use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::handshake::TicketKeys;
use rejoin_protocol::{Epoch, Fetch, Timestamp};

use crate::auth::Auth;
use crate::budgets::Budgets;
use crate::limits::MOMENT_AHEAD_MAX;

/// Settings of a shard, checked by the shell that made them.
#[derive(Clone)]
pub struct Config {
    /// The server's static keys.
    pub keys: StaticKeys,
    /// Secret behind session ids: the same one after a restart gives the same sessions.
    pub session_secret: [u8; 32],
    /// Keys of tickets, with which sessions are taken up again. Default: one that comes of the session secret.
    pub ticket_keys: TicketKeys,
    /// Who may open a session.
    pub auth: Auth,
    /// The wall clock when the shard's own clock stood at zero, as time since 1970. Read once: the
    /// clock may jump later, and no session notices.
    pub unix_start: Duration,
    /// This process among the owners of its data.
    pub epoch: Epoch,
    /// Byte 0 of every connection id of this shard.
    pub shard: u8,
    /// How many shards the server has: theirs are the numbers below.
    pub shards: u8,
    /// Secret behind cookies. One that the shards of a server share, since a hello may reach any of them;
    /// `None`: the shard draws its own.
    pub cookie_secret: Option<[u8; 32]>,
    /// Most sessions of this shard; more joins are refused. Each may make its connection hold up to the bounds of
    /// its queues (`rejoin_protocol::limits`), which is much more than it takes in play. Default
    /// 4,096.
    pub sessions_max: usize,
    /// Most rooms of this shard; more creates are refused. Default 1,024.
    pub rooms_max: usize,
    /// Most joins whose keys no packet has confirmed; more hellos get no answer. Default 1,024.
    pub pending_joins_max: usize,
    /// How long a detached player's seat is held. Default 120 s.
    pub seat_hold: Duration,
    /// How long a room in which nobody is present is kept in the store with its seats, if its kind says nothing of it. Zero:
    /// seats are given up instead. Default 0 s.
    pub hibernate_for: Duration,
    /// How long a room without members stays open. Default 10 s.
    pub empty_room_hold: Duration,
    /// How long a session without a seat may stay. Default 10 min.
    pub idle_session_hold: Duration,
    /// How long one call of room logic may take before it is counted, named, and its room slowed. Default 10 ms.
    pub call_budget: Duration,
    /// How much one connection, session, room or address may do.
    pub budgets: Budgets,
    /// The machine stopped without a word since the store was written last: what was not synced may be lost.
    pub store_may_lack: bool,
    /// With each checkpoint a room is rebuilt from the one before and compared, and what differs is logged: for the
    /// development of room logic. It takes as long as the calls since then took. Default false.
    pub check_determinism: bool,
    /// How memory is asked for ahead. Default: it is not.
    pub fetch: Fetch,
}

impl Config {
    /// Defaults with `keys` and `session_secret`.
    #[must_use]
    pub fn new(keys: StaticKeys, session_secret: [u8; 32]) -> Self {
        Self {
            keys,
            ticket_keys: TicketKeys::of(&session_secret),
            session_secret,
            auth: Auth::Dev,
            unix_start: Duration::ZERO,
            epoch: Epoch(1),
            shard: 0,
            shards: 1,
            cookie_secret: None,
            sessions_max: 4_096,
            rooms_max: 1_024,
            pending_joins_max: 1_024,
            seat_hold: rejoin_protocol::limits::SEAT_HOLD,
            hibernate_for: Duration::ZERO,
            empty_room_hold: Duration::from_secs(10),
            idle_session_hold: Duration::from_secs(600),
            call_budget: Duration::from_millis(10),
            budgets: Budgets::default(),
            store_may_lack: false,
            check_determinism: false,
            fetch: Fetch::default(),
        }
    }

    /// Seconds since 1970 at `now`.
    pub(crate) fn unix_s(&self, now: Timestamp) -> u64 {
        self.unix(now).as_secs()
    }

    /// When that second since 1970 begins.
    pub(crate) fn moment(&self, unix_s: u64) -> Timestamp {
        let wait = Duration::from_secs(unix_s).saturating_sub(self.unix_start);
        Timestamp::ZERO + wait
    }

    /// The largest moment that a hello may have at `now`: microseconds since 1970.
    pub(crate) fn moment_max(&self, now: Timestamp) -> u64 {
        let latest = self.unix(now) + MOMENT_AHEAD_MAX;
        u64::try_from(latest.as_micros()).unwrap_or(u64::MAX)
    }

    fn unix(&self, now: Timestamp) -> Duration {
        self.unix_start + Duration::from_nanos(now.as_nanos())
    }
}

impl fmt::Debug for Config {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("keys", &self.keys)
            .field("auth", &self.auth)
            .field("epoch", &self.epoch)
            .field("shard", &self.shard)
            .field("shards", &self.shards)
            .field("sessions_max", &self.sessions_max)
            .field("rooms_max", &self.rooms_max)
            .field("pending_joins_max", &self.pending_joins_max)
            .field("seat_hold", &self.seat_hold)
            .field("hibernate_for", &self.hibernate_for)
            .field("empty_room_hold", &self.empty_room_hold)
            .field("idle_session_hold", &self.idle_session_hold)
            .field("call_budget", &self.call_budget)
            .field("budgets", &self.budgets)
            .finish_non_exhaustive()
    }
}
