//! What `--json` writes about a run. `docs/bots.md` tells what each field means.

use std::collections::BTreeMap;
use std::fmt::Display;

use rejoin_bots::{Conduct, Options, Report};
use rejoin_client::ServerAddress;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::check::{Check, Outcome};
use crate::kills::{Moments, Plan};
use crate::metrics;

use super::verdict;

/// Raised when a field changes its meaning or goes; new fields leave it as it is.
const SCHEMA: u64 = 1;

/// What was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) options: &'a Options,
    pub(crate) server: &'a ServerAddress,
    pub(crate) outcomes: &'a [(Check, Outcome)],
    /// If the server was killed.
    pub(crate) plan: Option<&'a Plan>,
}

/// Names and values of an object, in an order that is kept: `serde_json::Map` sorts them.
#[derive(Debug, Default)]
pub(crate) struct Fields<V = Value>(pub(crate) Vec<(String, V)>);

/// A value of the record.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Field {
    Plain(Value),
    Group(Fields),
    Groups(Fields<Self>),
}

impl<V: Serialize> Serialize for Fields<V> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<V> Fields<V> {
    fn of<const N: usize>(fields: [(&str, V); N]) -> Self {
        let own = |(name, value): (&str, V)| (name.to_owned(), value);
        Self(fields.into_iter().map(own).collect())
    }
}

impl Fields<Field> {
    /// The group of that name within this one; a new one if it has none.
    fn group(&mut self, name: &str) -> &mut Self {
        let known = self.0.iter().position(|(known, _)| known == name);
        let index = known.unwrap_or(self.0.len());
        if known.is_none() {
            let none = Field::Groups(Self(Vec::new()));
            self.0.push((name.to_owned(), none));
        }
        match self.0.get_mut(index) {
            Some((_, Field::Groups(group))) => group,
            _ => unreachable!("groups and figures have different names"),
        }
    }
}

/// The whole record, written for people to read; fields are in the order of the page about them.
pub(crate) fn record(run: &Run<'_>, report: &Report) -> String {
    let plain = Field::Plain;
    let mut record = Fields::of([
        ("schema", plain(json!(SCHEMA))),
        ("ok", plain(json!(verdict(report, run.outcomes).is_ok()))),
        ("valid", plain(json!(report.is_valid()))),
        ("invalid", plain(json!(report.invalid))),
        ("run", Field::Group(asked(run, report))),
    ]);
    record.0.extend(groups(report));
    let tail = Fields::of([
        ("errors", Field::Group(errors(report))),
        ("checks", plain(checks(run.outcomes))),
    ]);
    record.0.extend(tail.0);
    let written = serde_json::to_string_pretty(&record);
    without_controls(&written.expect("names are texts, and nothing here can fail"))
}

/// What ran.
pub(super) fn asked(run: &Run<'_>, report: &Report) -> Fields {
    let options = run.options;
    let micros = |span: std::time::Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let playing = options.conduct == Conduct::Play;
    let (every, within) = match run.plan.map(|plan| plan.moments) {
        Some(Moments::Every(every)) => (Some(every), None),
        Some(Moments::Within(window)) => (None, Some(window)),
        Some(Moments::Asked) | None => (None, None),
    };
    let of_play = |value: Value| playing.then_some(value);
    Fields::of([
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("server", text(run.server)),
        ("behaviour", text(options.conduct)),
        ("bots", json!(options.bots)),
        ("rooms", json!(report.rooms)),
        ("kind", json!(of_play(json!(report.kind)))),
        ("mode", json!(of_play(text(options.mode)))),
        ("rate_hz", json!(of_play(json!(options.input_hz)))),
        ("duration_us", json!(micros(options.play_for))),
        ("played_us", json!(micros(report.played))),
        ("ramp_hz", json!(options.ramp_hz)),
        ("net", json!(options.net.map(|net| net.to_string()))),
        ("rebind_every_us", json!(options.rebind_every.map(micros))),
        ("rebind_changes", json!(report.rebinds.change)),
        (
            "silence_every_us",
            json!(options.silence.map(|it| micros(it.every))),
        ),
        (
            "silence_for_us",
            json!(options.silence.map(|it| micros(it.span))),
        ),
        ("resume_for_us", json!(micros(options.resume_for))),
        (
            "client_crash_every_us",
            json!(options.client_crash_every.map(micros)),
        ),
        ("kills", json!(run.plan.map(|plan| plan.count))),
        ("kill_every_us", json!(every.map(micros))),
        (
            "kill_within_us",
            json!(within.map(|it| [micros(it.from), micros(it.to)])),
        ),
        (
            "kill_seed",
            json!(within.and(run.plan).map(|plan| plan.seed)),
        ),
        ("lateness_max_us", json!(micros(options.lateness_max))),
        ("seed", json!(options.seed)),
        ("threads", json!(report.threads)),
    ])
}

