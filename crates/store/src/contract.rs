//! The contract that every engine meets: what a room's history is, and what may fail.
//!
//! The coordinator calls it, once per turn; engines implement it; the conformance suite
//! checks them. What the bytes mean is the coordinator's matter.

use bytes::Bytes;
use rejoin_protocol::RoomId;

use crate::chore::{Chore, Finished};

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
    /// What the store knows to be missing after them. The room's next checkpoint settles it.
    pub loss: Option<Loss>,
}

impl Stored {
    /// The newest record that is there, or that the checkpoint stands for.
    #[must_use]
    pub fn newest(&self) -> u64 {
        let newest = self.records.last().map(|(sequence, _)| *sequence);
        newest.unwrap_or(self.checkpoint_sequence)
    }
}

/// What a room's history lacks at its end. The next record takes the number of the first one lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// These records were there and cannot be read, or do not join those before.
    Records {
        /// The first one lost.
        from: u64,
        /// The newest that is known to have been there.
        to: u64,
    },
    /// Bytes whose room is not known cannot be read; records after this one may have been there.
    Possible {
        /// The newest record that is there.
        after: u64,
    },
}

/// How a room fares in being loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Loads that were begun and have not ended since one did.
    pub attempts: u8,
    /// It is not loaded any more; an operator may look at it and drop it.
    pub quarantined: bool,
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
    /// The bound on stored bytes is reached, or the disk is full. Forgetting rooms and storing
    /// checkpoints makes place.
    #[error("store is full: {bytes} bytes")]
    Full {
        /// Bytes held.
        bytes: usize,
    },
    /// A body is longer than any engine keeps: the caller is at fault.
    #[error("room {room}: a body of {bytes} bytes is longer than {BODY_LEN_MAX}")]
    TooLong {
        /// Which room.
        room: RoomId,
        /// How long it is.
        bytes: usize,
    },
    /// A later process owns the store: this one must stop, and believe nothing it wrote since.
    #[error("the store belongs to epoch {epoch} now: this process is fenced")]
    Fenced {
        /// The epoch of the later process.
        epoch: u64,
    },
    /// The medium failed, and what it holds of the last writes is not known: nothing may be
    /// acknowledged any more, and the process must end.
    #[error("the store is broken: {reason}")]
    Broken {
        /// What the medium said.
        reason: String,
    },
}

impl StoreError {
    /// True if the store takes nothing any more: the process must end.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Fenced { .. })
    }
}

/// Longest body of a record or checkpoint, in bytes: sixteen times what a room's state may take.
pub const BODY_LEN_MAX: usize = 16 * 1024 * 1024;

/// Loads of a room that fail in a row before it is quarantined.
pub const LOAD_ATTEMPTS_MAX: u8 = 3;

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

    /// The same, those first of which something was written last, as far as the engine knows.
    fn rooms_newest_first(&self) -> Vec<RoomId> {
        self.rooms()
    }

    /// Forgets a closed room. Forgetting one that is not held is harmless.
    ///
    /// # Errors
    /// The engine cannot write.
    fn forget(&mut self, room: RoomId) -> Result<(), StoreError>;

    /// How far this store is written: a number that grows with all that changes it. A killed
    /// process loses nothing up to here.
    fn journalled(&self) -> u64;

    /// How far it is on the medium: what [`Store::journalled`] told at some time before. An engine
    /// in memory says the same as there.
    fn synced(&self) -> u64;

    /// Takes the work that may block, if there is any and none is under way: syncs among it. The
    /// shell runs it on another thread and brings back what came of it.
    fn chore(&mut self) -> Option<Chore>;

    /// Takes in what came of a chore.
    ///
    /// # Errors
    /// The store is fenced or broken, and says so from now on.
    fn on_chore(&mut self, finished: Finished) -> Result<(), StoreError>;

    /// Does all chores until what is written now is synced, and blocks meanwhile: for an orderly
    /// stop.
    ///
    /// # Errors
    /// The store is fenced or broken, or a chore is under way elsewhere.
    fn sync_now(&mut self) -> Result<(), StoreError> {
        let goal = self.journalled();
        while self.synced() < goal {
            let chore = self.chore().ok_or_else(|| StoreError::Broken {
                reason: "a chore is under way".to_owned(),
            })?;
            self.on_chore(chore.run())?;
        }
        Ok(())
    }

    /// How `room` stands; as if never loaded if it is not held.
    fn standing(&self, room: RoomId) -> Standing;

    /// Keeps how `room` stands, until it is forgotten. Of a room that is not held nothing is kept.
    ///
    /// # Errors
    /// The engine cannot write.
    fn set_standing(&mut self, room: RoomId, standing: Standing) -> Result<(), StoreError>;

    /// Counts a load of `room` before it is replayed, so that one which takes the process with it
    /// is known. After [`LOAD_ATTEMPTS_MAX`] that did not end, the room is quarantined instead.
    ///
    /// # Errors
    /// The engine cannot write.
    fn begin_load(&mut self, room: RoomId) -> Result<Standing, StoreError> {
        let mut standing = self.standing(room);
        if standing.quarantined {
            return Ok(standing);
        }
        if standing.attempts >= LOAD_ATTEMPTS_MAX {
            standing.quarantined = true;
        } else {
            standing.attempts += 1;
        }
        self.set_standing(room, standing)?;
        Ok(standing)
    }

    /// `room` is not loaded any more; an operator may look at it and drop it.
    ///
    /// # Errors
    /// The engine cannot write.
    fn quarantine(&mut self, room: RoomId) -> Result<(), StoreError> {
        let standing = Standing {
            quarantined: true,
            ..self.standing(room)
        };
        self.set_standing(room, standing)
    }

    /// A load ended well: the room stands as if never loaded.
    ///
    /// # Errors
    /// The engine cannot write.
    fn end_load(&mut self, room: RoomId) -> Result<(), StoreError> {
        self.set_standing(room, Standing::default())
    }
}

/// Both engines refuse the same bodies.
pub(crate) const fn check_len(room: RoomId, bytes: usize) -> Result<(), StoreError> {
    if bytes > BODY_LEN_MAX {
        return Err(StoreError::TooLong { room, bytes });
    }
    Ok(())
}
