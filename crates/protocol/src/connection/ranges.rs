//! A bounded set of packet numbers, kept as ranges.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::limits::ACK_RANGES_MAX;

/// Received packet numbers. When there are too many ranges the oldest is forgotten: its
/// packets then count as lost at the sender, which is safe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    /// The newest one, most often the only one: found without a step to other memory.
    newest: Option<(u64, u64)>,
    /// Those below it, ascending, each apart from the next by at least one number.
    older: VecDeque<(u64, u64)>,
}

impl Ranges {
    pub(crate) fn insert(&mut self, number: u64) {
        let Some((start, end)) = &mut self.newest else {
            self.newest = Some((number, number));
            return;
        };
        if number > *end {
            if number == *end + 1 {
                *end = number;
            } else {
                self.older.push_back((*start, *end));
                self.newest = Some((number, number));
                self.bound();
            }
        } else if number < *start {
            if number + 1 == *start {
                *start = number;
                self.join_newest();
            } else {
                self.insert_older(number);
                self.bound();
            }
        }
    }

    /// Forgets everything up to `number`.
    pub(crate) fn remove_up_to(&mut self, number: u64) {
        while let Some((start, end)) = self.older.front_mut() {
            if *end > number {
                *start = (*start).max(number + 1);
                return;
            }
            self.older.pop_front();
        }
        if let Some((start, end)) = &mut self.newest {
            if *end > number {
                *start = (*start).max(number + 1);
            } else {
                self.newest = None;
            }
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.newest.is_some()) + self.older.len()
    }

    pub(crate) fn largest(&self) -> Option<u64> {
        self.newest.map(|(_, end)| end)
    }

    pub(crate) fn newest_first(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        let older = self.older.iter().rev().copied();
        let all = self.newest.into_iter().chain(older);
        all.map(|(start, end)| start..=end)
    }

    /// The newest range may have grown down to the one below it.
    fn join_newest(&mut self) {
        if let (Some((start, _)), Some((below, end))) = (&mut self.newest, self.older.back())
            && *end + 1 == *start
        {
            *start = *below;
            self.older.pop_back();
        }
    }

    /// Adds a number that is below the newest range and does not touch it.
    fn insert_older(&mut self, number: u64) {
        let below = self.older.iter().rposition(|&(_, end)| end < number);
        let at = below.map_or(0, |index| index + 1);
        let joins_above = match self.older.get(at) {
            Some(&(start, _)) if start <= number => return,
            Some(&(start, _)) => start - 1 == number,
            None => false,
        };
        let joins_below = below
            .and_then(|index| self.older.get(index))
            .is_some_and(|&(_, end)| end + 1 == number);
        match (joins_below, joins_above) {
            (true, true) => {
                let (_, end) = self.older.remove(at).expect("found above");
                self.set_end(at - 1, end);
            }
            (true, false) => self.set_end(at - 1, number),
            (false, true) => {
                if let Some((start, _)) = self.older.get_mut(at) {
                    *start = number;
                }
            }
            (false, false) => self.older.insert(at, (number, number)),
        }
    }

    fn bound(&mut self) {
        if self.len() > ACK_RANGES_MAX {
            self.older.pop_front();
        }
    }

    fn set_end(&mut self, index: usize, number: u64) {
        if let Some((_, end)) = self.older.get_mut(index) {
            *end = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::random::Rng;

    fn numbers(ranges: &Ranges) -> BTreeSet<u64> {
        ranges.newest_first().flatten().collect()
    }

    proptest! {
        #[test]
        fn ranges_agree_with_a_set(
            steps in prop::collection::vec((0_u64..60, prop::option::weighted(0.1, 0_u64..60)), 0..80),
        ) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for (number, cut) in steps {
                ranges.insert(number);
                set.insert(number);
                if let Some(cut) = cut {
                    ranges.remove_up_to(cut);
                    set = set.split_off(&(cut + 1));
                }
                prop_assert_eq!(numbers(&ranges), set.clone());
                prop_assert_eq!(ranges.largest(), set.last().copied());
                let apart = ranges.newest_first().zip(ranges.newest_first().skip(1));
                for (newer, older) in apart {
                    prop_assert!(older.end() + 1 < *newer.start(), "ranges are merged");
                }
            }
        }
    }

    #[test]
    fn whatever_comes_the_ranges_are_bounded_and_the_newest_stay() {
        for seed in 0..100 {
            let mut rng = Rng::from_number(seed);
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            let mut filled = false;
            let spread = 80 + rng.below(5_000);
            for step in 0..1_000 {
                let number = step / 4 + rng.below(spread);
                ranges.insert(number);
                set.insert(number);
                assert!(ranges.len() <= ACK_RANGES_MAX);
                let kept = numbers(&ranges);
                let forgotten: BTreeSet<_> = set.difference(&kept).copied().collect();
                if let Some(newest) = forgotten.last() {
                    assert!(kept.first().is_some_and(|oldest| newest < oldest));
                    assert_eq!(ranges.len(), ACK_RANGES_MAX, "only for want of room");
                    filled = true;
                }
                set = kept;
            }
            assert!(filled);
        }
    }

    #[test]
    fn the_oldest_range_is_forgotten_first() {
        let mut ranges = Ranges::default();
        (0..100).for_each(|index| ranges.insert(index * 2));
        assert_eq!(ranges.len(), ACK_RANGES_MAX);
        assert_eq!(ranges.largest(), Some(198));
        ranges.insert(0);
        assert_eq!(numbers(&ranges).first(), Some(&136), "no room below either");
    }
}
