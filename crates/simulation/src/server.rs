//! The server process: its shards, which of them a datagram reaches, and the letters between them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use rejoin_coordinator::{Letter, SessionCard, ShardStats};
use rejoin_protocol::handshake::is_hello;
use rejoin_protocol::{CloseReason, PlayerId, Rng, Timestamp, packet};
use rejoin_store::{Store, StoreError};

use crate::chores::{Chores, SimulatedShard};
use crate::network::Datagram;
use crate::options::Sharding;

/// See the module page.
pub(crate) struct Server {
    places: Vec<Place>,
    sharding: Sharding,
    chance: Rng,
    /// False once its process has ended, until there is another.
    runs: bool,
    /// True once a hello changed a session.
    hello_changed: bool,
    /// Longest time of most syncs.
    longest_sync: Duration,
}

/// A shard and its thread.
struct Place {
    shard: SimulatedShard,
    chores: Chores,
    /// When its next turn is planned.
    turn: Option<Timestamp>,
    /// Until when it does not run.
    stalled: Timestamp,
    /// When the newest letters for it arrive: none overtake others.
    letters_at: Timestamp,
    /// Letters that arrived while it did not run, in order.
    waiting: VecDeque<Post>,
    /// What it handed on and the other shard has not seen yet, in order.
    handed_on: VecDeque<Arrived>,
}

/// A datagram that arrived.
pub(crate) struct Arrived {
    pub(crate) client: usize,
    pub(crate) datagram: Datagram,
}

/// What became of a datagram that was given to a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was a hello, or not authentic.
    Nothing,
    /// A connection took it.
    Taken,
    /// It is on its way to the shard that it is for.
    HandedOn,
}

/// Letters on their way.
pub(crate) struct Post {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) letters: Vec<Letter>,
}

impl Server {
    /// A server of these shards.
    pub(crate) fn new(
        shards: Vec<SimulatedShard>,
        (sharding, longest_sync): (Sharding, Duration),
        chance: Rng,
    ) -> Self {
        let place = |shard| Place {
            shard,
            chores: Chores::default(),
            turn: None,
            stalled: Timestamp::ZERO,
            letters_at: Timestamp::ZERO,
            waiting: VecDeque::new(),
            handed_on: VecDeque::new(),
        };
        Self {
            places: shards.into_iter().map(place).collect(),
            sharding,
            chance,
            runs: true,
            hello_changed: false,
            longest_sync,
        }
    }

    /// Its process ends, without a word.
    pub(crate) fn end(&mut self) {
        self.runs = false;
    }

    /// What its process leaves behind: the rooms of each shard.
    pub(crate) fn take_stores(&mut self) -> VecDeque<Box<dyn Store>> {
        let places = std::mem::take(&mut self.places).into_iter();
        places.map(|place| place.shard.into_store()).collect()
    }

    /// Hands over what the shard's store has to do after a turn. Tells when that is done.
    pub(crate) fn begin_chore(&mut self, shard: usize, now: Timestamp) -> Option<Timestamp> {
        let place = self.places.get_mut(shard).expect("shards are numbered");
        let with = (self.longest_sync, &mut self.chance);
        place.chores.begin(&mut place.shard, with, now)
    }

    /// Takes in what came of it.
    ///
    /// # Errors
    /// The store takes nothing any more: the process must end.
    pub(crate) fn end_chore(&mut self, shard: usize, now: Timestamp) -> Result<(), StoreError> {
        let place = self.place(shard);
        place.chores.end(&mut place.shard, now)
    }

    /// When a turn is needed for what is not synced.
    pub(crate) fn chore_due(&self, shard: usize) -> Option<Timestamp> {
        let place = self.places.get(shard)?;
        place.chores.due(&place.shard)
    }

    /// All that was told before then is on the medium.
    pub(crate) fn durable_until(&self, now: Timestamp) -> Timestamp {
        let all = self.places.iter();
        let all = all.map(|place| place.chores.durable_until(now));
        all.min().unwrap_or(now)
    }

