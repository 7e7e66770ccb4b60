//! A bad network on loopback: a UDP relay that delays, loses, doubles and reorders.
//!
//! Used by tests and by `bots --net`. One thread, std sockets; each client address gets a socket
//! of its own towards the server, so the server sees as many addresses as there are. One that changes
//! its address has another on both sides: what still comes to the old one goes where nobody is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rejoin_protocol::Rng;

use crate::impairment::Impairment;

/// Datagrams that wait at most; more are lost, and counted as overflow.
const QUEUE_MAX: usize = 65_536;
/// Client addresses served at most; datagrams of more are lost, and counted as overflow.
const CLIENTS_MAX: usize = 1_024;
/// How long a reordered datagram is held back: longer than the 33 ms between two at 30 Hz, so that
/// it is overtaken within its own connection.
const HOLD_MIN: Duration = Duration::from_millis(20);
/// See [`HOLD_MIN`].
const HOLD_MAX: Duration = Duration::from_millis(80);
/// Longest sleep of the relay: what it adds to the delay at worst.
const NAP: Duration = Duration::from_micros(500);

/// A running relay. Dropping it ends its thread.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What a relay has done to datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayStats {
    /// Handed on, copies included.
    pub forwarded: u64,
    /// Lost on purpose.
    pub lost: u64,
    /// Sent twice on purpose.
    pub duplicated: u64,
    /// Held back on purpose.
    pub reordered: u64,
    /// Lost because a bound was reached.
    pub overflowed: u64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    impairment: Mutex<Impairment>,
    forwarded: AtomicU64,
    lost: AtomicU64,
    duplicated: AtomicU64,
    reordered: AtomicU64,
    overflowed: AtomicU64,
}

impl Relay {
    /// Starts a relay to `server` on a free loopback port.
    ///
    /// # Errors
    /// No socket or thread is to be had.
    pub fn start(server: SocketAddr, impairment: Impairment) -> io::Result<Self> {
        let front = open_near(server)?;
        let address = front.local_addr()?;
        let shared = Arc::new(Shared::default());
        *shared
            .impairment
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = impairment;
        let rng = Rng::from_number(impairment.seed).fork("relay");
        let worker = Worker::new(front, server, Arc::clone(&shared), rng);
        let thread = std::thread::Builder::new()
            .name("relay".into())
            .spawn(move || worker.run())?;
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// Where clients send to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the network from now on. Chance goes on where it was.
    pub fn set(&self, impairment: Impairment) {
        *self
            .shared
            .impairment
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = impairment;
    }

    /// Makes the network a good one from now on.
    pub fn clean(&self) {
        self.set(Impairment::default());
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> RelayStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RelayStats {
            forwarded: read(&self.shared.forwarded),
            lost: read(&self.shared.lost),
            duplicated: read(&self.shared.duplicated),
            reordered: read(&self.shared.reordered),
            overflowed: read(&self.shared.overflowed),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panicked relay has already said so on its own thread.
            drop(thread.join());
        }
    }
}

/// A socket on the loopback address of the server's family, any port.
fn open_near(server: SocketAddr) -> io::Result<UdpSocket> {
    let ip = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    rejoin_datagram::bind(SocketAddr::new(ip, 0)).map_err(io::Error::other)
}

/// A datagram on its way. Ordered by due time, then by arrival.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    due: Instant,
    arrival: u64,
    path: usize,
    up: bool,
    bytes: Vec<u8>,
}

/// One client's way to the server and back.
#[derive(Debug)]
struct Path {
    client: SocketAddr,
    upstream: UdpSocket,
    /// When the last datagram in order leaves, up and down: jitter must not pass it.
    last_due: [Instant; 2],
}

#[derive(Debug)]
struct Worker {
    front: UdpSocket,
    server: SocketAddr,
    shared: Arc<Shared>,
    rng: Rng,
    paths: Vec<Path>,
    by_client: BTreeMap<SocketAddr, usize>,
    queue: BinaryHeap<Reverse<Packet>>,
    arrivals: u64,
}

impl Worker {
    fn new(front: UdpSocket, server: SocketAddr, shared: Arc<Shared>, rng: Rng) -> Self {
        Self {
            front,
            server,
            shared,
            rng,
            paths: Vec::new(),
            by_client: BTreeMap::new(),
            queue: BinaryHeap::new(),
            arrivals: 0,
        }
    }

