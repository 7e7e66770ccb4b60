//! A store that is looked at: what is told is what the next owner finds, and nothing is changed by it.

use std::sync::{Arc, Mutex};

use rejoin_protocol::Rng;
use rejoin_store::disk::{Disk, DiskError, DiskFile, DiskLock, LockError, SimulatedDisk};
use rejoin_store::log::{LogReader, LogStore, OpenError, Recovery};
use rejoin_store::{Loss, Store};

use crate::model::{Model, ROOMS, State, perform};
use crate::support::{disk, open_one, record, room, try_open};

/// The state of a room as it is read.
fn state_of(reader: &LogReader, number: u8) -> State {
    let stored = reader.load(room(number))?;
    Some((stored, reader.standing(room(number))))
}

fn names_and_contents(disk: &SimulatedDisk) -> Vec<(String, Option<Vec<u8>>)> {
    let names = disk.names().into_iter();
    names
        .map(|name| (name.clone(), disk.contents(&name)))
        .collect()
}

/// Reads a disk, and compares it with what an owner finds on a copy.
fn read(disk: &SimulatedDisk, what: &str) -> (LogReader, Recovery) {
    let before = (disk.operations(), names_and_contents(disk));
    let (reader, recovery) = LogReader::open(&*disk.process()).expect("it can be read");
    let after = (disk.operations(), names_and_contents(disk));
    assert!(before == after, "{what}: it was changed");
    let (owner, found) = open_one(&disk.fork(Rng::from_number(1)), 90);
    let told = Recovery {
        epoch: 90,
        ..recovery.clone()
    };
    assert_eq!(told, found, "{what}");
    assert_eq!(reader.rooms().collect::<Vec<_>>(), owner.rooms(), "{what}");
    for id in owner.rooms() {
        assert_eq!(reader.load(id), owner.load(id).unwrap(), "{what}");
        assert_eq!(reader.standing(id), owner.standing(id), "{what}");
    }
    (reader, recovery)
}

