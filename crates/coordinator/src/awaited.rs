//! The sessions that pending joins lead to: while there is one, its session has its home here.

use std::collections::BTreeMap;

use rejoin_protocol::SessionId;

/// See the module page. Bounded by the pending joins.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    joins: BTreeMap<SessionId, usize>,
    /// Sessions whose last join is pending no longer, since this was asked last.
    over: Vec<SessionId>,
}

impl Awaited {
    /// A join is pending.
    pub(crate) fn add(&mut self, session: SessionId) {
        *self.joins.entry(session).or_default() += 1;
    }

    /// A join was confirmed, or ended before.
    pub(crate) fn remove(&mut self, session: SessionId) {
        let joins = self.joins.get_mut(&session).expect("it was added");
        *joins -= 1;
        if *joins == 0 {
            self.joins.remove(&session);
            self.over.push(session);
        }
    }

    /// True if a join to the session is pending.
    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.joins.contains_key(&session)
    }

    /// Takes those whose last join is pending no longer.
    pub(crate) fn take_over(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.over)
    }

    /// Checks that as many joins are pending as connections say.
    pub(crate) fn check(&self, pending: usize) {
        let joins = self.joins.values().sum::<usize>();
        assert_eq!(joins, pending, "each pending join is awaited");
    }
}
