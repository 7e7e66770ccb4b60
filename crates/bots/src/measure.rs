//! Distributions of durations.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest duration told apart: a minute, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// A distribution in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// Durations measured.
    pub count: u64,
    /// Half are below.
    pub p50_ms: f64,
    /// Nine of ten are below.
    pub p90_ms: f64,
    /// All but one in a hundred are below.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// Collects durations to within 0.1 %.
#[derive(Debug)]
pub(crate) struct Measure {
    histogram: Histogram<u64>,
}

impl Measure {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, 3)
            .expect("the bounds are constants that the histogram takes");
        Self { histogram }
    }

    pub(crate) fn add(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(micros);
    }

    pub(crate) fn clear(&mut self) {
        self.histogram.reset();
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        if self.histogram.is_empty() {
            return Percentiles::default();
        }
        Percentiles {
            count: self.histogram.len(),
            p50_ms: millis(self.histogram.value_at_quantile(0.50)),
            p90_ms: millis(self.histogram.value_at_quantile(0.90)),
            p99_ms: millis(self.histogram.value_at_quantile(0.99)),
            max_ms: millis(self.histogram.max()),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a minute of microseconds is far below 2^53"
)]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_told_in_milliseconds() {
        let mut measure = Measure::new();
        assert_eq!(measure.percentiles(), Percentiles::default());
        for millis in 1..=100 {
            measure.add(Duration::from_millis(millis));
        }
        measure.add(Duration::from_secs(600));
        let found = measure.percentiles();
        assert_eq!(found.count, 101);
        assert!((50.0..52.0).contains(&found.p50_ms), "{found:?}");
        assert!((99.0..101.0).contains(&found.p99_ms), "{found:?}");
        assert!((59_000.0..61_000.0).contains(&found.max_ms), "{found:?}");
    }
}
