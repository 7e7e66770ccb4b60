//! Sums over all crews: the progress of a run and its report.

use std::collections::VecDeque;
use std::time::Duration;

use rejoin_protocol::Timestamp;

use crate::crew::Unsettled;
use crate::crossing::{Crossing, divided};
use crate::marks::Marks;
use crate::measure::Measure;
use crate::news::{News, Totals};
use crate::observer::{Glimpse, Progress, Stage};
use crate::options::{Conduct, Mode, Options};
use crate::rebinds::Rebinds;
use crate::recovery::{Kills, RecoveryCounts, Stretches, Twins};
use crate::report::{ACKNOWLEDGED_SHARE_MIN, Cause, Failure, Report, Resumes, share};
use crate::series::{Amounts, Series};
use crate::silences::Silences;
use crate::sources::Change;
use crate::tally::{Failures, Measures};

/// Late acts below which nothing is said of a run: in a short one a single hiccup of the system is more
/// than one act in a hundred.
const LATE_ACTS_MIN: u64 = 10;
/// Samples that the figures of the last second are of.
const RECENT: usize = 4;

/// What the conductor knows of a finished run besides its sums.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Course {
    /// Bots that took a seat.
    pub(crate) joined: usize,
    /// Bots that were there at the end of play.
    pub(crate) connected: usize,
    /// How long they played.
    pub(crate) played: Duration,
    /// What rebinds change, if there are any.
    pub(crate) change: Option<Change>,
    /// From the end of play to the first agreement.
    pub(crate) agreed_after: Option<Duration>,
    /// From the end of play until nothing was missing.
    pub(crate) settled_after: Option<Duration>,
}

/// What is still missing after the end of play, in all crews.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Bots with reliable inputs that no view covers.
    pub(crate) uncovered: usize,
    /// Rooms whose members hold different views.
    pub(crate) divided: usize,
    /// Bots whose checks do not hold yet.
    pub(crate) unproven: usize,
}

/// All that crews have told.
#[derive(Debug)]
pub(crate) struct Sums {
    /// Newest of each crew.
    totals: Vec<Totals>,
    whole: Measures,
    /// What was measured since the last sample, and the samples before, oldest first.
    sample: Measures,
    recent: VecDeque<Measures>,
    pub(crate) series: Series,
    pub(crate) failures: Failures,
    crossing: Crossing,
    stretches: Stretches,
    marks: Option<Marks>,
    unsettled: Vec<Unsettled>,
    glimpse: Option<(u64, Glimpse)>,
}

impl Sums {
    /// Nothing told yet by so many crews.
    pub(crate) fn new(crews: usize, options: &Options) -> Self {
        Self {
            totals: vec![Totals::default(); crews],
            whole: Measures::default(),
            sample: Measures::default(),
            recent: VecDeque::new(),
            series: Series::new(options.play_for),
            failures: Failures::default(),
            crossing: Crossing::default(),
            stretches: Stretches::default(),
            marks: options.keep_marks.then(Marks::default),
            unsettled: Vec::new(),
            glimpse: None,
        }
    }

    /// Forgets what only the answers to one question hold.
    pub(crate) fn begin(&mut self) {
        self.unsettled.clear();
        self.glimpse = None;
    }

    /// Takes a crew's answer.
    pub(crate) fn take(&mut self, crew: usize, news: News) {
        if let Some(totals) = self.totals.get_mut(crew) {
            *totals = news.totals;
        }
        if let Some(measures) = &news.measures {
            self.whole.merge(measures);
            self.sample.merge(measures);
            self.series.add(&measures.rtt, &measures.input);
        }
        self.failures.merge(news.failures);
        self.stretches.merge(news.stretches);
        if let (Some(known), Some(more)) = (&mut self.marks, news.marks) {
            known.merge(more);
        }
        for shown in news.shown {
            if let Err(text) = self.crossing.see(shown) {
                self.fail(text);
            }
        }
        self.unsettled.extend(news.unsettled);
        let number = |glimpse: &Option<(u64, Glimpse)>| glimpse.as_ref().map(|(number, _)| *number);
        if number(&news.glimpse) > number(&self.glimpse) {
            self.glimpse = news.glimpse;
        }
    }

    /// Counts something that must not happen and is about no single bot.
    pub(crate) fn fail(&mut self, text: impl Into<String>) {
        self.fail_for(Cause::Check, text);
    }

    /// The same, of another cause.
    pub(crate) fn fail_for(&mut self, cause: Cause, text: impl Into<String>) {
        self.failures.add(Failure {
            bot: None,
            times: 1,
            cause,
            text: text.into(),
        });
    }

