//! The suite sees what it is for: each engine here breaks one promise, and a case names it.

use bytes::Bytes;
use rejoin_protocol::RoomId;
use rejoin_store::{
    Chore, Finished, MemoryStore, Record, Standing, Store, StoreError, Stored, conformance,
};

/// A way to break the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Nothing,
    HalfATurn,
    OrderUnchecked,
    AmendAppends,
    AmendIgnored,
    AmendAnything,
    CheckpointKeepsRecords,
    CheckpointTakesAll,
    CheckpointAnywhere,
    BytesForEver,
    ForgetNothing,
    RoomsInReverse,
    NewestLost,
    StandingsLost,
    PositionsStand,
}

/// The memory engine, broken in one way.
struct Broken {
    store: MemoryStore,
    how: Break,
    appended: usize,
}

impl Broken {
    fn newest(&self, room: RoomId) -> u64 {
        let stored = self.store.load(room).ok().flatten();
        stored.map_or(0, |it| it.checkpoint_sequence + it.records.len() as u64)
    }
}

impl Store for Broken {
    fn append(&mut self, records: &[Record<'_>]) -> Result<(), StoreError> {
        self.appended += records
            .iter()
            .map(|record| record.body.len())
            .sum::<usize>();
        if self.how == Break::HalfATurn {
            return records
                .iter()
                .try_for_each(|record| self.store.append(&[*record]));
        }
        if self.how == Break::OrderUnchecked {
            return records.iter().try_for_each(|record| {
                let sequence = self.newest(record.room) + 1;
                self.store.append(&[Record {
                    sequence,
                    ..*record
                }])
            });
        }
        self.store.append(records)
    }

    fn amend(&mut self, record: Record<'_>) -> Result<(), StoreError> {
        if self.how == Break::AmendIgnored {
            return Ok(());
        }
        if self.how == Break::AmendAppends {
            let sequence = record.sequence + 1;
            return self.store.append(&[Record { sequence, ..record }]);
        }
        let anything = self.how == Break::AmendAnything;
        let sequence = if anything {
            self.newest(record.room)
        } else {
            record.sequence
        };
        self.store.amend(Record { sequence, ..record })
    }

    fn checkpoint(&mut self, room: RoomId, sequence: u64, body: Bytes) -> Result<(), StoreError> {
        let newest = self.newest(room);
        if self.how == Break::CheckpointKeepsRecords {
            return self.store.checkpoint(room, 0, body);
        }
        if self.how == Break::CheckpointTakesAll {
            return self.store.checkpoint(room, newest, body);
        }
        let anywhere = self.how == Break::CheckpointAnywhere;
        let sequence = if anywhere {
            sequence.min(newest)
        } else {
            sequence
        };
        self.store.checkpoint(room, sequence, body)
    }

    fn journal_bytes(&self, room: RoomId) -> usize {
        let for_ever = self.how == Break::BytesForEver;
        if for_ever {
            self.appended
        } else {
            self.store.journal_bytes(room)
        }
    }

    fn load(&self, room: RoomId) -> Result<Option<Stored>, StoreError> {
        let mut stored = self.store.load(room)?;
        if let (Break::NewestLost, Some(stored)) = (self.how, &mut stored) {
            stored.records.pop();
        }
        Ok(stored)
    }

    fn rooms(&self) -> Vec<RoomId> {
        let mut rooms = self.store.rooms();
        if self.how == Break::RoomsInReverse {
            rooms.reverse();
        }
        rooms
    }

    fn forget(&mut self, room: RoomId) -> Result<(), StoreError> {
        if self.how == Break::ForgetNothing {
            Ok(())
        } else {
            self.store.forget(room)
        }
    }

    fn journalled(&self) -> u64 {
        if self.how == Break::PositionsStand {
            0
        } else {
            self.store.journalled()
        }
    }

    fn synced(&self) -> u64 {
        self.store.synced()
    }

    fn chore(&mut self) -> Option<Chore> {
        self.store.chore()
    }

    fn on_chore(&mut self, finished: Finished) -> Result<(), StoreError> {
        self.store.on_chore(finished)
    }

    fn standing(&self, room: RoomId) -> Standing {
        if self.how == Break::StandingsLost {
            Standing::default()
        } else {
            self.store.standing(room)
        }
    }

    fn set_standing(&mut self, room: RoomId, standing: Standing) -> Result<(), StoreError> {
        self.store.set_standing(room, standing)
    }
}

fn failed(how: Break) -> Vec<&'static str> {
    let make = || Broken {
        store: MemoryStore::default(),
        how,
        appended: 0,
    };
    conformance::failures(make)
        .into_iter()
        .map(|failure| failure.case)
        .collect()
}

#[test]
fn an_engine_that_keeps_its_word_passes() {
    assert_eq!(failed(Break::Nothing), Vec::<&str>::new());
}

#[test]
fn each_broken_promise_is_named_by_its_case() {
    for (how, case) in [
        (Break::HalfATurn, "a refused turn leaves nothing behind"),
        (Break::OrderUnchecked, "a record out of order is refused"),
        (Break::AmendAppends, "the newest record can be replaced"),
        (Break::AmendIgnored, "the newest record can be replaced"),
        (Break::AmendAnything, "no other record can be replaced"),
        (
            Break::CheckpointKeepsRecords,
            "a checkpoint covers the records up to it",
        ),
        (
            Break::CheckpointTakesAll,
            "a checkpoint covers the records up to it",
        ),
        (
            Break::CheckpointAnywhere,
            "a checkpoint outside the history is refused",
        ),
        (
            Break::BytesForEver,
            "journal bytes count since the checkpoint",
        ),
        (
            Break::ForgetNothing,
            "a forgotten room is gone and may begin again",
        ),
        (
            Break::RoomsInReverse,
            "records of many rooms are kept apart",
        ),
        (Break::NewestLost, "records load in order"),
        (
            Break::StandingsLost,
            "a room that is not loaded thrice is quarantined",
        ),
        (
            Break::StandingsLost,
            "how a room stands is kept until it is forgotten",
        ),
        (
            Break::PositionsStand,
            "positions grow with changes and syncs follow",
        ),
    ] {
        let failed = failed(how);
        assert!(failed.contains(&case), "{how:?} fails {failed:?}");
    }
}

#[test]
fn the_random_history_alone_finds_most_of_them() {
    let case = "a random history is what a plain list would be";
    for how in [
        Break::HalfATurn,
        Break::OrderUnchecked,
        Break::AmendIgnored,
        Break::NewestLost,
    ] {
        assert!(failed(how).contains(&case), "{how:?}");
    }
}

#[test]
#[should_panic(expected = "records load in order: found")]
fn a_failing_check_names_the_case() {
    let how = Break::NewestLost;
    conformance::check(|| Broken {
        store: MemoryStore::default(),
        how,
        appended: 0,
    });
}