    /// True if there is a process.
    pub(crate) fn runs(&self) -> bool {
        self.runs
    }

    /// Every session of every shard.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionCard> + '_ {
        self.places.iter().flat_map(|place| place.shard.sessions())
    }

    /// True if a hello alone has changed any session, which only a packet under the new keys may.
    pub(crate) fn hello_changed(&self) -> bool {
        self.hello_changed
    }

    /// All sessions, if that is asked for.
    fn cards(&self, wanted: bool) -> Option<Vec<SessionCard>> {
        wanted.then(|| self.sessions().collect())
    }

    /// A session loses its connection. Tells on which shard.
    pub(crate) fn lose(
        &mut self,
        player: PlayerId,
        word: Option<CloseReason>,
        now: Timestamp,
    ) -> Option<usize> {
        let of = |place: &Place| {
            let mut cards = place.shard.sessions();
            cards.find(|card| card.id.player() == player)
        };
        let found = self.places.iter().enumerate();
        let (shard, session) = { found }.find_map(|(shard, place)| Some((shard, of(place)?.id)))?;
        self.shard(shard).lose_connection(session, word, now);
        Some(shard)
    }

    /// All shards' numbers.
    pub(crate) fn shards(&self) -> std::ops::Range<usize> {
        0..self.places.len()
    }

    /// The shard that a datagram reaches: that of its connection, unless it goes astray. A hello has none.
    pub(crate) fn steer(&mut self, client: usize, port: u16, bytes: &[u8]) -> usize {
        let shards = self.places.len();
        if shards == 1 {
            return 0;
        }
        let named = packet::label(bytes).map(|id| usize::from(id.0[0]));
        let own = match named {
            Some(shard) if !is_hello(bytes) => shard % shards,
            Some(_) | None => (client + usize::from(port)) % shards,
        };
        let astray = self.chance.chance(self.sharding.astray);
        if astray {
            self.chance.index(shards)
        } else {
            own
        }
    }

    /// Until when a shard does not run.
    pub(crate) fn stalled(&mut self, shard: usize) -> Timestamp {
        self.place(shard).stalled
    }

    /// The same, for who only looks.
    pub(crate) fn stalled_until(&self, shard: usize) -> Timestamp {
        let place = self.places.get(shard);
        place.map_or(Timestamp::ZERO, |place| place.stalled)
    }

    /// A shard, or all, do not run until then.
    pub(crate) fn stall(&mut self, shard: Option<usize>, until: Timestamp) {
        for (number, place) in self.places.iter_mut().enumerate() {
            if shard.is_none_or(|shard| shard == number) {
                place.stalled = place.stalled.max(until);
            }
        }
    }

    /// Letters arrive. Those that come while the shard does not run wait, and all behind them.
    pub(crate) fn arrive(&mut self, post: Post) {
        self.place(post.to).waiting.push_back(post);
    }

    /// The first letters that wait.
    pub(crate) fn next_arrived(&mut self, shard: usize) -> Option<Post> {
        self.place(shard).waiting.pop_front()
    }

    /// Plans a turn no later than `at`. Tells when, if that is news.
    pub(crate) fn plan_turn(&mut self, shard: usize, at: Timestamp) -> Option<Timestamp> {
        let place = self.place(shard);
        let at = at.max(place.stalled);
        if place.turn.is_some_and(|planned| planned <= at) {
            return None;
        }
        place.turn = Some(at);
        Some(at)
    }

    /// True if a turn of the shard is planned for this moment; it is then taken.
    pub(crate) fn take_turn(&mut self, shard: usize, now: Timestamp) -> bool {
        let turn = &mut self.place(shard).turn;
        let due = *turn == Some(now);
        if due {
            *turn = None;
        }
        due
    }

    fn place(&mut self, shard: usize) -> &mut Place {
        self.places.get_mut(shard).expect("shards are numbered")
    }

    /// A shard.
    pub(crate) fn shard(&mut self, shard: usize) -> &mut SimulatedShard {
        &mut self.place(shard).shard
    }

    /// Gives a datagram to a shard. One that is handed on is kept until its letter arrives.
    pub(crate) fn handle_datagram(
        &mut self,
        shard: usize,
        from: SocketAddr,
        mut arrived: Arrived,
        now: Timestamp,
    ) -> (Outcome, Option<Arrived>) {
        let hello = is_hello(&arrived.datagram.bytes);
        let cards = self.cards(hello);
        let place = self.place(shard);
        let before = place.shard.stats();
        place
            .shard
            .handle_datagram(from, &mut arrived.datagram.bytes, now);
        let after = place.shard.stats();
        if after.forwarded > before.forwarded {
            place.handed_on.push_back(arrived);
            return (Outcome::HandedOn, None);
        }
        self.hello_changed |= cards != self.cards(hello);
        (outcome(hello, before, after), Some(arrived))
    }

    /// Gives a letter to a shard. If it carries a datagram, tells which, and what became of it.
    pub(crate) fn handle_letter(
        &mut self,
        (from, to): (usize, usize),
        letter: Letter,
        now: Timestamp,
    ) -> Option<(Outcome, Arrived)> {
        let arrived = letter.carries_datagram().then(|| {
            let handed_on = &mut self.place(from).handed_on;
            handed_on.pop_front().expect("each is handed on once")
        });
        let hello = arrived
            .as_ref()
            .is_some_and(|arrived| is_hello(&arrived.datagram.bytes));
        let cards = self.cards(hello);
        let shard = &mut self.place(to).shard;
        let before = shard.stats();
        shard.handle_letter(letter, now);
        let after = shard.stats();
        self.hello_changed |= cards != self.cards(hello);
        arrived.map(|arrived| (outcome(hello, before, after), arrived))
    }

    /// The letters that a shard wrote in its turn, and when they arrive.
    pub(crate) fn take_post(&mut self, from: usize, now: Timestamp) -> Vec<(Timestamp, Post)> {
        let mut posts = Vec::new();
        for to in self.shards().filter(|to| *to != from) {
            let mut letters = Vec::new();
            let addressee = u8::try_from(to).expect("few shards");
            self.shard(from).take_letters(addressee, &mut letters);
            if letters.is_empty() {
                continue;
            }
            let delay = self.sharding.letter_delay.mul_f64(self.chance.unit());
            let place = self.place(to);
            place.letters_at = place.letters_at.max(now + delay);
            posts.push((place.letters_at, Post { from, to, letters }));
        }
        posts
    }

    /// All shards are told to stop.
    pub(crate) fn stop(&mut self) {
        for place in &mut self.places {
            place.shard.stop(CloseReason::ServerStopping);
        }
    }

    /// True once none has anything left to say.
    pub(crate) fn is_stopped(&self) -> bool {
        !self.runs || self.places.iter().all(|place| place.shard.is_stopped())
    }

    /// Checks each shard, and gives what they count together.
    pub(crate) fn check(&self) -> Counted {
        let mut counted = Counted::default();
        for place in &self.places {
            place.shard.check_invariants();
            let stats = place.shard.stats();
            counted.sessions += stats.sessions;
            counted.rooms += stats.rooms + stats.rooms_to_come;
            counted.resyncs += stats.resyncs;
            counted.paused += stats.rooms_paused;
        }
        counted
    }
}

/// What all shards count together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) sessions: usize,
    pub(crate) rooms: usize,
    pub(crate) resyncs: u64,
    pub(crate) paused: usize,
}

fn outcome(hello: bool, before: ShardStats, after: ShardStats) -> Outcome {
    if hello || after.dropped > before.dropped {
        Outcome::Nothing
    } else {
        Outcome::Taken
    }
}
