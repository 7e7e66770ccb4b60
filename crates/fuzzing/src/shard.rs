//! A shard, players who mean well, and strangers who do as a script says.
//!
//! Whatever strangers and the network do: the shard's invariants hold after every step, it never
//! spins, it answers no unproven address with more than it got, and the sound players' sessions,
//! rooms and inputs come to no harm.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rejoin_client::{Core, Event, Options, Permit};
use rejoin_coordinator::{Config, MemoryDirectory, Shard};
use rejoin_protocol::connection::Setup;
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::limits::DATAGRAM_MAX;
use rejoin_protocol::message::{Answer, RoomSettings};
use rejoin_protocol::{RequestId, Rng, RoomId, SeatId, Timestamp};
use rejoin_room::Kinds;
use rejoin_room::builtin::arena::Arena;
use rejoin_room::builtin::chat::Chat;
use rejoin_store::MemoryStore;

use crate::script::Script;
use crate::stranger::{self, Stranger};

const PLAYERS: u16 = 3;
const STRANGERS: u16 = 2;
/// Sound datagrams that the network may lose in one play: so few that no session ends by it.
const LOSSES_MAX: u32 = 16;
/// Joins of strangers in one play: each costs as much as hundreds of other steps.
const JOINS_MAX: u32 = 6;
/// Hellos in one go that nobody follows up: more than a shard answers without a cookie.
const HELLOS: u8 = 24;
/// Datagrams kept for a replay.
const SEEN_MAX: usize = 32;
/// What may be sent in one go by a handful of sessions.
const BURST_MAX: usize = 4_096;
/// Tenths of seconds in which lost inputs must have been sent again.
const QUIET_MAX: u32 = 100;

const SPANS_MS: [u64; 8] = [0, 1, 5, 10, 33, 33, 100, 250];

struct Player {
    core: Core,
    address: SocketAddr,
    /// Reliable inputs sent, by seat.
    sent: BTreeMap<SeatId, u64>,
    losses: u32,
}

struct Town {
    shard: Shard<MemoryStore, MemoryDirectory>,
    now: Timestamp,
    players: Vec<Player>,
    strangers: Vec<Stranger>,
    to_shard: VecDeque<(SocketAddr, Vec<u8>)>,
    to_players: VecDeque<(SocketAddr, Vec<u8>)>,
    seen: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Bytes from and to addresses that proved nothing.
    unproven: BTreeMap<SocketAddr, (usize, usize)>,
    joins: u32,
}

/// Plays a script; gives its steps.
pub(crate) fn play(bytes: &[u8]) -> u64 {
    let mut script = Script::new(bytes);
    let Some(first) = script.next() else { return 0 };
    let mut town = Town::new();
    town.step(first, &mut script);
    let mut steps = 1;
    while let Some(choice) = script.next() {
        town.step(choice, &mut script);
        steps += 1;
    }
    town.finish();
    steps
}

fn address(number: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], number))
}

impl Town {
    fn new() -> Self {
        let now = Timestamp::from_millis(1_000);
        let mut config = Config::new(StaticKeys::development(), [7; 32]);
        // Small, so that bounds are reached.
        config.sessions_max = 8;
        config.rooms_max = 4;
        config.pending_joins_max = 4;
        config.empty_room_hold = Duration::from_secs(1);
        let kinds = Kinds::new().with::<Arena>().with::<Chat>();
        let (store, directory) = (MemoryStore::default(), MemoryDirectory::default());
        let rng = Rng::from_number(1);
        let mut town = Self {
            shard: Shard::new(config, kinds, store, directory, rng, now),
            now,
            players: (0..PLAYERS).map(|number| player(number, now)).collect(),
            strangers: Vec::new(),
            to_shard: VecDeque::new(),
            to_players: VecDeque::new(),
            seen: VecDeque::new(),
            unproven: BTreeMap::new(),
            joins: 0,
        };
        town.pass(Duration::from_millis(50));
        town.seat_players();
        for number in 0..STRANGERS {
            town.join(number);
        }
        town.pass(Duration::from_millis(50));
        town
    }

