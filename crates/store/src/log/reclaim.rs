//! How far an old segment is emptied, and what of a part of it is written again.
//!
//! Always the oldest goes first, so that what forgets or amends an entry outlives it. The work is
//! done in [`chores`](super::chores).

use std::collections::BTreeSet;

use rejoin_protocol::RoomId;

use super::format::Head;
use super::index::Place;
use crate::chore::Removal;

/// How far reclaiming has come.
#[derive(Debug, Default)]
pub(crate) struct Reclaim {
    /// The segment that is being emptied.
    pub(crate) victim: Option<Victim>,
    /// Segments up to this one are empty, and the chore that is out syncs that this is written.
    pub(crate) releasing: Option<u32>,
    /// Files to remove: this log was the last to need them.
    pub(crate) removals: Vec<Removal>,
    /// Rooms that lack something and of which that is not written down yet.
    pub(crate) unmended: BTreeSet<RoomId>,
    /// Chores to come before a spare segment is tried again.
    pub(crate) spare_pause: u32,
    /// Rooms of which something could not be read when it was to be moved.
    pub(crate) unreadable: usize,
}

/// A segment that is being emptied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Victim {
    pub(crate) segment: u32,
    /// All before it is done.
    pub(crate) offset: u64,
    /// How much to read next.
    pub(crate) len: usize,
}

/// What is moved of a part of a segment, and where the next part begins.
#[derive(Default)]
pub(crate) struct Part<'a> {
    pub(crate) entries: Vec<(Head, &'a [u8])>,
    pub(crate) from: Vec<Place>,
    /// Bytes without a readable head.
    pub(crate) holes: Vec<(u64, u64)>,
    /// What else to give up, at the end of the segment.
    pub(crate) rest: Option<(u64, u64)>,
    pub(crate) len: usize,
    /// How much the next part needs to be of any use.
    pub(crate) wanted: usize,
}

/// Bytes of a segment that one chore reads, unless an entry is longer.
pub(crate) const PART_LEN: usize = 256 * 1024;
/// Segments that are let go of at once.
pub(crate) const RELEASED_MAX: usize = 8;
/// Chores to come after one that could not make a spare segment: a second or so.
pub(crate) const SPARE_PAUSE: u32 = 50;
