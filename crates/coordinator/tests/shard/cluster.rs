//! The shards of one server, with the letters between them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use rejoin_coordinator::{
    Config, Letter, MemoryDirectory, SessionCard, Shard, ShardStats, Stopwatch, Unmeasured,
};
use rejoin_protocol::handshake::is_hello;
use rejoin_protocol::{CloseReason, Rng, SessionId, Timestamp, packet};
use rejoin_room::Kinds;
use rejoin_store::MemoryStore;

type Member = Shard<MemoryStore, Rc<RefCell<MemoryDirectory>>>;

/// See the module page.
pub(crate) struct Cluster {
    pub(crate) shards: Vec<Member>,
    /// Letters that arrive before the next turn, and whose they are.
    letters: Vec<(usize, Letter)>,
    /// Where all datagrams arrive, if the system does not steer them.
    pub(crate) unsteered: Option<usize>,
    /// A shard that takes no turns and no letters.
    pub(crate) asleep: Option<usize>,
}

impl Cluster {
    pub(crate) fn new(
        count: u8,
        config: &Config,
        kinds: &Kinds,
        mut stores: VecDeque<MemoryStore>,
        now: Timestamp,
    ) -> Self {
        let directory = Rc::default();
        let shard = |number| {
            let config = Config {
                shard: number,
                shards: count,
                cookie_secret: (count > 1).then_some([4; 32]),
                ..config.clone()
            };
            let chance = match number {
                0 => Rng::from_number(1),
                _ => Rng::from_number(1).fork(&format!("shard {number}")),
            };
            let store = stores.pop_front().unwrap_or_default();
            Shard::new(
                config,
                kinds.clone(),
                store,
                Rc::clone(&directory),
                chance,
                now,
            )
        };
        Self {
            shards: (0..count).map(shard).collect(),
            letters: Vec::new(),
            unsteered: None,
            asleep: None,
        }
    }

    /// What each shard keeps its rooms in, for the next process.
    pub(crate) fn into_stores(self) -> VecDeque<MemoryStore> {
        self.shards.into_iter().map(Shard::into_store).collect()
    }

    /// The same as it is now, while the shards go on.
    pub(crate) fn stores(&self) -> VecDeque<MemoryStore> {
        self.shards
            .iter()
            .map(|shard| shard.store().clone())
            .collect()
    }

    pub(crate) fn expect<'a>(&self, datagrams: impl Iterator<Item = &'a [u8]> + Clone) {
        for shard in &self.shards {
            shard.expect(datagrams.clone());
        }
    }

    pub(crate) fn handle_datagram(&mut self, from: SocketAddr, bytes: &mut [u8], now: Timestamp) {
        let label = packet::label(bytes).filter(|_| !is_hello(bytes));
        let own = label.map_or_else(|| usize::from(from.port()), |id| usize::from(id.0[0]));
        let shard = self.unsteered.unwrap_or(own % self.shards.len());
        self.shards[shard].handle_datagram(from, bytes, now);
    }

    pub(crate) fn turn(&mut self, now: Timestamp) {
        self.turn_measured(&mut Unmeasured, now);
    }

    pub(crate) fn turn_measured(&mut self, stopwatch: &mut dyn Stopwatch, now: Timestamp) {
        let asleep = self.asleep;
        for (to, letter) in std::mem::take(&mut self.letters) {
            match asleep == Some(to) {
                true => self.letters.push((to, letter)),
                false => self.shards[to].handle_letter(letter, now),
            }
        }
        for (number, shard) in self.shards.iter_mut().enumerate() {
            if asleep != Some(number) {
                shard.turn_measured(stopwatch, now);
            }
        }
        self.carry();
    }

    fn carry(&mut self) {
        let count = self.shards.len();
        for (from, shard) in self.shards.iter_mut().enumerate() {
            for to in (0..count).filter(|to| *to != from && self.asleep != Some(*to)) {
                let mut letters = Vec::new();
                shard.take_letters(u8::try_from(to).unwrap(), &mut letters);
                self.letters
                    .extend(letters.into_iter().map(|letter| (to, letter)));
            }
        }
    }

    pub(crate) fn poll_transmit(
        &mut self,
        out: &mut Vec<u8>,
        now: Timestamp,
    ) -> Option<SocketAddr> {
        let asleep = self.asleep;
        let mut awake = self.shards.iter_mut().enumerate();
        awake.find_map(|(number, shard)| match asleep == Some(number) {
            true => None,
            false => shard.poll_transmit(out, now),
        })
    }

    /// Every session, wherever it lives.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionCard> + '_ {
        self.shards.iter().flat_map(|shard| shard.sessions())
    }

    /// Takes a session's connection away.
    pub(crate) fn lose_connection(
        &mut self,
        session: SessionId,
        word: Option<CloseReason>,
        now: Timestamp,
    ) {
        for shard in &mut self.shards {
            shard.lose_connection(session, word, now);
        }
    }

    pub(crate) fn check_invariants(&self) {
        self.shards.iter().for_each(Shard::check_invariants);
    }

    pub(crate) fn stats(&self) -> ShardStats {
        let mut stats = ShardStats::default();
        for shard in &self.shards {
            stats.add(&shard.stats());
        }
        stats
    }

    pub(crate) fn stop(&mut self, reason: CloseReason) {
        self.shards.iter_mut().for_each(|shard| shard.stop(reason));
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shards.iter().all(Shard::is_stopped)
    }
}

/// How many shards a server has whose tests do not care: one, unless the environment says otherwise.
pub(crate) fn usual() -> u8 {
    let count = std::env::var("REJOIN_TEST_SHARDS").ok();
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}
