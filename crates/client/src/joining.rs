//! The hello under way: sends it, sends it again, and gives up in time.
//!
//! Owned by [`Core`](crate::Core) until the server answers.

use std::time::Duration;

use rejoin_protocol::handshake::{
    ClientHandshake, Established, HandshakeError, HandshakeOptions, StartError,
};
use rejoin_protocol::limits::{COOKIES_AT_ONCE_MAX, HELLO_RETRY, HELLO_RETRY_MAX, OLD_HELLOS_MAX};
use rejoin_protocol::{Refusal, RefusalCode, Rng, Timestamp};

/// A client that waits for the answer to its hello.
#[derive(Debug)]
pub(crate) struct Joining {
    handshake: ClientHandshake,
    /// To start anew.
    options: HandshakeOptions,
    rng: Rng,
    /// When the hello leaves, first or again.
    next_hello: Timestamp,
    /// How long to wait for an answer to the next hello.
    wait: Duration,
    /// When to give up.
    deadline: Timestamp,
    join_timeout: Duration,
    /// When the only hello left; `None` before it, and again once there are two.
    only_hello: Option<Timestamp>,
    hellos: u32,
    /// Cookies answered at once so far.
    cookies: u32,
    /// Hellos so far that were older than another of our identity.
    old_hellos: u32,
}

impl Joining {
    pub(crate) fn new(
        options: HandshakeOptions,
        join_timeout: Duration,
        mut rng: Rng,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        Ok(Self {
            handshake: ClientHandshake::new(&options, &mut rng)?,
            options,
            rng,
            next_hello: now,
            wait: HELLO_RETRY,
            deadline: now + join_timeout,
            join_timeout,
            only_hello: None,
            hellos: 0,
            cookies: 0,
            old_hellos: 0,
        })
    }

    /// Takes the server's answer; `None` if it was only a step of the way. With it comes the
    /// round-trip time if it is certain: an answer to one of several hellos does not say to which
    /// (Karn 1987).
    pub(crate) fn handle_reply(
        &mut self,
        datagram: &[u8],
        now: Timestamp,
    ) -> Result<Option<(Established, Option<Duration>)>, HandshakeError> {
        match self.handshake.handle_reply(datagram) {
            Ok(established) => {
                let rtt = self.only_hello.map(|sent| now.since(sent));
                Ok(Some((established, rtt)))
            }
            Err(HandshakeError::Cookie) => {
                self.on_cookie(now);
                Ok(None)
            }
            Err(HandshakeError::Refused(refusal)) if self.start_anew(&refusal, now) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The hello with its cookie leaves at once, and counts as the first.
    fn on_cookie(&mut self, now: Timestamp) {
        if self.cookies < COOKIES_AT_ONCE_MAX {
            self.cookies += 1;
            self.send_first(now);
        }
    }

    /// Our clock may have gone back since a join before this one: the server says which moment comes
    /// next. False if that is not what it refuses, or was tried too often.
    fn start_anew(&mut self, refusal: &Refusal, now: Timestamp) -> bool {
        let newest = refusal
            .newest_moment
            .filter(|_| refusal.code == RefusalCode::OldHello);
        let next = newest.and_then(|newest| newest.checked_add(1));
        let (Some(next), true) = (next, self.old_hellos < OLD_HELLOS_MAX) else {
            return false;
        };
        self.old_hellos += 1;
        self.options.moment = next;
        let Ok(handshake) = ClientHandshake::new(&self.options, &mut self.rng) else {
            return false;
        };
        self.handshake = handshake;
        self.wait = HELLO_RETRY;
        self.send_first(now);
        true
    }

    /// The hello leaves at once, and as if none had left before.
    fn send_first(&mut self, now: Timestamp) {
        self.hellos = 0;
        self.only_hello = None;
        self.next_hello = now;
    }

    /// How long was tried in vain, once it is time to give up.
    pub(crate) fn given_up(&self, now: Timestamp) -> Option<Duration> {
        (now >= self.deadline).then_some(self.join_timeout)
    }

    pub(crate) fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Timestamp) -> bool {
        if now < self.next_hello || now >= self.deadline {
            return false;
        }
        out.extend_from_slice(self.handshake.hello());
        self.only_hello = (self.hellos == 0).then_some(now);
        self.hellos = self.hellos.saturating_add(1);
        self.next_hello = now + self.wait;
        self.wait = (self.wait * 2).min(HELLO_RETRY_MAX);
        true
    }

    pub(crate) fn poll_timeout(&self) -> Timestamp {
        self.next_hello.min(self.deadline)
    }
}
