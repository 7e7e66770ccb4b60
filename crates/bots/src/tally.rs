//! What a crew counts while its bots play, and the sum of it over all crews.

use std::time::Duration;

use crate::marks::Marks;
use crate::measure::Measure;
use crate::rebinds::RebindCounts;
use crate::recovery::Stretches;
use crate::report::{Cause, Failure, Joins, ResumeCounts, Snapshots};
use crate::silences::SilenceCounts;

/// Different failures kept; more are only counted.
const FAILURES_KEPT: usize = 32;

/// Counters of one crew since its start, and what it has measured since that was last taken.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) planned: u64,
    pub(crate) joins: Joins,
    pub(crate) snapshots: Snapshots,
    pub(crate) events: u64,
    pub(crate) rebinds: RebindCounts,
    pub(crate) silences: SilenceCounts,
    pub(crate) resumes: ResumeCounts,
    /// Ticks that members saw since that was last taken.
    pub(crate) stretches: Stretches,
    /// Views that members saw since that was last taken, if they are asked for.
    pub(crate) marks: Option<Marks>,
    pub(crate) measures: Measures,
    pub(crate) failures: Failures,
    /// True once anything failed.
    pub(crate) has_failed: bool,
    lateness_max: Duration,
}

/// Distributions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measures {
    pub(crate) join: Measure,
    pub(crate) snapshot_age: Measure,
    pub(crate) rtt: Measure,
    pub(crate) input: Measure,
    pub(crate) lateness: Measure,
    /// Longest pauses around rebinds.
    pub(crate) pause: Measure,
    /// From the end of a silence to the next view.
    pub(crate) back: Measure,
    /// From the loss of a connection, or a relaunch, to the next view.
    pub(crate) resume: Measure,
    /// From the loss of a connection until there was one again.
    pub(crate) away: Measure,
    /// Between the last view before the loss of a connection and the first after it, less a tick.
    pub(crate) outage: Measure,
    /// Acts that were later than they may be.
    pub(crate) late: u64,
}

/// Failures by their kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    pub(crate) kinds: Vec<Failure>,
    pub(crate) total: u64,
    /// The one that came last.
    pub(crate) newest: Option<Failure>,
}

impl Tally {
    /// Nothing yet; an act later than `lateness_max` counts as late.
    pub(crate) fn new(lateness_max: Duration) -> Self {
        Self {
            planned: 0,
            joins: Joins::default(),
            snapshots: Snapshots::default(),
            events: 0,
            rebinds: RebindCounts::default(),
            silences: SilenceCounts::default(),
            resumes: ResumeCounts::default(),
            stretches: Stretches::default(),
            marks: None,
            measures: Measures::default(),
            failures: Failures::default(),
            has_failed: false,
            lateness_max,
        }
    }

    /// The same, that keeps what members see if it is asked for.
    pub(crate) fn with_marks(mut self, asked: bool) -> Self {
        self.marks = asked.then(Marks::default);
        self
    }

    /// From an input's planned time until its bot saw that the room has it.
    pub(crate) fn input(&mut self, latency: Duration) {
        self.measures.input.add(latency);
    }

    /// From a probe's planned time to its answer.
    pub(crate) fn rtt(&mut self, latency: Duration) {
        self.measures.rtt.add(latency);
    }

    /// The longest pause around a rebind, if its time is over.
    pub(crate) fn pause(&mut self, longest: Option<Duration>) {
        longest
            .into_iter()
            .for_each(|it| self.measures.pause.add(it));
    }

    /// From the end of a silence to the next view, if one came.
    pub(crate) fn back(&mut self, after: Option<Duration>) {
        after.into_iter().for_each(|it| self.measures.back.add(it));
    }

    /// A planned act was so late.
    pub(crate) fn act(&mut self, lateness: Duration) {
        self.measures.lateness.add(lateness);
        self.measures.late += u64::from(lateness > self.lateness_max);
    }

    pub(crate) fn fail(&mut self, bot: Option<usize>, cause: Cause, text: impl Into<String>) {
        self.has_failed = true;
        self.failures.add(Failure {
            bot,
            times: 1,
            cause,
            text: text.into(),
        });
    }
}

impl Measures {
    /// Adds what another crew measured, or the same one later.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.join.merge(&other.join);
        self.snapshot_age.merge(&other.snapshot_age);
        self.rtt.merge(&other.rtt);
        self.input.merge(&other.input);
        self.lateness.merge(&other.lateness);
        self.pause.merge(&other.pause);
        self.back.merge(&other.back);
        self.resume.merge(&other.resume);
        self.away.merge(&other.away);
        self.outage.merge(&other.outage);
        self.late += other.late;
    }
}

impl Failures {
    /// Adds a failure, or so many of the same kind.
    pub(crate) fn add(&mut self, failure: Failure) {
        self.total += failure.times;
        self.newest = Some(failure.clone());
        self.keep(failure);
    }

    /// Adds those of another crew, or of the same one later.
    pub(crate) fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.newest = other.newest.or(self.newest.take());
        for failure in other.kinds {
            self.keep(failure);
        }
    }

    fn keep(&mut self, failure: Failure) {
        let same =
            |known: &&mut Failure| known.cause == failure.cause && known.text == failure.text;
        if let Some(known) = self.kinds.iter_mut().find(same) {
            known.times += failure.times;
        } else if self.kinds.len() < FAILURES_KEPT {
            self.kinds.push(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(texts: &[(usize, &str)]) -> Failures {
        let mut tally = Tally::new(Duration::ZERO);
        for (bot, text) in texts {
            tally.fail(Some(*bot), Cause::Check, *text);
        }
        tally.failures
    }

    #[test]
    fn failures_of_several_crews_are_one_list_of_kinds() {
        let mut all = failures(&[(1, "a"), (2, "b"), (3, "a")]);
        all.merge(failures(&[(4, "b"), (6, "b"), (5, "c")]));
        let found: Vec<String> = all.kinds.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["2 bots: a", "3 bots: b", "bot 5: c"]);
        assert_eq!(all.total, 6);
        assert_eq!(all.newest.as_ref().map(|newest| newest.bot), Some(Some(5)));
        all.merge(Failures::default());
        assert!(all.newest.is_some());
    }

    #[test]
    fn kinds_of_failures_are_bounded_and_all_are_counted() {
        let texts: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        let each: Vec<(usize, &str)> = texts.iter().map(|text| (0, text.as_str())).collect();
        let mut all = failures(&each[..20]);
        all.merge(failures(&each));
        assert_eq!((all.kinds.len(), all.total), (FAILURES_KEPT, 60));
    }

    #[test]
    fn lateness_is_judged_by_the_acts_of_all_crews() {
        let acts = |late: u64| {
            let mut tally = Tally::new(Duration::from_millis(10));
            for act in 0..100 {
                tally.act(Duration::from_millis(if act < late { 11 } else { 1 }));
            }
            tally.measures
        };
        let mut all = acts(3);
        all.merge(&acts(4));
        assert_eq!((all.late, all.lateness.percentiles().count), (7, 200));
    }
}
