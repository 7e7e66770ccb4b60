//! What a run counts while it plays.

use std::time::Duration;

use crate::measure::{Bucket, Measure, Percentiles};
use crate::options::Options;
use crate::report::{Cause, Failure, Joins, Snapshots};
use crate::series::Series;

/// Different failures kept; more are only counted.
const FAILURES_KEPT: usize = 32;

/// A distribution of the whole run, and of its newest window.
#[derive(Debug)]
pub(crate) struct Recent {
    whole: Measure,
    window: Measure,
    newest: Percentiles,
}

impl Recent {
    fn new() -> Self {
        Self {
            whole: Measure::new(),
            window: Measure::new(),
            newest: Percentiles::default(),
        }
    }

    fn add(&mut self, duration: Duration) {
        self.whole.add(duration);
        self.window.add(duration);
    }

    fn end_window(&mut self) {
        self.newest = self.window.percentiles();
        self.window.clear();
    }

    /// Of the whole run.
    pub(crate) fn whole(&self) -> Percentiles {
        self.whole.percentiles()
    }

    /// How the whole run is spread.
    pub(crate) fn buckets(&self) -> Vec<Bucket> {
        self.whole.buckets()
    }

    /// Of the window that ended last.
    pub(crate) const fn newest(&self) -> Percentiles {
        self.newest
    }
}

/// Counters and distributions of a run.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) planned: u64,
    pub(crate) joins: Joins,
    pub(crate) snapshots: Snapshots,
    pub(crate) events: u64,
    pub(crate) join: Measure,
    pub(crate) snapshot_age: Measure,
    pub(crate) lateness: Measure,
    lateness_max: Duration,
    /// Acts later than that.
    pub(crate) late: u64,
    pub(crate) series: Series,
    rtt: Recent,
    input: Recent,
    pub(crate) failures: Vec<Failure>,
    pub(crate) failures_total: u64,
}

impl Tally {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            planned: 0,
            joins: Joins::default(),
            snapshots: Snapshots::default(),
            events: 0,
            join: Measure::new(),
            snapshot_age: Measure::new(),
            lateness: Measure::new(),
            lateness_max: options.lateness_max,
            late: 0,
            series: Series::new(options.play_for),
            rtt: Recent::new(),
            input: Recent::new(),
            failures: Vec::new(),
            failures_total: 0,
        }
    }

    /// From an input's planned time until its bot saw that the room has it.
    pub(crate) fn input(&mut self, latency: Duration) {
        self.input.add(latency);
        self.series.input(latency);
    }

    /// From a probe's planned time to its answer.
    pub(crate) fn rtt(&mut self, latency: Duration) {
        self.rtt.add(latency);
        self.series.rtt(latency);
    }

    /// A planned act was so late.
    pub(crate) fn act(&mut self, lateness: Duration) {
        self.lateness.add(lateness);
        self.late += u64::from(lateness > self.lateness_max);
    }

    pub(crate) const fn inputs(&self) -> &Recent {
        &self.input
    }

    pub(crate) const fn rtts(&self) -> &Recent {
        &self.rtt
    }

    /// Ends a window of the recent figures.
    pub(crate) fn sample(&mut self) {
        self.rtt.end_window();
        self.input.end_window();
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
