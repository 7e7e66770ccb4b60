//! Messages: what games send as MessagePack, and the frames around it.

use std::hint::black_box;

use bytes::Bytes;
use criterion::Criterion;
use rejoin::prelude::*;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::room_message::{Base, RoomMessage, SnapshotHead};
use rejoin_protocol::{SeatId, wire};

/// An input as games have them.
#[derive(Serialize, Deserialize)]
struct Move {
    x: f32,
    y: f32,
    number: u32,
    buttons: u16,
}

/// Written into a buffer that is used again; read with and without the check of what a peer may nest.
pub(crate) fn inputs(c: &mut Criterion) {
    let input = Move {
        x: 0.5,
        y: -0.25,
        number: 123_456,
        buttons: 7,
    };
    let mut group = c.benchmark_group("input of four fields");
    let mut buffer = Vec::with_capacity(64);
    group.bench_function("encode", |b| {
        b.iter(|| {
            buffer.clear();
            messagepack::encode_into(black_box(&input), &mut buffer).expect("it can be written");
        });
    });
    group.bench_function("decode from a peer", |b| {
        b.iter(|| messagepack::decode::<Move>(black_box(&buffer), Bounds::PEER).expect("ours"));
    });
    group.bench_function("decode without bounds", |b| {
        b.iter(|| rmp_serde::from_slice::<Move>(black_box(&buffer)).expect("ours"));
    });
    group.finish();
}

pub(crate) fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("room message");
    let event = RoomMessage::Event {
        seat: SeatId(1),
        number: 77,
        payload: Bytes::from(vec![3; 32]),
    };
    group.bench_function("encode event", |b| b.iter(|| black_box(&event).encode()));
    let encoded = event.encode();
    group.bench_function("decode event", |b| {
        b.iter(|| RoomMessage::decode(black_box(&encoded)).expect("ours"));
    });
    let head = SnapshotHead {
        sequence: 70_000,
        base: Some(Base {
            sequence: 69_990,
            check: 0xdead_beef,
        }),
        tick: 65_000,
        cursor: 3_000,
        private: false,
    };
    let mut buffer = Vec::with_capacity(64);
    group.bench_function("encode snapshot head", |b| {
        b.iter(|| {
            buffer.clear();
            black_box(&head).encode(&mut buffer);
        });
    });
    group.bench_function("decode snapshot head", |b| {
        b.iter(|| SnapshotHead::decode(&mut wire::Reader::new(black_box(&buffer))).expect("ours"));
    });
    group.finish();
}
