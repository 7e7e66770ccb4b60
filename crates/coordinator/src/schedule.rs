//! The deadline queue: what is due when, one deadline per key.

use std::collections::{BTreeMap, BTreeSet};

use rejoin_protocol::{PlayerId, Timestamp};

use crate::keys::{RoomKey, SessionKey, Slot};

/// What may fall due in a shard. The order settles ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A join that no packet confirmed is forgotten.
    Join(Slot),
    /// A connection's own timers.
    Timers(Slot),
    /// A connection that was silent for too long, or closed for long enough, is dropped.
    Gone(Slot),
    /// A session has had no seat for too long.
    Idle(SessionKey),
    /// A detached player's seat is given up.
    Hold(RoomKey, PlayerId),
    /// A room's tick, timer, view, checkpoint or end.
    Room(RoomKey),
}

/// Deadlines by key.
#[derive(Debug)]
pub(crate) struct Schedule<K> {
    by_time: BTreeSet<(Timestamp, K)>,
    by_key: BTreeMap<K, Timestamp>,
}

impl<K: Ord + Copy> Schedule<K> {
    /// Nothing due.
    pub(crate) const fn new() -> Self {
        Self {
            by_time: BTreeSet::new(),
            by_key: BTreeMap::new(),
        }
    }

    /// Sets the deadline of `key`, or moves it.
    pub(crate) fn set(&mut self, key: K, at: Timestamp) {
        match self.by_key.insert(key, at) {
            Some(before) if before == at => {}
            Some(before) => {
                self.by_time.remove(&(before, key));
                self.by_time.insert((at, key));
            }
            None => {
                self.by_time.insert((at, key));
            }
        }
    }

    /// Sets the deadline of `key` unless an earlier one stands.
    pub(crate) fn set_earlier(&mut self, key: K, at: Timestamp) {
        if self.get(key).is_none_or(|before| at < before) {
            self.set(key, at);
        }
    }

    /// Takes the deadline of `key` back.
    pub(crate) fn clear(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// The deadline of `key`.
    pub(crate) fn get(&self, key: K) -> Option<Timestamp> {
        self.by_key.get(&key).copied()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out all that is due, earliest first.
    pub(crate) fn take_due(&mut self, now: Timestamp, due: &mut Vec<K>) {
        while let Some((at, key)) = self.by_time.first().copied() {
            if at > now {
                return;
            }
            self.by_time.pop_first();
            self.by_key.remove(&key);
            due.push(key);
        }
    }

    /// All keys, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        self.by_key.keys().copied()
    }

    /// Checks that both indexes agree.
    pub(crate) fn check(&self) {
        assert_eq!(
            self.by_key.len(),
            self.by_time.len(),
            "one deadline per key"
        );
        assert!(
            self.by_key
                .iter()
                .all(|(key, at)| self.by_time.contains(&(*at, *key))),
            "both indexes hold the same deadlines"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn what_is_due_comes_earliest_first_and_once() {
        let mut schedule = Schedule::new();
        schedule.set('b', at(5));
        schedule.set('a', at(5));
        schedule.set('c', at(1));
        schedule.set('d', at(9));
        let mut due = Vec::new();
        schedule.take_due(at(5), &mut due);
        schedule.take_due(at(5), &mut due);
        assert_eq!(due, ['c', 'a', 'b']);
        assert_eq!(schedule.next(), Some(at(9)));
        schedule.check();
    }

    #[test]
    fn a_moved_deadline_holds_and_a_cleared_one_does_not() {
        let mut schedule = Schedule::new();
        schedule.set('a', at(5));
        schedule.set('a', at(8));
        schedule.set_earlier('a', at(9));
        assert_eq!(schedule.get('a'), Some(at(8)));
        schedule.set_earlier('a', at(2));
        assert_eq!(schedule.next(), Some(at(2)));
        schedule.clear('a');
        assert_eq!((schedule.next(), schedule.get('a')), (None, None));
        schedule.check();
    }
}
