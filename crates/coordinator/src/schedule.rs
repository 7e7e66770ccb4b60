//! The deadline queue: what is due when, one deadline per key.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash};

use rejoin_protocol::{PlayerId, Timestamp};

use crate::keys::{Key, RoomKey, SessionKey, Slot};
use crate::wheel::Wheel;

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
    /// A client's ticket is half used up.
    Ticket(SessionKey),
    /// A detached player's seat is given up.
    Hold(RoomKey, PlayerId),
    /// A room's tick, timer, view, checkpoint or end.
    Room(RoomKey),
}

/// A key, as the schedule finds its deadline.
pub(crate) trait Scheduled: Ord + Copy + Hash {
    /// How many tables there are.
    const TABLES: usize;

    /// The table and the place in it of things that a slab numbers; `None` for rare ones, which are looked
    /// up by hash.
    fn place(self) -> Option<(usize, usize)>;

    /// True if the deadline moves later all the time, and each move is told by [`Schedule::set_earlier`].
    fn moves(self) -> bool;
}

impl Scheduled for Due {
    const TABLES: usize = 6;

    fn place(self) -> Option<(usize, usize)> {
        let (table, index) = match self {
            Self::Join(slot) => (0, slot.index()),
            Self::Timers(slot) => (1, slot.index()),
            Self::Gone(slot) => (2, slot.index()),
            Self::Idle(session) => (3, session.index()),
            Self::Room(room) => (4, room.index()),
            Self::Ticket(session) => (5, session.index()),
            Self::Hold(_, _) => return None,
        };
        Some((table, usize::try_from(index).ok()?))
    }

    fn moves(self) -> bool {
        matches!(self, Self::Timers(_))
    }
}

/// Deadlines by key.
///
/// Moved and cleared deadlines stay in the wheel until they come up or are too many. Which of them hold is written
/// down apart, in tables.
#[derive(Debug)]
pub(crate) struct Schedule<K> {
    wheel: Wheel<K>,
    holding: Holding<K>,
    /// Memory of one call: what came up.
    taken: Vec<(Timestamp, K)>,
}

/// The deadlines that hold.
#[derive(Debug)]
struct Holding<K> {
    tables: Vec<Vec<Option<Deadline>>>,
    others: HashMap<K, Deadline, Hashing>,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    /// When it comes up.
    at: Timestamp,
    /// When it is due: later than that if it has moved since.
    due: Timestamp,
}

/// The same in each process, as all of a shard is.
type Hashing = BuildHasherDefault<DefaultHasher>;

/// Deadlines that do not hold may be as many as those that do, and these more.
const STALE_MORE: usize = 64;

impl<K: Scheduled> Schedule<K> {
    /// Nothing due.
    pub(crate) fn new() -> Self {
        Self {
            wheel: Wheel::new(),
            holding: Holding::new(),
            taken: Vec::new(),
        }
    }

    /// Sets the deadline of `key`, or moves it.
    pub(crate) fn set(&mut self, key: K, at: Timestamp) {
        let before = self.holding.insert(key, Deadline { at, due: at });
        if before.is_none_or(|before| before.at != at) {
            self.wheel.push((at, key));
            self.tidy();
        }
    }

    /// Sets the deadline of `key` unless an earlier one stands. If the key [moves](Scheduled::moves), that one
    /// only comes up and is put off to `at`: one step for many datagrams.
    pub(crate) fn set_earlier(&mut self, key: K, at: Timestamp) {
        match self.holding.get_mut(key) {
            Some(standing) if standing.at <= at => {
                if key.moves() {
                    standing.due = at;
                }
            }
            Some(_) | None => self.set(key, at),
        }
    }

    /// Takes the deadline of `key` back.
    pub(crate) fn clear(&mut self, key: K) {
        if self.holding.remove(key).is_some() {
            self.tidy();
        }
    }

    /// When the deadline of `key` comes up.
    #[cfg(test)]
    pub(crate) fn get(&self, key: K) -> Option<Timestamp> {
        self.holding.get(key).map(|deadline| deadline.at)
    }

