//! Addresses: how many sessions and rooms each has opened, how many wrong room codes it tried, and how
//! fast it joins and opens rooms.
//!
//! A session counts at the address that opened it until it is over, wherever it goes meanwhile, so a
//! player who moves is never refused. A room counts at the address of the session that opened it until
//! it closes, though that session may be over. An IPv6 address is its /64: one subscriber has all of it.
//! Wrong codes count at its /48 too.
//!
//! Bounded: an address with a session or a room is one of at most `sessions_max` and `rooms_max`
//! together. One without is kept only until its budgets have come back, and of those at most
//! [`IDLE_ADDRESSES_MAX`]: the one closest to a whole budget is forgotten first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rejoin_protocol::bucket::{Bucket, Rate};
use rejoin_protocol::{Limit, Refusal, Timestamp};

use crate::budgets::Budgets;
use crate::limits::IDLE_ADDRESSES_MAX;
use crate::sites::Sites;

/// One subscriber's address. `None`: not counted.
pub(crate) type AddressKey = Option<[u8; 16]>;

/// See the module page.
#[derive(Debug)]
pub(crate) struct Addresses {
    known: BTreeMap<[u8; 16], Known>,
    /// Those without a session or room, by when they may be forgotten.
    idle: BTreeSet<(Timestamp, [u8; 16])>,
    sites: Sites,
    sessions_max: u32,
    exempt_loopback: bool,
}

#[derive(Debug, Default)]
struct Known {
    sessions: u32,
    rooms: u32,
    guesses: Bucket,
    joins: Bucket,
    creates: Bucket,
}

impl Known {
    /// When nothing of its budgets is spent any more.
    fn whole_at(&self) -> Timestamp {
        let spent = self.guesses.whole_at().max(self.joins.whole_at());
        spent.max(self.creates.whole_at())
    }

    /// True if only its budgets keep it.
    const fn is_idle(&self) -> bool {
        self.sessions == 0 && self.rooms == 0
    }
}

impl Addresses {
    /// None yet.
    pub(crate) fn new(sessions_max: u32, exempt_loopback: bool) -> Self {
        Self {
            known: BTreeMap::new(),
            idle: BTreeSet::new(),
            sites: Sites::default(),
            sessions_max,
            exempt_loopback,
        }
    }

    /// Whether one more session of the address would be admitted.
    ///
    /// # Errors
    /// The refusal that names the limit and its setting.
    pub(crate) fn check_session(&self, address: SocketAddr) -> Result<(), Refusal> {
        let known = self.key(address).and_then(|key| self.known.get(&key));
        if known.is_some_and(|known| known.sessions >= self.sessions_max) {
            let most = self.sessions_max;
            let text = format!("one address has at most {most} sessions (address_sessions_max)");
            return Err(Refusal::over(Limit::AddressSessions, text, RETRY_SESSION));
        }
        Ok(())
    }

    /// Counts one more session. Give what it returns to [`Addresses::release`] when it is over.
    ///
    /// # Errors
    /// As for [`Addresses::check_session`].
    pub(crate) fn admit_session(&mut self, address: SocketAddr) -> Result<AddressKey, Refusal> {
        self.check_session(address)?;
        let key = self.key(address);
        if let Some(key) = key {
            let known = self.known.entry(key).or_default();
            if known.is_idle() {
                self.idle.remove(&(known.whole_at(), key));
            }
            known.sessions += 1;
        }
        Ok(key)
    }

    /// A session that was admitted is over.
    pub(crate) fn release(&mut self, key: AddressKey, now: Timestamp) {
        if let Some(known) = self.known_mut(key) {
            known.sessions = known.sessions.saturating_sub(1);
        }
        self.rest(key, now);
    }

    /// Whether a session of the address may open one more room; the budget for it is then spent.
    ///
    /// # Errors
    /// The refusal that names the limit and its setting. Nothing was spent.
    pub(crate) fn spend_create(
        &mut self,
        key: AddressKey,
        budgets: &Budgets,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(known) = self.known_mut(key) else {
            return Ok(());
        };
        let most = budgets.address_rooms_max;
        if known.rooms >= most {
            let text = format!("one address has at most {most} rooms (address_rooms_max)");
            return Err(Refusal::over(Limit::AddressRooms, text, RETRY_ROOM));
        }
        let taken = known.creates.take(budgets.address_room_creates(), now);
        taken.map_err(|wait| {
            let count = budgets.address_room_creates_per_min;
            let text = format!(
                "an address opens at most {count} rooms per minute (address_room_creates_per_min)"
            );
            Refusal::over(Limit::RoomCreates, text, wait)
        })
    }

