//! Every figure of a run by its name: what `--json` writes, `--check` bounds and `--html` lists.
//!
//! A name is `group.figure`. In JSON a group of latencies ends with `_us`, as it has a unit.

use rejoin_bots::{Percentiles, Report};

use crate::figures::wide;

/// A figure of a run.
#[derive(Clone, Copy)]
pub(crate) struct Metric {
    /// What it belongs to.
    pub(crate) group: &'static str,
    /// Which figure of it.
    pub(crate) figure: &'static str,
    source: Source,
}

/// Where a figure comes from.
#[derive(Clone, Copy)]
enum Source {
    /// A count, and if it is part of a whole, that whole.
    Count(fn(&Report) -> u64, Option<fn(&Report) -> u64>),
    /// One figure of a distribution.
    Latency(fn(&Report) -> Percentiles, fn(&Percentiles) -> u64),
}

/// What a figure came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A count, and the whole it is a part of.
    Count(u64, Option<u64>),
    /// Microseconds; `None` if nothing was measured.
    Latency(Option<u64>),
}

/// What a bound of a figure may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A number alone.
    Number,
    /// A number, or a percentage of a whole.
    NumberOrShare,
    /// A span of time.
    Time,
}

impl Metric {
    /// `group.figure`.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.group, self.figure)
    }

    /// The group's name in JSON; a point is between the names of a group within a group.
    pub(crate) fn json_group(&self) -> String {
        match self.source {
            Source::Count(..) => self.group.to_owned(),
            Source::Latency(..) => format!("{}_us", self.group),
        }
    }

    /// What it may be compared with.
    pub(crate) const fn unit(&self) -> Unit {
        match self.source {
            Source::Count(_, None) => Unit::Number,
            Source::Count(_, Some(_)) => Unit::NumberOrShare,
            Source::Latency(..) => Unit::Time,
        }
    }

    /// What it came to.
    pub(crate) fn of(&self, report: &Report) -> Value {
        match self.source {
            Source::Count(count, whole) => Value::Count(count(report), whole.map(|of| of(report))),
            Source::Latency(distribution, figure) => {
                let measured = distribution(report);
                Value::Latency((measured.count > 0).then(|| figure(&measured)))
            }
        }
    }
}

/// All figures, in the order in which they are told.
pub(crate) fn all() -> Vec<Metric> {
    let counts = COUNTS.iter().map(|(group, figure, count, whole)| Metric {
        group,
        figure,
        source: Source::Count(*count, *whole),
    });
    let latencies = LATENCIES.iter().flat_map(|(group, distribution)| {
        FIGURES.iter().map(move |(figure, take)| Metric {
            group,
            figure,
            source: Source::Latency(*distribution, *take),
        })
    });
    counts.chain(latencies).collect()
}

type Count = fn(&Report) -> u64;

