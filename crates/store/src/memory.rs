//! The memory engine: for tests, the simulator, and rooms that may die with their process.
//!
//! One checkpoint per room and the records after it are enough here: an older checkpoint serves
//! only where a newer one can turn out unreadable, and memory has no torn writes.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rejoin_protocol::RoomId;

use crate::chore::{Chore, Finished};
use crate::contract::{Record, Standing, Store, StoreError, Stored, check_len};

/// Keeps everything in memory, up to a bound. When it is reached, appends and checkpoints are
/// refused as [`StoreError::Full`] and nothing is dropped.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    rooms: BTreeMap<RoomId, History>,
    /// What all histories cost, kept as they change.
    held: usize,
    capacity: usize,
    /// Changes so far.
    journalled: u64,
}

/// Bytes held if no other bound is given: 256 MiB, a busy shard's rooms a hundred times over.
const CAPACITY: usize = 256 * 1024 * 1024;
/// What a record costs besides its body, so that empty ones are bounded too.
const RECORD_COST: usize = 16;
/// Memory that a room's journal keeps for the next calls, in bytes: twice what is worth a checkpoint
/// in any case. That of a rare flood is given back, for it is not counted.
const SPARE_MAX: usize = 128 * 1024;
/// What a room costs besides its checkpoint and records.
const ROOM_COST: usize = 128;

/// One room: a checkpoint, and the records after it end to end in one buffer that is used again
/// after each checkpoint.
#[derive(Clone, Debug, Default)]
struct History {
    checkpoint_sequence: u64,
    checkpoint: Option<Bytes>,
    journal: Vec<u8>,
    /// Length of each record in the journal, oldest first.
    lengths: VecDeque<usize>,
    standing: Standing,
}

impl MemoryStore {
    /// Holds at most `bytes`, counted as bodies and a little per room and record.
    #[must_use]
    pub const fn with_capacity(bytes: usize) -> Self {
        Self {
            rooms: BTreeMap::new(),
            held: 0,
            capacity: bytes,
            journalled: 0,
        }
    }

    /// Bytes held now.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Checks that the books are right. The simulator calls it after every step.
    ///
    /// # Panics
    /// If they are not: a defect of ours.
    pub fn check_invariants(&self) {
        for history in self.rooms.values() {
            let journal: usize = history.lengths.iter().sum();
            assert_eq!(journal, history.journal.len(), "lengths cover the journal");
        }
        let cost: usize = self.rooms.values().map(History::cost).sum();
        assert_eq!(cost, self.held, "every byte is counted once");
        assert!(self.held <= self.capacity, "the bound holds");
    }

    fn append_one(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        let Record {
            room,
            sequence: found,
            body,
        } = *record;
        let known = self.rooms.get(&room);
        let expected = known.map_or(0, History::newest) + 1;
        if found != expected {
            return Err(StoreError::OutOfOrder {
                room,
                expected,
                found,
            });
        }
        check_len(room, body.len())?;
        let opening = if known.is_none() { ROOM_COST } else { 0 };
        self.make_place(0, opening + RECORD_COST + body.len())?;
        self.rooms.entry(room).or_default().push(body);
        Ok(())
    }

    /// Takes back what [`MemoryStore::append_one`] did last for `room`.
    fn undo_one(&mut self, room: RoomId) {
        let Some(history) = self.rooms.get_mut(&room) else {
            return;
        };
        if let Some(body) = history.pop() {
            self.held -= RECORD_COST + body;
        }
        // Only a checkpoint may keep a room without records, and then it stood before.
        if history.lengths.is_empty() && history.checkpoint.is_none() {
            self.rooms.remove(&room);
            self.held -= ROOM_COST;
        }
    }

