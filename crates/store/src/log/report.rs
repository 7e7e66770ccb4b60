//! What opening a store found: all that was cut, ignored, damaged and lost, in words.

use std::fmt;

use rejoin_protocol::RoomId;

use crate::contract::Loss;
use crate::disk::DiskError;

/// What was found when a store was opened. Each list is empty if all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The epoch that has begun.
    pub epoch: u64,
    /// Rooms that are held.
    pub rooms: usize,
    /// Segments that were read, and the bytes in them.
    pub segments: usize,
    /// Bytes of entries in them.
    pub bytes: u64,
    /// Ends of logs that were being written when their process or machine stopped.
    pub cuts: Vec<Cut>,
    /// Bytes that earlier owners wrote after they had been fenced.
    pub late: Vec<Late>,
    /// What was on the medium and cannot be read.
    pub damages: Vec<Damage>,
    /// Rooms that lack something at their end.
    pub losses: Vec<(RoomId, Loss)>,
    /// Rooms whose newest checkpoint cannot be read, with its sequence; an older one serves.
    pub fallbacks: Vec<(RoomId, u64)>,
    /// Rooms that are not loaded until an operator says so.
    pub quarantined: Vec<RoomId>,
    /// One of the two copies of the manifest was damaged, and has been replaced.
    pub manifest_repaired: bool,
}

/// The unsynced end of a log, which is not believed from the first unreadable byte on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment in which it begins.
    pub segment: String,
    /// Where.
    pub offset: u64,
    /// Bytes from there to the end of the log.
    pub bytes: u64,
    /// Readable entries among them.
    pub entries: usize,
}

/// What an earlier owner added to a segment that was closed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// The segment.
    pub segment: String,
    /// How much.
    pub bytes: u64,
}

/// Something that was on the medium and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// A segment is not there.
    Missing {
        /// Its name.
        segment: String,
    },
    /// The head of a segment; its entries were read all the same.
    Head {
        /// The segment.
        segment: String,
    },
    /// Bytes that belong to no entry that can be told.
    Hole {
        /// The segment.
        segment: String,
        /// Where it begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
    },
    /// A record or another entry of one room.
    Entry {
        /// The segment.
        segment: String,
        /// Where it begins.
        offset: u64,
        /// Whose it is.
        room: RoomId,
        /// Its sequence.
        sequence: u64,
    },
}

/// Why a store cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The caller's epoch is not above all that have been.
    #[error("epoch {epoch} is fenced: the store belongs to epoch {found}")]
    Fenced {
        /// The caller's.
        epoch: u64,
        /// The newest.
        found: u64,
    },
    /// It was written by a later version.
    #[error("{file} is of format {found}, this version reads {known}: run the newer version")]
    Newer {
        /// Which file.
        file: String,
        /// Its format.
        found: u16,
        /// Ours.
        known: u16,
    },
    /// Without the manifest nobody knows which bytes to believe.
    #[error("{0} is damaged in both its copies: the store cannot be read without it")]
    ManifestDamaged(&'static str),
    /// There are segments, but no manifest.
    #[error("{0} is missing, but not the segments beside it: the store cannot be read without it")]
    ManifestMissing(&'static str),
    /// The manifest is of an epoch before the one that wrote segments beside it: an older copy was put back.
    #[error(
        "the manifest is of epoch {epoch}, but {segment} beside it holds {bytes} bytes of a later one: it was put back"
    )]
    ManifestStale {
        /// The manifest's.
        epoch: u64,
        /// A segment of a later one.
        segment: String,
        /// What is written there.
        bytes: usize,
    },
    /// A segment went away while the store was opened.
    #[error("{0} went away meanwhile: another process uses this store")]
    Changed(String),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Recovery {
    /// Whether nothing is missing that was ever acknowledged: cuts are of what was not synced.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty() && self.losses.is_empty() && self.fallbacks.is_empty()
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            epoch,
            rooms,
            segments,
            bytes,
            ..
        } = self;
        write!(
            f,
            "epoch {epoch}: {rooms} rooms in {segments} segments, {bytes} bytes"
        )?;
        if self.manifest_repaired {
            write!(f, "\na copy of the manifest was damaged")?;
        }
        for cut in &self.cuts {
            write!(f, "\n{cut}")?;
        }
        for Late { segment, bytes } in &self.late {
            write!(f, "\n{segment}: {bytes} bytes of a fenced process")?;
        }
        for damage in &self.damages {
            write!(f, "\n{damage}")?;
        }
        for (room, sequence) in &self.fallbacks {
            write!(
                f,
                "\nroom {room}: the checkpoint at {sequence} cannot be read"
            )?;
        }
        for (room, loss) in &self.losses {
            match loss {
                Loss::Records { from, to } => {
                    write!(f, "\nroom {room}: records {from} to {to} are lost")?;
                }
                Loss::Possible { after } => {
                    write!(f, "\nroom {room}: what followed {after} may be lost")?;
                }
            }
        }
        for room in &self.quarantined {
            write!(f, "\nroom {room} is quarantined")?;
        }
        Ok(())
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment,
            offset,
            bytes,
            entries,
        } = self;
        write!(
            f,
            "{segment}: cut at {offset}, {bytes} bytes and {entries} readable entries after it"
        )
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { segment } => write!(f, "{segment} is missing"),
            Self::Head { segment } => write!(f, "{segment}: its head cannot be read"),
            Self::Hole {
                segment,
                offset,
                bytes,
            } => write!(f, "{segment}: {bytes} bytes at {offset} cannot be read"),
            Self::Entry {
                segment,
                offset,
                room,
                sequence,
            } => write!(
                f,
                "{segment}: entry {sequence} of room {room} at {offset} cannot be read"
            ),
        }
    }
}
