//! The window that drops packets seen before.
//!
//! Checked before decryption, because that is cheap; advanced after it, because only then
//! is the number known to be the peer's.

use crate::limits::REPLAY_WINDOW;
use crate::planted::{self, Bug};

const WORD_BITS: u64 = 64;
const WORDS: usize = 16;
const _: () = assert!(WORDS as u64 * WORD_BITS == REPLAY_WINDOW);

/// Which of the newest [`REPLAY_WINDOW`] packet numbers have been received.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct ReplayWindow {
    /// The number after the newest one received.
    expected: u64,
    /// A ring of bits: the one of a number is at the number modulo the window.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// The number after the newest one received.
    #[must_use]
    pub const fn expected(&self) -> u64 {
        self.expected
    }

    /// True if a packet of this number may be new.
    #[must_use]
    pub fn admits(&self, number: u64) -> bool {
        if number >= self.expected {
            return true;
        }
        if planted::is(Bug::ReplayAccepted) {
            return true;
        }
        self.expected - number <= REPLAY_WINDOW && !self.has(number)
    }

    /// Remembers an authentic packet; its number is at most [`NUMBER_MAX`](super::NUMBER_MAX).
    pub fn insert(&mut self, number: u64) {
        let expected = self.expected;
        if number >= expected {
            if number - expected >= REPLAY_WINDOW {
                self.seen = [0; WORDS];
            } else {
                (expected..number).for_each(|skipped| self.set(skipped, false));
            }
            self.expected = number + 1;
        }
        // The bit of anything older than the window now stands for a newer number.
        if expected.saturating_sub(number) <= REPLAY_WINDOW {
            self.set(number, true);
        }
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.seen.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, number: u64, seen: bool) {
        let (word, bit) = place(number);
        let word = self
            .seen
            .get_mut(word)
            .expect("a number modulo the window has a word");
        if seen {
            *word |= bit;
        } else {
            *word &= !bit;
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let index = number % REPLAY_WINDOW;
    let word = usize::try_from(index / WORD_BITS).expect("the window has few words");
    (word, 1 << (index % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::packet::NUMBER_MAX;

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set_of_all_numbers(
            start in prop_oneof![Just(0_u64), Just(NUMBER_MAX - 10_000), 0_u64..1 << 40],
            steps in prop::collection::vec((0_u64..1_500, 0_u64..1_500), 1..300),
        ) {
            let mut window = ReplayWindow::default();
            let mut seen = BTreeSet::new();
            let mut top = start;
            for (ahead, back) in steps {
                let number = top.saturating_add(ahead % 40).saturating_sub(back);
                let newest = seen.last().copied();
                let admits = newest.is_none_or(|newest| {
                    number > newest || newest - number < REPLAY_WINDOW && !seen.contains(&number)
                });
                prop_assert_eq!(window.admits(number), admits);
                if admits {
                    window.insert(number);
                    seen.insert(number);
                    prop_assert!(!window.admits(number));
                }
                top = top.max(number).saturating_add(ahead / 10);
            }
        }
    }

    #[test]
    fn both_sides_of_the_window_edge() {
        let mut window = ReplayWindow::default();
        window.insert(5_000);
        assert!(window.admits(5_000 - REPLAY_WINDOW + 1));
        assert!(!window.admits(5_000 - REPLAY_WINDOW));
        assert_eq!(window.expected(), 5_001);
    }
}