/// Counts: group, figure, where it stands, and the whole it is a part of.
const COUNTS: [(&str, &str, Count, Option<Count>); 48] = [
    ("bots", "wanted", |r| wide(r.bots), None),
    (
        "bots",
        "connected",
        |r| wide(r.connected),
        Some(|r| wide(r.bots)),
    ),
    ("joins", "ok", |r| r.joins.ok, Some(|r| wide(r.bots))),
    (
        "joins",
        "failed",
        |r| r.joins.failed,
        Some(|r| wide(r.bots)),
    ),
    ("inputs", "planned", |r| r.inputs.planned, None),
    ("inputs", "sent", sent, None),
    ("inputs", "reliable", |r| r.inputs.reliable, Some(sent)),
    ("inputs", "latest", |r| r.inputs.latest, Some(sent)),
    (
        "inputs",
        "acked",
        |r| r.inputs.acknowledged,
        Some(|r| r.inputs.reliable),
    ),
    (
        "inputs",
        "lost",
        |r| r.inputs.lost,
        Some(|r| r.inputs.reliable),
    ),
    (
        "inputs",
        "duplicated",
        |r| r.inputs.duplicated,
        Some(|r| r.inputs.reliable),
    ),
    (
        "inputs",
        "refused",
        |r| r.inputs.refused,
        Some(|r| r.inputs.planned),
    ),
    ("snapshots", "received", received, None),
    ("snapshots", "full", |r| r.snapshots.full, Some(received)),
    ("snapshots", "delta", |r| r.snapshots.delta, Some(received)),
    ("snapshots", "bytes", |r| r.snapshots.bytes, None),
    (
        "snapshots",
        "compared",
        |r| r.snapshots.compared,
        Some(received),
    ),
    ("events", "received", |r| r.events, None),
    ("probes", "planned", |r| r.probes.planned, None),
    (
        "probes",
        "answered",
        |r| r.probes.answered,
        Some(|r| r.probes.planned),
    ),
    ("wire", "bytes_up", |r| r.traffic.bytes_up, None),
    ("wire", "bytes_down", |r| r.traffic.bytes_down, None),
    ("wire", "datagrams_up", |r| r.traffic.datagrams_up, None),
    ("wire", "datagrams_down", |r| r.traffic.datagrams_down, None),
    (
        "wire",
        "lost_up",
        |r| r.traffic.lost_up,
        Some(|r| r.traffic.datagrams_up),
    ),
    ("rebinds", "done", |r| r.rebinds.counts.done, None),
    ("rebinds", "missed", |r| r.rebinds.counts.missed, None),
    ("silences", "done", |r| r.silences.counts.done, None),
    ("silences", "suspect", |r| r.silences.counts.suspect, None),
    ("silences", "detached", |r| r.silences.counts.detached, None),
    ("resumes", "ok", |r| r.resumes.counts.ok, None),
    ("resumes", "failed", |r| r.resumes.counts.failed, None),
    ("resumes", "killed", |r| r.resumes.counts.killed, None),
    (
        "resumes",
        "died",
        |r| r.resumes.counts.died,
        Some(|r| r.inputs.reliable),
    ),
    (
        "resumes",
        "datagrams_up",
        |r| r.resumes.counts.datagrams_up,
        None,
    ),
    (
        "resumes",
        "datagrams_down",
        |r| r.resumes.counts.datagrams_down,
        None,
    ),
    ("kills", "done", |r| r.kills.done, None),
    (
        "kills",
        "in_recovery",
        |r| r.kills.in_recovery,
        Some(|r| r.kills.done),
    ),
    ("recovery", "rooms", |r| r.recovery.rooms, None),
    ("recovery", "ticks_lost", |r| r.recovery.ticks_lost, None),
    (
        "recovery",
        "inputs_lost",
        |r| r.inputs.lost,
        Some(|r| r.inputs.reliable),
    ),
    (
        "recovery",
        "inputs_duplicated",
        |r| r.inputs.duplicated,
        Some(|r| r.inputs.reliable),
    ),
    (
        "recovery",
        "hash_mismatches",
        |r| r.recovery.hash_mismatches,
        None,
    ),
    ("twins", "rooms", |r| r.twins.rooms, None),
    ("twins", "records", |r| r.twins.records, None),
    ("twins", "views", |r| r.twins.views, None),
    ("twins", "differ", |r| r.twins.differ, None),
    ("failures", "total", |r| r.failures_total, None),
];

type Distribution = fn(&Report) -> Percentiles;

const LATENCIES: [(&str, Distribution); 10] = [
    ("rtt", |r| r.rtt),
    ("input", |r| r.input),
    ("snapshot_age", |r| r.snapshot_age),
    ("join", |r| r.join),
    ("lateness", |r| r.lateness),
    ("rebinds.pause", |r| r.rebinds.pause),
    ("silences.pause", |r| r.silences.pause),
    ("resume", |r| r.resumes.resume),
    ("away", |r| r.resumes.away),
    ("pause", |r| r.resumes.pause),
];

type Figure = fn(&Percentiles) -> u64;

const FIGURES: [(&str, Figure); 5] = [
    ("p50", |p| p.p50_us),
    ("p90", |p| p.p90_us),
    ("p99", |p| p.p99_us),
    ("p999", |p| p.p999_us),
    ("max", |p| p.max_us),
];

const fn sent(report: &Report) -> u64 {
    report.inputs.reliable + report.inputs.latest
}

const fn received(report: &Report) -> u64 {
    report.snapshots.full + report.snapshots.delta
}
