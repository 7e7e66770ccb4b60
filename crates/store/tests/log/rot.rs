//! Flips every byte, takes away every file, and looks at what is told.
//!
//! Whatever is damaged, each room is as it was, or as it was at some moment before and named as
//! lacking something. Rooms that the damage cannot touch are as they were.

use std::collections::BTreeMap;

use rejoin_protocol::{Rng, RoomId};
use rejoin_store::disk::{Crash, SimulatedDisk};
use rejoin_store::log::{Damage, LogReader, LogStore, OpenError, Recovery};
use rejoin_store::{Loss, Record, Standing, Store};

use crate::model::{Model, ROOMS, State, perform, state_in};
use crate::support::{disk, open_one, room, try_open};

/// A store of two epochs, all of it synced, and what is in it.
fn written(seed: u64) -> (SimulatedDisk, Model) {
    let disk = disk(seed);
    let mut rng = Rng::from_number(seed);
    let mut model = Model::default();
    for epoch in 1..=2 {
        let (mut store, _) = open_one(&disk, epoch);
        for _ in 0..40 {
            let step = model.any_step(&mut rng, 0, 1);
            model.apply(&step);
            perform(&mut store, &mut model, &step, |_| true).unwrap();
        }
        store.sync_now().unwrap();
        // Says that what is before it is synced.
        let last = store.load(room(0)).unwrap().map_or(1, |stored| {
            stored.checkpoint_sequence + stored.records.len() as u64 + 1
        });
        let step = crate::model::Step::Append(vec![(room(0), last, b"last".to_vec())]);
        model.apply(&step);
        perform(&mut store, &mut model, &step, |_| true).unwrap();
        store.sync_now().unwrap();
    }
    (disk, model)
}

fn found(store: &LogStore) -> BTreeMap<RoomId, State> {
    let all = 0..ROOMS;
    all.map(|it| (room(it), state_in(store, room(it))))
        .collect()
}

/// Judges what was found: nothing differs in silence, and nothing is a mixture.
fn judge(model: &Model, store: &LogStore, recovery: &Recovery, what: &str) {
    for (id, state) in found(store) {
        let truth = model.now(id);
        if state == truth {
            continue;
        }
        let told = format!("{what}, room {id}: {state:?}\nnot {truth:?}\n{recovery}");
        let damaged = !recovery.damages.is_empty() || !recovery.cuts.is_empty();
        assert!(damaged, "in silence: {told}");
        let ever = state.as_ref().is_none_or(|(it, _)| model.ever(id, it));
        assert!(ever, "a mixture: {told}");
        let named = recovery.losses.iter().any(|(lost, _)| *lost == id);
        // What is cut was not synced for all that the log tells. A room of which nothing is left has
        // no name.
        let excused = !recovery.cuts.is_empty() || state.is_none();
        let ends_alike = Model::newest(&state) == Model::newest(&truth);
        assert!(named || excused || ends_alike, "unnamed: {told}");
    }
}

#[test]
fn no_flipped_byte_makes_a_room_wrong_in_silence() {
    let (mut flips, mut differ) = (0, 0);
    for seed in 0..2 {
        let (disk, model) = written(seed);
        let mut rng = Rng::from_number(seed);
        let names = disk.names().into_iter().filter(|it| !it.contains("spare"));
        for name in names {
            let len = disk.contents(&name).unwrap().len();
            let used = disk.contents(&name).unwrap();
            let used = used.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 9;
            for offset in 0..used.min(len) {
                let mask = 1 << rng.below(8);
                let other = disk.fork(Rng::from_number(9));
                other.flip(&name, offset, mask);
                let what = format!("seed {seed}, {name}, byte {offset}, mask {mask:#x}");
                let (store, recovery) = open_one(&other, 3);
                judge(&model, &store, &recovery, &what);
                flips += 1;
                if found(&store).iter().any(|(id, it)| *it != model.now(*id)) {
                    differ += 1;
                    told_again(&other, &store, &what);
                }
            }
        }
    }
    assert!(
        flips > 12_000 && differ > 1_000,
        "{flips} flips, {differ} seen"
    );
}