    /// Ends a sample of the recent figures.
    pub(crate) fn end_sample(&mut self) {
        self.recent.push_back(std::mem::take(&mut self.sample));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// Ends a window of the series.
    pub(crate) fn end_window(&mut self, now: Timestamp) {
        self.series.end_window(now, self.amounts());
    }

    /// What was counted so far.
    pub(crate) fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for totals in &self.totals {
            sum.add(totals);
        }
        sum.snapshots.compared += self.crossing.compared;
        sum.disagreed += self.crossing.disagreed;
        sum
    }

    /// What became of rooms in later processes of their server.
    fn recovery(&self, totals: &Totals) -> RecoveryCounts {
        RecoveryCounts {
            hash_mismatches: totals.disagreed,
            ..self.stretches.counts()
        }
    }

    /// What went through so far.
    pub(crate) fn amounts(&self) -> Amounts {
        let totals = self.totals();
        Amounts {
            inputs: totals.inputs.reliable + totals.inputs.latest,
            snapshots: totals.snapshots.full + totals.snapshots.delta,
            bytes_up: totals.traffic.bytes_up,
            bytes_down: totals.traffic.bytes_down,
        }
    }

    /// What is still missing, as the crews told last.
    pub(crate) fn missing(&self) -> Missing {
        let mut missing = Missing::default();
        let mut edges = Vec::new();
        for crew in &self.unsettled {
            missing.uncovered += crew.uncovered;
            missing.divided += crew.divided;
            missing.unproven += crew.unproven;
            edges.extend(crew.edges.iter().cloned());
        }
        missing.divided += divided(&edges);
        missing
    }

    /// The run as it stands.
    pub(crate) fn progress(&self, stage: Stage, in_stage: Duration, options: &Options) -> Progress {
        let totals = self.totals();
        let recent = |of: fn(&Measures) -> &Measure| {
            let mut second = Measure::default();
            self.recent
                .iter()
                .for_each(|sample| second.merge(of(sample)));
            second.percentiles()
        };
        Progress {
            stage,
            in_stage,
            playing: totals.present,
            away: totals.away,
            resumes: totals.resumes,
            recovery: self.recovery(&totals),
            newest: totals.newest,
            pause: self.whole.outage.percentiles(),
            failed: totals.failed,
            failures_total: self.failures.total,
            newest_failure: self.failures.newest.clone(),
            rooms: options.rooms.min(options.bots),
            inputs: totals.inputs,
            snapshots: totals.snapshots,
            traffic: totals.traffic,
            rtt: recent(|sample| &sample.rtt),
            input: recent(|sample| &sample.input),
            lateness: recent(|sample| &sample.lateness),
            glimpse: self.glimpse.as_ref().map(|(_, glimpse)| glimpse.clone()),
        }
    }

    /// Adds the failures that only the whole shows.
    pub(crate) fn check_whole(&mut self, options: &Options, course: &Course) {
        if course.joined < options.bots && self.failures.total == 0 {
            let missing = options.bots - course.joined;
            self.fail(format!("{missing} bots took no seat"));
        }
        if options.conduct == Conduct::Idle {
            return;
        }
        let totals = self.totals();
        let back = self.recovery(&totals).ticks_lost;
        if back > 0 {
            self.fail(format!(
                "rooms came back {back} ticks before what their members had seen"
            ));
        }
        let inputs = totals.inputs;
        let sent = match options.mode {
            Mode::Latest => inputs.latest,
            Mode::Reliable => inputs.reliable,
        };
        let part = share(inputs.acknowledged, inputs.planned);
        if sent == 0 {
            let mode = options.mode;
            self.fail(format!("no {mode} input was sent: nothing is proven"));
        } else if options.mode == Mode::Reliable && part < ACKNOWLEDGED_SHARE_MIN {
            self.fail(format!(
                "{:.1} % of the planned inputs were acknowledged, expected {:.0} %",
                part * 100.0,
                ACKNOWLEDGED_SHARE_MIN * 100.0
            ));
        }
    }

