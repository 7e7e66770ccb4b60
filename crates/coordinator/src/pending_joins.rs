//! Joins and resumes whose keys no packet has confirmed.

use std::fmt;

use rejoin_protocol::{Incarnation, Timestamp};

use crate::auth::Visitor;
use crate::hellos::Claimant;

/// What a join or resume will do once it is confirmed.
#[derive(Clone)]
pub(crate) struct PendingJoin {
    pub(crate) claimant: Claimant,
    pub(crate) visitor: Visitor,
    pub(crate) incarnation: Incarnation,
    /// What the tickets of this connection will hold.
    pub(crate) psk: [u8; 32],
    /// True if its sender has shown a cookie.
    pub(crate) proven: bool,
    /// When its hello was first heard.
    pub(crate) since: Timestamp,
}

impl PendingJoin {
    /// True if its sender has shown neither a ticket nor that it receives at its address.
    pub(crate) const fn is_unearned(&self) -> bool {
        !self.proven && matches!(self.claimant, Claimant::Identity(_))
    }
}

/// How many joins are pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingJoins {
    pub(crate) all: usize,
    /// Those that are unearned.
    pub(crate) unearned: usize,
}

impl fmt::Debug for PendingJoin {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingJoin")
            .field("claimant", &self.claimant)
            .field("visitor", &self.visitor)
            .field("incarnation", &self.incarnation)
            .field("proven", &self.proven)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

impl PendingJoins {
    pub(crate) fn add(&mut self, join: &PendingJoin) {
        self.all += 1;
        self.unearned += usize::from(join.is_unearned());
    }

    pub(crate) fn remove(&mut self, join: &PendingJoin) {
        self.all -= 1;
        self.unearned -= usize::from(join.is_unearned());
    }
}
