//! What the engine does when the disk refuses, and when another owner comes.

use rejoin_protocol::Rng;
use rejoin_store::disk::{Crash, DiskFault, FileDisk, LockError};
use rejoin_store::log::{OpenError, open};
use rejoin_store::{Loss, Store, StoreError};

use crate::support::{LIMITS, disk, open_one, record, room, settle, try_open};

#[test]
fn a_failed_sync_is_the_end_and_is_never_tried_again() {
    let disk = disk(1);
    let (mut store, _) = open_one(&disk, 1);
    store.append(&[record(1, 1, b"one")]).unwrap();
    let synced = store.synced();
    disk.fail_syncs(true);
    let chore = store.chore().unwrap();
    let error = store.on_chore(chore.run()).unwrap_err();
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    disk.fail_syncs(false);
    assert!(store.chore().is_none(), "no second sync");
    assert_eq!(store.synced(), synced);
    assert_eq!(store.append(&[record(1, 2, b"two")]), Err(error.clone()));
    assert_eq!(store.append(&[]), Err(error.clone()));
    assert_eq!(store.checkpoint(room(1), 1, "x".into()), Err(error.clone()));
    assert_eq!(store.forget(room(1)), Err(error.clone()));
    assert_eq!(store.begin_load(room(1)), Err(error));
    assert_eq!(store.load(room(1)).unwrap().unwrap().records.len(), 1);
}

#[test]
fn a_failed_write_keeps_nothing_and_is_the_end() {
    let disk = disk(2);
    let (mut store, _) = open_one(&disk, 1);
    store.append(&[record(1, 1, b"one")]).unwrap();
    let before = store.load(room(1));
    disk.fail_writes(Some(DiskFault::Other));
    let turn = [record(1, 2, &[2; 700]), record(2, 1, &[3; 700])];
    let error = store.append(&turn).unwrap_err();
    assert!(matches!(error, StoreError::Broken { .. }), "{error}");
    disk.fail_writes(None);
    assert_eq!(store.load(room(1)), before);
    assert_eq!(store.rooms(), [room(1)]);
    store.check_invariants();
    assert_eq!(store.append(&turn), Err(error));
}

#[test]
fn a_full_disk_within_a_segment_leaves_nothing_that_could_be_believed() {
    for seed in 0..200 {
        let disk = disk(seed);
        let (mut store, _) = open_one(&disk, 1);
        store.append(&[record(1, 1, b"one")]).unwrap();
        disk.fail_writes(Some(DiskFault::Full));
        let turn = [record(1, 2, &[2; 60]), record(2, 1, &[3; 60])];
        let error = store.append(&turn).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        disk.fail_writes(None);
        if seed % 2 == 0 {
            store.append(&[record(1, 2, b"another two")]).unwrap();
        }
        store.check_invariants();
        let before: Vec<_> = [1, 2].map(|it| store.load(room(it))).into();
        disk.crash(Crash::Process);
        let (store, recovery) = open_one(&disk, 2);
        assert!(
            recovery.is_sound() && recovery.cuts.is_empty(),
            "{recovery}"
        );
        let after: Vec<_> = [1, 2].map(|it| store.load(room(it))).into();
        assert_eq!(after, before, "seed {seed}");
    }
}

