//! Which tickets there are, when each was given, and what it may still open.

use std::collections::BTreeMap;

use rejoin_protocol::handshake::Ticket;

use crate::report::{Violation, ensure};

/// Every ticket that a client was given, by its sealed bytes.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    given: BTreeMap<Vec<u8>, Given>,
    /// By the nonce that each travels with, and the key that sealed it.
    nonces: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first process whose keys open what it sealed and all after it did.
    keys_since: u64,
}

#[derive(Clone, Copy, Debug)]
struct Given {
    /// By a client of this process.
    era: u64,
    /// The server's clock when it came, in seconds since 1970.
    unix_s: u64,
}

/// How long a ticket is good, in seconds.
const LIFE_S: u64 = 24 * 3_600;
/// Where key id and nonce stand in a sealed ticket.
const NONCE: std::ops::Range<usize> = 1..17;

impl Tickets {
    /// A client was given a ticket.
    pub(crate) fn given(
        &mut self,
        ticket: &Ticket,
        (era, unix_s): (u64, u64),
    ) -> Result<(), Violation> {
        let sealed = ticket.sealed.as_bytes().to_vec();
        let nonce = sealed.get(NONCE).unwrap_or_default().to_vec();
        let before = self.nonces.insert(nonce, sealed.clone());
        let fresh = before.is_none_or(|before| before == sealed);
        ensure(fresh, "no two tickets are sealed under one nonce", || {
            format!("{sealed:?}")
        })?;
        self.given.insert(sealed, Given { era, unix_s });
        Ok(())
    }

    /// The keys of all tickets so far are gone.
    pub(crate) fn on_keys_lost(&mut self, era: u64) {
        self.keys_since = era;
    }

    /// A client opened its session with a ticket, by its own word.
    pub(crate) fn opened(&self, ticket: &Ticket, unix_s: u64) -> Result<(), Violation> {
        let Some(given) = self.given.get(ticket.sealed.as_bytes()) else {
            return Err(Violation::new("only tickets that were given open", ""));
        };
        ensure(
            given.era >= self.keys_since,
            "a ticket of keys that are gone opens nothing",
            || format!("{given:?}, keys since {}", self.keys_since),
        )?;
        let expires = given.unix_s + LIFE_S;
        ensure(
            unix_s <= expires,
            "a ticket whose time is over opens nothing",
            || format!("{given:?}, now {unix_s}"),
        )
    }
}
