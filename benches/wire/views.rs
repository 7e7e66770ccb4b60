//! Deltas between views.

use std::hint::black_box;

use criterion::Criterion;
use rejoin_protocol::snapshot;

pub(crate) fn deltas(c: &mut Criterion) {
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