#[test]
fn a_full_disk_shows_where_a_segment_begins_and_forgetting_makes_place() {
    let disk = disk(3);
    let (mut store, _) = open_one(&disk, 1);
    disk.set_capacity(disk.used() + 2 * LIMITS.segment_bytes);
    let mut sequence = 0;
    let error = loop {
        let room = u8::try_from(sequence % 4).unwrap();
        match store.append(&[record(room, 1 + sequence / 4, &[7; 100])]) {
            Ok(()) => sequence += 1,
            Err(error) => break error,
        }
        if let Some(chore) = store.chore() {
            store.on_chore(chore.run()).unwrap();
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(sequence > 50, "{sequence}");
    let refused = record(
        u8::try_from(sequence % 4).unwrap(),
        1 + sequence / 4,
        &[7; 100],
    );
    assert_eq!(store.append(&[refused]), Err(error), "nothing has changed");
    for number in 0..3 {
        store.forget(room(number)).unwrap();
    }
    settle(&mut store);
    let records = store.load(room(3)).unwrap().unwrap().records.len();
    let next = u64::try_from(records).unwrap() + 1;
    store.append(&[record(3, next, &[7; 100])]).unwrap();
    store.sync_now().unwrap();
    disk.crash(Crash::Power);
    let (store, recovery) = open_one(&disk, 2);
    assert!(recovery.is_sound(), "{recovery}");
    assert_eq!(store.rooms(), [room(3)]);
}

#[test]
fn a_log_has_a_bound_and_checkpoints_make_place_below_it() {
    let disk = disk(4);
    let mut limits = LIMITS;
    limits.log_bytes = 12 * limits.segment_bytes;
    let (mut store, _) = crate::support::open_with(&disk, 1, limits);
    let mut sequence = 1;
    let mut refusals = 0;
    for _ in 0..3_000 {
        match store.append(&[record(1, sequence, &[7; 300])]) {
            Ok(()) => sequence += 1,
            Err(StoreError::Full { .. }) => {
                refusals += 1;
                let newest = sequence - 1;
                store.checkpoint(room(1), newest, "x".into()).unwrap();
                store.checkpoint(room(1), newest, "y".into()).unwrap();
                settle(&mut store);
            }
            Err(error) => panic!("{error}"),
        }
        assert!(store.bytes() <= limits.log_bytes + 2 * limits.segment_bytes);
    }
    assert!(refusals > 2 && sequence > 2_000, "{refusals}, {sequence}");
}

#[test]
fn an_owner_that_was_overtaken_is_fenced_and_what_it_adds_is_not_believed() {
    let disk = disk(5);
    let (mut old, _) = open_one(&disk, 1);
    old.append(&[record(1, 1, b"one")]).unwrap();
    let (mut new, recovery) = open_one(&disk, 2);
    assert!(recovery.is_sound(), "{recovery}");
    old.append(&[record(1, 2, b"stale")]).unwrap();
    new.append(&[record(1, 2, b"two")]).unwrap();

    let chore = old.chore().unwrap();
    let error = old.on_chore(chore.run()).unwrap_err();
    assert_eq!(error, StoreError::Fenced { epoch: 2 });
    assert_eq!(old.append(&[record(1, 3, b"stale")]), Err(error));
    let told = "the store belongs to epoch 2 now: this process is fenced";
    assert_eq!(StoreError::Fenced { epoch: 2 }.to_string(), told);

    drop((old, new));
    let (store, recovery) = open_one(&disk, 3);
    let late: Vec<_> = recovery.late.iter().map(|late| late.bytes).collect();
    assert_eq!(late, [60 + 5], "a head and a body");
    assert!(recovery.is_sound(), "{recovery}");
    let stored = store.load(room(1)).unwrap().unwrap();
    let bodies: Vec<_> = stored
        .records
        .iter()
        .map(|(_, body)| body.clone())
        .collect();
    assert_eq!(bodies, ["one", "two"]);
}

#[test]
fn an_overtaken_owner_finds_out_when_it_begins_a_segment() {
    let disk = disk(6);
    let (mut old, _) = open_one(&disk, 1);
    let (_new, _) = open_one(&disk, 2);
    let mut sequence = 1;
    let error = loop {
        match old.append(&[record(1, sequence, &[1; 200])]) {
            Ok(()) => sequence += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, StoreError::Fenced { epoch: 2 });
    assert!(sequence * 200 < LIMITS.first_segment_bytes);
}

#[test]
fn an_epoch_that_is_not_the_newest_is_refused() {
    let disk = disk(7);
    drop(open_one(&disk, 5));
    for epoch in [4, 5] {
        let error = try_open(disk.process(), epoch, 1).unwrap_err();
        assert_eq!(error, OpenError::Fenced { epoch, found: 5 });
    }
    drop(open_one(&disk, 6));
}

#[test]
fn a_lock_is_held_for_as_long_as_any_store_lives() {
    let disk = disk(8);
    let process = disk.process();
    let lock = process.lock("lock").unwrap();
    let stores = crate::support::open_locked(&disk, 1, 3, lock.into());
    assert!(matches!(process.lock("lock"), Err(LockError::Held { .. })));
    let mut stores = stores.into_iter();
    drop((stores.next(), stores.next()));
    assert!(process.lock("lock").is_err(), "one lives");
    drop(stores);
    process.lock("lock").unwrap();
}

#[test]
fn a_turn_longer_than_a_segment_has_one_to_itself() {
    let disk = disk(9);
    let (mut store, _) = open_one(&disk, 1);
    let long = vec![7; 50_000];
    for sequence in 1..=5 {
        store.append(&[record(1, sequence, b"short")]).unwrap();
        let turn = [record(2, sequence, &long), record(3, sequence, b"after")];
        store.append(&turn).unwrap();
        settle(&mut store);
    }
    store.checkpoint(room(2), 5, long.clone().into()).unwrap();
    store.checkpoint(room(2), 5, long.clone().into()).unwrap();
    settle(&mut store);
    disk.crash(Crash::Power);
    let (mut store, recovery) = open_one(&disk, 2);
    assert!(recovery.is_sound(), "{recovery}");
    settle(&mut store);
    assert_eq!(store.load(room(2)).unwrap().unwrap().checkpoint, long);
    assert_eq!(store.load(room(3)).unwrap().unwrap().records.len(), 5);
}

#[test]
fn what_cannot_be_read_when_it_is_moved_is_lost_to_its_room_alone() {
    for (seed, flipped) in (0..80).zip([0, 30, 58, 60, 90].into_iter().cycle()) {
        let disk = disk(seed);
        let (mut store, _) = open_one(&disk, 1);
        for sequence in 1..=4 {
            let turn = [
                record(1, sequence, &[1; 100]),
                record(2, sequence, &[2; 100]),
            ];
            store.append(&turn).unwrap();
        }
        store.sync_now().unwrap();
        drop(store);
        let (mut store, _) = open_one(&disk, 2);
        let old = disk
            .names()
            .into_iter()
            .find(|it| it.starts_with("0000000000000001-"));
        // The head of the segment, two marks, then records of 160 bytes.
        let at = 64 + 2 * 72 + 160 * (usize::try_from(seed).unwrap() % 8) + flipped;
        disk.flip(&old.unwrap(), at, 1);
        settle(&mut store);
        let records = |number| {
            let stored = store.load(room(number)).unwrap().unwrap();
            (stored.records.len(), stored.loss)
        };
        let whose = 1 + u8::try_from(seed % 2).unwrap();
        let (count, loss) = records(whose);
        let lost = usize::try_from(seed).unwrap() % 8 / 2;
        assert_eq!(count, lost, "seed {seed}, byte {at}");
        assert!(loss.is_some());
        assert_eq!(records(3 - whose), (4, None));
        let found: Vec<_> = [1, 2].map(records).into();
        drop(store);
        let (store, _) = open_one(&disk, 3);
        let again = |number| {
            let stored = store.load(room(number)).unwrap().unwrap();
            (stored.records.len(), stored.loss)
        };
        assert_eq!([1, 2].map(again).to_vec(), found, "seed {seed}");
    }
}

#[test]
fn a_segment_that_is_cut_while_it_is_emptied_is_let_go_all_the_same() {
    let disk = disk(1);
    let (mut store, _) = open_one(&disk, 1);
    for sequence in 1..=4 {
        store.append(&[record(1, sequence, &[1; 100])]).unwrap();
    }
    store.sync_now().unwrap();
    drop(store);
    let (mut store, _) = open_one(&disk, 2);
    let mut names = disk.names().into_iter();
    let old = names.find(|it| it.starts_with("0000000000000001-"));
    let old = old.unwrap();
    // Within the second of four records of 160 bytes each.
    let len = 64 + 2 * 72 + 160 + 20;
    disk.process().open(&old).unwrap().cut(len).unwrap();
    settle(&mut store);
    assert!(!disk.names().contains(&old));
    let stored = store.load(room(1)).unwrap().unwrap();
    let lost = Loss::Records { from: 2, to: 4 };
    assert_eq!((stored.records.len(), stored.loss), (1, Some(lost)));
    drop(store);
    let (store, _) = open_one(&disk, 3);
    let stored = store.load(room(1)).unwrap().unwrap();
    assert_eq!((stored.records.len(), stored.loss), (1, Some(lost)));
}

#[test]
fn a_real_folder_is_opened_written_and_opened_again() {
    let folder = std::env::temp_dir().join(format!("rejoin-log-again-{}", std::process::id()));
    for epoch in 1..=3 {
        let disk = FileDisk::open(&folder).unwrap();
        let disk: std::sync::Arc<dyn rejoin_store::disk::Disk> = std::sync::Arc::new(disk);
        let lock = disk.lock("lock").unwrap();
        let opening = rejoin_store::log::Opening {
            disk,
            lock: Some(lock.into()),
            epoch: rejoin_protocol::Epoch(epoch),
            shards: 2,
            limits: LIMITS,
        };
        let shard_of = |room: rejoin_protocol::RoomId| u16::from(room.0[0] % 2);
        let (mut stores, recovery) = open(opening, shard_of, &mut Rng::from_number(1)).unwrap();
        assert!(
            recovery.is_sound() && recovery.late.is_empty(),
            "{recovery}"
        );
        for (store, number) in stores.iter_mut().zip([2, 1]) {
            for sequence in 0..100 {
                let sequence = (epoch - 1) * 100 + sequence + 1;
                store
                    .append(&[record(number, sequence, &[number; 90])])
                    .unwrap();
            }
            settle(store);
            store.sync_now().unwrap();
            let stored = store.load(room(number)).unwrap().unwrap();
            assert_eq!(stored.records.len() as u64, epoch * 100);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
