//! The seeded world: a client, a server, and a link that delays, loses, doubles and changes.

use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_protocol::connection::{Connection, ConnectionEvent, Role, Setup};
use rejoin_protocol::crypto::{Suite, TrafficSecret};
use rejoin_protocol::limits::DATAGRAM_MAX;
use rejoin_protocol::{Epoch, Rng, Timestamp};

/// Which end of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client = 0,
    Server = 1,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Client, Self::Server];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What the link does to each datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) delay: Duration,
    /// Added at random, up to this: reorders what is sent closer together.
    pub(crate) jitter: Duration,
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    pub(crate) corruption: f64,
}

impl Link {
    /// 50 ms there and back, and nothing goes wrong.
    pub(crate) const CLEAN: Self = Self {
        delay: Duration::from_millis(25),
        jitter: Duration::ZERO,
        loss: 0.0,
        duplication: 0.0,
        corruption: 0.0,
    };
    /// Everything goes wrong.
    pub(crate) const BAD: Self = Self {
        delay: Duration::from_millis(30),
        jitter: Duration::from_millis(30),
        loss: 0.3,
        duplication: 0.1,
        corruption: 0.02,
    };
    /// Nothing arrives.
    pub(crate) const CUT: Self = Self {
        loss: 1.0,
        ..Self::CLEAN
    };
}

/// One end and what it has been through.
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) events: Vec<(Timestamp, ConnectionEvent)>,
    /// When each datagram left, and its length.
    pub(crate) sent: Vec<(Timestamp, usize)>,
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) rng: Rng,
    pub(crate) link: Link,
    pub(crate) ends: [End; 2],
    /// In flight, by arrival and a count that keeps equal arrivals in order.
    wire: BTreeMap<(Timestamp, u64), (Side, Vec<u8>)>,
    count: u64,
}

/// What the packets of `side` are sealed with.
pub(crate) fn secret(side: Side) -> TrafficSecret {
    TrafficSecret::new(Suite::Aes128Gcm, [side as u8; 32])
}

/// What the handshake would hand to `side`: the client's packets are labelled.
pub(crate) fn setup(side: Side) -> Setup {
    Setup {
        role: match side {
            Side::Client => Role::Client,
            Side::Server => Role::Server,
        },
        seal: secret(side),
        open: secret(side.other()),
        send_id: (side == Side::Client).then_some([1, 2, 3, 4]),
        labelled: side == Side::Server,
        epoch: Epoch(6),
    }
}

impl World {
    pub(crate) fn new(seed: u64, link: Link) -> Self {
        let now = Timestamp::from_millis(1_000);
        let end = |side| End {
            connection: Connection::new(setup(side), Some(Duration::from_millis(60)), now),
            events: Vec::new(),
            sent: Vec::new(),
        };
        let ends = [end(Side::Client), end(Side::Server)];
        Self {
            now,
            rng: Rng::from_number(seed),
            link,
            ends,
            wire: BTreeMap::new(),
            count: 0,
        }
    }

    /// A world in which both ends have confirmed each other and fallen silent.
    pub(crate) fn settled(seed: u64, link: Link) -> Self {
        let mut world = Self::new(seed, link);
        world.run_for(Duration::from_secs(2));
        for end in &mut world.ends {
            assert_eq!(end.events.remove(0).1, ConnectionEvent::Confirmed);
            end.sent.clear();
        }
        world
    }

    pub(crate) fn end(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    pub(crate) fn connection(&mut self, side: Side) -> &mut Connection {
        &mut self.end(side).connection
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(next) = self.next_moment().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = until;
    }

    /// Runs until `done`, or fails after `limit`.
    pub(crate) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let start = self.now;
        while !done(self) {
            assert!(self.now.since(start) < limit, "not done after {limit:?}");
            self.run_for(Duration::from_millis(10));
        }
    }

    /// Puts a datagram on the wire as if `from` had sent it.
    pub(crate) fn inject(&mut self, from: Side, datagram: Vec<u8>) {
        let extra = u64::try_from(self.link.jitter.as_nanos()).unwrap();
        let extra = Duration::from_nanos(self.rng.below(extra + 1));
        let at = self.now + self.link.delay + extra;
        self.count += 1;
        self.wire.insert((at, self.count), (from.other(), datagram));
    }

    /// Lets one end send everything it has.
    pub(crate) fn drain(&mut self, side: Side) {
        let now = self.now;
        loop {
            let end = self.end(side);
            let mut datagram = Vec::new();
            let sent = end.connection.poll_transmit(&mut datagram, now);
            while let Some(event) = end.connection.poll_event() {
                end.events.push((now, event));
            }
            if !sent {
                break;
            }
            assert!(datagram.len() <= DATAGRAM_MAX);
            end.sent.push((now, datagram.len()));
            self.post(side, datagram);
        }
    }

    /// Values of events that `pick` wants, in order.
    pub(crate) fn picked<T>(
        &self,
        side: Side,
        pick: impl Fn(&ConnectionEvent) -> Option<T>,
    ) -> Vec<T> {
        self.ends[side as usize]
            .events
            .iter()
            .filter_map(|(_, event)| pick(event))
            .collect()
    }

    fn post(&mut self, from: Side, datagram: Vec<u8>) {
        if self.rng.chance(self.link.duplication) {
            self.inject(from, datagram.clone());
        }
        if self.rng.chance(self.link.loss) {
            return;
        }
        let mut datagram = datagram;
        if self.rng.chance(self.link.corruption) {
            let bits = u64::try_from(datagram.len() * 8).unwrap();
            let bit = usize::try_from(self.rng.below(bits)).unwrap();
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
        self.inject(from, datagram);
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
        let timers = self
            .ends
            .iter()
            .filter_map(|end| end.connection.poll_timeout());
        arrival.into_iter().chain(timers).min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to, mut datagram) = entry.remove();
            // Errors are the link's doing; what matters is what the events say.
            let _outcome = self.connection(to).handle_datagram(&mut datagram, now);
            self.drain(to);
        }
        for side in Side::BOTH {
            if self
                .connection(side)
                .poll_timeout()
                .is_some_and(|due| due <= now)
            {
                self.connection(side).handle_timeout(now);
                self.drain(side);
                let next = self.connection(side).poll_timeout();
                assert!(
                    next.is_none_or(|next| next > now),
                    "{side:?} would spin at {now:?}"
                );
            }
        }
    }
}
