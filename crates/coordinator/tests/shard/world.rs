//! One shard and real clients, wired by hand, in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rejoin_client::{Core, Event, Options, Permit, State};
use rejoin_coordinator::Config;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::handshake::is_hello;
use rejoin_protocol::message::{Answer, CallId, RoomCard, RoomSettings, Seated};
use rejoin_protocol::{Refusal, RequestId, Rng, RoomCode, RoomId, SeatId, Timestamp};
use rejoin_room::{Durability, Kinds};
use rejoin_store::MemoryStore;

use crate::cluster::{self, Cluster};
use crate::overtime::Script;
use crate::rooms::{Act, Board, Mill, Yard, board};

const STEP: Duration = Duration::from_millis(1);
/// The server's, of all processes.
pub(crate) const SESSION_SECRET: [u8; 32] = [7; 32];
/// One way.
pub(crate) const DELAY: Duration = Duration::from_millis(10);

/// See the module page.
pub(crate) struct World {
    pub(crate) shard: Cluster,
    pub(crate) players: Vec<Player>,
    pub(crate) now: Timestamp,
    pub(crate) network: Network,
    /// How long clients try to come back that are started from now on.
    pub(crate) resume_for: Duration,
    /// How long room logic takes.
    pub(crate) stopwatch: Script,
    /// What the shard sent in the newest step to addresses where no player is.
    pub(crate) strays: Vec<(SocketAddr, Vec<u8>)>,
    /// The hellos that players sent, as an observer sees them, and whose they are.
    pub(crate) hellos: Vec<(usize, Vec<u8>)>,
    server: StaticKeys,
    config: Config,
    pub(crate) kinds: Kinds,
    wire: BTreeMap<(Timestamp, u64), Packet>,
    /// Datagrams that were put on the wire, both ways.
    pub(crate) packets: u64,
    rng: Rng,
}

/// What the network does to datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Network {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
}

struct Packet {
    /// Index of the player at one end.
    player: usize,
    to_server: bool,
    /// Where the player was when it left.
    address: SocketAddr,
    bytes: Vec<u8>,
}

