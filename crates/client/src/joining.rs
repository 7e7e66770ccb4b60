//! The hello under way: sends it, sends it again, and gives up in time.
//!
//! Owned by [`Core`](crate::Core) until the server answers, when it joins and when it comes back.

use std::time::Duration;

use rejoin_protocol::handshake::{ClientHandshake, Established, HandshakeError, StartError};
use rejoin_protocol::limits::{
    COOKIES_AT_ONCE_MAX, HELLO_RETRY, HELLO_RETRY_MAX, OLD_HELLOS_MAX, RESUME_RETRY,
};
use rejoin_protocol::{Refusal, RefusalCode, Rng, Timestamp};

use crate::entry::Entry;

/// A client that waits for the answer to its hello.
#[derive(Debug)]
pub(crate) struct Joining {
    handshake: ClientHandshake,
    /// When the hello leaves, first or again.
    next_hello: Timestamp,
    pace: Pace,
    /// How long to wait for an answer to the next hello.
    wait: Duration,
    /// When to give up; `None`: never.
    deadline: Option<Timestamp>,
    /// When the only hello left; `None` before it, and again once there are two.
    only_hello: Option<Timestamp>,
    hellos: u32,
    /// Cookies answered at once so far.
    cookies: u32,
    /// Hellos so far that were older than another of our identity.
    old_hellos: u32,
}

/// How hellos are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// At fixed times: one client of many joins by itself.
    Join,
    /// At times of chance, since all clients of a server may have lost it at once.
    Resume,
}

impl Pace {
    const fn first_wait(self) -> Duration {
        match self {
            Self::Join => HELLO_RETRY,
            Self::Resume => RESUME_RETRY,
        }
    }
}

impl Joining {
    /// Joins, from now until the deadline.
    pub(crate) fn new(
        entry: &mut Entry,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        Self::paced(entry, Pace::Join, Some(deadline), now)
    }

    /// Comes back. The first hello leaves after `wait`, less up to a half.
    pub(crate) fn again(
        entry: &mut Entry,
        wait: Duration,
        deadline: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        let mut joining = Self::paced(entry, Pace::Resume, deadline, now)?;
        joining.next_hello = now + spread(wait, 0.5, entry.rng());
        Ok(joining)
    }

    fn paced(
        entry: &mut Entry,
        pace: Pace,
        deadline: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        Ok(Self {
            handshake: entry.begin(now)?,
            next_hello: now,
            pace,
            wait: pace.first_wait(),
            deadline,
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
        entry: &mut Entry,
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
            // The permit leads to the same session.
            Err(HandshakeError::TicketRefused) if entry.doubt_ticket() => {
                self.start_anew(entry, Duration::ZERO, now);
                Ok(None)
            }
            Err(HandshakeError::Refused(refusal)) => {
                self.on_refusal(refusal, entry, now).map(|()| None)
            }
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

    fn on_refusal(
        &mut self,
        refusal: Refusal,
        entry: &mut Entry,
        now: Timestamp,
    ) -> Result<(), HandshakeError> {
        // Our clock may have gone back since a join before this one: the server says which moment
        // comes next.
        let newest = refusal
            .newest_moment
            .filter(|_| refusal.code == RefusalCode::OldHello);
        if let (Some(newest), true) = (newest, self.old_hellos < OLD_HELLOS_MAX) {
            self.old_hellos += 1;
            if entry.exceed(newest, now) && self.start_anew(entry, Duration::ZERO, now) {
                return Ok(());
            }
        }
        match self.wait_after(&refusal, entry) {
            Some(wait) if self.start_anew(entry, wait, now) => Ok(()),
            Some(_) | None => Err(HandshakeError::Refused(refusal)),
        }
    }

    /// How long to wait after a refusal before another hello; `None`: it is the end. Whoever comes back has
    /// something to lose, and is one of many: a little more than the server says, by chance.
    fn wait_after(&self, refusal: &Refusal, entry: &mut Entry) -> Option<Duration> {
        if self.pace == Pace::Join {
            return None;
        }
        let wait = refusal.wait().or_else(|| {
            let doubtful = refusal.code == RefusalCode::PermitRefused && entry.trust_ticket();
            doubtful.then_some(HELLO_RETRY_MAX)
        })?;
        Some(wait.mul_f64(1.0 + 0.5 * entry.rng().unit()))
    }

    /// Makes another hello, which leaves after `wait`. False if that cannot be.
    fn start_anew(&mut self, entry: &mut Entry, wait: Duration, now: Timestamp) -> bool {
        let Ok(handshake) = entry.begin(now) else {
            return false;
        };
        self.handshake = handshake;
        self.wait = self.pace.first_wait();
        self.send_first(now + wait);
        true
    }

    /// The hello leaves then, and as if none had left before.
    fn send_first(&mut self, at: Timestamp) {
        self.hellos = 0;
        self.only_hello = None;
        self.next_hello = at;
    }

    /// True once it is time to give up.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    pub(crate) fn poll_transmit(
        &mut self,
        out: &mut Vec<u8>,
        entry: &mut Entry,
        now: Timestamp,
    ) -> bool {
        if now < self.next_hello || self.is_over(now) {
            return false;
        }
        out.extend_from_slice(self.handshake.hello());
        self.only_hello = (self.hellos == 0).then_some(now);
        self.hellos = self.hellos.saturating_add(1);
        let wait = match self.pace {
            Pace::Join => self.wait,
            Pace::Resume => spread(self.wait, 0.25, entry.rng()),
        };
        self.next_hello = now + wait;
        self.wait = (self.wait * 2).min(HELLO_RETRY_MAX);
        true
    }

    pub(crate) fn poll_timeout(&self) -> Timestamp {
        let deadline = self.deadline.unwrap_or(self.next_hello);
        self.next_hello.min(deadline)
    }
}

/// A time of chance: `wait`, or less by up to that part of it.
fn spread(wait: Duration, part: f64, rng: &mut Rng) -> Duration {
    wait.mul_f64(1.0 - part * rng.unit())
}
