//! Cutting messages into fragments of one fixed size, so that an index is a place.

use std::ops::Range;

use crate::connection::error::Violation;
use crate::limits::{FRAGMENT_MAX, LATEST_FRAGMENTS_MAX, RELIABLE_MAX};

/// Fragments of the longest reliable message.
pub(crate) const FRAGMENTS_MAX: usize = RELIABLE_MAX.div_ceil(FRAGMENT_MAX);
const _: () = assert!(
    FRAGMENTS_MAX <= 64,
    "a message's fragments are the bits of one word"
);
const _: () = assert!(LATEST_FRAGMENTS_MAX <= FRAGMENTS_MAX);

/// Which part of its message a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// Counts from 0.
    pub(crate) index: u8,
    /// Parts of the message, at least 1.
    pub(crate) count: u8,
}

impl Fragment {
    /// The only part of a short message.
    pub(crate) const WHOLE: Self = Self { index: 0, count: 1 };

    /// How many fragments a message of `len` bytes takes; an empty one takes one.
    pub(crate) fn count_of(len: usize) -> u8 {
        let count = len.div_ceil(FRAGMENT_MAX).max(1);
        u8::try_from(count).expect("callers bound a message to RELIABLE_MAX")
    }

    /// The bytes of a message of `len` bytes that this fragment carries.
    pub(crate) fn range(self, len: usize) -> Range<usize> {
        let start = usize::from(self.index) * FRAGMENT_MAX;
        start.min(len)..(start + FRAGMENT_MAX).min(len)
    }

    /// The least length of the message that this fragment with `len` bytes is part of.
    pub(crate) fn least(self, len: usize) -> usize {
        let before = usize::from(self.count.saturating_sub(1)) * FRAGMENT_MAX;
        if self.index + 1 == self.count {
            before + len
        } else {
            before + 1
        }
    }

    pub(crate) const fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Refuses what a sound sender never writes: a foreign index, or a part of another size.
    pub(super) fn check(self, count_max: usize, data_len: usize) -> Result<(), Violation> {
        if self.index >= self.count || usize::from(self.count) > count_max {
            return Err(Violation("fragment beyond its message"));
        }
        let sound = if self.is_whole() {
            data_len <= FRAGMENT_MAX
        } else if self.index + 1 == self.count {
            (1..=FRAGMENT_MAX).contains(&data_len)
        } else {
            data_len == FRAGMENT_MAX
        };
        if sound {
            Ok(())
        } else {
            Err(Violation("fragment of wrong size"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fragments_tile_their_message(len in 0..=RELIABLE_MAX) {
            let count = Fragment::count_of(len);
            let mut end = 0;
            for index in 0..count {
                let fragment = Fragment { index, count };
                let range = fragment.range(len);
                prop_assert_eq!(range.start, end);
                prop_assert_eq!(fragment.check(FRAGMENTS_MAX, range.len()), Ok(()));
                end = range.end;
            }
            prop_assert_eq!(end, len);
        }
    }

    #[test]
    fn senseless_fragments_are_refused() {
        let check = |index, count, len| Fragment { index, count }.check(8, len).is_ok();
        assert!(check(0, 1, 0) && check(0, 1, FRAGMENT_MAX) && check(1, 2, 1));
        assert!(!check(0, 1, FRAGMENT_MAX + 1), "too long");
        assert!(!check(1, 2, 0), "empty last");
        assert!(!check(0, 2, FRAGMENT_MAX - 1), "short first");
        assert!(!check(2, 2, 5) && !check(0, 0, 0), "index beyond count");
        assert!(!check(0, 9, FRAGMENT_MAX), "too many");
    }
}
