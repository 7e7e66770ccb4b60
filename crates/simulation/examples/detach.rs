//! How often a server believes a player gone who is there all the time, on a network that loses datagrams by
//! chance alone.
//!
//! The real shard and the real clients, in virtual time, as in a run of the simulator; but nothing else happens,
//! so that many hours fit. Players sit in rooms without a clock and say nothing: heartbeats are all that is
//! heard of them, which is the worst case.
//!
//! ```sh
//! cargo run --release -p rejoin-simulation --example detach -- --loss 0.3 --hours 200 --players 64 --seed 1
//! ```
//!
//! Simulated hours, players and seed are free; every seed and number of players gives the same count again.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a measurement says what it found, how long it took, and looks at little"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rejoin_client::{Core, Event, Options};
use rejoin_coordinator::{Config, MemoryDirectory, Shard};
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::handshake::Permit;
use rejoin_protocol::message::{RoomSettings, SeatChange};
use rejoin_protocol::{Liveness, RequestId, Rng, Timestamp};
use rejoin_room::builtin::chat::Chat;
use rejoin_room::{Kinds, Room};
use rejoin_store::MemoryStore;

/// What is asked for.
struct Args {
    loss: f64,
    hours: f64,
    players: usize,
    seed: u64,
}

/// What was seen.
#[derive(Default)]
struct Counts {
    /// Players who were believed gone, once for each time.
    detached: u64,
    suspected: u64,
    /// Clients believed the server gone.
    away: u64,
    datagrams: u64,
}

struct World {
    shard: Shard<MemoryStore, MemoryDirectory>,
    clients: Vec<Core>,
    chance: Rng,
    loss: f64,
    queue: BinaryHeap<Reverse<(Timestamp, u64, Due)>>,
    order: u64,
    /// When each client is to be woken, and last the server.
    planned: Vec<Timestamp>,
    counts: Counts,
    now: Timestamp,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Up(usize, Vec<u8>),
    Down(usize, Vec<u8>),
    Client(usize),
    Server,
}

/// One way, every datagram.
const DELAY: Duration = Duration::from_millis(25);
/// Members of a room.
const ROOM: usize = 8;
/// Everybody is seated by then; what happens before does not count.
const SETTLED: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let Some(args) = parse() else {
        eprintln!("usage: detach [--loss 0.3] [--hours 10] [--players 64] [--seed 1]");
        return ExitCode::FAILURE;
    };
    let start = Instant::now();
    let mut world = World::new(&args);
    world.run(Timestamp::ZERO + SETTLED);
    world.counts = Counts::default();
    world.run(world.now + Duration::from_secs_f64(args.hours * 3_600.0));
    let Counts {
        detached,
        suspected,
        away,
        datagrams,
    } = world.counts;
    let players = u32::try_from(args.players).unwrap_or(u32::MAX);
    let session_hours = args.hours * f64::from(players);
    let seated = world.shard.stats().sessions;
    println!(
        "{session_hours:.0} session-hours at {:.0} % loss each way, {seated} sessions at the end: \
         {detached} detached, {suspected} suspected, {away} clients away; {datagrams} datagrams in {:.1} s",
        args.loss * 100.0,
        start.elapsed().as_secs_f64()
    );
    let count = u32::try_from(detached).unwrap_or(u32::MAX);
    println!(
        "per 10,000 session-hours: {:.2} detached",
        f64::from(count) * 10_000.0 / session_hours
    );
    ExitCode::SUCCESS
}

