//! Someone on the path who copies what clients send, and sends it again, changed or not, from an
//! address of its own: sometimes before the original arrives, sometimes instead of it.
//!
//! It holds no keys. What it may cause is bounded by one property: the server never sends it more than
//! three times the bytes that it was sent from there (RFC 9000, section 8).

use std::collections::VecDeque;

use rejoin_protocol::Rng;

use crate::network::{Datagram, corrupt};
use crate::report::{Violation, ensure};

/// See the module page.
pub(crate) struct Eavesdropper {
    rng: Rng,
    /// What it heard: whose, and the datagram.
    heard: VecDeque<(usize, Datagram)>,
    /// Bytes it sent to the server, and the server to it.
    up: usize,
    down: usize,
}

/// Its port at every client's own address: behind the same router, say.
pub(crate) const PORT: u16 = 666;
/// Datagrams it remembers.
const HEARD_MAX: usize = 64;
/// Share of the clients' datagrams that it copies.
const COPIED: f64 = 0.2;
/// Share of its own that it changes.
const CHANGED: f64 = 0.3;
/// Bytes that the server may send it for each byte it sent.
const AMPLIFICATION_MAX: usize = 3;

impl Eavesdropper {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rng,
            heard: VecDeque::new(),
            up: 0,
            down: 0,
        }
    }

    /// True if it wants a copy of the next datagram.
    pub(crate) fn listens(&mut self) -> bool {
        self.rng.chance(COPIED)
    }

    /// Keeps a datagram of a client; the oldest is forgotten.
    pub(crate) fn hear(&mut self, client: usize, datagram: Datagram) {
        if self.heard.len() >= HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back((client, datagram));
    }

    /// What it sends now: mostly something fresh.
    pub(crate) fn strike(&mut self) -> Option<(usize, Datagram)> {
        let (client, mut datagram) = if self.rng.chance(0.7) {
            self.heard.pop_back()
        } else {
            self.heard.pop_front()
        }?;
        let change = self.rng.chance(CHANGED) && !datagram.bytes.is_empty();
        // What the network has changed already could come out as it was.
        if change && !datagram.changed {
            datagram.changed = true;
            corrupt(&mut datagram.bytes, &mut self.rng);
        }
        self.up += datagram.bytes.len();
        Some((client, datagram))
    }

    /// The server sent something to it.
    pub(crate) fn on_answer(&mut self, bytes: usize) -> Result<(), Violation> {
        self.down += bytes;
        let Self { up, down, .. } = self;
        ensure(
            *down <= AMPLIFICATION_MAX * *up,
            "an unproven address is sent little more than it sent",
            || format!("{down} bytes for {up}"),
        )
    }
}
