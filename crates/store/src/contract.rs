//! The contract that every engine meets: what a room's history is, and what may fail.
//!
//! The coordinator calls it, once per turn; engines implement it; the conformance suite
//! checks them. What the bytes mean is the coordinator's matter.

use bytes::Bytes;
use rejoin_protocol::RoomId;

/// One room's share of a turn.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Which room.
    pub room: RoomId,
    /// Its place in the room's history: one more than the record before.
    pub sequence: u64,
    /// The calls, encoded by the coordinator.
    pub body: &'a [u8],
}

/// A room as it can be rebuilt: a checkpoint, then the records after it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The sequence that the checkpoint stands for; 0 with an empty body if there is none.
    pub checkpoint_sequence: u64,
    /// The checkpoint's bytes.
    pub checkpoint: Bytes,
    /// The records after it: sequence and body.
    pub records: Vec<(u64, Bytes)>,
}

/// What a store can fail with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A record does not follow the one before it: the caller is at fault.
    #[error("room {room}: record {found} came where {expected} belongs")]
    OutOfOrder {
        /// Which room.
        room: RoomId,
        /// The sequence the store waits for.
        expected: u64,
        /// The sequence it was given.
        found: u64,
    },
    /// Only the newest record can be replaced, and only while no checkpoint stands for it: the
    /// caller is at fault.
    #[error("room {room}: record {found} is not the newest one")]
    NotNewest {
        /// Which room.
        room: RoomId,
        /// The sequence the store was given.
        found: u64,
    },
    /// A checkpoint stands for records that were never appended, or for fewer than the one it
    /// would replace: the caller is at fault.
    #[error("room {room}: a checkpoint at {found} lies outside {oldest} to {newest}")]
    CheckpointOutside {
        /// Which room.
        room: RoomId,
        /// The sequence the store was given.
        found: u64,
        /// The sequence of the checkpoint it holds.
        oldest: u64,
        /// The sequence of the newest record.
        newest: u64,
    },
    /// The bound on stored bytes is reached. Forgetting rooms and storing checkpoints makes place.
    #[error("store is full: {bytes} bytes")]
    Full {
        /// Bytes held.
        bytes: usize,
    },
}

/// Where a shard keeps its rooms.
///
/// A room begins with its first record, numbered 1, or with a checkpoint at 0. Once forgotten it
/// may begin again.
pub trait Store {
    /// Appends the records of one turn, in one write. When it returns, a killed process loses none
    /// of them if the engine outlives processes (the memory engine does not).
    ///
    /// # Errors
    /// None of the records is kept.
    fn append(&mut self, records: &[Record<'_>]) -> Result<(), StoreError>;

    /// Replaces the newest record: used before its effects are seen by anyone, to take out a call
    /// that room logic could not handle.
    ///
    /// # Errors
    /// The room has no such newest record. The record in its place stays as it was.
    fn amend(&mut self, record: Record<'_>) -> Result<(), StoreError>;

    /// Stores a checkpoint of `room` that stands for all records up to `sequence`, and reclaims
    /// what is no longer needed.
    ///
    /// # Errors
    /// The checkpoint is not stored; the older one still serves.
    fn checkpoint(&mut self, room: RoomId, sequence: u64, body: Bytes) -> Result<(), StoreError>;

    /// Bytes of journal since the newest checkpoint of `room`: the bodies of its records.
    fn journal_bytes(&self, room: RoomId) -> usize;

    /// What is needed to rebuild `room`.
    ///
    /// # Errors
    /// The engine cannot read it.
    fn load(&self, room: RoomId) -> Result<Option<Stored>, StoreError>;

    /// All rooms held, in order.
    fn rooms(&self) -> Vec<RoomId>;

    /// Forgets a closed room. Forgetting one that is not held is harmless.
    ///
    /// # Errors
    /// The engine cannot write.
    fn forget(&mut self, room: RoomId) -> Result<(), StoreError>;
}