/// A client and all that it was told.
pub(crate) struct Player {
    pub(crate) core: Core,
    pub(crate) events: Vec<Event>,
    /// False while its datagrams go nowhere.
    pub(crate) online: bool,
    /// True while nothing reaches it, though it is heard.
    pub(crate) deaf: bool,
    pub(crate) address: SocketAddr,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_store(MemoryStore::default(), change)
    }

    pub(crate) fn with_store(store: MemoryStore, change: impl FnOnce(&mut Config)) -> Self {
        Self::with_shards(cluster::usual(), store, change)
    }

    pub(crate) fn with_shards(
        count: u8,
        store: MemoryStore,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let server = StaticKeys::development();
        let mut config = Config::new(server.clone(), SESSION_SECRET);
        change(&mut config);
        let kinds = Kinds::new().with::<Yard>().with::<Mill>();
        let now = Timestamp::from_millis(1_000);
        Self {
            shard: Cluster::new(count, &config, &kinds, [store].into(), now),
            config,
            kinds,
            players: Vec::new(),
            now,
            network: Network::default(),
            resume_for: Duration::ZERO,
            stopwatch: Script::default(),
            strays: Vec::new(),
            hellos: Vec::new(),
            server,
            wire: BTreeMap::new(),
            packets: 0,
            rng: Rng::from_number(2),
        }
    }

    /// A client that has joined.
    pub(crate) fn player(&mut self, name: &str) -> usize {
        let player = self.start(name);
        let joined = |world: &Self| {
            world
                .events(player)
                .iter()
                .any(|event| matches!(event, Event::Connected { .. }))
        };
        assert!(
            self.run_until(Duration::from_secs(5), joined),
            "{name} joins"
        );
        player
    }

    /// A client that begins to join. The same name has the same keys, and so the same session.
    pub(crate) fn start(&mut self, name: &str) -> usize {
        self.start_with(name, identity(name), Permit::dev(name))
    }

    /// A client that begins to join with a permit and keys of its own.
    pub(crate) fn start_with(&mut self, name: &str, identity: StaticKeys, permit: Permit) -> usize {
        self.start_at(name, (identity, permit), self.now.as_micros())
    }

    /// The same, with a clock of its own that stands at `moment`.
    pub(crate) fn start_at(
        &mut self,
        name: &str,
        (identity, permit): (StaticKeys, Permit),
        moment: u64,
    ) -> usize {
        let options = Options {
            server: self.server.public(),
            identity,
            permit,
            suites: Suite::ALL.to_vec(),
            receive_id: None,
            join_timeout: Duration::from_secs(10),
            resume_for: self.resume_for,
            ticket: None,
            moment,
        };
        self.start_from(name, options)
    }

    /// A client that begins with options of its own.
    pub(crate) fn start_from(&mut self, name: &str, options: Options) -> usize {
        let number = u16::try_from(self.players.len()).unwrap();
        self.players.push(Player {
            core: Core::new(
                options,
                self.rng.fork(&format!("{name} {number}")),
                self.now,
            ),
            events: Vec::new(),
            online: true,
            deaf: false,
            address: SocketAddr::from(([127, 0, 0, 1], 10_000 + number)),
        });
        usize::from(number)
    }

    pub(crate) fn events(&self, player: usize) -> &[Event] {
        &self.players[player].events
    }

    /// The server's process ends, and another of the same secrets takes its place at once. Rooms are gone.
    pub(crate) fn restart(&mut self, change: impl FnOnce(&mut Config)) {
        self.config.epoch.0 += 1;
        change(&mut self.config);
        self.start_shards(self.shard.shards.len(), VecDeque::new());
    }

    /// The same, but the next process takes up the rooms.
    pub(crate) fn restart_with_rooms(&mut self, change: impl FnOnce(&mut Config)) {
        self.config.epoch.0 += 1;
        change(&mut self.config);
        let nothing = Cluster::new(0, &self.config, &self.kinds, VecDeque::new(), self.now);
        let before = std::mem::replace(&mut self.shard, nothing);
        let count = before.shards.len();
        self.start_shards(count, before.into_stores());
    }

    /// The next process is the one after that.
    pub(crate) fn set_epoch(&mut self, epoch: u64) {
        self.config.epoch.0 = epoch;
    }

    /// The next process takes up the rooms of these stores.
    pub(crate) fn restart_from(&mut self, stores: VecDeque<MemoryStore>) {
        self.config.epoch.0 += 1;
        self.start_shards(self.shard.shards.len(), stores);
    }

    /// The same after a loss of power, which took some of what was written.
    pub(crate) fn restart_rolled_back(&mut self, before: VecDeque<MemoryStore>) {
        self.config.store_may_lack = true;
        self.restart_from(before);
        self.config.store_may_lack = false;
    }

    /// All kinds are kept as `durability` says from the next process on.
    pub(crate) fn keep_as(&mut self, durability: Durability) {
        self.kinds = std::mem::take(&mut self.kinds).kept_as(durability);
        self.restart(|_| {});
    }

    fn start_shards(&mut self, count: usize, stores: VecDeque<MemoryStore>) {
        let count = u8::try_from(count).unwrap();
        self.shard = Cluster::new(count, &self.config, &self.kinds, stores, self.now);
    }

    /// A player's connection is lost for good; its client knows.
    pub(crate) fn restart_connection(&mut self, player: usize) {
        self.players[player].online = false;
        let away = |world: &Self| *world.players[player].core.state() == State::Away;
        assert!(self.run_until(Duration::from_secs(10), away));
        self.players[player].online = true;
    }

    /// One millisecond.
    pub(crate) fn step(&mut self) {
        self.step_by(STEP);
    }

    /// Runs in long steps, for what takes hours.
    pub(crate) fn run_long(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step_by(Duration::from_millis(250));
        }
    }

    fn step_by(&mut self, step: Duration) {
        self.now += step;
        self.deliver();
        for player in &mut self.players {
            player.core.handle_timeout(self.now);
        }
        self.shard.turn_measured(&mut self.stopwatch, self.now);
        self.shard.check_invariants();
        self.collect();
        for player in &mut self.players {
            while let Some(event) = player.core.poll_event() {
                player.events.push(event);
            }
        }
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    /// Runs until something holds. False if it does not in time.
    pub(crate) fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !holds(self) {
            if self.now >= end {
                return false;
            }
            self.step();
        }
        true
    }

    /// Makes a request and waits for its answer.
    pub(crate) fn ask(
        &mut self,
        player: usize,
        request: impl FnOnce(&mut Core) -> Result<CallId, SendError>,
    ) -> Result<Answer, Refusal> {
        let call = request(&mut self.players[player].core).expect("the request is queued");
        let answered = |world: &Self| world.answer(player, call).is_some();
        assert!(
            self.run_until(Duration::from_secs(5), answered),
            "the request is answered"
        );
        self.answer(player, call).unwrap()
    }

    fn answer(&self, player: usize, wanted: CallId) -> Option<Result<Answer, Refusal>> {
        self.events(player).iter().find_map(|event| match event {
            Event::Answer { call, result } if *call == wanted => Some(result.clone()),
            _ => None,
        })
    }

    /// Opens the room of request `number`.
    pub(crate) fn create(&mut self, player: usize, kind: &str, number: u8) -> Seated {
        self.create_with(player, kind, number, RoomSettings::default())
    }

    pub(crate) fn create_with(
        &mut self,
        player: usize,
        kind: &str,
        number: u8,
        settings: RoomSettings,
    ) -> Seated {
        let request = RequestId([number; 16]);
        seated(self.ask(player, |core| core.create(request, kind, settings)))
    }

    pub(crate) fn join_by_code(&mut self, player: usize, code: RoomCode) -> Seated {
        seated(self.ask(player, |core| core.join_by_code(code)))
    }

    /// The rooms of a list that this player is shown.
    pub(crate) fn list(&mut self, player: usize) -> Vec<RoomCard> {
        match self.ask(player, |core| core.list(None, Vec::new(), 64)) {
            Ok(Answer::Rooms(rooms)) => rooms,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn join(&mut self, player: usize, room: RoomId) -> Seated {
        seated(self.ask(player, |core| core.join(room)))
    }

    /// Sends a reliable input.
    pub(crate) fn act(&mut self, player: usize, seat: SeatId, act: Act) -> u64 {
        self.players[player]
            .core
            .send(seat, act.encode())
            .expect("the input is queued")
    }

    /// The newest view of a seat.
    pub(crate) fn view(&self, player: usize, seat: SeatId) -> Option<Board> {
        self.view_bytes(player, seat).map(|bytes| board(&bytes))
    }

    pub(crate) fn view_bytes(&self, player: usize, of: SeatId) -> Option<Bytes> {
        self.events(player)
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::View { seat, view, .. } if *seat == of => Some(view.clone()),
                _ => None,
            })
    }

    /// Waits until the newest view of a seat is as wanted.
    pub(crate) fn expect_view(
        &mut self,
        player: usize,
        seat: SeatId,
        wanted: impl Fn(&Board) -> bool,
    ) -> Board {
        let holds = |world: &Self| world.view(player, seat).is_some_and(|view| wanted(&view));
        let held = self.run_until(Duration::from_secs(5), holds);
        let newest = self.view(player, seat);
        assert!(held, "the view comes to what is wanted; newest {newest:?}");
        newest.unwrap()
    }

    fn deliver(&mut self) {
        let later = self.wire.split_off(&(self.now, u64::MAX));
        for packet in std::mem::replace(&mut self.wire, later).into_values() {
            let Packet {
                player,
                to_server,
                address,
                mut bytes,
            } = packet;
            let end = &mut self.players[player];
            if !end.online || (end.deaf && !to_server) {
                continue;
            }
            if to_server {
                self.shard.expect(std::iter::once(&bytes[..]));
                self.shard.handle_datagram(address, &mut bytes, self.now);
            } else if address == end.address {
                end.core.handle_datagram(&mut bytes, self.now);
            }
        }
    }

    fn collect(&mut self) {
        let mut sent = Vec::new();
        for (index, player) in self.players.iter_mut().enumerate() {
            let mut bytes = Vec::new();
            while player.core.poll_transmit(&mut bytes, self.now) {
                sent.push((index, true, std::mem::take(&mut bytes)));
            }
        }
        self.strays.clear();
        let mut bytes = Vec::new();
        while let Some(to) = self.shard.poll_transmit(&mut bytes, self.now) {
            let bytes = std::mem::take(&mut bytes);
            match self.players.iter().position(|player| player.address == to) {
                Some(player) => sent.push((player, false, bytes)),
                // What goes to an address that a player has left is lost.
                None => self.strays.push((to, bytes)),
            }
        }
        for (player, to_server, bytes) in sent {
            if to_server && is_hello(&bytes) {
                self.hellos.push((player, bytes.clone()));
            }
            if !self.players[player].online || self.rng.chance(self.network.loss) {
                continue;
            }
            let copies = if self.rng.chance(self.network.duplication) {
                2
            } else {
                1
            };
            for copy in 0..copies {
                let arrival = self.now + DELAY + STEP * 7 * copy;
                self.packets += 1;
                let packet = Packet {
                    player,
                    to_server,
                    address: self.players[player].address,
                    bytes: bytes.clone(),
                };
                self.wire.insert((arrival, self.packets), packet);
            }
        }
    }
}

/// The keys that a name always has.
pub(crate) fn identity(name: &str) -> StaticKeys {
    StaticKeys::generate(&mut Rng::from_number(3).fork(name))
}

pub(crate) fn seated(answer: Result<Answer, Refusal>) -> Seated {
    match answer {
        Ok(Answer::Seated(seated)) => seated,
        other => panic!("no seat: {other:?}"),
    }
}
