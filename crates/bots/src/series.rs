//! A run over time: its play cut into windows.

use std::time::Duration;

use rejoin_protocol::Timestamp;
use serde::Serialize;

use crate::measure::{Measure, Percentiles};

/// Windows of a run at most, but for one that is cut short: as many as a chart can show.
const WINDOWS_MAX: u32 = 240;
/// Shortest window: in less there is little to measure.
const WINDOW_MIN: Duration = Duration::from_secs(1);

/// What happened within one window of play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Its end, in microseconds since the start of play.
    pub at_us: u64,
    /// How long it was, in microseconds.
    pub length_us: u64,
    /// What went through in it.
    pub amounts: Amounts,
    /// Round trips that ended in it.
    pub rtt: Percentiles,
    /// Inputs that were seen in it to be applied.
    pub input: Percentiles,
}

/// Amounts of a window, or of a whole run up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Inputs sent.
    pub inputs: u64,
    /// Snapshots received.
    pub snapshots: u64,
    /// Bytes sent.
    pub bytes_up: u64,
    /// Bytes received.
    pub bytes_down: u64,
}

/// The windows of a run, over all of its crews.
#[derive(Debug)]
pub(crate) struct Series {
    every: Duration,
    start: Timestamp,
    began: Timestamp,
    /// When the window that is open ends. Planned from the start, so that no window shifts the next.
    due: Timestamp,
    before: Amounts,
    rtt: Measure,
    input: Measure,
    windows: Vec<Window>,
}

impl Series {
    /// Windows for so long a play.
    pub(crate) fn new(play_for: Duration) -> Self {
        Self {
            every: (play_for / WINDOWS_MAX).max(WINDOW_MIN),
            start: Timestamp::ZERO,
            began: Timestamp::ZERO,
            due: Timestamp::ZERO,
            before: Amounts::default(),
            rtt: Measure::default(),
            input: Measure::default(),
            windows: Vec::new(),
        }
    }

    /// Play starts, with these amounts behind it.
    pub(crate) fn start(&mut self, now: Timestamp, before: Amounts) {
        (self.start, self.began, self.before) = (now, now, before);
        self.due = now + self.every;
        self.rtt.clear();
        self.input.clear();
    }

    /// Adds what a crew measured within the window that is open.
    pub(crate) fn add(&mut self, rtt: &Measure, input: &Measure) {
        self.rtt.merge(rtt);
        self.input.merge(input);
    }

    /// True if the window that is open has lasted long enough.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now >= self.due
    }

    /// Ends the window that is open; `total` are the amounts of the run so far.
    pub(crate) fn end_window(&mut self, now: Timestamp, total: Amounts) {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let length_us = micros(now.since(self.began));
        if length_us == 0 {
            return;
        }
        self.windows.push(Window {
            at_us: micros(now.since(self.start)),
            length_us,
            amounts: total.since(self.before),
            rtt: self.rtt.percentiles(),
            input: self.input.percentiles(),
        });
        (self.began, self.before) = (now, total);
        while self.due <= now {
            self.due += self.every;
        }
        self.rtt.clear();
        self.input.clear();
    }

    pub(crate) fn into_windows(self) -> Vec<Window> {
        self.windows
    }
}

impl Amounts {
    const fn since(self, before: Self) -> Self {
        Self {
            inputs: self.inputs.saturating_sub(before.inputs),
            snapshots: self.snapshots.saturating_sub(before.snapshots),
            bytes_up: self.bytes_up.saturating_sub(before.bytes_up),
            bytes_down: self.bytes_down.saturating_sub(before.bytes_down),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_tells_of_itself_alone() {
        let mut series = Series::new(Duration::from_secs(10));
        let total = |inputs| Amounts {
            inputs,
            ..Amounts::default()
        };
        series.start(Timestamp::from_millis(500), total(7));
        assert!(!series.is_due(Timestamp::from_millis(1_499)));
        for (end, inputs, latency) in [(1_500, 10, 3), (2_600, 30, 9)] {
            let now = Timestamp::from_millis(end);
            let mut rtt = Measure::default();
            rtt.add(Duration::from_millis(latency));
            series.add(&rtt, &Measure::default());
            assert!(series.is_due(now));
            series.end_window(now, total(inputs));
            assert!(!series.is_due(now));
        }
        // One that ended late does not shift the next.
        assert!(!series.is_due(Timestamp::from_millis(3_499)));
        assert!(series.is_due(Timestamp::from_millis(3_500)));
        let windows = series.into_windows();
        let told = |window: &Window| {
            let Window {
                at_us, length_us, ..
            } = *window;
            (at_us, length_us, window.amounts.inputs, window.rtt.count)
        };
        let told: Vec<_> = windows.iter().map(told).collect();
        assert_eq!(
            told,
            [(1_000_000, 1_000_000, 3, 1), (2_100_000, 1_100_000, 20, 1)]
        );
        assert!(windows[1].rtt.p50_us > 2 * windows[0].rtt.p50_us);
    }

    #[test]
    fn a_long_run_has_no_more_windows_than_a_chart_can_show() {
        let series = Series::new(Duration::from_secs(86_400));
        assert_eq!(series.every, Duration::from_secs(360));
    }
}
