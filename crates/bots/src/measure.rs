//! Distributions of durations.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest duration told apart: a minute, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// A distribution in microseconds, each figure to within 0.1 %; 0 where nothing was measured.
/// A minute stands for all that is longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Percentiles {
    /// Durations measured.
    pub count: u64,
    /// Half are at most this.
    pub p50_us: u64,
    /// Nine of ten are at most this.
    pub p90_us: u64,
    /// All but one in a hundred are at most this.
    pub p99_us: u64,
    /// All but one in a thousand are at most this.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// How many durations lie between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Bucket {
    /// The shortest that belongs to it.
    pub from_us: u64,
    /// The shortest that no longer does.
    pub to_us: u64,
    /// How many do.
    pub count: u64,
}

/// Collects durations to within 0.1 %.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    histogram: Histogram<u64>,
}

impl Default for Measure {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, 3)
            .expect("the bounds are constants that the histogram takes");
        Self { histogram }
    }
}

impl Measure {
    /// Adds all that another has collected.
    pub(crate) fn merge(&mut self, other: &Self) {
        let added = self.histogram.add(&other.histogram);
        added.expect("all have the same bounds");
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(micros);
    }

    pub(crate) fn clear(&mut self) {
        self.histogram.reset();
    }

    /// What was measured in buckets that grow by a fifth each, from the shortest to the longest.
    pub(crate) fn buckets(&self) -> Vec<Bucket> {
        let mut buckets = Vec::new();
        if self.histogram.is_empty() {
            return buckets;
        }
        let max = self.histogram.max();
        let mut from_us = self.histogram.min();
        while from_us <= max {
            let to_us = from_us + (from_us / 5).max(1);
            let count = self.histogram.count_between(from_us, to_us - 1);
            buckets.push(Bucket {
                from_us,
                to_us,
                count,
            });
            from_us = to_us;
        }
        buckets
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        if self.histogram.is_empty() {
            return Percentiles::default();
        }
        // The longest as it was: a percentile is the upper end of its bucket, and may lie above it.
        let max_us = self.histogram.max();
        let at = |quantile| self.histogram.value_at_quantile(quantile).min(max_us);
        Percentiles {
            count: self.histogram.len(),
            p50_us: at(0.50),
            p90_us: at(0.90),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_told_in_microseconds() {
        let mut measure = Measure::default();
        assert_eq!(measure.percentiles(), Percentiles::default());
        for millis in 1..=2_000 {
            measure.add(Duration::from_millis(millis));
        }
        measure.add(Duration::from_secs(600));
        let found = measure.percentiles();
        let buckets = measure.buckets();
        assert!(buckets.len() < 100, "{}", buckets.len());
        let pairs = || buckets.iter().zip(buckets.iter().skip(1));
        assert!(pairs().all(|(a, b)| a.to_us == b.from_us));
        let near = |found: u64, wanted: u64| found.abs_diff(wanted * 1_000) <= 2 * wanted;
        assert_eq!(found.count, 2_001);
        assert!(near(found.p50_us, 1_001), "{found:?}");
        assert!(near(found.p90_us, 1_801), "{found:?}");
        assert!(near(found.p99_us, 1_981), "{found:?}");
        assert!(near(found.p999_us, 1_999), "{found:?}");
        assert!(near(found.max_us, 60_000), "{found:?}");
    }

    #[test]
    fn distributions_of_several_crews_make_up_one() {
        let (mut one, mut parts) = (Measure::default(), [(); 3].map(|()| Measure::default()));
        for micros in 0..3_000 {
            let span = Duration::from_micros(micros * micros);
            one.add(span);
            parts[usize::try_from(micros % 3).unwrap()].add(span);
        }
        let mut all = Measure::default();
        parts.iter().for_each(|part| all.merge(part));
        assert_eq!(all.percentiles(), one.percentiles());
        assert_eq!(all.buckets(), one.buckets());
    }
}