    /// A session of the address has opened a room: tell [`Addresses::on_room_closed`] when it closes.
    pub(crate) fn on_room_opened(&mut self, key: AddressKey) {
        if let Some(known) = self.known_mut(key) {
            known.rooms += 1;
        }
    }

    /// A room that a session of the address had opened is closed.
    pub(crate) fn on_room_closed(&mut self, key: AddressKey, now: Timestamp) {
        if let Some(known) = self.known_mut(key) {
            known.rooms = known.rooms.saturating_sub(1);
        }
        self.rest(key, now);
    }

    /// Something of an address is over: it may be its last.
    fn rest(&mut self, key: AddressKey, now: Timestamp) {
        if let Some(key) = key
            && let Some(known) = self.known.get(&key)
            && known.is_idle()
        {
            self.idle.insert((known.whole_at(), key));
        }
        self.forget_whole(now);
    }

    /// Forgets idle addresses that have their budgets back, and those closest to it if they are too many.
    fn forget_whole(&mut self, now: Timestamp) {
        while let Some((whole_at, oldest)) = self.idle.first().copied()
            && (whole_at <= now || self.idle.len() > IDLE_ADDRESSES_MAX)
        {
            self.idle.pop_first();
            self.known.remove(&oldest);
        }
    }

    /// True if an address that has shown a cookie may have a handshake; it is then spent.
    pub(crate) fn spend_join(&mut self, address: SocketAddr, rate: Rate, now: Timestamp) -> bool {
        let Some(key) = self.key(address) else {
            return true;
        };
        let known = self.known.entry(key).or_default();
        self.idle.remove(&(known.whole_at(), key));
        let spent = known.joins.take(rate, now).is_ok();
        self.rest(Some(key), now);
        spent
    }

    /// All sessions and rooms are over, and nobody will open another.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.idle.clear();
        self.sites = Sites::default();
    }

    /// Whether a session of the address may try another room code or id.
    ///
    /// # Errors
    /// The refusal that names the limit and its setting.
    pub(crate) fn check_guess(
        &self,
        key: AddressKey,
        budgets: &Budgets,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some((key, known)) = key.and_then(|key| Some((key, self.known.get(&key)?))) else {
            return Ok(());
        };
        let over = |who, wait| {
            let count = budgets.address_guesses_per_min;
            let text = format!(
                "{who} {count} wrong room codes or ids per minute (address_guesses_per_min)"
            );
            Refusal::over(Limit::RoomGuesses, text, wait)
        };
        let checked = known.guesses.check(budgets.address_guesses(), now);
        checked.map_err(|wait| over("an address may try", wait))?;
        let checked = self.sites.check_guess(key, budgets.site_guesses(), now);
        checked.map_err(|wait| over("an IPv6 /48 may try four times", wait))
    }

    /// A session of the address tried a wrong room code or id.
    pub(crate) fn on_wrong_guess(&mut self, key: AddressKey, budgets: &Budgets, now: Timestamp) {
        if let Some(known) = self.known_mut(key) {
            known.guesses.charge(1, budgets.address_guesses(), now);
        }
        if let Some(key) = key {
            self.sites.on_wrong_guess(key, budgets.site_guesses(), now);
        }
    }

    fn known_mut(&mut self, key: AddressKey) -> Option<&mut Known> {
        self.known.get_mut(&key?)
    }

    fn key(&self, address: SocketAddr) -> AddressKey {
        let ip = address.ip().to_canonical();
        if ip.is_loopback() && self.exempt_loopback {
            return None;
        }
        let mut key = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        if ip.is_ipv6() {
            key.iter_mut().skip(8).for_each(|byte| *byte = 0);
        }
        Some(key)
    }

    /// Checks that the bounds hold and the indexes agree, for so many sessions and rooms that count.
    pub(crate) fn check(&self, sessions: usize, rooms: usize) {
        let counted: u64 = self.known.values().map(|k| u64::from(k.sessions)).sum();
        let sessions = u64::try_from(sessions).unwrap_or(u64::MAX);
        assert_eq!(counted, sessions, "every session counts once");
        let counted: u64 = self.known.values().map(|k| u64::from(k.rooms)).sum();
        let rooms = u64::try_from(rooms).unwrap_or(u64::MAX);
        assert_eq!(counted, rooms, "every room counts once");
        self.sites.check();
        let idle = self.known.values().filter(|known| known.is_idle());
        assert_eq!(idle.count(), self.idle.len(), "idle addresses are listed");
        assert!(
            self.idle.len() <= IDLE_ADDRESSES_MAX,
            "idle addresses are bounded"
        );
    }
}

/// When somebody whose address is full may ask again: a session may end any time.
const RETRY_SESSION: Duration = Duration::from_secs(10);
/// The same of rooms: an empty one closes after as long by default.
const RETRY_ROOM: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
