//! What strangers and liars can make the server hold: half-open joins, and sessions whose messages
//! are never finished.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin::protocol::Rng;
use rejoin::protocol::limits::{FRAGMENT_MAX, HELD_BY_SERVER_MAX};

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
    // The few that are taken on trust come and go; their memory is part of the plateau.
    open(5_000);
    let before = server.resident();
    open(count);
    let after = server.resident();
    let each = after.saturating_sub(before) as f64 / count as f64;
    let good = claim(
        after <= before,
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
    let count = arguments.number("sessions", 4_000);
    let mut rng = Rng::from_number(arguments.number("seed", 1)).fork("fragments");
    let server = Server::start(&[]);
    let mut peers = Vec::new();
    for number in 0..count {
        let [_, _, _, _, _, a, b, c] = number.to_be_bytes();
        let from = SocketAddr::from(([127, 16 + a, b, c.max(1)], 0));
        peers.push(Peer::join(server.address, server.key, from, &mut rng).expect("a peer joins"));
    }
    for peer in &mut peers {
        peer.send(&[0x01]);
    }
    std::thread::sleep(Duration::from_secs(1));
    let idle = server.resident();
    let mut pace = Pace::new(10_000);
    let mut left = Vec::new();
    for _ in 0..100_u64 {
        for index in 0..peers.len() {
            left.push(index);
        }
    }
    let mut step = 0_u64;
    while step < left.len() as u64 {
        for _ in 0..pace.due().min(left.len() as u64 - step) {
            let round = step / count;
            let peer = &mut peers[left[step as usize]];
            peer.send(&fragment(round));
            step += 1;
        }
    }
    for peer in &mut peers {
        peer.listen();
    }
    let closed = peers.iter().filter(|peer| peer.closed.is_some()).count();
    let held = server.resident().saturating_sub(idle);
    let formula = count * HELD_BY_SERVER_MAX as u64;
    let good = claim(
        held <= formula,
        format_args!(
            "{count} sessions ({closed} closed) hold {:.1} MiB of unfinished messages, at most {:.1} MiB by the formula; \
             idle they took {:.1} KiB each",
            mib(held),
            mib(formula),
            idle as f64 / count as f64 / 1024.0
        ),
    );
    good & server.stop()
}

/// Fragment `round` of a peer's messages: each is the first of two, of another message.
fn fragment(round: u64) -> Vec<u8> {
    let mut frame = match round % 2 {
        // Ordered, message `round / 2 + 1`: message 0 never comes.
        0 => vec![0x16, (round / 2 + 1) as u8 & 0x3f, 0, 2],
        // Latest, a key of its own.
        _ => vec![0x32, (round / 2) as u8 & 0x1f, 0x02, 0],
    };
    frame.resize(frame.len() + FRAGMENT_MAX, 7);
    frame
}
