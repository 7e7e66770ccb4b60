//! Stops at every operation of random histories, and opens what is left.
//!
//! A killed process loses nothing that was acknowledged. A power loss loses nothing that was
//! synced, and leaves each room as it was at some moment since. Neither is ever taken for damage.

use std::collections::BTreeMap;

use rejoin_protocol::{Rng, RoomId};
use rejoin_store::disk::{Crash, SimulatedDisk};
use rejoin_store::log::{LogStore, Recovery};

use crate::model::{Model, ROOMS, State, perform, state_in};
use crate::support::{disk, room, settle, try_open};

const STEPS: usize = 130;

/// A history: what it was given, and which epoch was the last that was tried.
struct Ran {
    model: Model,
    epoch: u64,
    shards: u8,
}

/// Runs a history until it ends or the disk stops.
fn run(disk: &SimulatedDisk, seed: u64) -> Ran {
    let mut rng = Rng::from_number(seed).fork("history");
    let shards = [1, 1, 2, 3][rng.index(4)];
    let mut ran = Ran {
        model: Model::default(),
        epoch: 0,
        shards,
    };
    let mut stores: Vec<LogStore> = Vec::new();
    for _ in 0..STEPS {
        if stores.is_empty() || rng.chance(0.02) {
            stores.clear();
            ran.epoch += 1;
            let Ok((opened, recovery)) = try_open(disk.process(), ran.epoch, u16::from(ran.shards))
            else {
                return ran;
            };
            assert!(recovery.is_sound(), "{recovery}");
            stores = opened;
        }
        let shard = rng.index(stores.len());
        let number = u8::try_from(shard).unwrap();
        let step = ran.model.any_step(&mut rng, number, ran.shards);
        // What is being written may be there too, unacknowledged.
        ran.model.apply(&step);
        if perform_in(&mut stores, shard, &mut ran, &step).is_err() {
            return ran;
        }
    }
    ran
}

fn perform_in(
    stores: &mut [LogStore],
    shard: usize,
    ran: &mut Ran,
    step: &crate::model::Step,
) -> Result<(), rejoin_store::StoreError> {
    let ours = |id: RoomId| usize::from(id.0[0] % ran.shards) == shard;
    perform(&mut stores[shard], &mut ran.model, step, ours)
}

/// Opens what is left, perhaps after further crashes while that is tried.
fn reopen(disk: &SimulatedDisk, ran: &mut Ran, rng: &mut Rng) -> (Vec<LogStore>, Recovery, bool) {
    let mut power = false;
    let mut refusal = None;
    for _ in 0..20 {
        let crash = [Crash::Process, Crash::Power][rng.index(2)];
        power |= crash == Crash::Power;
        disk.crash(crash);
        ran.epoch += 1;
        if rng.chance(0.3) {
            disk.stop_at(disk.operations() + 1 + rng.below(16));
        }
        match try_open(disk.process(), ran.epoch, u16::from(ran.shards)) {
            Ok((stores, recovery)) => return (stores, recovery, power),
            Err(error) => refusal = Some(error),
        }
    }
    panic!("it does not open: {refusal:?}");
}

fn found(stores: &[LogStore], shards: u8) -> BTreeMap<RoomId, State> {
    let of = |number: u8| state_in(&stores[usize::from(number % shards)], room(number));
    (0..ROOMS)
        .map(|number| (room(number), of(number)))
        .collect()
}

/// Stops at one operation, and looks at what is left. Tells whether the history got there.
fn crash_at(seed: u64, operation: u64) -> bool {
    let disk = disk(seed);
    disk.stop_at(operation);
    let mut ran = run(&disk, seed);
    let reached = disk.operations() >= operation;
    let mut rng = Rng::from_number(seed).fork(&operation.to_string());
    let (mut stores, recovery, power) = reopen(&disk, &mut ran, &mut rng);
    let point = format!("seed {seed}, operation {operation}, power {power}: {recovery}");
    assert!(recovery.is_sound(), "{point}");
    let states = found(&stores, ran.shards);
    for (id, state) in &states {
        let allowed = ran.model.allowed(*id, power);
        assert!(
            allowed.contains(state),
            "{point}\n{id}: {state:?}\nof {allowed:?}"
        );
    }
    go_on(&disk, &mut ran, &mut stores, states, &mut rng, &point);
    reached
}

/// What was found can be gone on from, and is there again.
fn go_on(
    disk: &SimulatedDisk,
    ran: &mut Ran,
    stores: &mut Vec<LogStore>,
    states: BTreeMap<RoomId, State>,
    rng: &mut Rng,
    point: &str,
) {
    // A stop that was not reached while the store was opened is not wanted any more.
    disk.stop_at(u64::MAX);
    ran.model.adopt(&states);
    for _ in 0..12 {
        let shard = rng.index(stores.len());
        let number = u8::try_from(shard).unwrap();
        let step = ran.model.any_step(rng, number, ran.shards);
        ran.model.apply(&step);
        perform_in(stores, shard, ran, &step).unwrap();
    }
    if rng.chance(0.5) {
        stores.iter_mut().for_each(settle);
    } else {
        stores.iter_mut().for_each(|store| {
            rejoin_store::Store::sync_now(store).unwrap();
        });
    }
    disk.crash(Crash::Power);
    ran.epoch += 1;
    ran.shards = [1, 2, 3][rng.index(3)];
    let (opened, recovery) = try_open(disk.process(), ran.epoch, u16::from(ran.shards)).unwrap();
    assert!(recovery.is_sound(), "{point}\nthen {recovery}");
    for (id, state) in found(&opened, ran.shards) {
        assert_eq!(state, ran.model.now(id), "{point}\nthen {id}");
    }
    *stores = opened;
}

/// All operations of some histories.
fn sweep(seeds: std::ops::Range<u64>) -> u64 {
    let mut points = 0;
    for seed in seeds {
        let mut operation = 1;
        while crash_at(seed, operation) {
            operation += 1;
        }
        points += operation;
    }
    points
}

#[test]
fn no_crash_loses_what_was_promised() {
    let points = sweep(0..40);
    assert!(points >= 5_000, "{points} points");
}

/// As above: two tests run at once.
#[test]
fn nor_does_any_other() {
    let points = sweep(40..80);
    assert!(points >= 5_000, "{points} points");
}
