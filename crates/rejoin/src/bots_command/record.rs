//! What `--json` writes about a run. `docs/bots.md` tells what each field means.

use std::collections::BTreeMap;

use rejoin_bots::{Conduct, Options, Report};
use rejoin_client::ServerAddress;

use crate::check::{Check, Outcome};
use crate::metrics::{self, Value};

use super::json::Json;
use super::verdict;

/// Raised when a field changes its meaning or goes; new fields leave it as it is.
const SCHEMA: u64 = 1;

/// What was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) options: &'a Options,
    pub(crate) server: &'a ServerAddress,
    pub(crate) outcomes: &'a [(Check, Outcome)],
}

/// The whole record.
pub(crate) fn record(run: &Run<'_>, report: &Report) -> Json {
    let head = [
        ("schema", Json::Number(SCHEMA)),
        ("ok", Json::Bool(verdict(report, run.outcomes).is_ok())),
        ("valid", Json::Bool(report.is_valid())),
        ("invalid", maybe_text(report.invalid.as_ref())),
        ("run", asked(run, report)),
    ];
    let tail = [("errors", errors(report)), ("checks", checks(run.outcomes))];
    let own = |(name, value): (&str, Json)| (name.to_owned(), value);
    let mut members: Vec<(String, Json)> = head.into_iter().map(own).collect();
    members.extend(groups(report));
    members.extend(tail.into_iter().map(own));
    Json::Object(members)
}

/// What ran.
pub(super) fn asked(run: &Run<'_>, report: &Report) -> Json {
    let options = run.options;
    let micros = |span: std::time::Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let playing = options.conduct == Conduct::Play;
    let of_play = |value| Json::maybe(playing.then_some(value));
    Json::object([
        ("version", Json::text(env!("CARGO_PKG_VERSION"))),
        ("server", Json::text(run.server)),
        ("behaviour", Json::text(options.conduct)),
        ("bots", Json::count(options.bots)),
        ("rooms", Json::count(report.rooms)),
        ("kind", of_play(Json::text(report.kind))),
        ("mode", of_play(Json::text(options.mode))),
        ("rate_hz", of_play(Json::Number(options.input_hz.into()))),
        ("duration_us", Json::Number(micros(options.play_for))),
        ("played_us", Json::Number(micros(report.played))),
        (
            "ramp_hz",
            Json::maybe(options.ramp_hz.map(|hz| Json::Number(hz.into()))),
        ),
        (
            "lateness_max_us",
            Json::Number(micros(options.lateness_max)),
        ),
        ("net", maybe_text(options.net.as_ref())),
        ("seed", Json::Number(options.seed)),
        ("threads", Json::count(report.threads)),
    ])
}

/// Every figure, in its group.
fn groups(report: &Report) -> Vec<(String, Json)> {
    let mut groups: Vec<(String, Vec<(String, Json)>)> = Vec::new();
    for metric in metrics::all() {
        let value = match metric.of(report) {
            Value::Count(count, _) => Json::Number(count),
            Value::Latency(us) => Json::maybe(us.map(Json::Number)),
        };
        let (group, figure) = (metric.json_group(), metric.figure.to_owned());
        match groups.last_mut() {
            Some((name, figures)) if *name == group => figures.push((figure, value)),
            Some(_) | None => groups.push((group, vec![(figure, value)])),
        }
    }
    let object = |(name, figures)| (name, Json::Object(figures));
    groups.into_iter().map(object).collect()
}

/// How often each thing happened that must not: those beyond the first kinds under a name of their own.
pub(super) fn errors(report: &Report) -> Json {
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    let mut told = 0;
    for failure in &report.failures {
        told += failure.times;
        *times.entry(failure.text.clone()).or_default() += failure.times;
    }
    let more = report.failures_total.saturating_sub(told);
    if more > 0 {
        times.insert("(others)".to_owned(), more);
    }
    let number = |(text, times)| (text, Json::Number(times));
    Json::Object(times.into_iter().map(number).collect())
}

fn checks(outcomes: &[(Check, Outcome)]) -> Json {
    let entry = |(check, outcome): &(Check, Outcome)| {
        Json::object([
            ("check", Json::text(check)),
            ("holds", Json::Bool(outcome.holds)),
            ("seen", Json::text(&outcome.seen)),
        ])
    };
    Json::List(outcomes.iter().map(entry).collect())
}

fn maybe_text(value: Option<&impl std::fmt::Display>) -> Json {
    Json::maybe(value.map(Json::text))
}
