//! A setting for development: with each checkpoint its room is rebuilt from the one before, and read back from its own bytes.
//! What comes out otherwise is logged, before a crash makes a loss of it.
//!
//! The same is asked of a room in a test by `TestRoom::crash_and_recover`.

use rejoin_room::{Kinds, RoomFault};
use rejoin_store::{Store, StoreError};
use tracing::error;

use crate::config::Config;
use crate::keep::Keep;
use crate::rooms::checkpoint::{self, CheckpointError, Reach};
use crate::rooms::compare::{Mismatch, compare};
use crate::rooms::durable::Durable;
use crate::rooms::replay::{self, ReplayError};
use crate::rooms::room::HostedRoom;

/// What room logic did that it may not.
#[derive(Debug, thiserror::Error)]
enum Otherwise {
    #[error("its history cannot be read: {0}")]
    Store(#[from] StoreError),
    #[error("a replay of its journal fails: {0}")]
    Fails(#[from] ReplayError),
    #[error("a replay of its journal gives no room")]
    Nothing,
    #[error("it is another after a replay of its journal: {0}")]
    Replay(Mismatch),
    #[error("it cannot be written: {0}")]
    Write(#[from] RoomFault),
    #[error("what is written of it cannot be read: {0}")]
    Read(#[from] CheckpointError),
    #[error("it is another after being written and read: {0}")]
    Reread(Mismatch),
    #[error("it is written otherwise after being written and read")]
    Rewritten,
}

/// Checks a room that is about to be checkpointed, if that is asked for. Takes as long as all of its calls since the last
/// checkpoint took.
pub(crate) fn check<S: Store>(keep: &mut Keep<S>, config: &Config, room: &HostedRoom) {
    let Some(live) = room.durable.as_ref().filter(|_| config.check_determinism) else {
        return;
    };
    if let Err(problem) = repeat(keep, room, live) {
        let (id, kind, tick) = (room.id, room.kind.name, live.instance.tick());
        error!(room = %id, kind, tick, %problem, "room logic is not deterministic");
    }
}

fn repeat<S: Store>(
    keep: &mut Keep<S>,
    room: &HostedRoom,
    live: &Durable,
) -> Result<(), Otherwise> {
    let kinds = Kinds::from(room.kind);
    let stored = keep.history(room.kind.durability).load(room.id)?;
    // What cannot be read to its end is no fault of room logic.
    if let Some(stored) = stored.filter(|stored| stored.newest() == room.sequence) {
        let again = replay::rebuild(&stored, &kinds, u64::MAX)?;
        let mut again = again.ok_or(Otherwise::Nothing)?;
        compare(live, &mut again).map_err(Otherwise::Replay)?;
    }
    let written = write(live, room)?;
    let mut reread = checkpoint::decode(&written, &kinds)?;
    compare(live, &mut reread).map_err(Otherwise::Reread)?;
    if write(&reread, room)? == written {
        Ok(())
    } else {
        Err(Otherwise::Rewritten)
    }
}

fn write(durable: &Durable, room: &HostedRoom) -> Result<Vec<u8>, RoomFault> {
    let mut body = Vec::new();
    checkpoint::encode(durable, &room.kind, Reach::default(), &mut body)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rejoin_protocol::crypto::StaticKeys;
    use rejoin_protocol::{PlayerId, Rng, RoomId, Timestamp};
    use rejoin_room::{Cx, Durability, Room, RoomSpec};
    use rejoin_store::{MemoryStore, Record};
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::lines::lines_of;
    use crate::rooms::entry::Entry;
    use crate::rooms::journal;
    use crate::{MemoryDirectory, Shard};

    const ROOM: RoomId = RoomId([6; 16]);

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    struct Counts {
        ticks: u64,
        drawn: Drawn,
        #[serde(skip)]
        unwritten: u64,
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    struct Drawn {
        numbers: Vec<u64>,
    }

    /// What a room may not depend on.
    static COUNTER: AtomicU64 = AtomicU64::new(1);

    /// Does what `FAULT` says: 0 nothing wrong, 1 counts with a global, 2 keeps what it does not write.
    struct Faulty<const FAULT: u8>;

    impl<const FAULT: u8> Room for Faulty<FAULT> {
        const KIND: &'static str = "faulty";
        const TICK_HZ: u32 = 10;

        type State = Counts;
        type Input = ();
        type View = Counts;
        type Event = ();

        fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Counts {
            Counts::default()
        }

        fn input(_state: &mut Counts, _from: PlayerId, (): (), _cx: &mut Cx<Self>) {}

        fn tick(state: &mut Counts, cx: &mut Cx<Self>) {
            state.ticks += 1;
            let counted = COUNTER.fetch_add(1, Ordering::Relaxed);
            match FAULT {
                1 => state.drawn.numbers.push(counted),
                2 => {
                    state.unwritten += 1;
                    state.drawn.numbers = vec![state.unwritten];
                }
                _ => state.drawn.numbers.push(cx.rng().next_u64()),
            }
        }

        fn view(state: &Counts) -> Cow<'_, Counts> {
            Cow::Borrowed(state)
        }
    }

    /// A room that was opened and has a clock, through two checkpoints. Tells what was logged at warn and above.
    fn logged<R: Room>(level: Durability, check_determinism: bool) -> Vec<String> {
        let opening = Entry::opening::<R>(ROOM);
        let mut body = Vec::new();
        journal::encode(Duration::ZERO, [opening].iter(), &mut body);
        let mut store = MemoryStore::default();
        let record = Record {
            room: ROOM,
            sequence: 1,
            body: &body,
        };
        store.append(&[record]).unwrap();
        let config = Config {
            check_determinism,
            empty_room_hold: Duration::from_secs(60),
            ..Config::new(StaticKeys::development(), [7; 32])
        };
        let kinds = Kinds::new().with::<R>().kept_as(level);
        lines_of(|| {
            let (rng, mut now) = (Rng::from_number(1), Timestamp::ZERO);
            let mut shard = Shard::new(config, kinds, store, MemoryDirectory::default(), rng, now);
            for _ in 0..240 {
                shard.turn(now);
                now += Duration::from_millis(50);
            }
        })
    }

    #[test]
    fn a_room_that_counts_with_a_global_is_told_with_its_first_field_that_differs() {
        for level in [Durability::Exact, Durability::Checkpoint, Durability::None] {
            let lines = logged::<Faulty<1>>(level, true);
            assert!(
                lines.len() >= 2,
                "{level:?}, with each checkpoint: {lines:?}"
            );
            let first = &lines[0];
            let words = [
                "ERROR",
                "room logic is not deterministic",
                "kind=\"faulty\"",
                &format!("room={ROOM}"),
                "tick=",
                "after a replay of its journal: state.drawn.numbers",
            ];
            for word in words {
                assert!(first.contains(word), "{level:?}, {word}: {first}");
            }
        }
    }

    #[test]
    fn a_room_whose_state_is_not_written_whole_is_told() {
        let lines = logged::<Faulty<2>>(Durability::Exact, true);
        // As soon as a replay begins at a checkpoint.
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let words = "it is another after a replay of its journal: state.drawn.numbers[0] was 101 and became 51";
        assert!(line.contains(words), "{line}");
    }

    #[test]
    fn a_room_that_does_nothing_wrong_is_not_told_and_nothing_is_checked_unasked() {
        let none = Vec::<String>::new();
        for level in [Durability::Exact, Durability::Checkpoint, Durability::None] {
            assert_eq!(logged::<Faulty<0>>(level, true), none, "{level:?}");
        }
        assert_eq!(logged::<Faulty<1>>(Durability::Exact, false), none);
    }
}