/// Every figure, in its group.
fn groups(report: &Report) -> Vec<(String, Field)> {
    let mut groups: Fields<Field> = Fields(Vec::new());
    for metric in metrics::all() {
        let value = match metric.of(report) {
            metrics::Value::Count(count, _) => json!(count),
            metrics::Value::Latency(us) => json!(us),
        };
        let path = metric.json_group();
        let group = path.split('.').fold(&mut groups, Fields::group);
        group
            .0
            .push((metric.figure.to_owned(), Field::Plain(value)));
    }
    groups.0
}

/// How often each thing happened that must not: those beyond the first kinds under a name of their own.
pub(super) fn errors(report: &Report) -> Fields {
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
    let number = |(text, times)| (text, json!(times));
    Fields(times.into_iter().map(number).collect())
}

fn checks(outcomes: &[(Check, Outcome)]) -> Value {
    let entry = |(check, outcome): &(Check, Outcome)| json!({ "check": text(check), "holds": outcome.holds, "seen": outcome.seen });
    Value::Array(outcomes.iter().map(entry).collect())
}

fn text(value: impl Display) -> Value {
    Value::String(value.to_string())
}

/// The record may be shown on a terminal, and holds what a server said: the controls that JSON need not
/// escape are escaped too.
fn without_controls(record: &str) -> String {
    let mut safe = String::with_capacity(record.len());
    for c in record.chars() {
        match c {
            '\n' => safe.push(c),
            c if c.is_control() => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_said_cannot_break_out_of_its_quotes() {
        let said = "a\"b\\c\nd\u{1b}e\u{7f}f\u{9b}g";
        let written = without_controls(&json!([said]).to_string());
        assert_eq!(written, r#"["a\"b\\c\nd\u001be\u007ff\u009bg"]"#);
        let read: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read, json!([said]));
    }

    /// The names that the page gives, in its order: `run.bots` and so on.
    fn on_the_page() -> Vec<String> {
        let page = include_str!("../../../../docs/bots.md");
        let (_, page) = page.split_once("## `--json FILE`").expect("the page");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let names = rows.filter_map(|row| row.split('|').nth(1));
        let names = names.flat_map(|names| names.split(','));
        let name = |name: &str| name.trim().trim_matches('`').to_owned();
        names.map(name).collect()
    }

    /// The names of a record's fields, in its order.
    fn in_the_record() -> Vec<String> {
        let report = crate::bots_command::summary::a_report();
        let server: ServerAddress = "rejoin://127.0.0.1:7777".parse().unwrap();
        let run = Run {
            options: &Options::new(([127, 0, 0, 1], 7777).into(), server.key),
            server: &server,
            outcomes: &[],
            plan: None,
        };
        let written = record(&run, &report);
        // A reader of values would sort them.
        let (mut group, mut within) = (String::new(), String::new());
        let mut names = Vec::new();
        for line in written.lines().filter_map(|line| line.split_once("\": ")) {
            let (name, value) = (line.0.trim_start(), line.1);
            let depth = line.0.len() - name.len();
            let name = name.trim_start_matches('"');
            match (depth, value) {
                (2, "{") => group = name.to_owned(),
                (4, "{") => within = name.to_owned(),
                (2, _) => names.push(name.to_owned()),
                (4, _) => names.push(format!("{group}.{name}")),
                _ => names.push(format!("{group}.{within}.{name}")),
            }
        }
        names
    }

    #[test]
    fn the_page_names_every_field_in_its_order() {
        let page = on_the_page();
        let record = in_the_record();
        // On the page these two stand with what is no figure, and times have one row for all groups.
        let named = |name: &&String| !["errors", "checks"].contains(&name.as_str());
        let figures = |name: &&String| !name.ends_with(".*");
        let told: Vec<&String> = page.iter().filter(named).filter(figures).collect();
        let is_time = |name: &String| {
            ["p50", "p90", "p99", "p999", "max"]
                .iter()
                .any(|figure| name.ends_with(&format!("_us.{figure}")))
        };
        let written: Vec<&String> = record
            .iter()
            .filter(named)
            .filter(|name| !is_time(name))
            .collect();
        assert_eq!(told, written);
        let groups = page.iter().filter_map(|name| name.strip_suffix(".*"));
        let groups: Vec<String> = groups.map(|group| format!("{group}_us.p50")).collect();
        let of_times: Vec<String> = record
            .iter()
            .filter(|name| name.ends_with("_us.p50"))
            .cloned()
            .collect();
        assert_eq!(groups, of_times);
        assert!(
            record.ends_with(&["errors".to_owned(), "checks".to_owned()]),
            "{record:?}"
        );
    }
}