    fn run(mut self) {
        let mut buffer = vec![0; 65_536];
        while !self.shared.stop.load(Ordering::Relaxed) {
            let impairment = *self
                .shared
                .impairment
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            self.take_from_clients(&mut buffer, &impairment, now);
            self.take_from_server(&mut buffer, &impairment, now);
            self.forward_due(Instant::now());
            let wait = self.queue.peek().map_or(NAP, |Reverse(packet)| {
                packet
                    .due
                    .saturating_duration_since(Instant::now())
                    .min(NAP)
            });
            std::thread::sleep(wait);
        }
    }

    fn take_from_clients(&mut self, buffer: &mut [u8], impairment: &Impairment, now: Instant) {
        // An error is "nothing there", or news of an earlier send: neither ends the relay.
        while let Ok((len, client)) = self.front.recv_from(buffer) {
            let bytes = buffer.get(..len).unwrap_or_default();
            match self.path_of(client, now) {
                Some(path) => self.accept(path, true, bytes, impairment, now),
                None => count(&self.shared.overflowed),
            }
        }
    }

    fn take_from_server(&mut self, buffer: &mut [u8], impairment: &Impairment, now: Instant) {
        for path in 0..self.paths.len() {
            while let Some(len) = self
                .paths
                .get(path)
                .and_then(|it| it.upstream.recv(buffer).ok())
            {
                let bytes = buffer.get(..len).unwrap_or_default();
                self.accept(path, false, bytes, impairment, now);
            }
        }
    }

    fn path_of(&mut self, client: SocketAddr, now: Instant) -> Option<usize> {
        if let Some(path) = self.by_client.get(&client) {
            return Some(*path);
        }
        if self.paths.len() >= CLIENTS_MAX {
            return None;
        }
        let upstream = self.open_upstream(client.ip()).ok()?;
        upstream.connect(self.server).ok()?;
        let path = self.paths.len();
        self.paths.push(Path {
            client,
            upstream,
            last_due: [now; 2],
        });
        self.by_client.insert(client, path);
        Some(path)
    }

    /// A client that comes from another address of this machine goes on to the server from there, so that
    /// the server sees its moves.
    fn open_upstream(&self, client: IpAddr) -> io::Result<UdpSocket> {
        let is_ours = client.is_loopback() && client.is_ipv4() == self.server.is_ipv4();
        let from_there = || rejoin_datagram::bind(SocketAddr::new(client, 0));
        match is_ours.then(from_there) {
            Some(Ok(socket)) => Ok(socket),
            Some(Err(_)) | None => open_near(self.server),
        }
    }

    /// Decides a datagram's fate.
    fn accept(
        &mut self,
        path: usize,
        up: bool,
        bytes: &[u8],
        impairment: &Impairment,
        now: Instant,
    ) {
        // Always three draws, so that the fate of one datagram does not shift that of the next.
        let lost = self.rng.chance(impairment.loss);
        let doubled = self.rng.chance(impairment.duplicate);
        let held = self.rng.chance(impairment.reorder);
        if lost {
            return count(&self.shared.lost);
        }
        if doubled {
            count(&self.shared.duplicated);
            let due = self.due(path, up, held, impairment, now);
            self.enqueue(path, up, bytes, due);
        }
        if held {
            count(&self.shared.reordered);
        }
        let due = self.due(path, up, held, impairment, now);
        self.enqueue(path, up, bytes, due);
    }

    fn due(
        &mut self,
        path: usize,
        up: bool,
        held: bool,
        impairment: &Impairment,
        now: Instant,
    ) -> Instant {
        let spread = impairment.jitter.mul_f64(2.0 * self.rng.unit());
        let due = now + (impairment.delay + spread).saturating_sub(impairment.jitter);
        if held {
            return due + HOLD_MIN + (HOLD_MAX - HOLD_MIN).mul_f64(self.rng.unit());
        }
        let last = self
            .paths
            .get_mut(path)
            .and_then(|it| it.last_due.get_mut(usize::from(up)));
        last.map_or(due, |last| {
            *last = due.max(*last);
            *last
        })
    }

    fn enqueue(&mut self, path: usize, up: bool, bytes: &[u8], due: Instant) {
        if self.queue.len() >= QUEUE_MAX {
            return count(&self.shared.overflowed);
        }
        self.arrivals += 1;
        let packet = Packet {
            due,
            arrival: self.arrivals,
            path,
            up,
            bytes: bytes.to_vec(),
        };
        self.queue.push(Reverse(packet));
    }

