//! What members saw of their rooms: which view stood under which number. Kept only if somebody asks for it, who replays the
//! rooms and compares.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};

use rejoin_protocol::RoomId;

use crate::agreement::Label;

/// A view that members saw. Two marks under one number are two views that cannot both be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Of which room.
    pub room: RoomId,
    /// Its number.
    pub number: u64,
    /// The tick that it was of.
    pub tick: u64,
    /// See [`digest`].
    pub digest: u64,
}

/// All marks of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(BTreeSet<Mark>);

impl Marks {
    /// A member saw a view that all members share.
    pub(crate) fn see(&mut self, room: RoomId, label: Label, view: &[u8]) {
        self.0.insert(Mark {
            room,
            number: label.sequence,
            tick: label.tick,
            digest: digest(view),
        });
    }

    /// Adds what another crew saw, or the same one later.
    pub(crate) fn merge(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// All marks, by room and number.
    pub fn iter(&self) -> impl Iterator<Item = &Mark> {
        self.0.iter()
    }
}

/// Tells the bytes of one view from those of another. The same within a process alone.
#[must_use]
pub fn digest(view: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(view);
    hasher.finish()
}
