//! What is asked of every engine: the turns of a shard, checkpoints, and rooms read back.
//!
//! The runner calls it; each engine stands in a file of its own, which says how it is set up and
//! why.

use std::error::Error;

use rejoin_protocol::RoomId;
use rejoin_store::{Finished, Record};

/// Why a run ended: said in one line, with the engine's name in front.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// All that a shard gives its engine in one turn.
pub(crate) struct Turn<'a> {
    /// One record of each room.
    pub(crate) records: &'a [Record<'a>],
    /// Checkpoints of some rooms, which stand for records up to those of this turn.
    pub(crate) checkpoints: &'a [Checkpoint<'a>],
}

/// A room's checkpoint. The one before it is kept, with the records after that one.
pub(crate) struct Checkpoint<'a> {
    pub(crate) room: RoomId,
    /// The newest record that it stands for.
    pub(crate) sequence: u64,
    /// The same of the checkpoint before, 0 if there is none: records up to it can go.
    pub(crate) before: u64,
    /// 0 and 1 in turns: the place of the one that is replaced.
    pub(crate) slot: u8,
    pub(crate) body: &'a [u8],
}

/// A room as it is rebuilt: its newest checkpoint, and the records after it in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// 0 if there is none.
    pub(crate) sequence: u64,
    pub(crate) checkpoint: Vec<u8>,
    pub(crate) records: Vec<(u64, Vec<u8>)>,
}

/// Work of an engine for another thread: a sync, and what else may block.
pub(crate) type Job = Box<dyn FnOnce() -> Outcome + Send>;

/// What came of it.
pub(crate) enum Outcome {
    /// Of engines that do all on the other thread.
    Synced(Result<(), Failure>),
    /// Of Rejoin's, which takes it in on the shard's thread.
    Chore(Finished),
}

/// A journal with checkpoints.
pub(crate) trait Engine {
    /// Keeps what a turn brings.
    fn turn(&mut self, turn: &Turn<'_>) -> Result<(), Failure>;

    /// The work that is due, asked for each 20 ms if none is under way.
    fn upkeep(&mut self, syncs: Syncs) -> Option<Job>;

    /// Takes in what came of it.
    fn on_upkeep(&mut self, outcome: Outcome) -> Result<(), Failure> {
        match outcome {
            Outcome::Synced(result) => result,
            Outcome::Chore(_) => Ok(()),
        }
    }

    /// What is needed to rebuild a room.
    fn load(&self, room: RoomId) -> Result<Option<State>, Failure>;

    /// An orderly stop: all is on the medium after it.
    fn close(self: Box<Self>) -> Result<(), Failure>;
}

/// When turns are put on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncs {
    /// With the orderly stop.
    AtTheEnd,
    /// With upkeep.
    Grouped,
}

/// Key of a record or checkpoint where an engine sorts by key: room, then number.
pub(crate) fn key(room: RoomId, number: u64) -> [u8; 24] {
    let mut key = [0; 24];
    let (front, back) = key.split_at_mut(16);
    front.copy_from_slice(&room.0);
    back.copy_from_slice(&number.to_be_bytes());
    key
}

/// The number in such a key.
pub(crate) fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.last_chunk()?))
}

/// The value of a checkpoint where a room's are told apart by slot alone: sequence, then body.
pub(crate) fn with_sequence(sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(8 + body.len());
    value.extend_from_slice(&sequence.to_be_bytes());
    value.extend_from_slice(body);
    value
}

/// The newest of the checkpoints in both slots.
pub(crate) fn newest(slots: [Option<Vec<u8>>; 2]) -> State {
    let sound = slots.into_iter().flatten().filter_map(|mut value| {
        let sequence = u64::from_be_bytes(*value.first_chunk()?);
        value.drain(..8);
        Some((sequence, value))
    });
    let (sequence, checkpoint) = sound
        .max_by_key(|(sequence, _)| *sequence)
        .unwrap_or_default();
    State {
        sequence,
        checkpoint,
        records: Vec::new(),
    }
}