    /// The first player opens an arena, the last a chat, and the others come in.
    fn seat_players(&mut self) {
        for (kind, opener) in [("arena", 0), ("chat", 2)] {
            let request = RequestId([100; 16]);
            let opened = self
                .core(opener)
                .create(request, kind, RoomSettings::default());
            opened.expect("the request is queued");
            self.pass(Duration::from_millis(50));
            let joined = self.core(1).join(RoomId::of(kind, request));
            joined.expect("the request is queued");
            self.pass(Duration::from_millis(50));
        }
        let seats = self.players.iter().map(|player| player.sent.len());
        assert_eq!(seats.sum::<usize>(), 4, "all seats are taken");
    }

    fn core(&mut self, player: usize) -> &mut Core {
        &mut self.players.get_mut(player).expect("it plays").core
    }

    fn step(&mut self, choice: u8, script: &mut Script<'_>) {
        match choice % 24 {
            0..=3 => {
                let span = Duration::from_millis(script.pick(&SPANS_MS));
                self.pass(span);
            }
            4 => self.deliver_one(script),
            5 => self.lose_one(),
            6 => self.repeat(script, false),
            7 => self.repeat(script, true),
            8 => {
                let number = u16::from(script.byte() % 8);
                self.send_unproven(number, script.bytes().to_vec());
            }
            9 if self.joins < JOINS_MAX => self.hello_from_nowhere(script),
            10 if self.joins < JOINS_MAX => {
                let number = u16::from(script.byte()) % (2 * STRANGERS);
                self.join(number);
            }
            11..=13 => self.play_on(script),
            14 => self.play_latest(script),
            _ => self.misbehave(choice, script),
        }
        self.settle();
    }

    /// A sound player acts.
    fn play_on(&mut self, script: &mut Script<'_>) {
        let player = usize::from(script.byte() % 3);
        let payload = Bytes::copy_from_slice(script.bytes());
        let player = self.players.get_mut(player).expect("it plays");
        for (seat, sent) in &mut player.sent {
            if player.core.send(*seat, payload.clone()).is_ok() {
                *sent += 1;
            }
        }
    }

    fn play_latest(&mut self, script: &mut Script<'_>) {
        let player = usize::from(script.byte() % 3);
        let payload = Bytes::copy_from_slice(script.bytes());
        let player = self.players.get_mut(player).expect("it plays");
        for seat in player.sent.keys() {
            let sent = player.core.latest(*seat, payload.clone());
            sent.expect("a short input fits");
        }
    }

    /// A stranger with keys sends something.
    fn misbehave(&mut self, choice: u8, script: &mut Script<'_>) {
        let which = usize::from(script.byte()) % self.strangers.len().max(1);
        let Some(stranger) = self.strangers.get_mut(which) else {
            return;
        };
        let frames = match choice % 24 {
            15..=17 => stranger.request(script),
            18 | 19 => stranger.say(script),
            20 => Stranger::latest(script),
            21 => stranger.ack(script),
            22 => [stranger.request(script), stranger.say(script)].concat(),
            _ if script.byte() < 64 => script.bytes().to_vec(),
            _ => {
                stranger.skip(script.pick(&[1, 3, 500, 2_000]));
                vec![1]
            }
        };
        let mut packet = stranger.packet(&frames);
        let from = stranger.address;
        self.shard.handle_datagram(from, &mut packet, self.now);
    }

