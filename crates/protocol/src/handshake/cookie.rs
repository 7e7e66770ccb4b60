//! Cookies: proof that a client receives at the address it sends from, without memory.
//!
//! Asked for under load, before any Diffie-Hellman. A cookie is a keyed hash of the address, so
//! that making and checking one takes two hashes and no state beyond a secret.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::crypto::hash;
use crate::time::Timestamp;

/// Bytes of a cookie.
pub(super) const COOKIE_LEN: usize = 16;

/// How long one secret makes cookies; they are accepted for as long again (`WireGuard` keeps its
/// secrets for 120 s).
pub const COOKIE_PERIOD: Duration = Duration::from_secs(60);

/// Makes and checks the cookies of one server process.
pub struct Cookies {
    secret: [u8; 32],
}

impl Cookies {
    /// With a secret that nothing else uses.
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The cookie of an address now.
    pub(super) fn make(&self, address: SocketAddr, now: Timestamp) -> [u8; COOKIE_LEN] {
        self.of_period(address, period(now))
    }

    /// True if the cookie was made for this address in this period or the one before.
    #[must_use]
    pub fn check(&self, address: SocketAddr, cookie: &[u8; 16], now: Timestamp) -> bool {
        if *cookie == [0; COOKIE_LEN] {
            return false;
        }
        accepted_periods(now).any(|period| hash::equal(cookie, &self.of_period(address, period)))
    }

    /// What a challenge to an address holds (see [`Connection::challenge`](crate::Connection::challenge)).
    /// It is another than the address's cookie, so that neither stands in for the other.
    #[must_use]
    pub fn path_token(&self, address: SocketAddr, now: Timestamp) -> [u8; 8] {
        self.token_of_period(address, period(now))
    }

    /// True if the token was made for this address in this period or the one before.
    #[must_use]
    pub fn proves_path(&self, address: SocketAddr, token: [u8; 8], now: Timestamp) -> bool {
        accepted_periods(now).any(|period| token == self.token_of_period(address, period))
    }

    fn token_of_period(&self, address: SocketAddr, period: u64) -> [u8; 8] {
        let cookie = self.of_period(address, period);
        let token = hash::keyed_short(&self.secret, &[b"path", &cookie]);
        *token.first_chunk().expect("8 bytes are a part of 16")
    }

    fn of_period(&self, address: SocketAddr, period: u64) -> [u8; COOKIE_LEN] {
        let ip = match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let port = address.port().to_be_bytes();
        let parts: [&[u8]; 4] = [b"cookie", &period.to_be_bytes(), &ip.octets(), &port];
        hash::keyed_short(&self.secret, &parts)
    }
}

/// The present period and the one before it.
fn accepted_periods(now: Timestamp) -> impl Iterator<Item = u64> {
    let present = period(now);
    (present.saturating_sub(1)..=present).rev()
}

fn period(now: Timestamp) -> u64 {
    now.as_nanos() / u64::try_from(COOKIE_PERIOD.as_nanos()).expect("a minute fits")
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookies")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_cookie_is_good_for_its_address_alone() {
        let cookies = Cookies::new([1; 32]);
        let now = Timestamp::from_millis(5);
        let cookie = cookies.make(address("10.0.0.1:9"), now);
        assert!(cookies.check(address("10.0.0.1:9"), &cookie, now));
        assert!(cookies.check(address("[::ffff:10.0.0.1]:9"), &cookie, now));
        for other in ["10.0.0.2:9", "10.0.0.1:10", "[2001:db8::1]:9"] {
            assert!(!cookies.check(address(other), &cookie, now), "{other}");
        }
        assert!(!Cookies::new([2; 32]).check(address("10.0.0.1:9"), &cookie, now));
        assert!(!cookies.check(address("10.0.0.1:9"), &[0; 16], now));
    }

    #[test]
    fn a_cookie_ends_with_the_period_after_its_own() {
        let cookies = Cookies::new([1; 32]);
        let (from, made) = (address("10.0.0.1:9"), Timestamp::from_millis(59_999));
        let cookie = cookies.make(from, made);
        for (millis, good) in [(60_000, true), (119_999, true), (120_000, false)] {
            let now = Timestamp::from_millis(millis);
            assert_eq!(cookies.check(from, &cookie, now), good, "{millis}");
        }
    }
}