    /// When the earliest deadline comes up.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.wheel.first(|entry| self.holding.holds(entry))
    }

    /// Takes out all that is due, earliest first.
    pub(crate) fn take_due(&mut self, now: Timestamp, due: &mut Vec<K>) {
        let Self {
            wheel,
            holding,
            taken,
        } = self;
        wheel.take_until(now, |(at, key)| match holding.get_mut(key) {
            Some(deadline) if deadline.at == at && deadline.due > now => {
                deadline.at = deadline.due;
                Some(deadline.due)
            }
            Some(deadline) if deadline.at == at => {
                holding.remove(key);
                taken.push((at, key));
                None
            }
            Some(_) | None => None,
        });
        taken.sort_unstable();
        due.extend(taken.drain(..).map(|(_, key)| key));
        self.tidy();
    }

    /// Drops what does not hold if it is too much.
    fn tidy(&mut self) {
        let most = 2 * self.holding.count + STALE_MORE;
        self.wheel.tidy(most, |entry| self.holding.holds(entry));
    }

    /// All keys, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = K> {
        let holding = self.wheel.iter().filter(|entry| self.holding.holds(entry));
        let keys: BTreeSet<K> = holding.map(|(_, key)| *key).collect();
        keys.into_iter()
    }

    /// Checks that wheel and tables hold the same deadlines.
    pub(crate) fn check(&self) {
        let keys = self.keys().count();
        assert_eq!(keys, self.holding.count, "each deadline waits");
        assert_eq!(keys, self.holding.recount(), "each deadline is counted");
        let holding = self.wheel.iter().filter(|entry| self.holding.holds(entry));
        let first = holding.map(|(at, _)| *at).min();
        assert_eq!(self.next(), first, "the first deadline that holds is next");
        let most = 2 * self.holding.count + STALE_MORE;
        assert!(self.wheel.len() <= most, "those that do not hold are few");
    }
}

impl<K: Scheduled> Holding<K> {
    fn new() -> Self {
        let tables = std::iter::repeat_with(Vec::new).take(K::TABLES);
        Self {
            tables: tables.collect(),
            others: HashMap::default(),
            count: 0,
        }
    }

    fn get(&self, key: K) -> Option<&Deadline> {
        match key.place() {
            Some((table, index)) => self.tables.get(table)?.get(index)?.as_ref(),
            None => self.others.get(&key),
        }
    }

    fn get_mut(&mut self, key: K) -> Option<&mut Deadline> {
        match key.place() {
            Some((table, index)) => self.tables.get_mut(table)?.get_mut(index)?.as_mut(),
            None => self.others.get_mut(&key),
        }
    }

    /// Gives the one before.
    fn insert(&mut self, key: K, deadline: Deadline) -> Option<Deadline> {
        let before = match key.place() {
            Some((table, index)) => {
                let table = self.tables.get_mut(table).expect("keys name their tables");
                if table.len() <= index {
                    table.resize(index + 1, None);
                }
                let place = table.get_mut(index).expect("there is room for it now");
                place.replace(deadline)
            }
            None => self.others.insert(key, deadline),
        };
        self.count += usize::from(before.is_none());
        before
    }

    fn remove(&mut self, key: K) -> Option<Deadline> {
        let removed = match key.place() {
            Some((table, index)) => self.tables.get_mut(table)?.get_mut(index)?.take(),
            None => self.others.remove(&key),
        };
        self.count -= usize::from(removed.is_some());
        removed
    }

    fn holds(&self, (at, key): &(Timestamp, K)) -> bool {
        self.get(*key).is_some_and(|deadline| deadline.at == *at)
    }

