//! Someone on the path who copies what clients send, and sends it again, changed or not, from an
//! address of its own: sometimes before the original arrives, sometimes instead of it. It keeps the hellos of
//! resumes for later, tries the tickets in them, and tells clients that the server has forgotten them.
//!
//! It holds no keys. What it may cause is bounded: the server never sends it more than three times the bytes
//! that it was sent from there (RFC 9000, section 8), no ticket opens anything for it, and nobody believes it.

use std::collections::VecDeque;

use rejoin_protocol::crypto::{PublicKey, StaticKeys, Suite};
use rejoin_protocol::handshake::{
    ClientHandshake, HandshakeError, HandshakeOptions, Mac1Key, Permit, RESUME, ReceivedHello,
    Ticket,
};
use rejoin_protocol::{Rng, packet, reset};

use crate::network::{Datagram, corrupt};
use crate::report::{Violation, ensure};

/// See the module page.
pub(crate) struct Eavesdropper {
    rng: Rng,
    server: PublicKey,
    /// What it heard: whose, and the datagram.
    heard: VecDeque<(usize, Datagram)>,
    /// Hellos of resumes, for later.
    resumes: VecDeque<(usize, Vec<u8>)>,
    /// Its own attempt with a ticket that it saw.
    theft: Option<ClientHandshake>,
    /// Bytes it sent to the server, and the server to it.
    up: usize,
    down: usize,
}

/// What it does.
pub(crate) enum Strike {
    /// It sends the server something, as from the machine of that client.
    Copy { from: usize, datagram: Datagram },
    /// The same, and it is the hello of a resume of a client.
    Resume {
        of: usize,
        from: usize,
        datagram: Datagram,
    },
    /// It sends a client a reset that is none.
    Reset { to: usize, bytes: Vec<u8> },
}

/// Its port at every client's own address: behind the same router, say.
pub(crate) const PORT: u16 = 666;
/// Datagrams it remembers.
const HEARD_MAX: usize = 64;
/// Hellos of resumes it remembers.
const RESUMES_MAX: usize = 16;
/// Share of the clients' datagrams that it copies.
const COPIED: f64 = 0.2;
/// Share of its own that it changes.
const CHANGED: f64 = 0.3;
/// Bytes that the server may send it for each byte it sent.
const AMPLIFICATION_MAX: usize = 3;

impl Eavesdropper {
    pub(crate) fn new(server: PublicKey, rng: Rng) -> Self {
        Self {
            rng,
            server,
            heard: VecDeque::new(),
            resumes: VecDeque::new(),
            theft: None,
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
        if is_resume(&datagram.bytes) && !datagram.changed {
            if self.resumes.len() >= RESUMES_MAX {
                self.resumes.pop_front();
            }
            self.resumes.push_back((client, datagram.bytes.clone()));
        }
        if self.heard.len() >= HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back((client, datagram));
    }

    /// What it does now.
    pub(crate) fn strike(&mut self) -> Option<Strike> {
        let strike = match self.rng.below(20) {
            0..=2 => self.forge_reset(),
            3..=4 => self.replay_resume(),
            5 => self.steal(),
            _ => self.copy(),
        };
        if let Some(Strike::Copy { datagram, .. } | Strike::Resume { datagram, .. }) = &strike {
            self.up += datagram.bytes.len();
        }
        strike
    }

    /// Mostly something fresh.
    fn copy(&mut self) -> Option<Strike> {
        let (from, mut datagram) = if self.rng.chance(0.7) {
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
        Some(Strike::Copy { from, datagram })
    }

    /// The connection is right and the proof a guess.
    fn forge_reset(&mut self) -> Option<Strike> {
        let (to, datagram) = self.heard.back()?;
        let (to, id) = (*to, packet::label(&datagram.bytes)?);
        let proof: [u8; 16] = self.rng.bytes();
        let bytes = [&[reset::RESET], id.0.as_slice(), &proof].concat();
        Some(Strike::Reset { to, bytes })
    }

    /// From its own machine or from behind a client's router.
    fn replay_resume(&mut self) -> Option<Strike> {
        if self.resumes.is_empty() {
            return None;
        }
        let place = self.rng.index(self.resumes.len());
        let (of, bytes) = self.resumes.get(place)?.clone();
        let elsewhere = self.rng.index(self.resumes.len());
        let (from, _) = self.resumes.get(elsewhere)?;
        Some(Strike::Resume {
            of,
            from: *from,
            datagram: plain(bytes),
        })
    }

    /// The sealed half of a ticket travels in clear: it tries what it can make of that.
    fn steal(&mut self) -> Option<Strike> {
        let (from, seen) = self.resumes.back()?;
        let hello = ReceivedHello::read(seen, &Mac1Key::of(&self.server)).ok()?;
        let ticket = Ticket {
            sealed: hello.ticket().ok()?,
            psk: [0; 32],
        };
        let options = HandshakeOptions {
            server: self.server,
            identity: StaticKeys::generate(&mut self.rng),
            permit: Permit::dev("nobody"),
            suites: Suite::ALL.to_vec(),
            receive_id: None,
            moment: u64::MAX / 2,
        };
        let theft = ClientHandshake::resume(&options, &ticket, &mut self.rng);
        let datagram = plain(theft.hello().to_vec());
        let from = *from;
        self.theft = Some(theft);
        Some(Strike::Copy { from, datagram })
    }

    /// The server sent something to it.
    pub(crate) fn on_answer(&mut self, answer: &[u8]) -> Result<(), Violation> {
        self.down += answer.len();
        let Self { up, down, .. } = self;
        ensure(
            *down <= AMPLIFICATION_MAX * *up,
            "an unproven address is sent little more than it sent",
            || format!("{down} bytes for {up}"),
        )?;
        let opened = self.theft.as_mut().map(|theft| theft.handle_reply(answer));
        ensure(
            // Even a refusal is sealed for who has shown the secret.
            !matches!(opened, Some(Ok(_) | Err(HandshakeError::Refused(_)))),
            "a ticket opens nothing without its secret",
            || "somebody who saw it has the session".into(),
        )
    }
}

/// True if it is the hello of a resume.
pub(crate) fn is_resume(bytes: &[u8]) -> bool {
    bytes.first() == Some(&RESUME)
}

/// A datagram that nobody else sends.
fn plain(bytes: Vec<u8>) -> Datagram {
    Datagram {
        bytes,
        changed: false,
        twin: None,
    }
}
