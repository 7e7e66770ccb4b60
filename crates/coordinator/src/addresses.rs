//! Addresses: how many sessions and rooms each has opened, how many wrong room codes it tried, and how
//! fast it joins and opens rooms.
//!
//! A session counts at the address that opened it until it is over, wherever it goes meanwhile, so a
//! player who moves is never refused. A room counts at the address of the session that opened it until
//! it closes, though that session may be over. An IPv6 address is its /64: one subscriber has all of it.
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

/// One subscriber's address. `None`: not counted.
pub(crate) type AddressKey = Option<[u8; 16]>;

/// See the module page.
#[derive(Debug)]
pub(crate) struct Addresses {
    known: BTreeMap<[u8; 16], Known>,
    /// Those without a session or room, by when they may be forgotten.
    idle: BTreeSet<(Timestamp, [u8; 16])>,
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
    pub(crate) const fn new(sessions_max: u32, exempt_loopback: bool) -> Self {
        Self {
            known: BTreeMap::new(),
            idle: BTreeSet::new(),
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
        let before = known.whole_at();
        let spent = known.joins.take(rate, now).is_ok();
        if known.is_idle() {
            let whole_at = known.whole_at();
            self.idle.remove(&(before, key));
            self.idle.insert((whole_at, key));
            self.forget_whole(now);
        }
        spent
    }

    /// All sessions and rooms are over, and nobody will open another.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.idle.clear();
    }

    /// Whether a session of the address may try another room code or id.
    ///
    /// # Errors
    /// After so long it may.
    pub(crate) fn check_guess(
        &self,
        key: AddressKey,
        rate: Rate,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let known = key.and_then(|key| self.known.get(&key));
        known.map_or(Ok(()), |known| known.guesses.check(rate, now))
    }

