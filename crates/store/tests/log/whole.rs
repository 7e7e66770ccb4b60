//! What holds while nothing fails.

use std::sync::Arc;

use bytes::Bytes;
use rejoin_protocol::{Epoch, Rng};
use rejoin_store::disk::FileDisk;
use rejoin_store::log::{Opening, open};
use rejoin_store::{Store, conformance};

use crate::support::{LIMITS, disk, open_one, record, room, settle, try_open};

#[test]
fn it_meets_the_contract_in_memory() {
    let mut seed = 0;
    conformance::check(|| {
        seed += 1;
        open_one(&disk(seed), 1).0
    });
}

#[test]
fn it_meets_the_contract_on_files() {
    let folder = std::env::temp_dir().join(format!("rejoin-log-{}", std::process::id()));
    let mut number = 0;
    conformance::check(|| {
        number += 1;
        let disk = FileDisk::open(&folder.join(number.to_string())).unwrap();
        let opening = Opening {
            disk: Arc::new(disk),
            lock: None,
            epoch: Epoch(1),
            shards: 1,
            limits: LIMITS,
        };
        let opened = open(opening, |_| 0, &mut Rng::from_number(1));
        opened.unwrap().0.remove(0)
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_was_written_is_there_after_any_number_of_openings() {
    let disk = disk(1);
    let mut loaded = Vec::new();
    for epoch in 1..=20_u64 {
        let (mut store, recovery) = open_one(&disk, epoch);
        assert!(recovery.is_sound(), "{recovery}");
        assert_eq!(recovery.cuts, [], "epoch {epoch}");
        assert_eq!(recovery.late, [], "epoch {epoch}");
        let found: Vec<_> = store.rooms().into_iter().map(|id| store.load(id)).collect();
        assert_eq!(found, loaded, "epoch {epoch}");
        for number in 0..5 {
            store
                .append(&[record(number, epoch, &[number; 100])])
                .unwrap();
        }
        store.amend(record(2, epoch, b"another")).unwrap();
        let point = Bytes::from(vec![7; 300]);
        store.checkpoint(room(3), epoch, point).unwrap();
        store.forget(room(9)).unwrap();
        store.append(&[record(9, 1, b"again")]).unwrap();
        if epoch % 3 == 0 {
            settle(&mut store);
        }
        loaded = store.rooms().into_iter().map(|id| store.load(id)).collect();
    }
}

#[test]
fn a_store_stays_as_large_as_its_rooms_need() {
    let disk = disk(2);
    let (mut store, _) = open_one(&disk, 1);
    let idle = Bytes::from(vec![1; 2_000]);
    store.checkpoint(room(200), 0, idle.clone()).unwrap();
    store.append(&[record(200, 1, b"idle")]).unwrap();
    let mut most = 0;
    for step in 1..=20_000_u64 {
        let turn: Vec<_> = (0..8).map(|it| record(it, step, &[7; 60])).collect();
        store.append(&turn).unwrap();
        if step % 25 == 0 {
            for number in 0..8 {
                let point = Bytes::from(vec![8; 500]);
                store.checkpoint(room(number), step, point).unwrap();
            }
        }
        if step % 5 == 0
            && let Some(chore) = store.chore()
        {
            store.on_chore(chore.run()).unwrap();
        }
        most = most.max(store.bytes());
        assert!(disk.used() <= store.bytes() + 10 * LIMITS.segment_bytes);
    }
    store.check_invariants();
    let bound = 2 * store.live_bytes() + 24 * LIMITS.segment_bytes;
    assert!(most < bound, "{most} bytes, at most {bound}");
    let stored = store.load(room(200)).unwrap().unwrap();
    assert_eq!((stored.checkpoint, stored.records.len()), (idle, 1));
}

#[test]
fn the_number_of_shards_may_change_with_each_epoch() {
    let disk = disk(3);
    for epoch in 1..=30_u64 {
        let shards = [1, 3, 2, 8, 5][usize::try_from(epoch % 5).unwrap()];
        let (mut stores, recovery) = try_open(disk.process(), epoch, shards).unwrap();
        assert!(recovery.is_sound(), "{recovery}");
        assert_eq!(recovery.late, []);
        for number in 0..20_u8 {
            let store = &mut stores[usize::from(u16::from(number) % shards)];
            let stored = store.load(room(number)).unwrap();
            let (base, held) = stored.map_or((0, 0), |it| {
                assert_eq!(it.loss, None);
                (it.checkpoint_sequence, it.records.len() as u64)
            });
            assert_eq!(base + held, epoch - 1, "room {number} in epoch {epoch}");
            store.append(&[record(number, epoch, &[1; 200])]).unwrap();
            if epoch % 4 == u64::from(number % 4) {
                let point = Bytes::from(vec![2; 100]);
                store.checkpoint(room(number), epoch, point).unwrap();
            }
        }
        // Some logs do their chores and others do not.
        for (index, store) in stores.iter_mut().enumerate() {
            if !(index as u64 + epoch).is_multiple_of(3) {
                settle(store);
            }
        }
    }
    assert!(disk.used() < 400_000, "{}", disk.used());
}

#[test]
fn what_is_forgotten_stays_so_while_another_log_still_needs_the_segment_it_was_in() {
    let disk = disk(5);
    let (mut store, _) = open_one(&disk, 1);
    let turn = [record(0, 1, b"to be forgotten"), record(1, 1, b"kept")];
    store.append(&turn).unwrap();
    store.sync_now().unwrap();
    drop(store);
    let (mut stores, _) = try_open(disk.process(), 2, 2).unwrap();
    stores[0].forget(room(0)).unwrap();
    // The other log does no chores meanwhile.
    for sequence in 1..=2_000 {
        stores[0].append(&[record(2, sequence, &[1; 60])]).unwrap();
        if sequence % 10 == 0 {
            let point = Bytes::from_static(b"point");
            stores[0].checkpoint(room(2), sequence, point).unwrap();
            settle(&mut stores[0]);
        }
    }
    drop(stores);
    let (mut stores, recovery) = try_open(disk.process(), 3, 2).unwrap();
    assert!(recovery.is_sound(), "{recovery}");
    assert_eq!(stores[0].rooms(), [room(2)]);
    assert_eq!(stores[1].rooms(), [room(1)]);
    stores.iter_mut().for_each(settle);
    let left = disk.names().into_iter();
    let left = left.filter(|it| it.ends_with(".log") && !it.starts_with("0000000000000003"));
    assert_eq!(left.count(), 0, "what is not needed is gone");
}

#[test]
fn a_refused_turn_leaves_no_trace_in_what_is_opened_later() {
    let disk = disk(6);
    let (mut store, _) = open_one(&disk, 1);
    store.append(&[record(1, 1, b"one")]).unwrap();
    for _ in 0..3 {
        let turn = [
            record(1, 2, b"no"),
            record(2, 1, b"no"),
            record(1, 4, b"no"),
        ];
        store.append(&turn).unwrap_err();
    }
    store.append(&[record(1, 2, b"two")]).unwrap();
    store.append(&[record(1, 3, b"three")]).unwrap();
    let before = store.load(room(1));
    drop(store);
    let (store, recovery) = open_one(&disk, 2);
    assert!(recovery.is_sound(), "{recovery}");
    assert_eq!(store.load(room(1)), before);
    assert_eq!(store.rooms(), [room(1)]);
}
