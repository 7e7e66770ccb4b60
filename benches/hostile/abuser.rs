//! One session at a hundred times its budget among players who keep to theirs.
//!
//! In the rounds for comparison the same datagrams go to a socket that nobody reads, so that both kinds
//! of round cost this process the same.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rejoin::bots::Report;
use rejoin::protocol::Rng;

use crate::hostile_peer::Peer;
use crate::pace::Pace;
use crate::players::{self, Players};
use crate::server::Server;
use crate::{Arguments, claim};

/// What the abuser saw in a round.
#[derive(Default)]
struct Abuse {
    sent: u64,
    sessions: u64,
    closed: u64,
    slowest: Duration,
    reasons: std::collections::BTreeSet<Vec<u8>>,
}

/// Runs the scenario.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let bots = arguments.number("bots", 200);
    let rounds = arguments.number("rounds", 5);
    let span = Duration::from_secs(arguments.number("seconds", 10));
    let rate = arguments.number("rate", 100_000);
    let seed = arguments.number("seed", 1);
    println!(
        "an abuser at {rate}/s among {bots} bots, {rounds} rounds of {span:?} each way, seed {seed}"
    );
    let server = Server::start(&[]);
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sink = sink.local_addr().unwrap();
    let mut rng = Rng::from_number(seed).fork("abuser");
    let (mut ratios, mut good) = (Vec::new(), true);
    let mut worst = Duration::ZERO;
    for round in 1..=rounds {
        let players = Players::start(&server, bots, span + Duration::from_secs(1), seed);
        abuse(&server, Some(sink), rate, span, &mut rng);
        let quiet = players.report();
        let players = Players::start(&server, bots, span + Duration::from_secs(1), seed);
        let cpu = server.cpu();
        let abuse = abuse(&server, None, rate, span, &mut rng);
        let cpu = (server.cpu() - cpu) / span.as_secs_f64();
        let report = players.report();
        players::tell("at a sink", &quiet);
        players::tell("at the server", &report);
        println!(
            "round {round}: {} sent, {} sessions, {} closed, slowest after {:?}, reasons {:?}; server {:.0} %",
            abuse.sent,
            abuse.sessions,
            abuse.closed,
            abuse.slowest,
            abuse.reasons,
            cpu * 100.0
        );
        worst = worst.max(abuse.slowest);
        ratios.push(ratio(&report, &quiet));
        good &= players::unharmed(&report);
        good &= claim(abuse.closed > 0, "the abuser is told why it is closed");
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    good &= claim(
        median <= 1.10,
        format_args!("p99 of the others {median:.3} times as without (median of {ratios:.3?})"),
    );
    good &= claim(
        worst <= Duration::from_secs(2),
        format_args!("refused after {worst:?} at most"),
    );
    good & server.stop()
}

fn ratio(report: &Report, quiet: &Report) -> f64 {
    players::ratio(report.input.p99_us, quiet.input.p99_us)
}

/// Sends inputs far beyond any budget; whenever it is closed it comes back.
fn abuse(
    server: &Server,
    sink: Option<SocketAddr>,
    rate: u64,
    span: Duration,
    rng: &mut Rng,
) -> Abuse {
    let mut abuse = Abuse::default();
    let end = Instant::now() + span;
    while Instant::now() < end {
        let from = SocketAddr::from(([127, 5, 5, 5], 0));
        let Some(mut peer) = Peer::join(server.address, server.key, from, rng) else {
            continue;
        };
        abuse.sessions += 1;
        let seat = peer.take_seat("arena", rng);
        std::thread::sleep(Duration::from_millis(50));
        if let Some(sink) = sink {
            peer.socket.connect(sink).unwrap();
        }
        let (start, mut pace) = (Instant::now(), Pace::new(rate));
        // It goes on for a while after it was closed, as real ones do.
        let mut closed_at = None;
        while Instant::now() < end
            && closed_at.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(2))
        {
            for _ in 0..pace.due() {
                let frame = peer.input(seat, &[1; 24]);
                peer.send(&frame);
                abuse.sent += 1;
            }
            peer.listen();
            if peer.closed.is_some() && closed_at.is_none() {
                closed_at = Some(Instant::now());
                abuse.closed += 1;
                abuse.slowest = abuse.slowest.max(start.elapsed());
            }
        }
        abuse.reasons.extend(peer.closed);
    }
    abuse
}
