//! What became of rooms whose server was killed and came back: what their members saw of each of its processes.
//!
//! With each welcome a server says which process of its data folder it is: its **epoch**. Crews note the first and the
//! last tick that members saw of a room in each epoch; the conductor puts these together.
//!
//! ```text
//! epoch 1   first .. last
//! epoch 2              first .. last      no tick is lost if the first is not below the last before it
//! ```

use std::collections::BTreeMap;

use serde::Serialize;

/// What came of rooms that were seen again in a later process of their server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecoveryCounts {
    /// Rooms that were, each time.
    pub rooms: u64,
    /// Ticks that members had seen, and that came after the first one they saw again.
    pub ticks_lost: u64,
    /// Views that do not lie on the course that members had seen: other bytes under a number that was seen before,
    /// or a lower tick under a higher number.
    pub hash_mismatches: u64,
}

/// The kills of a run, as whoever made them counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kills {
    /// Processes of the server that were killed.
    pub done: u64,
    /// Those of them that were killed before all bots had seen a view of theirs.
    pub in_recovery: u64,
}

/// What came of twins of the rooms, each replayed from its first record without any checkpoint, as whoever replayed them
/// counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Twins {
    /// Rooms that were replayed.
    pub rooms: u64,
    /// Records in all.
    pub records: u64,
    /// Views that members saw, and that were compared with those of the twins.
    pub views: u64,
    /// Times that something was other than it should be.
    pub differ: u64,
}

/// The ticks of one room that members saw in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// Stretches by room and epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stretches(BTreeMap<(usize, u64), Stretch>);

impl Stretches {
    /// A member of `room` saw a view of that tick.
    pub(crate) fn see(&mut self, room: usize, epoch: u64, tick: u64) {
        let (first, last) = (tick, tick);
        self.add((room, epoch), Stretch { first, last });
    }

    /// Adds what another crew saw, or the same one later.
    pub(crate) fn merge(&mut self, others: Self) {
        others
            .0
            .into_iter()
            .for_each(|(of, stretch)| self.add(of, stretch));
    }

    fn add(&mut self, of: (usize, u64), seen: Stretch) {
        let known = self.0.entry(of).or_insert(seen);
        known.first = known.first.min(seen.first);
        known.last = known.last.max(seen.last);
    }

    /// How often rooms were seen again, and how many ticks they lost.
    pub(crate) fn counts(&self) -> RecoveryCounts {
        let mut counts = RecoveryCounts::default();
        // The room, and the highest tick that was seen of it in any epoch so far.
        let mut before: Option<(usize, u64)> = None;
        for ((room, _), stretch) in &self.0 {
            let seen = before.filter(|(known, _)| known == room);
            let highest = seen.map_or(stretch.last, |(_, highest)| {
                counts.rooms += 1;
                counts.ticks_lost += highest.saturating_sub(stretch.first);
                highest.max(stretch.last)
            });
            before = Some((*room, highest));
        }
        counts
    }
}

/// The newest epoch of which bots have seen something, and how many bots saw something of it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// 0 before the first.
    pub epoch: u64,
    /// Bots; the others still look at what an earlier process showed.
    pub bots: usize,
}

impl Newest {
    /// Adds a bot, or those of another crew.
    pub(crate) fn add(&mut self, other: Self) {
        if other.epoch > self.epoch {
            *self = other;
        } else if other.epoch == self.epoch {
            self.bots += other.bots;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(views: &[(usize, u64, u64)]) -> Stretches {
        let mut stretches = Stretches::default();
        for (room, epoch, tick) in views {
            stretches.see(*room, *epoch, *tick);
        }
        stretches
    }

    fn counts(rooms: u64, ticks_lost: u64) -> RecoveryCounts {
        RecoveryCounts {
            rooms,
            ticks_lost,
            hash_mismatches: 0,
        }
    }

    #[test]
    fn a_room_that_goes_on_where_it_was_loses_nothing() {
        assert_eq!(seen(&[(0, 1, 5), (0, 1, 90)]).counts(), counts(0, 0));
        let on = [(0, 1, 5), (0, 1, 90), (0, 2, 90), (0, 4, 91), (1, 4, 7)];
        assert_eq!(seen(&on).counts(), counts(2, 0));
    }

    #[test]
    fn ticks_are_lost_from_the_highest_that_was_seen_by_anybody_at_any_time() {
        let back = [(0, 1, 90), (0, 2, 88), (0, 2, 120), (0, 3, 120)];
        assert_eq!(seen(&back).counts(), counts(2, 2));
        // The second process showed less than the first, and the third goes on from there.
        let twice = [(3, 1, 90), (3, 2, 80), (3, 3, 81)];
        assert_eq!(seen(&twice).counts(), counts(2, 10 + 9));
    }

    #[test]
    fn what_several_crews_saw_is_one_course() {
        let mut all = seen(&[(0, 1, 90), (0, 2, 101)]);
        all.merge(seen(&[(0, 1, 99), (0, 2, 95)]));
        assert_eq!(all.counts(), counts(1, 4));
    }

    #[test]
    fn only_bots_that_saw_the_newest_epoch_count() {
        let newest = |epoch, bots| Newest { epoch, bots };
        let mut sum = Newest::default();
        for other in [newest(3, 5), newest(2, 9), newest(3, 1), newest(0, 2)] {
            sum.add(other);
        }
        assert_eq!(sum, newest(3, 6));
        sum.add(newest(4, 1));
        assert_eq!(sum, newest(4, 1));
    }
}
