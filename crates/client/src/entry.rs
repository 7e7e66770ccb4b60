//! How a client enters a server, each time it does: with a ticket if it has one, else with its permit.

use rejoin_protocol::Timestamp;
use rejoin_protocol::handshake::{ClientHandshake, HandshakeOptions, StartError, Ticket};
use rejoin_protocol::random::Rng;

use crate::options::Options;

/// What hellos are made of.
#[derive(Debug)]
pub(crate) struct Entry {
    options: HandshakeOptions,
    ticket: Option<Ticket>,
    /// A ticket that was refused by who knows whom.
    doubted: Option<Ticket>,
    /// How often one was trusted again since it was given.
    trusted: u32,
    /// A ticket was refused, and that has not been told.
    was_refused: bool,
    rng: Rng,
    /// From when on moments count.
    since: Timestamp,
    /// The moment then.
    moment: u64,
}

/// How often a ticket that somebody called no good is tried again when the permit is none either. Whoever forges that
/// word so often can keep the client away as well.
pub(crate) const TRUSTS_MAX: u32 = 3;

impl Entry {
    pub(crate) fn new(options: Options, rng: Rng, now: Timestamp) -> Self {
        Self {
            options: HandshakeOptions {
                server: options.server,
                identity: options.identity,
                permit: options.permit,
                suites: options.suites,
                receive_id: options.receive_id,
                moment: 0,
            },
            ticket: options.ticket,
            doubted: None,
            trusted: 0,
            was_refused: false,
            rng,
            since: now,
            moment: options.moment,
        }
    }

    /// A hello that is newer than all before.
    pub(crate) fn begin(&mut self, now: Timestamp) -> Result<ClientHandshake, StartError> {
        let passed = now.since(self.since).as_micros();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let least = self.options.moment.saturating_add(1);
        self.options.moment = self.moment.saturating_add(passed).max(least);
        match &self.ticket {
            Some(ticket) => Ok(ClientHandshake::resume(
                &self.options,
                ticket,
                &mut self.rng,
            )),
            None => ClientHandshake::new(&self.options, &mut self.rng),
        }
    }

    /// The next hello has to be newer than this moment, and not by much: our clock stands wrong. False if there
    /// is none.
    pub(crate) fn exceed(&mut self, newest: u64, now: Timestamp) -> bool {
        let Some(next) = newest.checked_add(1) else {
            return false;
        };
        (self.moment, self.since) = (next, now);
        self.options.moment = newest;
        true
    }

    pub(crate) fn set_ticket(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket);
        (self.doubted, self.trusted) = (None, 0);
    }

    /// Somebody says, without keys, that the ticket opens nothing: the permit is tried. False if there was none.
    pub(crate) fn doubt_ticket(&mut self) -> bool {
        self.doubted = self.ticket.take();
        self.was_refused |= self.doubted.is_some();
        self.doubted.is_some()
    }

    /// The permit is no good either, and the server itself says so: perhaps the word about the ticket was forged.
    /// False if there was none, or if it has been trusted often enough.
    pub(crate) fn trust_ticket(&mut self) -> bool {
        if self.trusted >= TRUSTS_MAX {
            return false;
        }
        self.trusted += 1;
        self.ticket = self.doubted.take();
        self.ticket.is_some()
    }

    /// True once after a ticket was refused.
    pub(crate) fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.was_refused)
    }

    pub(crate) const fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    pub(crate) const fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }
}