    /// The run's result, in rooms of `kind`.
    pub(crate) fn report(self, kind: &'static str, options: &Options, course: &Course) -> Report {
        let totals = self.totals();
        let measures = &self.whole;
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Report {
            kind,
            conduct: options.conduct,
            mode: options.mode,
            seed: options.seed,
            input_hz: options.input_hz,
            bots: options.bots,
            joined: course.joined,
            connected: course.connected,
            joins: totals.joins,
            rooms: match options.conduct {
                Conduct::Play => options.rooms.min(options.bots),
                Conduct::Idle => 0,
            },
            threads: self.totals.len(),
            played: course.played,
            inputs: totals.inputs,
            snapshots: totals.snapshots,
            events: totals.events,
            traffic: totals.traffic,
            join: measures.join.percentiles(),
            rtt: measures.rtt.percentiles(),
            input: measures.input.percentiles(),
            snapshot_age: measures.snapshot_age.percentiles(),
            probes: totals.probes,
            lateness: measures.lateness.percentiles(),
            rebinds: Rebinds {
                change: course.change,
                counts: totals.rebinds,
                pause: measures.pause.percentiles(),
            },
            silences: Silences {
                counts: totals.silences,
                pause: measures.back.percentiles(),
            },
            resumes: Resumes {
                counts: totals.resumes,
                resume: measures.resume.percentiles(),
                away: measures.away.percentiles(),
                pause: measures.outage.percentiles(),
            },
            recovery: self.recovery(&totals),
            kills: Kills::default(),
            twins: Twins::default(),
            marks: self.marks,
            invalid: lateness_fault(measures, options.lateness_max),
            rtt_buckets: measures.rtt.buckets(),
            agreed_after_us: course.agreed_after.map(micros),
            settled_after_us: course.settled_after.map(micros),
            failures_total: self.failures.total,
            failures: self.failures.kinds,
            windows: self.series.into_windows(),
        }
    }
}

/// Why the bots were too late for their figures to speak of the server.
fn lateness_fault(measures: &Measures, most: Duration) -> Option<String> {
    let (late, acts) = (measures.late, measures.lateness.percentiles().count);
    let is_late = late >= LATE_ACTS_MIN && late.saturating_mul(100) > acts;
    is_late
        .then(|| format!("the bots were late: {late} of {acts} planned acts by more than {most:?}"))
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::crypto::PublicKey;

    use super::*;
    use crate::agreement::{Held, Label, Shown};
    use crate::crossing::Edge;
    use crate::tally::Tally;

    const MOST: Duration = Duration::from_millis(10);

    /// What is said of two crews, one of which was late so often.
    fn fault(acts: u64, late: u64) -> Option<String> {
        let crew = |late| {
            let mut tally = Tally::new(MOST);
            for act in 0..acts / 2 {
                tally.act(MOST + Duration::from_micros(u64::from(act < late)));
            }
            tally.measures
        };
        let mut whole = crew(late);
        whole.merge(&crew(0));
        lateness_fault(&whole, MOST)
    }

    #[test]
    fn bots_that_are_late_once_in_a_hundred_times_prove_nothing() {
        assert_eq!(fault(2_000, 20), None);
        let told = fault(2_000, 21).unwrap();
        assert!(
            told.contains("21 of 2000 planned acts by more than 10ms"),
            "{told}"
        );
    }

    #[test]
    fn a_hiccup_of_a_short_run_is_none_of_it() {
        assert_eq!(fault(90, 9), None);
        assert!(fault(90, 10).is_some());
    }

    fn news() -> News {
        News {
            totals: Totals::default(),
            measures: None,
            failures: Failures::default(),
            shown: Vec::new(),
            stretches: Stretches::default(),
            marks: None,
            unsettled: None,
            glimpse: None,
        }
    }

    fn sums(crews: usize) -> Sums {
        let server = "127.0.0.1:7777".parse().unwrap();
        Sums::new(crews, &Options::new(server, PublicKey([0; 32])))
    }

    #[test]
    fn crews_that_saw_different_views_fail_the_run() {
        let mut sums = sums(3);
        for (crew, bytes) in ["a", "a", "b"].into_iter().enumerate() {
            let label = Label {
                sequence: 9,
                tick: 4,
            };
            let shown = Shown {
                room: 0,
                label,
                bytes: bytes.into(),
            };
            sums.take(
                crew,
                News {
                    shown: vec![shown],
                    ..news()
                },
            );
        }
        assert_eq!(sums.totals().snapshots.compared, 1);
        let found: Vec<String> = sums.failures.kinds.iter().map(Failure::to_string).collect();
        assert_eq!(found, ["members saw different views under number 9"]);
    }

    #[test]
    fn what_is_missing_in_one_crew_or_between_two_is_missing() {
        let mut sums = sums(2);
        let edge = |bytes: &'static str| Edge {
            room: 7,
            is_divided: false,
            holds: Some(Held {
                sequence: u64::from(bytes.as_bytes()[0]),
                bytes: bytes.into(),
                is_shared: true,
            }),
        };
        for (crew, bytes) in ["a", "b"].into_iter().enumerate() {
            let unsettled = Unsettled {
                uncovered: crew,
                divided: crew,
                unproven: 2 * crew,
                edges: vec![edge(bytes)],
            };
            sums.take(
                crew,
                News {
                    unsettled: Some(unsettled),
                    ..news()
                },
            );
        }
        let expected = Missing {
            uncovered: 1,
            divided: 2,
            unproven: 2,
        };
        assert_eq!(sums.missing(), expected);
        sums.begin();
        assert_eq!(sums.missing(), Missing::default());
    }
}
