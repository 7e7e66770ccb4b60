//! What a run counts while it plays.

use std::time::Duration;

use crate::measure::{Measure, Percentiles};
use crate::report::{Cause, Failure, Snapshots};

/// Different failures kept; more are only counted.
const FAILURES_KEPT: usize = 32;

/// Counters and distributions of a run.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) planned: u64,
    pub(crate) snapshots: Snapshots,
    pub(crate) events: u64,
    pub(crate) join: Measure,
    pub(crate) rtt: Measure,
    pub(crate) lateness: Measure,
    input: Measure,
    input_window: Measure,
    pub(crate) input_now: Percentiles,
    pub(crate) rtt_now: Percentiles,
    pub(crate) failures: Vec<Failure>,
    pub(crate) failures_total: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            planned: 0,
            snapshots: Snapshots::default(),
            events: 0,
            join: Measure::new(),
            rtt: Measure::new(),
            lateness: Measure::new(),
            input: Measure::new(),
            input_window: Measure::new(),
            input_now: Percentiles::default(),
            rtt_now: Percentiles::default(),
            failures: Vec::new(),
            failures_total: 0,
        }
    }

    pub(crate) fn input(&mut self, latency: Duration) {
        self.input.add(latency);
        self.input_window.add(latency);
    }

    pub(crate) fn input_percentiles(&self) -> Percentiles {
        self.input.percentiles()
    }

    /// Ends a window of sampling; `rtts` are those of the links now.
    pub(crate) fn sample(&mut self, rtts: impl Iterator<Item = Duration>) {
        let mut window = Measure::new();
        for rtt in rtts {
            window.add(rtt);
            self.rtt.add(rtt);
        }
        self.rtt_now = window.percentiles();
        self.input_now = self.input_window.percentiles();
        self.input_window.clear();
    }

    pub(crate) fn fail(&mut self, bot: Option<usize>, cause: Cause, text: impl Into<String>) {
        self.failures_total += 1;
        let text = text.into();
        let same = |known: &&mut Failure| known.cause == cause && known.text == text;
        if let Some(known) = self.failures.iter_mut().find(same) {
            known.times += 1;
        } else if self.failures.len() < FAILURES_KEPT {
            self.failures.push(Failure {
                bot,
                times: 1,
                cause,
                text,
            });
        }
    }
}
