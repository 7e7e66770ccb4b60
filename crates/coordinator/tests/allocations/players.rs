//! A shard and clients in virtual time, with no network between them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rejoin_client::{Core, Event, Options, Permit};
use rejoin_coordinator::{Config, MemoryDirectory, Shard};
use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::message::{Answer, RoomSettings};
use rejoin_protocol::{PlayerId, RequestId, Rng, SeatId, Timestamp};
use rejoin_room::{Cx, Kinds, Room, RoomSpec};
use rejoin_store::MemoryStore;

use crate::counting::inside;

/// Members of a room.
pub(crate) const ROOM: usize = 16;
const STEP: Duration = Duration::from_millis(5);
/// Steps between two inputs of a player: 33 inputs a second.
const INPUT_EVERY: u64 = 6;

/// How inputs travel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Play {
    Latest,
    Reliable,
}

/// See the module page.
pub(crate) struct Players {
    shard: Shard<MemoryStore, MemoryDirectory>,
    play: Option<Play>,
    cores: Vec<Core>,
    seats: Vec<Option<SeatId>>,
    by_address: BTreeMap<SocketAddr, usize>,
    now: Timestamp,
    rng: Rng,
    datagram: Vec<u8>,
    input: Bytes,
    pub(crate) done: Done,
}

/// What the shard did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) turns: usize,
    /// Received and sent.
    pub(crate) datagrams: usize,
}

impl Done {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            turns: self.turns - before.turns,
            datagrams: self.datagrams - before.datagrams,
        }
    }
}

/// A state of a kilobyte, a part of which changes with each tick.
struct Field;

impl Room for Field {
    const KIND: &'static str = "field";
    const TICK_HZ: u32 = 30;
    type State = Vec<u64>;
    type Input = u64;
    type View = Vec<u64>;
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Vec<u64> {
        vec![u64::MAX; 110]
    }

    fn input(state: &mut Vec<u64>, _from: PlayerId, input: u64, _cx: &mut Cx<Self>) {
        state.iter_mut().take(1).for_each(|value| *value ^= input);
    }

    fn tick(state: &mut Vec<u64>, cx: &mut Cx<Self>) {
        let tick = cx.tick();
        for value in state.iter_mut().step_by(4) {
            *value = u64::MAX - tick;
        }
    }

    fn view(state: &Vec<u64>) -> Cow<'_, Vec<u64>> {
        Cow::Borrowed(state)
    }
}

impl Players {
    /// Nobody yet. Those who come play as `play` says, or are idle.
    pub(crate) fn new(play: Option<Play>) -> Self {
        let config = Config::new(StaticKeys::development(), [7; 32]);
        let now = Timestamp::from_millis(1_000);
        let kinds = Kinds::new().with::<Field>();
        let (store, directory) = (MemoryStore::default(), MemoryDirectory::default());
        Self {
            shard: Shard::new(config, kinds, store, directory, Rng::from_number(1), now),
            play,
            cores: Vec::new(),
            seats: Vec::new(),
            by_address: BTreeMap::new(),
            now,
            rng: Rng::from_number(2),
            datagram: Vec::with_capacity(1 << 16),
            input: rejoin_protocol::messagepack::encode(&7_u64).unwrap().into(),
            done: Done::default(),
        }
    }

    /// Opens so many sessions more.
    pub(crate) fn join(&mut self, count: usize) {
        for _ in 0..count {
            let number = self.cores.len();
            let name = format!("player {number}");
            let options = Options {
                server: StaticKeys::development().public(),
                identity: StaticKeys::generate(&mut self.rng.fork(&name)),
                permit: Permit::dev(&name),
                suites: Suite::ALL.to_vec(),
                receive_id: None,
                join_timeout: Duration::from_secs(10),
                resume_for: Duration::ZERO,
                ticket: None,
                moment: self.now.as_micros(),
            };
            let core = Core::new(options, self.rng.fork(&name), self.now);
            self.cores.push(core);
            self.seats.push(None);
            let [.., a, b] = u32::try_from(number).unwrap().to_be_bytes();
            let address = SocketAddr::from(([10, 0, a, b], 9));
            self.by_address.insert(address, number);
            self.step();
        }
        self.run(Duration::from_secs(1));
    }

    /// All take seats, as many as a room has in each.
    pub(crate) fn enter_rooms(&mut self) {
        for number in 0..self.cores.len() {
            let request = RequestId([u8::try_from(number / ROOM).unwrap(); 16]);
            let settings = RoomSettings::default();
            let core = &mut self.cores[number];
            core.create(request, Field::KIND, settings).unwrap();
            self.step();
        }
        self.run(Duration::from_secs(1));
        assert!(self.seats.iter().all(Option::is_some));
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        self.act();
        let (now, datagram) = (self.now, &mut self.datagram);
        for (address, number) in &self.by_address {
            let core = &mut self.cores[*number];
            core.handle_timeout(now);
            datagram.clear();
            while core.poll_transmit(datagram, now) {
                inside(|| {
                    self.shard.expect(std::iter::once(&datagram[..]));
                    self.shard.handle_datagram(*address, datagram, now);
                });
                self.done.datagrams += 1;
                datagram.clear();
            }
        }
        inside(|| self.shard.turn(now));
        self.done.turns += 1;
        while let Some(to) = inside(|| self.shard.poll_transmit(datagram, now)) {
            self.done.datagrams += 1;
            let number = self.by_address[&to];
            self.cores[number].handle_datagram(datagram, now);
            while let Some(event) = self.cores[number].poll_event() {
                if let Event::Answer {
                    result: Ok(Answer::Seated(seated)),
                    ..
                } = event
                {
                    self.seats[number] = Some(seated.seat);
                }
            }
            datagram.clear();
        }
    }

    fn act(&mut self) {
        let step = self.now.as_millis() / 5;
        for (number, seat) in (0_u64..).zip(&self.seats) {
            let (Some(play), Some(seat)) = (self.play, seat) else {
                continue;
            };
            if (step + number).is_multiple_of(INPUT_EVERY) {
                let core = &mut self.cores[usize::try_from(number).unwrap()];
                let input = self.input.clone();
                match play {
                    Play::Latest => core.latest(*seat, input).unwrap(),
                    Play::Reliable => _ = core.send(*seat, input).unwrap(),
                }
            }
        }
    }
}
