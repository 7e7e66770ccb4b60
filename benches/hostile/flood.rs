//! Good hellos from spoofed addresses, as fast as told, while bots play and others join.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rejoin::client::{Core, Options, Permit, State};
use rejoin::protocol::crypto::{PublicKey, StaticKeys, Suite};
use rejoin::protocol::handshake::{ClientHandshake, HandshakeOptions};
use rejoin::protocol::{Rng, Timestamp};

use crate::pace::Pace;
use crate::players::{self, Players};
use crate::raw_socket::{RawSocket, spoofed};
use crate::server::{self, Server};
use crate::{Arguments, claim};

/// Hellos made beforehand, each of an identity of its own, since making one takes longer than
/// sending it.
const HELLOS: usize = 10_000;

/// Runs the scenario.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let rate = arguments.number("rate", 100_000);
    let span = Duration::from_secs(arguments.number("seconds", 60));
    let bots = arguments.number("bots", 500);
    let seed = arguments.number("seed", 1);
    println!("spoofed hellos at {rate}/s for {span:?} beside {bots} bots, seed {seed}");
    let server = Server::start(&[]);
    let mut flood = Flood::new(&server, seed);

    // All of it goes on from the beginning, so that what is compared is the same server at work.
    let warm = Duration::from_secs(20);
    let players = Players::start(&server, bots, warm + span + Duration::from_secs(2), seed);
    let joins = Joins::start(&server);
    flood.send(rate, warm);
    let before = server.resident();
    let cpu = server.cpu();
    let mut sent = 0;
    for _ in 0..6 {
        sent += flood.send(rate, span / 6);
        println!("resident {:.2} MiB", server::mib(server.resident()));
    }
    let after = server.resident();
    let cpu = (server.cpu() - cpu) / span.as_secs_f64();
    let joins = joins.stop();
    let report = players.report();
    players::tell("under flood", &report);

    let served = 1.0 - report.traffic.lost_up as f64 / report.traffic.datagrams_up as f64;
    let reached = sent as f64 / span.as_secs_f64();
    println!(
        "rate reached {reached:.0}/s; server {:.0} % of a core",
        cpu * 100.0
    );
    let mut good = players::unharmed(&report);
    good &= server::stays(before, after);
    good &= claim(
        served >= 0.999,
        format_args!("{:.3} % of the bots' datagrams served", served * 100.0),
    );
    good &= claim(
        joins.failed == 0 && !joins.took_ms.is_empty(),
        format_args!("{joins}"),
    );
    good & server.stop()
}

/// Hellos from everywhere.
pub(crate) struct Flood {
    rng: Rng,
    raw: RawSocket,
    server: SocketAddrV4,
    hellos: Vec<Vec<u8>>,
}

impl Flood {
    pub(crate) fn new(server: &Server, seed: u64) -> Self {
        let SocketAddr::V4(address) = server.address else {
            panic!("the server is on IPv4");
        };
        let mut rng = Rng::from_number(seed).fork("flood");
        let hellos = (0..HELLOS).map(|number| hello(server.key, number, &mut rng));
        Self {
            hellos: hellos.collect(),
            rng,
            raw: RawSocket::open(),
            server: address,
        }
    }

    /// Sends at `rate` for `span`; gives how many left.
    pub(crate) fn send(&mut self, rate: u64, span: Duration) -> u64 {
        let (end, mut pace, mut sent) = (Instant::now() + span, Pace::new(rate), 0);
        while Instant::now() < end {
            for _ in 0..pace.due() {
                sent += u64::from(self.send_one());
            }
        }
        sent
    }

    pub(crate) fn send_one(&mut self) -> bool {
        let index = self.rng.below(HELLOS as u64) as usize;
        let from = spoofed(&mut self.rng);
        self.raw.send(from, self.server, &self.hellos[index])
    }
}

fn hello(server: PublicKey, number: usize, rng: &mut Rng) -> Vec<u8> {
    let options = HandshakeOptions {
        server,
        identity: StaticKeys::generate(rng),
        permit: Permit::dev(format!("spoofed {number}")),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment: 1,
    };
    let handshake = ClientHandshake::new(&options, rng).expect("the options are good");
    handshake.hello().to_vec()
}

/// Players who join one after another while the flood lasts.
struct Joins {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Joined>,
}

#[derive(Default)]
struct Joined {
    took_ms: Vec<f64>,
    failed: u32,
}

impl std::fmt::Display for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut took = self.took_ms.clone();
        took.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (took.len() as f64 * share) as usize;
            took.get(index.min(took.len().saturating_sub(1)))
                .copied()
                .unwrap_or(f64::NAN)
        };
        write!(
            f,
            "{} joins, {} failed, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            took.len(),
            self.failed,
            at(0.5),
            at(0.99),
            at(1.0)
        )
    }
}

impl Joins {
    fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (address, key, until) = (server.address, server.key, Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut rng = Rng::from_number(9);
            let mut joined = Joined::default();
            while !until.load(Ordering::Relaxed) {
                match join(address, key, &mut rng) {
                    Some(took) => joined.took_ms.push(took.as_secs_f64() * 1e3),
                    None => joined.failed += 1,
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            joined
        });
        Self { stop, thread }
    }

    fn stop(self) -> Joined {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("joins do not panic")
    }
}

/// One client from its first hello to its session, and out again.
fn join(server: SocketAddr, key: PublicKey, rng: &mut Rng) -> Option<Duration> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    let (start, identity) = (Instant::now(), StaticKeys::generate(rng));
    let now = || Timestamp::ZERO + start.elapsed();
    let permit = Permit::dev(format!("guest {}", rng.below(u64::MAX) % 1_000_000));
    let mut core = Core::new(
        Options::new(key, identity, permit, 1),
        rng.fork("core"),
        now(),
    );
    let (mut out, mut buffer) = (Vec::new(), [0; 2048]);
    loop {
        core.handle_timeout(now());
        while core.poll_transmit(&mut out, now()) {
            socket.send(&out).ok();
            out.clear();
        }
        while core.poll_event().is_some() {}
        match core.state() {
            State::Joining => {}
            State::Active(_) => {
                let took = start.elapsed();
                core.disconnect();
                while core.poll_transmit(&mut out, now()) {
                    socket.send(&out).ok();
                    out.clear();
                }
                return Some(took);
            }
            State::Ended(_) | _ => return None,
        }
        if let Ok(len) = socket.recv(&mut buffer) {
            core.handle_datagram(&mut buffer[..len], now());
        }
    }
}
