//! One client's ping through a real server on loopback: a reliable input, answered by an event.

use std::time::{Duration, Instant};

use criterion::Criterion;
use rejoin::protocol::Timestamp;
use rejoin::server::{Identity, Server, ServerConfig};
use rejoin_arena::players::{Clock, Ping, Players, Target};
use rejoin_arena::{RejoinPlayers, Size};
use rejoin_hall::room::Arena;
use rejoin_hall::workload::WHOLE;
use rejoin_room::Kinds;

const PATIENCE: Duration = Duration::from_secs(5);

/// The client spins, so only the server has to be woken.
pub(crate) fn round_trip(c: &mut Criterion) {
    let mut lone = None;
    c.bench_function("loopback round trip of one client", |b| {
        let Lone { players, clock } = lone.get_or_insert_with(Lone::start);
        b.iter(|| {
            let planned = clock.now();
            players.ping(0, Ping { planned }, planned);
            let mut echoes = Vec::new();
            wait(players, *clock, &mut echoes, |_, echoes| !echoes.is_empty());
        });
    });
}

/// A client alone with its server.
struct Lone {
    players: RejoinPlayers,
    clock: Clock,
}

impl Lone {
    /// The server's thread ends with this process.
    fn start() -> Self {
        let identity = Identity::development().expect("the system has entropy");
        let mut config = ServerConfig::dev("127.0.0.1:0".parse().unwrap(), identity);
        // One ping after the other is more than a player may send.
        let budgets = &mut config.limits.budgets;
        budgets.inputs_per_s = 1_000_000;
        budgets.datagrams_per_s = 1_000_000;
        budgets.bytes_per_s = 1_000_000_000;
        budgets.room_inputs_per_s = 1_000_000;
        let server = Server::bind(config).expect("loopback has a free port");
        let target = Target {
            address: server.address(),
            key: Some(server.public_key()),
        };
        let size = Size {
            players: 1,
            shape: Some(WHOLE),
        };
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            let kinds = Kinds::new().with::<Arena<WHOLE>>();
            let running = server.run(kinds, std::future::pending());
            runtime.block_on(running).expect("the server runs");
        });
        let (mut players, clock) = (RejoinPlayers::new(target, size), Clock::start());
        players.begin(0, clock.now());
        let mut echoes = Vec::new();
        wait(&mut players, clock, &mut echoes, |players, _| {
            players.ready() == 1
        });
        Self { players, clock }
    }
}

fn wait(
    players: &mut RejoinPlayers,
    clock: Clock,
    echoes: &mut Vec<Ping>,
    is_over: impl Fn(&RejoinPlayers, &[Ping]) -> bool,
) {
    let start = Instant::now();
    while !is_over(players, echoes) {
        let now: Timestamp = clock.now();
        players.pump(now, echoes);
        assert!(start.elapsed() < PATIENCE, "the server answers");
    }
}