    /// Counts `more` bytes instead of `less`, unless that breaks the bound.
    fn make_place(&mut self, less: usize, more: usize) -> Result<(), StoreError> {
        let held = (self.held - less).saturating_add(more);
        if held > self.capacity {
            return Err(StoreError::Full { bytes: self.held });
        }
        self.held = held;
        Ok(())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Store for MemoryStore {
    fn append(&mut self, records: &[Record<'_>]) -> Result<(), StoreError> {
        for (index, record) in records.iter().enumerate() {
            if let Err(error) = self.append_one(record) {
                let (kept, _) = records.split_at(index);
                kept.iter()
                    .rev()
                    .for_each(|record| self.undo_one(record.room));
                let full = matches!(error, StoreError::Full { .. });
                // What this turn filled is free again, and not what the caller can act on.
                return Err(if full {
                    StoreError::Full { bytes: self.held }
                } else {
                    error
                });
            }
        }
        self.journalled += 1;
        Ok(())
    }

    fn amend(&mut self, record: Record<'_>) -> Result<(), StoreError> {
        let Record {
            room,
            sequence: found,
            body,
        } = record;
        let newest = self.rooms.get(&room).and_then(|history| {
            let length = history.lengths.back()?;
            (history.newest() == found).then_some(*length)
        });
        let length = newest.ok_or(StoreError::NotNewest { room, found })?;
        check_len(room, body.len())?;
        self.make_place(length, body.len())?;
        if let Some(history) = self.rooms.get_mut(&room) {
            history.pop();
            history.push(body);
        }
        self.journalled += 1;
        Ok(())
    }

    fn checkpoint(&mut self, room: RoomId, sequence: u64, body: Bytes) -> Result<(), StoreError> {
        let known = self.rooms.get(&room);
        let (oldest, newest) = known.map_or((0, 0), |it| (it.checkpoint_sequence, it.newest()));
        let covered = sequence.checked_sub(oldest).filter(|_| sequence <= newest);
        let covered = covered.and_then(|covered| usize::try_from(covered).ok());
        let Some(covered) = covered else {
            return Err(StoreError::CheckpointOutside {
                room,
                found: sequence,
                oldest,
                newest,
            });
        };
        check_len(room, body.len())?;
        let before = known.map_or(0, History::cost);
        let reclaimed = known.map_or(0, |history| {
            history.checkpoint_len() + history.prefix(covered) + covered * RECORD_COST
        });
        self.make_place(before, before.max(ROOM_COST) - reclaimed + body.len())?;
        let history = self.rooms.entry(room).or_default();
        history.reclaim(covered);
        history.checkpoint_sequence = sequence;
        history.checkpoint = Some(body);
        self.journalled += 1;
        Ok(())
    }

    fn journal_bytes(&self, room: RoomId) -> usize {
        self.rooms
            .get(&room)
            .map_or(0, |history| history.journal.len())
    }

    fn load(&self, room: RoomId) -> Result<Option<Stored>, StoreError> {
        Ok(self.rooms.get(&room).map(History::stored))
    }

    fn rooms(&self) -> Vec<RoomId> {
        self.rooms.keys().copied().collect()
    }

    fn forget(&mut self, room: RoomId) -> Result<(), StoreError> {
        if let Some(history) = self.rooms.remove(&room) {
            self.held -= history.cost();
            self.journalled += 1;
        }
        Ok(())
    }

    fn journalled(&self) -> u64 {
        self.journalled
    }

    fn synced(&self) -> u64 {
        self.journalled
    }

    fn chore(&mut self) -> Option<Chore> {
        None
    }

    fn on_chore(&mut self, _finished: Finished) -> Result<(), StoreError> {
        Ok(())
    }

    fn standing(&self, room: RoomId) -> Standing {
        let known = self.rooms.get(&room);
        known.map_or_else(Standing::default, |history| history.standing)
    }

    fn set_standing(&mut self, room: RoomId, standing: Standing) -> Result<(), StoreError> {
        if let Some(history) = self.rooms.get_mut(&room) {
            history.standing = standing;
            self.journalled += 1;
        }
        Ok(())
    }
}

impl History {
    /// The sequence of the newest record, held or covered by the checkpoint.
    fn newest(&self) -> u64 {
        let held = u64::try_from(self.lengths.len()).expect("a length in memory fits 64 bits");
        self.checkpoint_sequence + held
    }

    fn cost(&self) -> usize {
        ROOM_COST + self.checkpoint_len() + self.journal.len() + self.lengths.len() * RECORD_COST
    }

    fn checkpoint_len(&self) -> usize {
        self.checkpoint.as_ref().map_or(0, Bytes::len)
    }

    fn push(&mut self, body: &[u8]) {
        self.journal.extend_from_slice(body);
        self.lengths.push_back(body.len());
    }

    /// Drops the newest record and tells its length.
    fn pop(&mut self) -> Option<usize> {
        let length = self.lengths.pop_back()?;
        self.journal.truncate(self.journal.len() - length);
        Some(length)
    }

    /// Bytes of the oldest `count` records.
    fn prefix(&self, count: usize) -> usize {
        self.lengths.iter().take(count).sum()
    }

    fn reclaim(&mut self, count: usize) {
        let bytes = self.prefix(count);
        self.journal.drain(..bytes);
        self.lengths.drain(..count);
        self.journal.shrink_to(SPARE_MAX);
        self.lengths.shrink_to(SPARE_MAX / RECORD_COST);
    }

    fn stored(&self) -> Stored {
        let mut rest = Bytes::copy_from_slice(&self.journal);
        let sequences = self.checkpoint_sequence + 1..;
        let bodies = self.lengths.iter().map(|length| rest.split_to(*length));
        Stored {
            checkpoint_sequence: self.checkpoint_sequence,
            checkpoint: self.checkpoint.clone().unwrap_or_default(),
            records: sequences.zip(bodies).collect(),
            loss: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;

    use super::*;
    use crate::conformance;

    const ROOM: RoomId = RoomId([1; 16]);

    fn record(sequence: u64, body: &[u8]) -> Record<'_> {
        Record {
            room: ROOM,
            sequence,
            body,
        }
    }

    #[test]
    fn it_meets_the_contract() {
        conformance::check(MemoryStore::default);
    }

    #[test]
    fn it_refuses_what_exceeds_the_bound_and_keeps_the_rest() {
        let mut store = MemoryStore::with_capacity(ROOM_COST + 3 * RECORD_COST + 30);
        store
            .append(&[record(1, &[1; 10]), record(2, &[2; 10])])
            .unwrap();
        let before = store.load(ROOM);
        let bytes = store.held();
        let full = Err(StoreError::Full { bytes });
        assert_eq!(store.append(&[record(3, b""), record(4, b"")]), full);
        assert_eq!(store.append(&[record(3, &[3; 11])]), full);
        assert_eq!(store.amend(record(2, &[2; 37])), full);
        assert_eq!(store.checkpoint(ROOM, 0, Bytes::from(vec![0; 27])), full);
        let other = Record {
            room: RoomId([2; 16]),
            sequence: 1,
            body: b"",
        };
        assert_eq!(store.append(&[other]), full);
        assert_eq!(store.load(ROOM), before);
        store.check_invariants();

        assert_eq!(store.append(&[record(3, &[3; 10])]), Ok(()));
        assert_eq!(store.held(), store.capacity);
        store.check_invariants();
    }

    #[test]
    fn a_checkpoint_makes_place_for_what_follows() {
        let mut store = MemoryStore::with_capacity(ROOM_COST + RECORD_COST + 100);
        for sequence in 1..=100 {
            store.append(&[record(sequence, &[7; 50])]).unwrap();
            store
                .checkpoint(ROOM, sequence, Bytes::from(vec![8; 50]))
                .unwrap();
            store.check_invariants();
        }
        store.forget(ROOM).unwrap();
        assert_eq!(store.held(), 0);
    }

    #[test]
    fn whatever_rooms_write_no_more_is_held_than_the_bound_and_a_little_for_each() {
        for seed in 0..10 {
            let mut rng = Rng::from_number(seed);
            let (longest, capacity) =
                [(1, 20_000), (600, 200_000), (300_000, 8_000_000)][rng.index(3)];
            let mut store = MemoryStore::with_capacity(capacity);
            let mut refused = 0;
            for _ in 0..20_000 {
                let room = RoomId([u8::try_from(rng.below(8)).unwrap(); 16]);
                let newest = store.rooms.get(&room).map_or(0, History::newest);
                let body = vec![7; rng.index(longest)];
                let before = store.held();
                let (sequence, body) = (newest + 1, body.as_slice());
                let record = |sequence| Record {
                    room,
                    sequence,
                    body,
                };
                let written = match rng.below(400) {
                    0 => store.checkpoint(room, newest, body.to_vec().into()),
                    1..20 if newest > 0 => store.amend(record(newest)),
                    _ => store.append(&[record(sequence)]),
                };
                if let Err(StoreError::Full { bytes }) = written {
                    assert_eq!(
                        (bytes, store.held()),
                        (before, before),
                        "nothing is dropped"
                    );
                    refused += 1;
                }
                assert!(store.held() <= capacity);
            }
            store.check_invariants();
            assert!(refused > 0, "it was filled");
            for room in store.rooms() {
                let newest = store.rooms[&room].newest();
                store.checkpoint(room, newest, Bytes::new()).unwrap();
            }
            let spare = store
                .rooms
                .values()
                .map(|history| history.journal.capacity());
            assert!(
                spare.sum::<usize>() <= 8 * SPARE_MAX,
                "a flood's memory is given back"
            );
        }
    }

    #[test]
    fn a_room_opened_by_an_empty_checkpoint_outlives_a_failed_append() {
        let mut store = MemoryStore::default();
        store.checkpoint(ROOM, 0, Bytes::new()).unwrap();
        store
            .append(&[record(1, b"a"), record(1, b"b")])
            .unwrap_err();
        assert_eq!(store.rooms(), [ROOM]);
        store.check_invariants();
    }
}
