//! A million datagrams, a third each: random bytes, valid headers with bad tags, and packets that a
//! joined session sealed properly around mutated frames and MessagePack.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rejoin::protocol::Rng;
use rejoin::protocol::packet::{Header, TruncatedNumber};

use crate::hostile_peer::{Identity, Peer};
use crate::pace::Pace;
use crate::players::{self, Players};
use crate::server::{self, Server};
use crate::{Arguments, claim};

/// Hostile sessions. Whenever the server closes one for what it said, the same player joins again, so
/// that what their sessions and seats take does not grow.
const PEERS: usize = 32;
/// Packets a peer sends before it looks whether it was closed.
const BURST: u64 = 8;
/// First bytes of frames.
const PING: u8 = 0x01;
const CLOSE: u8 = 0x04;

/// Runs the scenario.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let datagrams = arguments.number("datagrams", 1_000_000);
    let rate = arguments.number("rate", 20_000);
    let bots = arguments.number("bots", 500);
    let seed = arguments.number("seed", 1);
    let span = Duration::from_secs(datagrams / rate + 2);
    let quiet_span = Duration::from_secs(20);
    println!("{datagrams} malformed datagrams at {rate}/s beside {bots} bots, seed {seed}");

    // Who is closed comes back at once; by default the server would have each come back ten times a minute.
    let often = "takeovers_burst=100000000";
    let server = Server::start(&["--limit", often]);
    let quiet = Players::start(&server, bots, quiet_span, seed).report();
    players::tell("quiet", &quiet);

    let mut attack = Attack::new(&server, seed);
    let players = Players::start(&server, bots, quiet_span, seed);
    attack.send(datagrams / 5, rate);
    players.report();
    let before = server.resident();

    let players = Players::start(&server, bots, span, seed);
    let cpu = server.cpu();
    let (start, sent) = (Instant::now(), attack.sent);
    attack.send(datagrams, rate);
    let took = start.elapsed().as_secs_f64();
    let cpu = server.cpu() - cpu;
    let report = players.report();
    let after = server.resident();
    players::tell("under attack", &report);
    println!(
        "attack: {} sent in {took:.1} s; {} sessions opened for it, {} closed by the server; server {:.0} % \
         of a core",
        attack.sent - sent,
        attack.opened,
        attack.closed,
        100.0 * cpu / took
    );

    let mut good = players::unharmed(&report);
    good &= server::stays(before, after);
    good &= claim(
        report.input.p99_us <= 2 * quiet.input.p99_us && report.rtt.p99_us <= 2 * quiet.rtt.p99_us,
        format_args!(
            "p99 {:.2} and {:.2} times quiet (input, round trip)",
            players::ratio(report.input.p99_us, quiet.input.p99_us),
            players::ratio(report.rtt.p99_us, quiet.rtt.p99_us)
        ),
    );
    good &= claim(
        attack.largest_ratio() <= 1.0,
        format_args!(
            "largest reply is {:.3} times the smallest request",
            attack.largest_ratio()
        ),
    );
    good & server.stop()
}

struct Attack {
    rng: Rng,
    server: SocketAddr,
    key: rejoin::protocol::crypto::PublicKey,
    stranger: UdpSocket,
    peers: Vec<(Identity, Peer)>,
    sent: u64,
    opened: u64,
    closed: u64,
    largest_reply: usize,
    smallest_request: usize,
}

impl Attack {
    fn new(server: &Server, seed: u64) -> Self {
        let stranger = UdpSocket::bind("127.3.3.3:0").unwrap();
        stranger.set_nonblocking(true).unwrap();
        let mut attack = Self {
            rng: Rng::from_number(seed).fork("attack"),
            server: server.address,
            key: server.key,
            stranger,
            peers: Vec::new(),
            sent: 0,
            opened: 0,
            closed: 0,
            largest_reply: 0,
            smallest_request: usize::MAX,
        };
        for _ in 0..PEERS {
            let mut who = Identity::generate(&mut attack.rng);
            let mut peer = attack.join(&mut who);
            peer.take_seat("arena", &mut attack.rng);
            attack.peers.push((who, peer));
        }
        attack
    }

