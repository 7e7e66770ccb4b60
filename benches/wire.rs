//! What a datagram costs: sealing, a whole packet through two connections, a join, a snapshot delta.

#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rejoin_protocol::connection::{Role, Setup};
use rejoin_protocol::crypto::{StaticKeys, Suite, TrafficKey, TrafficSecret};
use rejoin_protocol::handshake::{
    ClientHandshake, Cookies, HandshakeOptions, Mac1Key, Permit, ReceivedHello, Welcome, open_hello,
};
use rejoin_protocol::{Connection, Epoch, Incarnation, Rng, SessionId, Timestamp, snapshot};

const SUITES: [(Suite, &str); 2] = [
    (Suite::Aes128Gcm, "aes-128-gcm"),
    (Suite::ChaCha20Poly1305, "chacha20-poly1305"),
];

fn sealing(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal and open");
    for (suite, name) in SUITES {
        for len in [100_usize, 1_100] {
            let key = TrafficKey::new(suite, &[7; 32], [9; 12]);
            let plain = vec![1_u8; len];
            let mut packet = Vec::with_capacity(1_200);
            let mut number = 0;
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(format!("{name} {len} B"), |b| {
                b.iter(|| {
                    packet.clear();
                    packet.extend_from_slice(&plain);
                    key.seal(number, &mut packet, 0, 7);
                    let (header, body) = packet.split_at_mut(7);
                    black_box(key.open(number, header, body).expect("sealed by this key"));
                    number += 1;
                });
            });
        }
    }
    group.finish();
}

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

fn packets(c: &mut Criterion) {
    let mut group = c.benchmark_group("one tick both ways");
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

fn join(c: &mut Criterion) {
    let mut rng = Rng::from_number(1);
    let server = StaticKeys::generate(&mut rng);
    let options = HandshakeOptions {
        server: server.public(),
        identity: StaticKeys::generate(&mut rng),
        permit: Permit::dev("ana"),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment: 1,
    };
    let welcome = Welcome {
        version: 1,
        suite: 0,
        connection: [0; 4],
        session: SessionId([0; 16]),
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        ticket: Vec::new(),
    };
    let hello = ClientHandshake::new(&options, &mut rng).expect("a sound name and key");
    let (mac1, cookies) = (Mac1Key::of(&server.public()), Cookies::new([1; 32]));
    let (from, now) = (SocketAddr::from(([10, 0, 0, 1], 9)), Timestamp::ZERO);
    c.bench_function("hello under load, asked for a cookie", |b| {
        b.iter(|| {
            let hello = ReceivedHello::read(black_box(hello.hello()), &mac1).expect("a good hello");
            assert!(!hello.proves(from, &cookies, now));
            hello.ask_cookie(from, &cookies, now)
        });
    });
    let mut reply = Vec::new();
    c.bench_function("join, the server's part", |b| {
        b.iter(|| {
            reply.clear();
            let open = open_hello(hello.hello(), &server, &mut rng).expect("a good hello");
            black_box(open.accept(&welcome, &mut reply));
        });
    });
}

fn deltas(c: &mut Criterion) {
    let mut group = c.benchmark_group("snapshot delta, 1000 B, a quarter changed");
    let base: Vec<u8> = (0..1_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let mut view = base.clone();
    for row in view.chunks_mut(62).step_by(4) {
        row.iter_mut().for_each(|byte| *byte ^= 0x55);
    }
    let delta = snapshot::delta(&base, &view).expect("three quarters are equal");
    group.bench_function("encode", |b| {
        b.iter(|| snapshot::delta(black_box(&base), &view))
    });
    group.bench_function("apply", |b| {
        b.iter(|| snapshot::apply(black_box(&base), &delta, 4_096))
    });
    group.bench_function("check", |b| b.iter(|| snapshot::check(black_box(&view))));
    group.finish();
}

criterion_group!(benches, sealing, packets, join, deltas);
criterion_main!(benches);