    /// A stranger joins, or a known one joins again; with a cookie if it is asked for one.
    fn join(&mut self, number: u16) {
        self.joins += 1;
        let from = address(20_000 + number);
        let moment = self.now.as_micros() + u64::from(self.joins);
        let mut handshake = stranger::handshake(&format!("stranger {number}"), moment);
        for _ in 0..2 {
            let mut hello = handshake.hello().to_vec();
            self.shard.handle_datagram(from, &mut hello, self.now);
            let mut reply = Vec::new();
            while let Some(to) = self.shard.poll_transmit(&mut reply, self.now) {
                if to != from {
                    self.to_players.push_back((to, reply.clone()));
                } else if let Ok(established) = handshake.handle_reply(&reply) {
                    self.settle_in(from, established.setup);
                }
                reply.clear();
            }
        }
    }

    /// A stranger's first packet under its keys.
    fn settle_in(&mut self, from: SocketAddr, keys: Setup) {
        let mut stranger = Stranger::new(from, keys);
        let mut packet = stranger.packet(&[1]);
        self.shard.handle_datagram(from, &mut packet, self.now);
        self.strangers.retain(|other| other.address != from);
        self.strangers.push(stranger);
    }

    /// Hellos that nobody follows up: sound or changed, one or a flood from as many places.
    fn hello_from_nowhere(&mut self, script: &mut Script<'_>) {
        self.joins += 1;
        let name = format!("nobody {}", script.byte() % 8);
        let moment = self.now.as_micros();
        let sound = stranger::handshake(&name, moment).hello().to_vec();
        let count = script.pick(&[1, 1, 1, HELLOS]);
        for number in 0..count {
            let mut hello = sound.clone();
            if script.byte() < 128 {
                script.edit(&mut hello);
            }
            self.send_unproven(u16::from(number), hello);
        }
    }

    fn send_unproven(&mut self, number: u16, mut datagram: Vec<u8>) {
        let from = address(30_000 + number);
        self.unproven.entry(from).or_default().0 += datagram.len();
        self.shard.handle_datagram(from, &mut datagram, self.now);
    }

    /// A datagram that went by comes once more, from its own address.
    fn repeat(&mut self, script: &mut Script<'_>, changed: bool) {
        let index = usize::from(script.byte()) % self.seen.len().max(1);
        let Some((from, mut datagram)) = self.seen.get(index).cloned() else {
            return;
        };
        if changed {
            script.edit(&mut datagram);
        }
        self.shard.handle_datagram(from, &mut datagram, self.now);
        let player = self.players.iter_mut().find(|one| one.address == from);
        if let Some(player) = player {
            // What the shard once sent may come again too.
            player.core.handle_datagram(&mut datagram, self.now);
        }
    }

    /// Delivers one datagram before those that left earlier.
    fn deliver_one(&mut self, script: &mut Script<'_>) {
        let index = usize::from(script.byte());
        let to_shard = index % self.to_shard.len().max(1);
        if let Some(sent) = self.to_shard.remove(to_shard) {
            self.hand_to_shard(sent);
        }
        let to_players = index % self.to_players.len().max(1);
        if let Some(sent) = self.to_players.remove(to_players) {
            self.hand_to_player(sent);
        }
    }

    fn lose_one(&mut self) {
        for queue in [&mut self.to_shard, &mut self.to_players] {
            let Some((end, _)) = queue.front() else {
                continue;
            };
            let player = self.players.iter_mut().find(|one| one.address == *end);
            if let Some(player) = player.filter(|player| player.losses < LOSSES_MAX) {
                player.losses += 1;
                queue.pop_front();
            }
        }
    }

    /// Lets time pass and the network deliver all that is under way.
    fn pass(&mut self, span: Duration) {
        let steps = u32::try_from(span.as_millis().div_ceil(10)).unwrap_or(u32::MAX);
        for _ in 0..steps {
            self.now += span / steps;
            self.deliver_all();
            self.settle();
        }
        self.deliver_all();
        self.settle();
    }

    fn deliver_all(&mut self) {
        while let Some(sent) = self.to_shard.pop_front() {
            self.hand_to_shard(sent);
        }
        while let Some(sent) = self.to_players.pop_front() {
            self.hand_to_player(sent);
        }
    }

