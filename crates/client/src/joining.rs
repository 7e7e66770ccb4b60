//! The hello under way: sends it, sends it again, and gives up in time.
//!
//! Owned by [`Core`](crate::Core) until the server answers.

use std::time::Duration;

use rejoin_protocol::Timestamp;
use rejoin_protocol::handshake::{ClientHandshake, Established, HandshakeError};
use rejoin_protocol::limits::{COOKIES_AT_ONCE_MAX, HELLO_RETRY, HELLO_RETRY_MAX};

/// A client that waits for the answer to its hello.
#[derive(Debug)]
pub(crate) struct Joining {
    handshake: ClientHandshake,
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
}

impl Joining {
    pub(crate) fn new(handshake: ClientHandshake, join_timeout: Duration, now: Timestamp) -> Self {
        Self {
            handshake,
            next_hello: now,
            wait: HELLO_RETRY,
            deadline: now + join_timeout,
            join_timeout,
            only_hello: None,
            hellos: 0,
            cookies: 0,
        }
    }

    /// Takes the server's answer. With it comes the round-trip time if it is certain: an answer to
    /// one of several hellos does not say to which (Karn 1987).
    pub(crate) fn handle_reply(
        &mut self,
        datagram: &[u8],
        now: Timestamp,
    ) -> Result<(Established, Option<Duration>), HandshakeError> {
        match self.handshake.handle_reply(datagram) {
            Ok(established) => Ok((established, self.only_hello.map(|sent| now.since(sent)))),
            Err(error) => {
                if error == HandshakeError::Cookie {
                    self.on_cookie(now);
                }
                Err(error)
            }
        }
    }

    /// The hello with its cookie leaves at once, and counts as the first.
    fn on_cookie(&mut self, now: Timestamp) {
        if self.cookies < COOKIES_AT_ONCE_MAX {
            self.cookies += 1;
            self.hellos = 0;
            self.only_hello = None;
            self.next_hello = now;
        }
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
