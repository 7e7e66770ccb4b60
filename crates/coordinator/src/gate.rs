//! The gate: which hellos deserve Diffie-Hellman and memory before their sender has shown that it
//! receives at its address.
//!
//! A few a second do, so that a quiet server answers in one round trip, and many more that bring a good ticket. Beyond
//! that a hello is answered with a cookie, which costs no memory; the same hello with its cookie passes.

use std::net::SocketAddr;

use rejoin_protocol::Timestamp;
use rejoin_protocol::bucket::Bucket;
use rejoin_protocol::crypto::PublicKey;
use rejoin_protocol::handshake::{Cookies, HelloError, Mac1Key, ReceivedHello};

use crate::limits::{TICKETED_RATE, UNEARNED_RATE};

/// The gate of one shard.
#[derive(Debug)]
pub(crate) struct Gate {
    mac1: Mac1Key,
    cookies: Cookies,
    /// Handshakes of strangers.
    unearned: Bucket,
    /// Handshakes of senders with a ticket that have not shown that they receive at their address.
    ticketed: Bucket,
}

impl Gate {
    pub(crate) fn new(server: &PublicKey, cookie_secret: [u8; 32]) -> Self {
        Self {
            mac1: Mac1Key::of(server),
            cookies: Cookies::new(cookie_secret),
            unearned: Bucket::default(),
            ticketed: Bucket::default(),
        }
    }

    /// Takes a datagram through the first gates.
    pub(crate) fn read<'a>(&self, datagram: &'a [u8]) -> Result<ReceivedHello<'a>, HelloError> {
        ReceivedHello::read(datagram, &self.mac1)
    }

    /// True if the hello comes with a cookie of its sender's address.
    pub(crate) fn is_proven(
        &self,
        from: SocketAddr,
        hello: &ReceivedHello<'_>,
        now: Timestamp,
    ) -> bool {
        hello.proves(from, &self.cookies, now)
    }

    /// The answer to a hello that has to prove its sender's address first.
    pub(crate) fn ask(
        &self,
        from: SocketAddr,
        hello: &ReceivedHello<'_>,
        now: Timestamp,
    ) -> Vec<u8> {
        hello.ask_cookie(from, &self.cookies, now)
    }

    /// What a challenge to an address holds.
    pub(crate) fn path_token(&self, address: SocketAddr, now: Timestamp) -> [u8; 8] {
        self.cookies.path_token(address, now)
    }

    /// True if the answer to a challenge shows that the address received it.
    pub(crate) fn proves_path(&self, address: SocketAddr, token: [u8; 8], now: Timestamp) -> bool {
        self.cookies.proves_path(address, token, now)
    }

    /// True if there is time for a handshake that nobody has earned; it is then spent.
    pub(crate) fn spend(&mut self, now: Timestamp) -> bool {
        self.unearned.take(UNEARNED_RATE, now).is_ok()
    }

    /// The same for one whose ticket is good.
    pub(crate) fn spend_ticket(&mut self, now: Timestamp) -> bool {
        self.ticketed.take(TICKETED_RATE, now).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn unearned_handshakes_are_bounded_at_once_and_over_time() {
        type Spend = fn(&mut Gate, Timestamp) -> bool;
        let rates: [(Spend, usize, usize); 2] =
            [(Gate::spend, 50, 10), (Gate::spend_ticket, 4_096, 40)];
        for (spend, at_once, in_20_ms) in rates {
            let mut gate = Gate::new(&PublicKey([1; 32]), [2; 32]);
            let mut passed = |now| (0..10_000).filter(|_| spend(&mut gate, now)).count();
            let start = Timestamp::from_millis(5);
            assert_eq!(passed(start), at_once);
            assert_eq!(passed(start), 0);
            assert_eq!(passed(start + Duration::from_millis(20)), in_20_ms);
            assert_eq!(passed(start + Duration::from_secs(9)), at_once);
        }
    }
}
