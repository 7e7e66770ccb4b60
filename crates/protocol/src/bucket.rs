//! A token bucket: how much of something a peer may do, and how far it is beyond that.
//!
//! One moment is all its state (the generic cell rate algorithm, ITU-T I.371): when everything
//! spent will have come back. The rate stays with the caller, so a million buckets cost eight bytes
//! each. Integers throughout: the same on every machine.

use std::time::Duration;

use crate::time::Timestamp;

/// What comes back to a bucket per period, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How long one takes to come back, in shares of a nanosecond: each datagram multiplies, and none divides.
    one: u64,
    /// How long a burst takes to come back, in nanoseconds.
    burst: u64,
}

/// Shares of a nanosecond, as a power of two: of a gigabyte a second each byte is known to a hundred thousandth.
const SHARE_BITS: u32 = 16;

/// What is left of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When all that was spent has come back.
    whole_at: Timestamp,
}

/// What spending did to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    /// It was there.
    Within,
    /// Below zero: a sound peer comes back from here.
    Over,
    /// More than a burst below zero: no sound peer gets here.
    Out,
}

impl Rate {
    /// `count` per second, and at most `burst` at once. A zero counts as one.
    #[must_use]
    pub const fn per_second(count: u32, burst: u32) -> Self {
        Self::new(count, burst, 1)
    }

    /// `count` per minute, and at most `burst` at once. A zero counts as one.
    #[must_use]
    pub const fn per_minute(count: u32, burst: u32) -> Self {
        Self::new(count, burst, 60)
    }

    const fn new(count: u32, burst: u32, seconds: u64) -> Self {
        let count = if count == 0 { 1 } else { count };
        let burst = if burst == 0 { 1 } else { burst };
        let period = seconds * 1_000_000_000;
        let mut rate = Self {
            one: (period << SHARE_BITS) / count as u64,
            burst: 0,
        };
        rate.burst = rate.nanos_of(burst);
        rate
    }

    /// How long `amount` takes to come back, 78 hours at most.
    const fn nanos_of(self, amount: u32) -> u64 {
        (amount as u64).saturating_mul(self.one) >> SHARE_BITS
    }
}

impl Bucket {
    /// Spends `amount`, there or not. The debt ends at one burst below zero.
    pub fn charge(&mut self, amount: u32, rate: Rate, now: Timestamp) -> Spending {
        let nanos = rate.nanos_of(amount);
        let twice = rate.burst.saturating_mul(2);
        let now = now.as_nanos();
        let whole_at = self.whole_at.as_nanos().max(now).saturating_add(nanos);
        let spent = whole_at - now;
        self.whole_at = Timestamp::from_nanos(whole_at.min(now.saturating_add(twice)));
        if spent > twice {
            Spending::Out
        } else if spent > rate.burst {
            Spending::Over
        } else {
            Spending::Within
        }
    }

    /// Spends one if it is there.
    ///
    /// # Errors
    /// It is not: after so long it will be. Nothing was spent.
    pub fn take(&mut self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        self.check(rate, now)?;
        self.charge(1, rate, now);
        Ok(())
    }

    /// True to [`Bucket::take`], but nothing is spent.
    ///
    /// # Errors
    /// After so long one will be there.
    pub fn check(&self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let now = now.as_nanos();
        let spent = self
            .whole_at
            .as_nanos()
            .max(now)
            .saturating_add(rate.nanos_of(1))
            - now;
        match spent.saturating_sub(rate.burst) {
            0 => Ok(()),
            wait => Err(Duration::from_nanos(wait)),
        }
    }

    /// When all that was spent has come back: from then on it is as good as new.
    #[must_use]
    pub const fn whole_at(self) -> Timestamp {
        self.whole_at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate::per_second(10, 5);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_burst_is_within_another_is_debt_and_the_next_is_out() {
        let mut bucket = Bucket::default();
        let mut spend = |count: usize| {
            let spendings: Vec<_> = (0..count).map(|_| bucket.charge(1, RATE, at(0))).collect();
            assert!(spendings.iter().all(|spending| *spending == spendings[0]));
            spendings[0]
        };
        assert_eq!(spend(5), Spending::Within);
        assert_eq!(spend(5), Spending::Over);
        assert_eq!(spend(3), Spending::Out);
    }

    #[test]
    fn what_was_spent_comes_back_and_no_debt_is_older_than_a_burst() {
        let mut bucket = Bucket::default();
        for _ in 0..1_000 {
            bucket.charge(7, RATE, at(0));
        }
        assert_eq!(bucket.whole_at(), at(1_000));
        assert_eq!(bucket.charge(1, RATE, at(599)), Spending::Over);
        assert_eq!(bucket.charge(1, RATE, at(700)), Spending::Within);
    }

    #[test]
    fn a_refused_take_tells_when_it_will_be_there_and_costs_nothing() {
        let mut bucket = Bucket::default();
        assert!((0..5).all(|_| bucket.take(RATE, at(0)).is_ok()));
        for _ in 0..9 {
            assert_eq!(bucket.take(RATE, at(40)), Err(Duration::from_millis(60)));
        }
        assert_eq!(bucket.take(RATE, at(99)), Err(Duration::from_millis(1)));
        assert_eq!(bucket.take(RATE, at(100)), Ok(()));
        assert!(bucket.take(RATE, at(100)).is_err());
    }

    proptest! {
        #[test]
        fn no_more_than_burst_and_rate_is_ever_within(
            steps in proptest::collection::vec((0_u64..400, 1_u32..4), 1..200),
        ) {
            let (mut bucket, mut now, mut within) = (Bucket::default(), 0, 0);
            for (wait, amount) in steps {
                now += wait;
                if bucket.charge(amount, RATE, at(now)) == Spending::Within {
                    within += u64::from(amount);
                }
                prop_assert!(within <= 5 + now / 100);
            }
        }
    }
}