/// What was lost once is lost, and is told until a checkpoint settles it.
fn told_again(disk: &SimulatedDisk, store: &LogStore, what: &str) {
    let before = found(store);
    disk.crash(Crash::Power);
    let (again, _) = open_one(disk, 4);
    assert_eq!(found(&again), before, "{what}");
    disk.crash(Crash::Power);
    let (mut again, _) = open_one(disk, 5);
    assert_eq!(found(&again), before, "{what}");
    for id in again.rooms() {
        let stored = again.load(id).unwrap().unwrap();
        let newest = stored.checkpoint_sequence + stored.records.len() as u64;
        let settled = again.checkpoint(id, newest, "settled".into());
        settled.unwrap();
    }
    again.sync_now().unwrap();
    let (again, _) = open_one(disk, 6);
    for id in again.rooms() {
        let stored = again.load(id).unwrap().unwrap();
        assert_eq!((stored.loss, stored.records), (None, vec![]), "{what}");
    }
}

#[test]
fn a_bad_checkpoint_gives_way_to_the_one_before_and_its_longer_journal() {
    let disk = disk(1);
    let (mut store, _) = open_one(&disk, 1);
    for sequence in 1..=9 {
        let body = vec![u8::try_from(sequence).unwrap(); 40];
        store
            .append(&[crate::support::record(1, sequence, &body)])
            .unwrap();
        if sequence % 3 == 0 {
            let point = vec![u8::try_from(100 + sequence).unwrap(); 64];
            store.checkpoint(room(1), sequence, point.into()).unwrap();
        }
    }
    store.sync_now().unwrap();
    // Says that what is before it is synced.
    store.append(&[crate::support::record(2, 1, b"")]).unwrap();
    drop(store);
    let (segment, at) = place_of(&disk, &[109; 64]);
    disk.flip(&segment, at + 5, 1);
    let (store, recovery) = open_one(&disk, 2);
    let stored = store.load(room(1)).unwrap().unwrap();
    assert_eq!(stored.checkpoint, vec![106; 64]);
    let sequences: Vec<u64> = stored.records.iter().map(|(it, _)| *it).collect();
    assert_eq!((sequences, stored.loss), (vec![7, 8, 9], None));
    assert_eq!(recovery.fallbacks, [(room(1), 9)]);
    assert_eq!(recovery.losses, []);
}

/// Each synced. Gives where the body of the first room's third stands, too.
fn five_records_in_each_of_two_rooms() -> (SimulatedDisk, String, usize) {
    let disk = disk(1);
    let (mut store, _) = open_one(&disk, 1);
    for sequence in 1..=5_u8 {
        let body = [sequence; 40];
        let turn = [1, 2].map(|it| crate::support::record(it, sequence.into(), &body));
        store.append(&turn).unwrap();
        store.sync_now().unwrap();
    }
    drop(store);
    let (segment, at) = place_of(&disk, &[3; 40]);
    (disk, segment, at)
}

#[test]
fn a_bad_record_costs_its_room_what_follows_and_no_other_room_anything() {
    let (disk, segment, at) = five_records_in_each_of_two_rooms();
    disk.flip(&segment, at + 7, 0x10);
    let (mut store, recovery) = open_one(&disk, 2);
    let lost = Loss::Records { from: 3, to: 5 };
    assert_eq!(recovery.losses, [(room(1), lost)]);
    let [
        Damage::Entry {
            room: whose,
            sequence: 3,
            ..
        },
    ] = recovery.damages.as_slice()
    else {
        panic!("{recovery}");
    };
    assert_eq!(*whose, room(1));
    let stored = store.load(room(1)).unwrap().unwrap();
    assert_eq!((stored.records.len(), stored.loss), (2, Some(lost)));
    let other = store.load(room(2)).unwrap().unwrap();
    assert_eq!((other.records.len(), other.loss), (5, None));

    // It goes on before what was lost, and what was lost does not come back.
    let on = crate::support::record(1, 3, b"another three");
    store.append(&[on]).unwrap();
    let other = disk.fork(Rng::from_number(9));
    store.sync_now().unwrap();
    let (store, recovery) = open_one(&disk, 3);
    assert_eq!(recovery.losses, []);
    let stored = store.load(room(1)).unwrap().unwrap();
    assert_eq!(stored.records.last().unwrap().1, "another three");
    assert_eq!((stored.records.len(), stored.loss), (3, Some(lost)));

    // Not even if the note of it cannot be read: it is the first entry of its epoch.
    other.flip("0000000000000002-0000-00000000.log", 64 + 30, 1);
    let (store, _) = open_one(&other, 3);
    let again = store.load(room(1)).unwrap().unwrap();
    assert_eq!(again.records, stored.records);
}

