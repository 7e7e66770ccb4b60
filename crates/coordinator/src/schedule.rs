//! The deadline queue: what is due when, one deadline per key.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash};

use rejoin_protocol::{PlayerId, Timestamp};

use crate::keys::{RoomKey, SessionKey, Slot};

/// What may fall due in a shard. The order settles ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
///
/// A heap in which moved and cleared deadlines stay until they come to the top or are too many: no
/// allocation for each, as a tree has.
#[derive(Debug)]
pub(crate) struct Schedule<K> {
    /// The first one holds. Of the others some do not any more.
    heap: BinaryHeap<Reverse<(Timestamp, K)>>,
    /// The deadlines that hold.
    by_key: HashMap<K, Timestamp, Hashing>,
}

/// The same in each process, as all of a shard is.
type Hashing = BuildHasherDefault<DefaultHasher>;

/// Deadlines that do not hold may be as many as those that do, and these more.
const STALE_MORE: usize = 64;

impl<K: Ord + Copy + Hash> Schedule<K> {
    /// Nothing due.
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            by_key: HashMap::default(),
        }
    }

    /// Sets the deadline of `key`, or moves it.
    pub(crate) fn set(&mut self, key: K, at: Timestamp) {
        if self.by_key.insert(key, at) != Some(at) {
            self.heap.push(Reverse((at, key)));
            self.tidy();
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
        if self.by_key.remove(&key).is_some() {
            self.tidy();
        }
    }

    /// The deadline of `key`.
    pub(crate) fn get(&self, key: K) -> Option<Timestamp> {
        self.by_key.get(&key).copied()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out all that is due, earliest first.
    pub(crate) fn take_due(&mut self, now: Timestamp, due: &mut Vec<K>) {
        while let Some(Reverse((at, key))) = self.heap.peek().copied() {
            if at > now {
                return;
            }
            self.by_key.remove(&key);
            due.push(key);
            self.tidy();
        }
    }

    /// Drops what does not hold: at the top, and everywhere if it is too much.
    fn tidy(&mut self) {
        let Self { heap, by_key } = self;
        let holds = |Reverse((at, key)): &Reverse<(Timestamp, K)>| by_key.get(key) == Some(at);
        while heap.peek().is_some_and(|first| !holds(first)) {
            heap.pop();
        }
        if heap.len() > 2 * by_key.len() + STALE_MORE {
            heap.retain(holds);
        }
    }

    /// All keys, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        let keys: BTreeSet<K> = self.by_key.keys().copied().collect();
        keys.into_iter()
    }

    /// Checks that both hold the same deadlines.
    pub(crate) fn check(&self) {
        let waiting: BTreeSet<_> = self.heap.iter().map(|Reverse(entry)| *entry).collect();
        let kept = |(key, at): (&K, &Timestamp)| waiting.contains(&(*at, *key));
        assert!(self.by_key.iter().all(kept), "each deadline waits");
        let first = self.heap.peek();
        let holds = |Reverse((at, key)): &Reverse<(Timestamp, K)>| self.get(*key) == Some(*at);
        assert!(first.is_none_or(holds), "the first deadline holds");
        let most = 2 * self.by_key.len() + STALE_MORE;
        assert!(self.heap.len() <= most, "those that do not hold are few");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rejoin_protocol::Rng;

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

    #[test]
    fn whatever_is_set_moved_and_cleared_it_does_as_a_sorted_list_does() {
        for seed in 0..30 {
            let mut rng = Rng::from_number(seed);
            let mut schedule = Schedule::new();
            let mut sorted: BTreeMap<u64, Timestamp> = BTreeMap::new();
            let mut now = 0;
            for _ in 0..3_000 {
                let (key, moment) = (rng.below(100), at(now + rng.below(50)));
                match rng.below(8) {
                    0 => {
                        schedule.clear(key);
                        sorted.remove(&key);
                    }
                    1 | 2 => {
                        schedule.set_earlier(key, moment);
                        let known = sorted.entry(key).or_insert(moment);
                        *known = moment.min(*known);
                    }
                    3 => {
                        now += rng.below(10);
                        let mut expected: Vec<_> = sorted.iter().map(|(k, t)| (*t, *k)).collect();
                        expected.retain(|(moment, _)| *moment <= at(now));
                        expected.sort_unstable();
                        let expected: Vec<_> = expected.into_iter().map(|(_, key)| key).collect();
                        sorted.retain(|_, moment| *moment > at(now));
                        let mut due = Vec::new();
                        schedule.take_due(at(now), &mut due);
                        assert_eq!(due, expected);
                    }
                    _ => {
                        schedule.set(key, moment);
                        sorted.insert(key, moment);
                    }
                }
                schedule.check();
                assert_eq!(schedule.next(), sorted.values().min().copied());
                assert_eq!(schedule.get(key), sorted.get(&key).copied());
            }
        }
    }
}
