//! Amounts per second of a run of bots, over the last second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rejoin_bots::Progress;

/// Rates are taken over this long.
const WINDOW: Duration = Duration::from_secs(1);

/// Amounts per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) inputs: u64,
    pub(crate) snapshots: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

/// Watches the amounts of a run.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    /// As it was, oldest first: one that is a window old, and those since.
    marks: VecDeque<(Instant, Amounts)>,
    pub(crate) per_second: Amounts,
}

impl Rates {
    /// Takes a newer state of the run.
    pub(crate) fn take(&mut self, progress: &Progress, now: Instant) {
        let newest = Amounts {
            inputs: progress.inputs.reliable + progress.inputs.latest,
            snapshots: progress.snapshots.full + progress.snapshots.delta,
            bytes_up: progress.traffic.bytes_up,
            bytes_down: progress.traffic.bytes_down,
        };
        self.mark(newest, now);
    }

    fn mark(&mut self, newest: Amounts, now: Instant) {
        self.marks.push_back((now, newest));
        let is_old = |at: Instant| now.duration_since(at) >= WINDOW;
        while self.marks.get(1).is_some_and(|(next, _)| is_old(*next)) {
            self.marks.pop_front();
        }
        let Some((at, first)) = self.marks.front() else {
            return;
        };
        let passed = now.duration_since(*at);
        if passed < WINDOW / 4 {
            return;
        }
        let rate =
            |of: fn(&Amounts) -> u64| per_second(of(&newest).saturating_sub(of(first)), passed);
        self.per_second = Amounts {
            inputs: rate(|amounts| amounts.inputs),
            snapshots: rate(|amounts| amounts.snapshots),
            bytes_up: rate(|amounts| amounts.bytes_up),
            bytes_down: rate(|amounts| amounts.bytes_down),
        };
    }
}

fn per_second(count: u64, passed: Duration) -> u64 {
    let micros = passed.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second_whatever_the_window() {
        assert_eq!(per_second(30, Duration::from_millis(500)), 60);
        assert_eq!(per_second(30, Duration::from_secs(2)), 15);
        assert_eq!(per_second(0, Duration::ZERO), 0);
    }

    #[test]
    fn rates_are_of_the_last_second_alone() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        for tenth in 0..=40 {
            // Nothing for two seconds, then a hundred each tenth.
            let inputs = 100_u64 * u64::from(tenth).saturating_sub(20);
            let amounts = Amounts {
                inputs,
                ..Amounts::default()
            };
            rates.mark(amounts, start + Duration::from_millis(100) * tenth);
        }
        assert_eq!(rates.per_second.inputs, 1_000);
        assert!(rates.marks.len() <= 12, "{}", rates.marks.len());
    }
}