#[test]
fn a_record_that_goes_bad_while_the_store_is_open_costs_no_more() {
    let (disk, segment, at) = five_records_in_each_of_two_rooms();
    let (mut store, recovery) = open_one(&disk, 2);
    assert_eq!(recovery.losses, []);
    disk.flip(&segment, at + 7, 0x10);
    let lost = Loss::Records { from: 3, to: 5 };
    let stored = store.load(room(1)).unwrap().unwrap();
    assert_eq!((stored.records.len(), stored.loss), (2, Some(lost)));
    // Its owner goes on from there, in one turn with another room.
    let turn = [(1, 3), (2, 6)].map(|(it, number)| crate::support::record(it, number, b"on"));
    store.append(&turn).unwrap();
    store.check_invariants();
    let early = crate::support::record(2, 4, b"not the first that is lost");
    assert!(store.append(&[early]).is_err());
    for epoch in 3..5 {
        let again = store.load(room(1)).unwrap().unwrap();
        assert_eq!(again.records.last().unwrap(), &(3, "on".into()));
        assert_eq!((again.records.len(), again.loss), (3, Some(lost)));
        assert_eq!(store.load(room(2)).unwrap().unwrap().records.len(), 6);
        store.sync_now().unwrap();
        drop(store);
        store = open_one(&disk, epoch).0;
    }
    store.checkpoint(room(1), 3, "settled".into()).unwrap();
    assert_eq!(store.load(room(1)).unwrap().unwrap().loss, None);
    store.check_invariants();
}

#[test]
fn a_record_whose_head_is_bad_costs_no_more() {
    let (disk, segment, at) = five_records_in_each_of_two_rooms();
    disk.flip(&segment, at - 30, 0x10);
    let (store, recovery) = open_one(&disk, 2);
    let lost = Loss::Records { from: 3, to: 5 };
    // Whose it was nobody can tell, but that the other room has all that was written since.
    assert_eq!(recovery.losses, [(room(1), lost)]);
    assert!(matches!(
        recovery.damages.as_slice(),
        [Damage::Hole { bytes: 104, .. }]
    ));
    let lengths = [1, 2].map(|it| store.load(room(it)).unwrap().unwrap().records.len());
    assert_eq!(lengths, [2, 5]);
}

#[test]
fn what_rots_while_the_store_is_open_is_told_when_its_room_is_loaded() {
    let disk = disk(1);
    let (mut store, _) = open_one(&disk, 1);
    for sequence in 1..=6_u8 {
        let body = [sequence; 40];
        let record = crate::support::record(1, sequence.into(), &body);
        store.append(&[record]).unwrap();
        if sequence % 2 == 0 {
            let point = vec![100 + sequence; 64];
            let stored = store.checkpoint(room(1), sequence.into(), point.into());
            stored.unwrap();
        }
    }
    let record = crate::support::record(1, 7, &[7; 40]);
    store.append(&[record]).unwrap();
    let load = |store: &LogStore| {
        let stored = store.load(room(1)).unwrap().unwrap();
        let sequences: Vec<u64> = stored.records.iter().map(|(it, _)| *it).collect();
        (stored.checkpoint_sequence, sequences, stored.loss)
    };
    assert_eq!(load(&store), (6, vec![7], None));
    let (segment, at) = place_of(&disk, &[106; 64]);
    disk.flip(&segment, at, 1);
    assert_eq!(load(&store), (4, vec![5, 6, 7], None));
    let (segment, at) = place_of(&disk, &[6; 40]);
    disk.flip(&segment, at, 1);
    let lost = Loss::Records { from: 6, to: 7 };
    assert_eq!(load(&store), (4, vec![5], Some(lost)));
}

#[test]
fn a_missing_segment_is_told_and_costs_only_what_was_in_it() {
    for seed in 0..10 {
        let (disk, model) = written(seed);
        let kept = disk.fork(Rng::from_number(9));
        drop(open_one(&kept, 3));
        let segments = disk.names();
        // Some were waiting to be removed.
        let kept = |name: &&String| name.ends_with(".log") && kept.names().contains(name);
        let segments = segments.iter().filter(kept);
        for (name, number) in segments.zip(0_usize..) {
            let other = disk.fork(Rng::from_number(9));
            other.lose(name);
            let (store, recovery) = open_one(&other, 3);
            let what = format!("seed {seed}, without {name}, number {number}");
            let newest = disk.names().into_iter().filter(|it| it.ends_with(".log"));
            if newest.max().as_ref() == Some(name) {
                // Nothing after it tells that it ever was there.
                continue;
            }
            let missing = Damage::Missing {
                segment: name.clone(),
            };
            // Unless nothing tells that it was synced.
            let told = recovery.damages.contains(&missing) || !recovery.cuts.is_empty();
            assert!(told, "{what}: {recovery}");
            judge(&model, &store, &recovery, &what);
        }
    }
}