fn parse() -> Option<Args> {
    let mut args = Args {
        loss: 0.3,
        hours: 10.0,
        players: 64,
        seed: 1,
    };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let value = given.next()?;
        match flag.as_str() {
            "--loss" => args.loss = value.parse().ok()?,
            "--hours" => args.hours = value.parse().ok()?,
            "--players" => args.players = value.parse().ok()?,
            "--seed" => args.seed = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(args)
}

impl World {
    fn new(args: &Args) -> Self {
        let root = Rng::from_number(args.seed);
        let keys = StaticKeys::generate(&mut root.fork("server key"));
        let config = Config::new(keys.clone(), root.fork("secret").bytes());
        let kinds = Kinds::new().with::<Chat>();
        let (store, directory) = (MemoryStore::default(), MemoryDirectory::default());
        let shard = Shard::new(
            config,
            kinds,
            store,
            directory,
            root.fork("server"),
            Timestamp::ZERO,
        );
        let client = |number: usize| {
            let rng = root.fork(&format!("client {number}"));
            let identity = StaticKeys::generate(&mut rng.fork("identity"));
            let permit = Permit::dev(format!("player-{number}"));
            let mut options = Options::new(keys.public(), identity, permit, 1);
            // At such a loss some joins take longer than a player would wait.
            options.join_timeout = SETTLED;
            Core::new(options, rng, Timestamp::ZERO)
        };
        let mut world = Self {
            shard,
            clients: (0..args.players).map(client).collect(),
            chance: root.fork("network"),
            loss: args.loss,
            queue: BinaryHeap::new(),
            order: 0,
            planned: vec![Timestamp::ZERO; args.players + 1],
            counts: Counts::default(),
            now: Timestamp::ZERO,
        };
        for number in 0..args.players {
            world.drain(number);
        }
        world
    }

    fn push(&mut self, at: Timestamp, due: Due) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, due)));
    }

    /// Plans a wake, unless an earlier one is planned.
    fn plan(&mut self, place: usize, due: Timestamp, wake: Due) {
        let due = due.max(self.now + STEP);
        let now = self.now;
        let planned = self.planned.get_mut(place).expect("everyone has a place");
        if *planned <= now || due < *planned {
            *planned = due;
            self.push(due, wake);
        }
    }

    /// True if that wake is the one that is planned.
    fn is_planned(&self, place: usize) -> bool {
        self.planned.get(place) == Some(&self.now)
    }

    fn run(&mut self, until: Timestamp) {
        while let Some(Reverse((at, _, due))) = self.queue.pop() {
            self.now = self.now.max(at);
            match due {
                Due::Up(client, mut bytes) => {
                    let from = address(client);
                    self.shard.handle_datagram(from, &mut bytes, self.now);
                    self.turn();
                }
                Due::Down(number, mut bytes) => {
                    if let Some(client) = self.clients.get_mut(number) {
                        client.handle_datagram(&mut bytes, self.now);
                    }
                    self.drain(number);
                }
                Due::Client(number) if !self.is_planned(number) => {}
                Due::Server if !self.is_planned(self.clients.len()) => {}
                Due::Client(number) => {
                    if let Some(client) = self.clients.get_mut(number) {
                        client.handle_timeout(self.now);
                    }
                    self.drain(number);
                }
                Due::Server => self.turn(),
            }
            if self.now >= until {
                return;
            }
        }
    }

    fn turn(&mut self) {
        self.shard.turn(self.now);
        let mut out = Vec::new();
        while let Some(to) = self.shard.poll_transmit(&mut out, self.now) {
            let bytes = std::mem::take(&mut out);
            let client = usize::from(to.port()) - usize::from(FIRST_PORT);
            self.carry(Due::Down(client, bytes));
        }
        if let Some(due) = self.shard.poll_timeout() {
            self.plan(self.clients.len(), due, Due::Server);
        }
    }

    fn drain(&mut self, number: usize) {
        // Of each room one member speaks for all others, and a second one for the first.
        let first = (number % ROOM == 1).then(|| number - 1);
        let first = first.and_then(|first| self.clients.get(first)?.player());
        let Some(client) = self.clients.get_mut(number) else {
            return;
        };
        let mut connected = false;
        while let Some(event) = client.poll_event() {
            match event {
                Event::Connected { .. } => connected = true,
                Event::Seat { player, change, .. }
                    if number.is_multiple_of(ROOM) || first == Some(player) =>
                {
                    match change {
                        SeatChange::Detached => self.counts.detached += 1,
                        SeatChange::Suspect => self.counts.suspected += 1,
                        _ => {}
                    }
                }
                Event::Link(Liveness::Detached) | Event::Ended(_) => self.counts.away += 1,
                _ => {}
            }
        }
        if connected {
            let group = u8::try_from(number / ROOM).unwrap_or(u8::MAX);
            let settings = RoomSettings {
                members_max: 64,
                ..RoomSettings::default()
            };
            let asked = client.create(RequestId([group; 16]), Chat::KIND, settings);
            asked.expect("a fresh session can ask");
        }
        let mut out = Vec::new();
        let mut sent = Vec::new();
        while client.poll_transmit(&mut out, self.now) {
            sent.push(std::mem::take(&mut out));
        }
        let due = client.poll_timeout();
        for bytes in sent {
            self.carry(Due::Up(number, bytes));
        }
        if let Some(due) = due {
            self.plan(number, due, Due::Client(number));
        }
    }

    fn carry(&mut self, due: Due) {
        self.counts.datagrams += 1;
        if !self.chance.chance(self.loss) {
            self.push(self.now + DELAY, due);
        }
    }
}

/// Timers are no finer than this.
const STEP: Duration = Duration::from_millis(1);
const FIRST_PORT: u16 = 10_000;

/// All clients share a machine, each with a port of its own.
fn address(client: usize) -> SocketAddr {
    let port = FIRST_PORT + u16::try_from(client).expect("clients are few");
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
