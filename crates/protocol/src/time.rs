//! Moments as plain numbers, so that the simulator and a replay own the clock.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A moment: nanoseconds since an origin that the caller chooses once per process.
///
/// Only differences mean anything. 2^64 ns are 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// One more than the nanoseconds, so that a moment that may be none takes no more place.
    NonZeroU64,
);

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.as_nanos()).finish()
    }
}

impl Timestamp {
    /// The origin.
    pub const ZERO: Self = Self::from_nanos(0);

    /// The moment `nanos` nanoseconds after the origin, 2^64 - 2 at most.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// The moment `millis` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_nanos(millis * 1_000_000)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Whole microseconds since the origin.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.as_nanos() / 1_000
    }

    /// Whole milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.as_nanos() / 1_000_000
    }

    /// The first of several moments, if there are any.
    #[must_use]
    pub(crate) fn first_of<const N: usize>(moments: [Option<Self>; N]) -> Option<Self> {
        // Numbers alone: each packet asks, and no branch has to be guessed.
        let never = Self(NonZeroU64::MAX);
        let first = moments.map(|it| it.unwrap_or(never)).into_iter().min();
        first.filter(|first| *first != never)
    }

    /// Time passed since `earlier`, zero if `earlier` lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self::from_nanos(self.as_nanos().saturating_sub(nanos(span)))
    }
}

/// All nanoseconds of a span, as far as 64 bits count; each packet adds several.
pub(crate) const fn nanos(span: Duration) -> u64 {
    span.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(span.subsec_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_no_moments_is_none() {
        let at = |millis| Some(Timestamp::from_millis(millis));
        assert_eq!(Timestamp::first_of([None, at(7), at(5), None]), at(5));
        assert_eq!(Timestamp::first_of([None, None]), None);
    }

    #[test]
    fn moments_saturate_instead_of_wrapping() {
        let early = Timestamp::from_millis(5);
        let late = early + Duration::from_millis(7);
        assert_eq!(late.since(early), Duration::from_millis(7));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early - Duration::from_secs(1), Timestamp::ZERO);
        assert_eq!((late + Duration::MAX).as_nanos(), u64::MAX - 1);
        assert_eq!(Timestamp::from_nanos(u64::MAX), late + Duration::MAX);
        assert_eq!(size_of::<Option<Timestamp>>(), size_of::<Timestamp>());
    }
}
