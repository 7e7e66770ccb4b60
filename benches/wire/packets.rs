//! Packets through both ends of a connection.

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::Criterion;
use rejoin_protocol::connection::{Role, Setup};
use rejoin_protocol::crypto::{Suite, TrafficSecret};
use rejoin_protocol::{Connection, Epoch, Timestamp};

/// The two ends of a connection with fixed keys.
fn pair() -> (Connection, Connection) {
    let secret = |byte| TrafficSecret::new(Suite::Aes128Gcm, [byte; 32]);
    let label = Some([0, 1, 2, 3]);
    let client = Setup {
        role: Role::Client,
        seal: secret(1),
        open: secret(2),
        send_id: label,
        labelled: false,
        epoch: Epoch(1),
    };
    let server = Setup {
        role: Role::Server,
        seal: secret(2),
        open: secret(1),
        send_id: None,
        labelled: true,
        epoch: Epoch(1),
    };
    let now = Timestamp::ZERO;
    (
        Connection::new(client, None, now),
        Connection::new(server, None, now),
    )
}

/// Hands everything `from` has to say to `to`.
fn deliver(from: &mut Connection, to: &mut Connection, datagram: &mut Vec<u8>, now: Timestamp) {
    datagram.clear();
    while from.poll_transmit(datagram, now) {
        to.handle_datagram(datagram, now)
            .expect("made by the other end");
        datagram.clear();
    }
    while to.poll_event().is_some() {}
}

pub(crate) fn ticks(c: &mut Criterion) {
    let mut group = c.benchmark_group("packets, one tick both ways");
    for (len, name) in [
        (100_usize, "32 B up, 100 B down"),
        (1_000, "32 B up, 1000 B down"),
    ] {
        let (mut client, mut server) = pair();
        let (input, view) = (Bytes::from(vec![3; 32]), Bytes::from(vec![4; len]));
        let mut now = Timestamp::ZERO;
        let mut datagram = Vec::with_capacity(1_500);
        group.bench_function(name, |b| {
            b.iter(|| {
                now += Duration::from_millis(33);
                client.handle_timeout(now);
                server.handle_timeout(now);
                client
                    .send_latest(0, &[], input.clone(), None)
                    .expect("an open connection");
                deliver(&mut client, &mut server, &mut datagram, now);
                server
                    .send_latest(0, &[], view.clone(), None)
                    .expect("an open connection");
                deliver(&mut server, &mut client, &mut datagram, now);
            });
        });
    }
    group.finish();
}

/// A packet with a message of a view's or an input's size: built and sealed, opened and read.
pub(crate) fn one_way(c: &mut Criterion) {
    let mut group = c.benchmark_group("packet");
    for len in [32_usize, 1_000] {
        for builds in [true, false] {
            let name = if builds { "build" } else { "parse" };
            group.bench_function(format!("{name} {len} B"), |b| {
                b.iter_custom(|count| send_many(count, len, builds));
            });
        }
    }
    group.finish();
}

/// Time that `count` packets take to build, or to parse.
fn send_many(count: u64, len: usize, builds: bool) -> Duration {
    let (mut client, mut server) = pair();
    let (message, mut now) = (Bytes::from(vec![4; len]), Timestamp::ZERO);
    let (mut datagram, mut taken) = (Vec::with_capacity(1_500), Duration::ZERO);
    for _ in 0..count {
        now += Duration::from_millis(10);
        client.handle_timeout(now);
        server.handle_timeout(now);
        datagram.clear();
        let start = Instant::now();
        server
            .send_latest(0, &[], message.clone(), None)
            .expect("an open connection");
        assert!(server.poll_transmit(&mut datagram, now));
        let built = Instant::now();
        client
            .handle_datagram(&mut datagram, now)
            .expect("made by the other end");
        while client.poll_event().is_some() {}
        taken += if builds {
            built - start
        } else {
            built.elapsed()
        };
        // Acknowledgements go back, or the log of sent packets would grow.
        deliver(&mut client, &mut server, &mut datagram, now);
    }
    taken
}