#[test]
fn the_manifest_of_a_later_format_is_refused_in_one_line() {
    let (disk, _) = written(1);
    let mut bytes = disk.contents("manifest").unwrap();
    let half = bytes.len() / 2;
    bytes[9] = 2;
    bytes[half + 9] = 2;
    disk.replace("manifest", &bytes);
    let error = try_open(disk.process(), 3, 1).unwrap_err();
    let text = "manifest is of format 2, this version reads 1: run the newer version";
    assert_eq!(error.to_string(), text);
}

#[test]
fn without_a_readable_manifest_nothing_is_believed() {
    let (disk, _) = written(1);
    let bytes = disk.contents("manifest").unwrap();
    disk.flip("manifest", 30, 1);
    disk.flip("manifest", bytes.len() - 1, 1);
    let error = try_open(disk.process(), 3, 1).unwrap_err();
    assert_eq!(error, OpenError::ManifestDamaged("manifest"));
    disk.lose("manifest");
    let error = try_open(disk.process(), 3, 1).unwrap_err();
    assert_eq!(error, OpenError::ManifestMissing("manifest"));
}

#[test]
fn a_manifest_that_is_older_than_its_segments_is_refused_and_nothing_is_removed() {
    let (disk, _) = written(1);
    let before = disk.contents("manifest").unwrap();
    let (mut store, _) = open_one(&disk, 3);
    // One that only began looks like one that ended while it opened the store.
    let now = disk.contents("manifest").unwrap();
    disk.replace("manifest", &before);
    assert!(reads(&disk));
    disk.replace("manifest", &now);
    let new = room(77);
    for sequence in 1..=40 {
        let body = [b'x'; 50];
        let record = Record {
            room: new,
            sequence,
            body: &body,
        };
        store.append(&[record]).unwrap();
    }
    disk.crash(Crash::Process);
    disk.replace("manifest", &before);
    let names = disk.names();
    assert!(!reads(&disk));
    let error = try_open(disk.process(), 4, 1).unwrap_err();
    let OpenError::ManifestStale { segment, bytes, .. } = &error else {
        panic!("{error}");
    };
    assert!(
        segment.starts_with("0000000000000003-") && *bytes > 2_000,
        "{error}"
    );
    assert_eq!(disk.names(), names);
    disk.replace("manifest", &now);
    assert!(try_open(disk.process(), 5, 1).is_ok());
}

/// True if whoever only looks can.
fn reads(disk: &SimulatedDisk) -> bool {
    LogReader::open(&*disk.process()).is_ok()
}

#[test]
fn a_quarantined_room_stays_so_until_somebody_says_otherwise() {
    let disk = disk(4);
    for epoch in 1..=4 {
        let (mut store, recovery) = open_one(&disk, epoch);
        if epoch == 1 {
            store
                .append(&[crate::support::record(1, 1, b"one")])
                .unwrap();
        }
        let standing = store.begin_load(room(1)).unwrap();
        let told = u8::try_from(epoch).unwrap().min(3);
        let quarantined = epoch == 4;
        let expected = Standing {
            attempts: told,
            quarantined,
        };
        assert_eq!(standing, expected);
        assert_eq!(recovery.quarantined, []);
        disk.crash(Crash::Process);
    }
    let (mut store, recovery) = open_one(&disk, 5);
    assert_eq!(recovery.quarantined, [room(1)]);
    store.end_load(room(1)).unwrap();
    drop(store);
    assert_eq!(open_one(&disk, 6).1.quarantined, []);
}

/// Where bytes stand.
fn place_of(disk: &SimulatedDisk, bytes: &[u8]) -> (String, usize) {
    let mut places = disk.names().into_iter().filter_map(|name| {
        let contents = disk.contents(&name)?;
        let at = contents.windows(bytes.len()).position(|it| it == bytes)?;
        Some((name, at))
    });
    places.next().unwrap()
}
