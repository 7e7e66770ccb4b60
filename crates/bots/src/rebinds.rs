//! What came of the rebinds of a run.

use std::ops::AddAssign;

use serde::Serialize;

use crate::measure::Percentiles;
use crate::sources::Change;

/// What came of the rebinds of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rebinds {
    /// What was another after each; `None` if none were asked for.
    pub change: Option<Change>,
    /// How many there were, and what they cost.
    pub counts: RebindCounts,
    /// For each, the longest pause between two views: from the last before it on, for a second or until
    /// the next.
    pub pause: Percentiles,
}

/// Counts of rebinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RebindCounts {
    /// Rebinds.
    pub done: u64,
    /// Datagrams that went to an address after its bot had left it.
    pub missed: u64,
}

impl AddAssign for RebindCounts {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.missed += other.missed;
    }
}