    /// A session of the address tried a wrong room code or id.
    pub(crate) fn on_wrong_guess(&mut self, key: AddressKey, rate: Rate, now: Timestamp) {
        if let Some(known) = self.known_mut(key) {
            known.guesses.charge(1, rate, now);
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
mod tests {
    use rejoin_protocol::Rng;

    use super::*;

    const RATE: Rate = Rate::per_minute(60, 2);

    fn from(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn addresses() -> Addresses {
        Addresses::new(2, true)
    }

    #[test]
    fn an_address_has_only_so_many_sessions_and_the_refusal_names_the_setting() {
        let mut addresses = addresses();
        let now = Timestamp::ZERO;
        let first = addresses.admit_session(from("203.0.113.1:1")).unwrap();
        addresses
            .admit_session(from("[::ffff:203.0.113.1]:2"))
            .unwrap();
        let refusal = addresses.admit_session(from("203.0.113.1:3")).unwrap_err();
        assert_eq!(refusal.limit, Some(Limit::AddressSessions));
        assert!(refusal.retry_after_ms.is_some() && refusal.text.contains("address_sessions_max"));
        assert!(addresses.admit_session(from("203.0.113.2:1")).is_ok());
        addresses.release(first, now);
        assert!(addresses.admit_session(from("203.0.113.1:3")).is_ok());
        addresses.check(3, 0);
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let mut addresses = addresses();
        addresses.admit_session(from("[2001:db8::1]:1")).unwrap();
        addresses.admit_session(from("[2001:db8::2]:1")).unwrap();
        assert!(addresses.admit_session(from("[2001:db8::3]:1")).is_err());
        assert!(addresses.admit_session(from("[2001:db8:0:1::1]:1")).is_ok());
    }

    #[test]
    fn loopback_is_exempt_only_if_everyone_there_is_trusted() {
        for (exempt, text) in [
            (true, "127.0.0.1:1"),
            (true, "[::1]:1"),
            (false, "127.0.0.1:1"),
        ] {
            let mut addresses = Addresses::new(2, exempt);
            let admitted = (0..9).filter(|_| addresses.admit_session(from(text)).is_ok());
            assert_eq!(admitted.count(), if exempt { 9 } else { 2 }, "{text}");
        }
    }

    #[test]
    fn guesses_outlive_the_sessions_that_made_them_but_not_their_budget() {
        let mut addresses = addresses();
        let at = Timestamp::from_millis;
        let key = addresses.admit_session(from("203.0.113.1:1")).unwrap();
        for _ in 0..2 {
            assert_eq!(addresses.check_guess(key, RATE, at(0)), Ok(()));
            addresses.on_wrong_guess(key, RATE, at(0));
        }
        addresses.release(key, at(0));
        let key = addresses.admit_session(from("203.0.113.1:1")).unwrap();
        let wait = addresses.check_guess(key, RATE, at(400));
        assert_eq!(wait, Err(Duration::from_millis(600)));
        addresses.release(key, at(400));
        assert_eq!(addresses.known.len(), 1);
        addresses.release(None, at(2_000));
        assert_eq!(addresses.known.len(), 0, "all came back");
    }

    #[test]
    fn addresses_that_guess_and_go_are_bounded() {
        let mut addresses = addresses();
        for number in 0..2 * u32::try_from(IDLE_ADDRESSES_MAX).unwrap() {
            let address = SocketAddr::from(((number + 0x0100_0000).to_be_bytes(), 1));
            let key = addresses.admit_session(address).unwrap();
            addresses.on_wrong_guess(key, RATE, Timestamp::ZERO);
            addresses.release(key, Timestamp::ZERO);
            addresses.check(0, 0);
        }
        assert_eq!(addresses.known.len(), IDLE_ADDRESSES_MAX);
    }

    #[test]
    fn an_address_joins_only_so_fast_and_is_forgotten_when_it_could_again() {
        let mut addresses = addresses();
        let at = Timestamp::from_millis;
        let mut spend = |text: &str, now| {
            let spent = addresses.spend_join(from(text), RATE, now);
            addresses.check(0, 0);
            (spent, addresses.known.len())
        };
        assert_eq!(spend("203.0.113.1:1", at(0)), (true, 1));
        assert_eq!(spend("203.0.113.1:2", at(0)), (true, 1));
        assert_eq!(spend("203.0.113.1:3", at(0)), (false, 1));
        assert_eq!(spend("203.0.113.2:1", at(0)), (true, 2), "another");
        assert_eq!(spend("127.0.0.1:1", at(0)), (true, 2), "not counted");
        assert_eq!(spend("203.0.113.1:1", at(1_000)), (true, 1));
        assert_eq!(spend("203.0.113.1:1", at(1_000)), (false, 1));
        assert_eq!(spend("203.0.113.2:1", at(5_000)), (true, 1));
    }

    fn budgets(per_min: u32, burst: u32, rooms: u32) -> Budgets {
        Budgets {
            address_room_creates_per_min: per_min,
            address_room_creates_burst: burst,
            address_rooms_max: rooms,
            ..Budgets::default()
        }
    }

    #[test]
    fn an_address_has_only_so_many_rooms_though_their_sessions_end_before_them() {
        let mut addresses = addresses();
        let (now, budgets) = (Timestamp::ZERO, budgets(60, 60, 2));
        let mut key = None;
        for rooms in 0..2 {
            key = addresses.admit_session(from("203.0.113.1:1")).unwrap();
            assert_eq!(addresses.spend_create(key, &budgets, now), Ok(()));
            addresses.on_room_opened(key);
            addresses.release(key, now);
            addresses.check(0, rooms + 1);
        }
        let refusal = addresses.spend_create(key, &budgets, now).unwrap_err();
        assert_eq!(refusal.limit, Some(Limit::AddressRooms));
        assert!(
            refusal.retry_after_ms.is_some()
                && refusal.text.contains("2 rooms (address_rooms_max)")
        );
        addresses.on_room_closed(key, now);
        assert_eq!(addresses.spend_create(key, &budgets, now), Ok(()));
        addresses.on_room_closed(key, now);
        addresses.check(0, 0);
        addresses.release(None, now + Duration::from_secs(10));
        assert_eq!(addresses.known.len(), 0, "all came back");
    }

    #[test]
    fn an_address_opens_rooms_only_so_fast_whichever_session_asks() {
        let mut addresses = addresses();
        let at = Timestamp::from_millis;
        let budgets = budgets(60, 2, 9);
        for ok in [true, true, false] {
            let key = addresses.admit_session(from("203.0.113.1:1")).unwrap();
            let spent = addresses.spend_create(key, &budgets, at(400));
            addresses.release(key, at(400));
            addresses.check(0, 0);
            let Err(refusal) = spent else {
                assert!(ok);
                continue;
            };
            assert!(!ok && refusal.limit == Some(Limit::RoomCreates));
            assert_eq!(refusal.retry_after_ms, Some(1_000));
            assert!(
                refusal
                    .text
                    .contains("60 rooms per minute (address_room_creates_per_min)")
            );
        }
    }

    #[test]
    fn whatever_addresses_do_few_are_remembered_and_the_most_whole_forgotten() {
        for seed in 0..3 {
            let mut rng = Rng::from_number(seed);
            let mut addresses = addresses();
            let (mut open, mut rooms, mut now) = (Vec::new(), Vec::new(), Timestamp::ZERO);
            let budgets = budgets(60, 2, 2);
            let mut filled = false;
            for step in 0..30_000 {
                now += Duration::from_micros(rng.below(10));
                if open.len() < 50 && rng.chance(0.8) || open.is_empty() {
                    let host = u32::try_from(0x0100_0000 + rng.below(50_000)).unwrap();
                    let address = SocketAddr::from((host.to_be_bytes(), 1));
                    open.extend(addresses.admit_session(address));
                } else if rng.chance(0.1) {
                    let host = u32::try_from(0x0100_0000 + rng.below(50_000)).unwrap();
                    addresses.spend_join(SocketAddr::from((host.to_be_bytes(), 1)), RATE, now);
                } else if rng.chance(0.2) {
                    let key = open[rng.index(open.len())];
                    if rooms.len() < 50 && addresses.spend_create(key, &budgets, now).is_ok() {
                        addresses.on_room_opened(key);
                        rooms.push(key);
                    } else if !rooms.is_empty() {
                        let key = rooms.swap_remove(rng.index(rooms.len()));
                        addresses.on_room_closed(key, now);
                    }
                } else if rng.chance(0.6) {
                    let key = open[rng.index(open.len())];
                    addresses.on_wrong_guess(key, RATE, now);
                } else {
                    let key = open.swap_remove(rng.index(open.len()));
                    let before = addresses.idle.last().copied();
                    addresses.release(key, now);
                    let first = addresses.idle.first();
                    assert!(first.is_none_or(|(whole_at, _)| *whole_at > now));
                    assert!(
                        before.is_none_or(|last| addresses.idle.contains(&last) || last.0 <= now)
                    );
                }
                assert!(addresses.known.len() <= open.len() + rooms.len() + IDLE_ADDRESSES_MAX);
                filled |= addresses.idle.len() == IDLE_ADDRESSES_MAX;
                if step % 100 == 0 {
                    addresses.check(open.len(), rooms.len());
                }
            }
            assert!(filled);
        }
    }
}
