//! The one order of a room's messages to all, pieced together from what members are told.

use std::collections::BTreeMap;

use crate::report::{Violation, ensure};

/// What followed what. Members who join late know only the end of it.
#[derive(Debug, Default)]
pub(crate) struct Order {
    next: BTreeMap<u64, u64>,
    previous: BTreeMap<u64, u64>,
}

impl Order {
    /// A member was told `message` right after `before`.
    pub(crate) fn told(&mut self, before: Option<u64>, message: u64) -> Result<(), Violation> {
        let Some(before) = before else { return Ok(()) };
        let next = *self.next.entry(before).or_insert(message);
        let previous = *self.previous.entry(message).or_insert(before);
        ensure(
            next == message && previous == before,
            "members are told the same events in the same order",
            || {
                format!(
                    "{message:x} after {before:x}; others saw {next:x} after it and {previous:x} before it"
                )
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_may_join_late_but_not_hear_another_order() {
        let mut order = Order::default();
        for (before, message) in [(None, 1), (Some(1), 2), (Some(2), 3)] {
            order.told(before, message).unwrap();
        }
        order.told(None, 2).unwrap();
        order.told(Some(2), 3).unwrap();
        assert!(order.told(Some(1), 3).is_err(), "an event is missing");
        assert!(order.told(Some(2), 2).is_err(), "an event came twice");
    }
}
