//! What strangers and liars can make the server hold: half-open joins, and sessions whose messages
//! are never finished.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin::protocol::Rng;
use rejoin::protocol::limits::{
    FRAGMENT_COST, FRAGMENT_MAX, HELD_BY_SERVER_MAX, MESSAGE_COST, ORDERED_STREAMS,
    WINDOW_CONTROL_TO_SERVER, WINDOW_LATEST_TO_SERVER, WINDOW_ORDERED_TO_SERVER,
};

use crate::flood::Flood;
use crate::hostile_peer::Peer;
use crate::pace::Pace;
use crate::server::{Server, mib};
use crate::{Arguments, claim};

/// Runs the scenario.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let mut good = half_open(arguments);
    good &= fragments(arguments);
    good
}

/// Joins that are begun from spoofed addresses and never confirmed.
fn half_open(arguments: &Arguments) -> bool {
    let count = arguments.number("half-open", 50_000);
    let seed = arguments.number("seed", 1);
    let server = Server::start(&[]);
    let mut flood = Flood::new(&server, seed);
    let mut open = |count| {
        let mut pace = Pace::new(10_000);
        let mut left = count;
        while left > 0 {
            for _ in 0..pace.due().min(left) {
                flood.send_one();
                left -= 1;
            }
        }
    };
    // The few that are taken on trust come and go after some seconds, and answers wait in queues of some
    // depth: their memory is part of the plateau. What is measured is whether more joins take more.
    for _ in 0..5 {
        open(count);
    }
    let before = server.resident();
    open(count);
    let after = server.resident();
    let each = after.saturating_sub(before) as f64 / count as f64;
    let good = claim(
        each < 0.5,
        format_args!(
            "{count} half-open joins cost {each:.2} B each: resident {:.3} MiB after, {:.3} MiB before",
            mib(after),
            mib(before)
        ),
    );
    good & server.stop()
}

/// Sessions that begin messages and never end them.
fn fragments(arguments: &Arguments) -> bool {
    let count = arguments.number("sessions", 5_000);
    let mut rng = Rng::from_number(arguments.number("seed", 1)).fork("fragments");
    let server = Server::start(&["--limit", &format!("sessions_max={}", count + 16)]);
    let mut peers = Vec::new();
    for number in 0..count {
        let [_, _, _, _, _, a, b, c] = number.to_be_bytes();
        let from = SocketAddr::from(([127, 16 + a, b, c.max(1)], 0));
        let mut peer =
            Peer::join(server.address, server.key, from, &mut rng).expect("a peer joins");
        // A ping confirms the join.
        peer.send(&[0x01]);
        peers.push(peer);
    }
    // What the formula does not count is there then: acknowledgements, latest keys, the log of packets.
    all_send(&mut peers, |round| {
        vec![0x34, (round % (2 * LATEST)) as u8, 7]
    });
    let idle = server.resident();
    all_send(&mut peers, fragment);
    for peer in &mut peers {
        peer.listen();
    }
    let closed = peers.iter().filter(|peer| peer.closed.is_some()).count();
    let held = server.resident().saturating_sub(idle);
    let formula = count * HELD_BY_SERVER_MAX as u64;
    let mut good = claim(
        closed == 0,
        format_args!("{count} sessions sent {FRAGMENTS} fragments each, {closed} were closed"),
    );
    good &= claim(
        held <= formula,
        format_args!(
            "they hold {:.1} MiB of unfinished messages for {:.1} MiB sent, at most {:.1} MiB by the formula; \
             idle they took {:.1} KiB each",
            mib(held),
            mib(count * FRAGMENTS * FRAGMENT_MAX as u64),
            mib(formula),
            idle as f64 / count as f64 / 1024.0
        ),
    );
    good & server.stop()
}

/// Each peer sends [`FRAGMENTS`] packets, all in turn.
fn all_send(peers: &mut [Peer], frame: impl Fn(u64) -> Vec<u8>) {
    let mut pace = Pace::new(10_000);
    for round in 0..FRAGMENTS {
        let mut rest = &mut *peers;
        while !rest.is_empty() {
            let due = (pace.due() as usize).min(rest.len());
            let (now, later) = rest.split_at_mut(due);
            for peer in now {
                peer.send(&frame(round));
            }
            rest = later;
        }
    }
    std::thread::sleep(Duration::from_secs(1));
}

/// First fragments of two that fit a window of so many bytes.
const fn fit(window: usize) -> u64 {
    (window / (MESSAGE_COST + FRAGMENT_COST + FRAGMENT_MAX)) as u64
}

const CONTROL: u64 = fit(WINDOW_CONTROL_TO_SERVER);
const ORDERED: u64 = fit(WINDOW_ORDERED_TO_SERVER);
const LATEST: u64 = fit(WINDOW_LATEST_TO_SERVER);
const STREAMS: u64 = ORDERED_STREAMS as u64;
/// All that one session may send without being closed: every window full, and twice as much on the latest
/// lane, where the oldest gives way.
const FRAGMENTS: u64 = CONTROL + STREAMS * ORDERED + 2 * LATEST;

/// Fragment `round` of a peer's messages: each is the first of two, of another message. Message 0 of a
/// stream never comes.
fn fragment(round: u64) -> Vec<u8> {
    let mut frame = if round < CONTROL {
        vec![0x12, 1 + round as u8, 0, 2]
    } else if let Some(latest) = round.checked_sub(CONTROL + STREAMS * ORDERED) {
        // A key of its own; index 0 and count 2; no way back.
        vec![0x36, latest as u8, 0x02, 0]
    } else {
        let round = round - CONTROL;
        let kind = 0x16 + 4 * (round % STREAMS) as u8;
        vec![kind, 1 + (round / STREAMS) as u8, 0, 2]
    };
    frame.resize(frame.len() + FRAGMENT_MAX, 7);
    frame
}
