//! Sealing, and the server's part of a join and of a resume.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, Throughput};
use rejoin_protocol::crypto::{StaticKeys, Suite, TrafficKey};
use rejoin_protocol::handshake::{
    Bearer, ClientHandshake, Cookies, HandshakeOptions, Mac1Key, Permit, ReceivedHello, Ticket,
    TicketKeys, Welcome, open_hello,
};
use rejoin_protocol::reset::ResetKey;
use rejoin_protocol::{ConnectionId, Epoch, Incarnation, Rng, SessionId, Timestamp};

const SUITES: [(Suite, &str); 2] = [
    (Suite::Aes128Gcm, "aes-128-gcm"),
    (Suite::ChaCha20Poly1305, "chacha20-poly1305"),
];

pub(crate) fn sealing(c: &mut Criterion) {
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

pub(crate) fn join(c: &mut Criterion) {
    let mut rng = Rng::from_number(1);
    let server = StaticKeys::generate(&mut rng);
    let (options, welcome) = (options(&server, &mut rng), welcome());
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

pub(crate) fn resume(c: &mut Criterion) {
    let mut rng = Rng::from_number(1);
    let server = StaticKeys::generate(&mut rng);
    let (options, welcome) = (options(&server, &mut rng), welcome());
    let mac1 = Mac1Key::of(&server.public());
    let tickets = TicketKeys::of(&[6; 32]);
    let bearer = Bearer {
        session: welcome.session,
        incarnation: welcome.incarnation,
        epoch: welcome.epoch,
        psk: [5; 32],
        expires_unix_s: u64::MAX,
        name: "ana".to_owned(),
        claims: Vec::new(),
    };
    let ticket = Ticket {
        sealed: tickets.seal(&bearer),
        psk: bearer.psk,
    };
    let resume = ClientHandshake::resume(&options, &ticket, &mut rng);
    let mut reply = Vec::new();
    c.bench_function("resume, the server's part", |b| {
        b.iter(|| {
            reply.clear();
            let hello =
                ReceivedHello::read(black_box(resume.hello()), &mac1).expect("a good hello");
            let ticket = hello.ticket().expect("a ticket");
            let bearer = tickets.open(&ticket, 1).expect("sealed with this key");
            let open = hello
                .open_resume(&bearer.psk, &mut rng)
                .expect("it is proven");
            black_box(open.accept(&welcome, &mut reply));
        });
    });
}

fn options(server: &StaticKeys, rng: &mut Rng) -> HandshakeOptions {
    HandshakeOptions {
        server: server.public(),
        identity: StaticKeys::generate(rng),
        permit: Permit::dev("ana"),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment: 1,
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: 1,
        suite: 0,
        connection: [0; 4],
        session: SessionId([0; 16]),
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        reset_token: ResetKey::of(&[8; 32]).token(Epoch(1), ConnectionId([0, 1, 2, 3])),
    }
}
