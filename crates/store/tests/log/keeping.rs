//! A store that lets no record go: every room can be replayed from its first.

use rejoin_protocol::{Epoch, Rng, RoomId};
use rejoin_store::Store;
use rejoin_store::disk::SimulatedDisk;
use rejoin_store::log::{LogReader, LogStore, Opening, open, open_keeping_all};

use crate::support::{LIMITS, disk, record, room, settle};

fn opened(disk: &SimulatedDisk, epoch: u64, keeps_all: bool) -> LogStore {
    let opening = Opening {
        disk: disk.process(),
        lock: None,
        epoch: Epoch(epoch),
        shards: 1,
        limits: LIMITS,
    };
    let (shard_of, rng) = (|_: RoomId| 0, &mut Rng::from_number(epoch));
    let stores = if keeps_all {
        open_keeping_all(opening, shard_of, rng)
    } else {
        open(opening, shard_of, rng)
    };
    stores.unwrap().0.remove(0)
}

/// What record `sequence` of a room says.
fn body(number: u8, sequence: u64) -> Vec<u8> {
    [&[number][..], &sequence.to_be_bytes().repeat(12)].concat()
}

/// Three processes, each of which fills several segments, with a checkpoint now and then. Gives how many records each
/// room has.
fn filled(disk: &SimulatedDisk, keeps_all: bool) -> u64 {
    let mut newest = 0;
    for epoch in 1..=3 {
        let mut store = opened(disk, epoch, keeps_all);
        for _ in 0..200 {
            newest += 1;
            let bodies = [1, 2].map(|number| body(number, newest));
            let turn =
                [1, 2].map(|number| record(number, newest, &bodies[usize::from(number) - 1]));
            store.append(&turn).unwrap();
            if newest % 40 == 0 {
                for number in [1, 2] {
                    store
                        .checkpoint(room(number), newest, body(number, 0).into())
                        .unwrap();
                }
                settle(&mut store);
            }
        }
        settle(&mut store);
    }
    newest
}

#[test]
fn who_keeps_all_has_each_record_from_the_first_on() {
    let disk = disk(1);
    let newest = filled(&disk, true);
    let (reader, recovery) = LogReader::open(&*disk.process()).unwrap();
    assert!(recovery.is_sound(), "{recovery}");
    for number in [1, 2] {
        let all: Vec<_> = (1..=newest)
            .map(|sequence| (sequence, body(number, sequence).into()))
            .collect();
        assert_eq!(reader.whole_journal(room(number)), Some(all));
        // What is loaded is as little as ever.
        let stored = reader.load(room(number)).unwrap();
        assert_eq!(
            (stored.checkpoint_sequence, stored.records.len()),
            (newest, 0)
        );
        let points = reader.checkpoints(room(number));
        let points: Vec<_> = points.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(points, [newest, newest - 40]);
    }
}

#[test]
fn who_does_not_lets_them_go() {
    let disk = disk(1);
    filled(&disk, false);
    let (reader, _) = LogReader::open(&*disk.process()).unwrap();
    assert_eq!(reader.whole_journal(room(1)), None);
}