#[test]
fn who_looks_finds_what_the_next_owner_finds_and_changes_nothing() {
    for seed in 0..20 {
        let disk = disk(seed);
        let mut rng = Rng::from_number(seed);
        let mut model = Model::default();
        for epoch in 1..=3 {
            let (mut store, _) = open_one(&disk, epoch);
            for number in 0..60 {
                let step = model.any_step(&mut rng, 0, 1);
                model.apply(&step);
                perform(&mut store, &mut model, &step, |_| true).unwrap();
                if number % 20 == 7 {
                    let what = format!("seed {seed}, epoch {epoch}, step {number}");
                    let (reader, recovery) = read(&disk, &what);
                    assert!(recovery.is_sound(), "{what}: {recovery}");
                    assert_eq!((reader.epoch(), recovery.epoch), (epoch, epoch));
                    for number in 0..ROOMS {
                        assert_eq!(state_of(&reader, number), model.now(room(number)), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn damage_is_told_alike_with_the_place_where_it_stands() {
    let disk = disk(1);
    let (mut store, _) = open_one(&disk, 1);
    for sequence in 1..=6 {
        let turn = [1, 2].map(|it| record(it, sequence, &[7; 40]));
        store.append(&turn).unwrap();
        store.sync_now().unwrap();
    }
    store.checkpoint(room(2), 6, "point".into()).unwrap();
    drop(store);
    let (reader, _) = read(&disk, "sound");
    assert_eq!(reader.record_place(room(1), 7), None);
    assert_eq!(reader.checkpoint_place(room(1)), None);
    let place = reader.record_place(room(1), 3).unwrap();
    let point = reader.checkpoint_place(room(2)).unwrap();
    assert_eq!((place.bytes, point.bytes), (40, 5));
    let at = usize::try_from(place.offset).unwrap();
    disk.flip(&place.segment, at + 70, 1);
    let (reader, recovery) = read(&disk, "a bad record");
    let lost = Loss::Records { from: 3, to: 6 };
    assert_eq!(recovery.losses, [(room(1), lost)]);
    let told = recovery.damages[0].to_string();
    let expected = format!("{}: entry 3 of room", place.segment);
    assert!(told.starts_with(&expected), "{told}");
    assert!(told.contains(&format!("at {at} ")), "{told}");
    assert_eq!(reader.load(room(1)).unwrap().loss, Some(lost));
    // Once an owner has noted it, it is no news, and still missing.
    drop(open_one(&disk, 2));
    let (reader, recovery) = read(&disk, "a noted loss");
    assert_eq!(recovery.losses, []);
    assert_eq!(reader.load(room(1)).unwrap().loss, Some(lost));
}

#[test]
fn every_flipped_byte_is_told_as_the_next_owner_is_told() {
    let disk = disk(3);
    let mut rng = Rng::from_number(3);
    for epoch in 1..=2 {
        let (mut store, _) = open_one(&disk, epoch);
        let mut model = Model::default();
        if epoch == 2 {
            continue;
        }
        for _ in 0..25 {
            let step = model.any_step(&mut rng, 0, 1);
            model.apply(&step);
            perform(&mut store, &mut model, &step, |_| true).unwrap();
        }
        store.sync_now().unwrap();
    }
    let mut unsound = 0;
    for name in disk.names() {
        let contents = disk.contents(&name).unwrap();
        let used = contents.iter().rposition(|it| *it != 0).unwrap_or(0);
        for offset in (0..used).step_by(3) {
            let other = disk.fork(Rng::from_number(9));
            other.flip(&name, offset, 1 << rng.below(8));
            let (_, recovery) = read(&other, &format!("{name}, byte {offset}"));
            unsound += u32::from(!recovery.is_sound());
        }
    }
    assert!(unsound > 500, "{unsound}");
}

#[test]
fn a_folder_in_which_nothing_is_kept_is_of_no_epoch() {
    let disk = disk(4);
    let (reader, recovery) = LogReader::open(&*disk.process()).unwrap();
    assert_eq!((reader.epoch(), recovery.rooms), (0, 0));
    assert_eq!(reader.load(room(1)), None);
    disk.replace("manifest", b"RJMANIFS");
    let error = LogReader::open(&*disk.process()).unwrap_err();
    assert_eq!(error, OpenError::ManifestDamaged("manifest"));
}

/// A disk whose owner works on whenever a file is opened to be looked at.
#[derive(Debug)]
struct Busy {
    disk: Arc<dyn Disk>,
    owner: Mutex<Owner>,
}

#[derive(Debug)]
struct Owner {
    stores: Vec<LogStore>,
    turns: u64,
    /// Files that are opened before it takes another turn.
    pause: u64,
    opened: u64,
    /// Openings that found a file gone.
    missed: u64,
}

impl Owner {
    fn work(&mut self) {
        self.turns += 1;
        let turns = self.turns;
        for (store, shard) in self.stores.iter_mut().zip(0_u8..) {
            let rooms = [shard, shard + 2];
            let turn = rooms.map(|it| record(it, turns, &[7; 120]));
            store.append(&turn).unwrap();
            if turns.is_multiple_of(7) {
                for it in rooms {
                    let point = turns.to_be_bytes().to_vec().repeat(20);
                    store.checkpoint(room(it), turns, point.into()).unwrap();
                }
            }
            if let Some(chore) = store.chore() {
                store.on_chore(chore.run()).unwrap();
            }
        }
    }
}

impl Disk for Busy {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.disk.list()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut owner = self.owner.lock().unwrap();
        owner.opened += 1;
        if owner.opened.is_multiple_of(owner.pause) {
            owner.work();
        }
        let opened = self.disk.open(name);
        owner.missed += u64::from(opened.is_err());
        opened
    }

    fn create(&self, _: &str, _: u64) -> Result<Arc<dyn DiskFile>, DiskError> {
        panic!("who looks makes nothing");
    }

    fn rename(&self, _: &str, _: &str) -> Result<(), DiskError> {
        panic!("who looks renames nothing");
    }

    fn remove(&self, _: &str) -> Result<(), DiskError> {
        panic!("who looks removes nothing");
    }

    fn sync_folder(&self) -> Result<(), DiskError> {
        panic!("who looks syncs nothing");
    }

    fn lock(&self, _: &str) -> Result<Box<dyn DiskLock>, LockError> {
        panic!("who looks locks nothing");
    }
}

#[test]
fn a_store_is_read_whole_while_its_owner_works_and_reclaims() {
    let (mut missed, mut read) = (0, 0);
    for seed in 0..40 {
        let disk = disk(seed);
        let (stores, _) = try_open(disk.process(), 1, 2).unwrap();
        let mut owner = Owner {
            stores,
            turns: 0,
            pause: 1 + seed % 8,
            opened: 0,
            missed: 0,
        };
        for _ in 0..200 {
            owner.work();
        }
        let least = owner.turns;
        let busy = Busy {
            disk: disk.process(),
            owner: Mutex::new(owner),
        };
        let opened = LogReader::open(&busy);
        let owner = busy.owner.into_inner().unwrap();
        missed += owner.missed;
        let (reader, recovery) = match opened {
            Err(OpenError::Changed(_)) => continue,
            opened => opened.unwrap(),
        };
        read += 1;
        assert!(recovery.is_sound(), "seed {seed}: {recovery}");
        for number in 0..4 {
            let stored = reader.load(room(number)).expect("it is held");
            let newest = stored.checkpoint_sequence + stored.records.len() as u64;
            assert_eq!(stored.loss, None, "seed {seed}, room {number}");
            assert!(newest >= least, "seed {seed}: {newest} of {least}");
        }
    }
    assert!(missed > 5 && read > 30, "{missed} missed, {read} read");
}