    fn recount(&self) -> usize {
        self.tables.iter().flatten().flatten().count() + self.others.len()
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

    impl Scheduled for char {
        const TABLES: usize = 0;

        fn place(self) -> Option<(usize, usize)> {
            None
        }

        fn moves(self) -> bool {
            false
        }
    }

    /// Two of three are in tables; the second of each three moves.
    impl Scheduled for u64 {
        const TABLES: usize = 2;

        fn place(self) -> Option<(usize, usize)> {
            let table = usize::try_from(self % 3).unwrap();
            (table < 2).then(|| (table, usize::try_from(self / 3).unwrap()))
        }

        fn moves(self) -> bool {
            self % 3 == 1
        }
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
    fn one_that_moves_away_and_back_stands_once() {
        let mut schedule = Schedule::new();
        for round in 0..1_000 {
            schedule.set('a', at(5 + round % 2));
            schedule.check();
        }
        let mut due = Vec::new();
        schedule.take_due(at(9), &mut due);
        assert_eq!((due.as_slice(), schedule.next()), (&['a'][..], None));
    }

    #[test]
    fn a_deadline_that_moves_is_due_when_it_was_last_said_to_be() {
        let mut schedule = Schedule::new();
        let mut due = Vec::new();
        for (key, moves) in [(1, true), (0, false), (2, false)] {
            schedule.set_earlier(key, at(5));
            schedule.set_earlier(key, at(8));
            schedule.set_earlier(key, at(7));
            assert_eq!(schedule.next(), Some(at(5)), "it comes up");
            schedule.take_due(at(6), &mut due);
            assert_eq!(due.drain(..).next(), (!moves).then_some(key));
            assert_eq!(schedule.next(), moves.then_some(at(7)));
            schedule.check();
            schedule.take_due(at(7), &mut due);
            assert_eq!(due.drain(..).next(), moves.then_some(key));
        }
    }

    #[test]
    fn whatever_is_set_moved_and_cleared_it_does_as_a_sorted_list_does() {
        for seed in 0..30 {
            let mut rng = Rng::from_number(seed);
            let mut schedule = Schedule::new();
            let mut sorted: BTreeMap<u64, Timestamp> = BTreeMap::new();
            let mut now = 0;
            for _ in 0..3_000 {
                // Near ones, and far ones too.
                let span = if seed % 2 == 0 { 50 } else { 2_000 };
                let (key, moment) = (rng.below(100), at(now + rng.below(span)));
                match rng.below(8) {
                    0 => {
                        schedule.clear(key);
                        sorted.remove(&key);
                    }
                    1 | 2 => {
                        schedule.set_earlier(key, moment);
                        let known = sorted.entry(key).or_insert(moment);
                        *known = if key.moves() {
                            moment
                        } else {
                            moment.min(*known)
                        };
                    }
                    3 => {
                        now += rng.below(span / 5);
                        let mut expected: Vec<_> = sorted.iter().map(|(k, t)| (*t, *k)).collect();
                        expected.retain(|(moment, _)| *moment <= at(now));
                        expected.sort_unstable();
                        let mut expected: Vec<_> =
                            expected.into_iter().map(|(_, key)| key).collect();
                        sorted.retain(|_, moment| *moment > at(now));
                        let mut due = Vec::new();
                        schedule.take_due(at(now), &mut due);
                        // Those that moved come up when they were first to.
                        let in_order = |keys: &[u64]| -> Vec<_> {
                            keys.iter().filter(|key| !key.moves()).copied().collect()
                        };
                        assert_eq!(in_order(&due), in_order(&expected));
                        due.sort_unstable();
                        expected.sort_unstable();
                        assert_eq!(due, expected);
                    }
                    _ => {
                        schedule.set(key, moment);
                        sorted.insert(key, moment);
                    }
                }
                schedule.check();
                let first = sorted.values().min().copied();
                assert!(schedule.next() <= first, "it comes up in time");
                assert_eq!(schedule.next().is_some(), first.is_some());
                let comes_up = schedule.get(key);
                assert_eq!(comes_up.is_some(), sorted.contains_key(&key));
                assert!(comes_up <= sorted.get(&key).copied());
                assert!(key.moves() || comes_up == sorted.get(&key).copied());
            }
        }
    }
}