    fn forward_due(&mut self, now: Instant) {
        while self
            .queue
            .peek()
            .is_some_and(|Reverse(packet)| packet.due <= now)
        {
            let Some(Reverse(packet)) = self.queue.pop() else {
                return;
            };
            let Some(path) = self.paths.get(packet.path) else {
                continue;
            };
            // A full or refused socket loses datagrams, as any network may.
            let sent = if packet.up {
                path.upstream.send(&packet.bytes)
            } else {
                self.front.send_to(&packet.bytes, path.client)
            };
            if sent.is_ok() {
                count(&self.shared.forwarded);
            }
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far longer than any of these takes, so that it only ends what hangs.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// Datagrams under way at most: few enough for the smallest socket buffer.
    const UNDER_WAY_MAX: u64 = 64;

    /// A socket that answers every datagram with itself, for a while.
    fn echo() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                socket.send_to(&buffer[..len], from).unwrap();
            }
        });
        address
    }

    /// Sends numbers one by one and returns the answers in order of arrival, once none is under
    /// way: each datagram ends as an answer or lost, and each copy is one more.
    fn answers(relay: &Relay, count: u16) -> Vec<u16> {
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(relay.address()).unwrap();
        client.set_nonblocking(true).unwrap();
        let before = relay.stats();
        let (mut numbers, mut sent, mut found) = ((0..count).peekable(), 0, Vec::new());
        let start = Instant::now();
        let mut buffer = [0; 2];
        loop {
            while client.recv(&mut buffer).is_ok() {
                found.push(u16::from_be_bytes(buffer));
            }
            let stats = relay.stats();
            let ended = found.len() as u64 + stats.lost - before.lost;
            let under_way = sent + stats.duplicated - before.duplicated - ended;
            if under_way < UNDER_WAY_MAX
                && let Some(number) = numbers.next()
            {
                client.send(&number.to_be_bytes()).unwrap();
                sent += 1;
            } else if under_way == 0 && numbers.peek().is_none() {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "{under_way} are missing");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    #[test]
    fn a_clean_relay_changes_nothing() {
        let relay = Relay::start(echo(), Impairment::default()).unwrap();
        assert_eq!(answers(&relay, 100), (0..100).collect::<Vec<_>>());
        assert_eq!(
            relay.stats(),
            RelayStats {
                forwarded: 200,
                ..RelayStats::default()
            }
        );
    }

    #[test]
    fn jitter_alone_keeps_the_order() {
        let net = Impairment::parse("delay=20ms±20ms").unwrap();
        let relay = Relay::start(echo(), net).unwrap();
        assert_eq!(answers(&relay, 100), (0..100).collect::<Vec<_>>());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_client_that_comes_from_another_address_goes_on_from_there() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let relay = Relay::start(server.local_addr().unwrap(), Impairment::default()).unwrap();
        let mut heard = Vec::new();
        for source in ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.2:0"] {
            let client = UdpSocket::bind(source).unwrap();
            client.send_to(b"x", relay.address()).unwrap();
            let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
            assert_eq!(from.ip(), client.local_addr().unwrap().ip());
            assert!(!heard.contains(&from), "{from} was another's");
            heard.push(from);
        }
    }

    #[test]
    fn impairments_happen_as_often_as_asked_for() {
        let net = Impairment::parse("loss=20%,duplicate=10%,reorder=10%,seed=3").unwrap();
        let relay = Relay::start(echo(), net).unwrap();
        let found = answers(&relay, 1_000);
        let mut sorted = found.clone();
        sorted.sort_unstable();
        let stats = relay.stats();
        assert_ne!(found, sorted, "nothing was reordered");
        assert!((250..450).contains(&stats.lost), "{stats:?}");
        assert!((100..220).contains(&stats.duplicated), "{stats:?}");
        assert!((100..220).contains(&stats.reordered), "{stats:?}");
        assert_eq!(stats.overflowed, 0);
    }

    #[test]
    fn a_network_can_break_and_mend() {
        let relay = Relay::start(echo(), Impairment::parse("loss=100%").unwrap()).unwrap();
        assert_eq!(answers(&relay, 20), []);
        relay.clean();
        assert_eq!(answers(&relay, 20), (0..20).collect::<Vec<_>>());
    }
}