    fn hand_to_shard(&mut self, (from, mut datagram): (SocketAddr, Vec<u8>)) {
        self.remember(from, &datagram);
        self.shard.handle_datagram(from, &mut datagram, self.now);
    }

    fn hand_to_player(&mut self, (to, mut datagram): (SocketAddr, Vec<u8>)) {
        self.remember(to, &datagram);
        if let Some(player) = self.players.iter_mut().find(|one| one.address == to) {
            player.core.handle_datagram(&mut datagram, self.now);
        } else if let Some(stranger) = self.strangers.iter_mut().find(|one| one.address == to) {
            stranger.hear(&mut datagram);
        }
    }

    fn remember(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.seen.push_front((from, datagram.to_vec()));
        self.seen.truncate(SEEN_MAX);
    }

    /// Everything that wants to happen now, happens; then there is a reason to wait.
    fn settle(&mut self) {
        for player in &mut self.players {
            settle_player(player, self.now, &mut self.to_shard);
        }
        for _ in 0..4 {
            self.shard.turn(self.now);
            self.shard.check_invariants();
            self.drain();
            let next = self.shard.poll_timeout();
            if next.is_none_or(|next| next > self.now) {
                return;
            }
        }
        panic!("the shard wants another turn and another");
    }

    fn drain(&mut self) {
        for _ in 0..BURST_MAX {
            let mut datagram = Vec::new();
            let Some(to) = self.shard.poll_transmit(&mut datagram, self.now) else {
                return;
            };
            assert!(datagram.len() <= DATAGRAM_MAX, "a datagram is bounded");
            if let Some((got, given)) = self.unproven.get_mut(&to) {
                *given += datagram.len();
                assert!(given <= got, "no answer is an amplifier");
            }
            self.to_players.push_back((to, datagram));
        }
        panic!("the shard sends without end");
    }

    /// A quiet while, after which all that sound players did has arrived.
    fn finish(&mut self) {
        for _ in 0..QUIET_MAX {
            if self.players.iter().all(Player::is_served) {
                return;
            }
            self.pass(Duration::from_millis(100));
        }
        panic!("a sound player's input is lost");
    }
}

impl Player {
    /// True if the rooms have applied all that was sent.
    fn is_served(&self) -> bool {
        self.sent
            .iter()
            .all(|(seat, sent)| self.core.cursor(*seat) == Some(*sent))
    }
}

fn player(number: u16, now: Timestamp) -> Player {
    let mut rng = Rng::from_number(number.into());
    let identity = StaticKeys::generate(&mut rng);
    let permit = Permit::dev(format!("player {number}"));
    let server = StaticKeys::development().public();
    let options = Options::new(server, identity, permit, now.as_micros());
    Player {
        core: Core::new(options, rng.fork("core"), now),
        address: address(10_000 + number),
        sent: BTreeMap::new(),
        losses: 0,
    }
}

fn settle_player(
    player: &mut Player,
    now: Timestamp,
    to_shard: &mut VecDeque<(SocketAddr, Vec<u8>)>,
) {
    player.core.handle_timeout(now);
    let mut datagram = Vec::new();
    while player.core.poll_transmit(&mut datagram, now) {
        to_shard.push_back((player.address, std::mem::take(&mut datagram)));
    }
    while let Some(event) = player.core.poll_event() {
        match event {
            Event::Answer { result, .. } => match result {
                Ok(Answer::Seated(seated)) => drop(player.sent.insert(seated.seat, 0)),
                other => panic!("a sound player gets no seat: {other:?}"),
            },
            Event::Ended(ended) => panic!("a sound player's session ends: {ended:?}"),
            Event::RoomClosed { reason, .. } => {
                panic!("a sound player's room closes: {reason:?}")
            }
            Event::Connected { .. }
            | Event::View { .. }
            | Event::Room { .. }
            | Event::EventsMissed { .. }
            | Event::Seat { .. }
            | Event::InputRefused { .. }
            | Event::Link(_)
            | _ => {}
        }
    }
}
