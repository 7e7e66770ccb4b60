//! Turns of a shard with real clients, without sockets and in virtual time. Only the shard is timed.

use std::time::{Duration, Instant};

use criterion::Criterion;
use rejoin_hall::Hall;
use rejoin_hall::workload::{QUARTER, WHOLE};

/// `turn`: every member's input comes in, the room steps, and each is sent its view. `fan-out`: the room
/// steps and each is sent its view.
pub(crate) fn turns(c: &mut Criterion) {
    let mut group = c.benchmark_group("shard");
    group.sample_size(20);
    let cases = [
        Case::new("turn, 16 members, whole", 16, WHOLE),
        Case::new("turn, 16 members, deltas", 16, QUARTER),
        Case::new("fan-out, 16 members, whole", 16, WHOLE),
        Case::new("fan-out, 100 members, whole", 100, WHOLE),
        Case::new("fan-out, 100 members, deltas", 100, QUARTER),
    ];
    for case in cases {
        // Benchmarks that are filtered out need no hall.
        let mut hall = None;
        let acts = case.name.starts_with("turn");
        group.bench_function(case.name, |b| {
            let hall = hall.get_or_insert_with(|| Hall::open(case.members, case.shape));
            b.iter_custom(|count| (0..count).map(|_| step(hall, acts)).sum());
        });
    }
    group.finish();
}

/// What is timed.
struct Case {
    name: &'static str,
    members: u16,
    shape: usize,
}

impl Case {
    const fn new(name: &'static str, members: u16, shape: usize) -> Self {
        Self {
            name,
            members,
            shape,
        }
    }
}

/// One tick. Gives the time that the shard took.
fn step(hall: &mut Hall, acts: bool) -> Duration {
    match acts {
        true => hall.act(),
        false => hall.rest(),
    }
    let mut start = Instant::now();
    hall.take();
    if !acts {
        // Their acknowledgements are no part of a fan-out.
        start = Instant::now();
    }
    hall.turn();
    let taken = start.elapsed();
    hall.hand_out();
    taken
}