    fn join(&mut self, who: &mut Identity) -> Peer {
        self.opened += 1;
        let [a, b] = self.rng.bytes();
        let from = SocketAddr::from(([127, 4, a, b.max(1)], 0));
        let mut peer =
            Peer::join_as(who, self.server, self.key, from, &mut self.rng).expect("a peer joins");
        peer.send(&[PING]);
        peer
    }

    fn send(&mut self, datagrams: u64, rate: u64) {
        let mut pace = Pace::new(rate);
        let mut left = datagrams;
        while left > 0 {
            for _ in 0..pace.due().min(left) {
                match left % 3 {
                    0 => self.random_bytes(),
                    1 => self.bad_tag(),
                    _ => self.sealed(),
                }
                left -= 1;
                self.sent += 1;
            }
            self.count_replies();
        }
    }

    fn random_bytes(&mut self) {
        let len = match self.rng.below(8) {
            0 => self.rng.below(4) as usize,
            1 => 1_200,
            2 => 1_400,
            _ => self.rng.below(1_400) as usize,
        };
        let mut bytes = vec![0; len];
        self.rng.fill(&mut bytes);
        // Half of them claim to be something of the handshake.
        if let (Some(first), true) = (bytes.first_mut(), self.rng.chance(0.5)) {
            *first = 0x40 + self.rng.below(5) as u8;
        }
        self.as_stranger(&bytes);
    }

    fn bad_tag(&mut self) {
        let index = self.rng.below(PEERS as u64) as usize;
        // Labels of sessions that live, and labels as a guesser would try them.
        let label = if self.rng.chance(0.5) {
            self.peers[index].1.label
        } else {
            let [a, b, c] = self.rng.bytes();
            [0, a, b, c]
        };
        let header = Header {
            epoch_bits: self.rng.below(4) as u8,
            key_phase: self.rng.chance(0.3),
            label: Some(label),
            number: TruncatedNumber::shortest(self.rng.below(1 << 20), None),
        };
        let mut packet = Vec::new();
        header.encode(&mut packet);
        let body = 16 + self.rng.below(400) as usize;
        let start = packet.len();
        packet.resize(start + body, 0);
        self.rng.fill(&mut packet[start..]);
        self.as_stranger(&packet);
    }

    fn as_stranger(&mut self, bytes: &[u8]) {
        self.smallest_request = self.smallest_request.min(bytes.len().max(1));
        self.stranger.send_to(bytes, self.server).ok();
    }

    fn sealed(&mut self) {
        let index = ((self.sent / BURST) % PEERS as u64) as usize;
        if self.sent.is_multiple_of(BURST) {
            self.peers[index].1.listen();
            if self.peers[index].1.closed.is_some() {
                self.closed += 1;
                let (mut who, _) = self.peers.swap_remove(index);
                let peer = self.join(&mut who);
                self.peers.push((who, peer));
            }
        }
        let frames = self.frames(index);
        self.peers[index].1.send(&frames);
    }

    /// Frames that were good before a few of their bytes changed.
    fn frames(&mut self, index: usize) -> Vec<u8> {
        let payload: [u8; 24] = self.rng.bytes();
        let peer = &mut self.peers[index].1;
        let mut frames = match self.rng.below(5) {
            0 => peer.input(rejoin::protocol::SeatId(0), &payload),
            1 => peer.control(&rejoin::protocol::message::ClientMessage::List {
                call: 7,
                kind: Some("arena".to_owned()),
                filters: Vec::new(),
                max: 3,
            }),
            2 => [&[0x34, 0], payload.as_slice()].concat(),
            3 => [
                &[0x08, 0x05, 0x01, 0x01, 0x01, 0x00, 0x01, 0x01],
                payload.as_slice(),
            ]
            .concat(),
            _ => payload.to_vec(),
        };
        for _ in 0..=self.rng.below(4) {
            let at = self.rng.below(frames.len() as u64) as usize;
            frames[at] = self.rng.below(256) as u8;
        }
        // A close frame would end it before the server can judge it.
        if frames.first() == Some(&CLOSE) {
            frames[0] = PING;
        }
        frames
    }

    fn count_replies(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok(len) = self.stranger.recv(&mut buffer) {
            self.largest_reply = self.largest_reply.max(len);
        }
    }

    fn largest_ratio(&self) -> f64 {
        self.largest_reply as f64 / self.smallest_request.max(1) as f64
    }
}
