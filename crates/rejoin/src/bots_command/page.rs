//! `--html`: a run as one page that needs nothing else: charts, figures, and what was asked for.

use std::fmt::Write;

use rejoin_bots::{Conduct, Report, Window};
use serde_json::Value as Json;

use crate::figures::{millis, thousands};
use crate::metrics::{self, Metric, Value};

use super::chart::{self, Bar, Line, escape};
use super::record::{Fields, Run, asked, errors};
use super::verdict;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(crate) fn page(run: &Run<'_>, report: &Report) -> String {
    let verdict = verdict(report, run.outcomes);
    let (class, text) = match &verdict {
        Ok(()) => ("good", "All checks held.".to_owned()),
        Err(failure) => ("bad", failure.text.clone()),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>rejoin bots</title>\n\
         <style>\n{STYLE}</style></head><body>\n<h1>{}</h1>\n<p class=\"{class}\">{}</p>\n",
        escape(&title(run, report)),
        escape(&text)
    );
    page.push_str(&charts(report));
    page.push_str("<div class=\"tables\">\n");
    latencies(&mut page, report);
    judged(&mut page, run, report);
    settings(&mut page, run, report);
    counts(&mut page, report);
    page.push_str("</div>\n</body></html>\n");
    page
}

fn title(run: &Run<'_>, report: &Report) -> String {
    let bots = thousands(u64::try_from(report.bots).unwrap_or(u64::MAX));
    match report.conduct {
        Conduct::Play => format!(
            "{bots} bots in {} rooms on {}",
            report.rooms, run.server.host
        ),
        Conduct::Idle => format!("{bots} idle bots on {}", run.server.host),
    }
}

fn charts(report: &Report) -> String {
    let latency =
        |name, of: fn(&Window) -> Option<u64>| line(report, name, |w| of(w).map(in_millis));
    let rate = |name, of: fn(&Window) -> u64| line(report, name, |w| Some(per_second(w, of(w))));
    let rtt = [
        latency("p50", |w| (w.rtt.count > 0).then_some(w.rtt.p50_us)),
        latency("p99", |w| (w.rtt.count > 0).then_some(w.rtt.p99_us)),
    ];
    let mut charts = chart::lines("Round trip over time", "ms", &rtt);
    charts.push_str(&spread(report));
    if report.conduct == Conduct::Play {
        let input = [
            latency("p50", |w| (w.input.count > 0).then_some(w.input.p50_us)),
            latency("p99", |w| (w.input.count > 0).then_some(w.input.p99_us)),
        ];
        charts.push_str(&chart::lines("Input until seen, over time", "ms", &input));
        let messages = [
            rate("inputs sent", |w| w.amounts.inputs),
            rate("snapshots received", |w| w.amounts.snapshots),
        ];
        charts.push_str(&chart::lines("Messages over time", "per second", &messages));
    }
    let bytes = [
        rate("up", |w| w.amounts.bytes_up),
        rate("down", |w| w.amounts.bytes_down),
    ];
    charts.push_str(&chart::lines(
        "Throughput over time",
        "bytes per second",
        &bytes,
    ));
    format!("<div class=\"charts\">\n{charts}</div>\n")
}

/// The round trips of the whole run.
fn spread(report: &Report) -> String {
    let bar = |bucket: &rejoin_bots::Bucket| Bar {
        name: millis(bucket.from_us),
        height: wide(bucket.count),
    };
    let bars: Vec<Bar> = report.rtt_buckets.iter().map(bar).collect();
    chart::bars("Round trips", "how many took how long", &bars)
}

fn line(report: &Report, name: &'static str, of: impl Fn(&Window) -> Option<f64>) -> Line {
    let point = |window: &Window| (wide(window.at_us) / 1e6, of(window));
    Line {
        name,
        points: report.windows.iter().map(point).collect(),
    }
}

fn per_second(window: &Window, amount: u64) -> f64 {
    wide(amount) * 1e6 / wide(window.length_us.max(1))
}

fn in_millis(us: u64) -> f64 {
    wide(us) / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a chart shows three digits")]
const fn wide(number: u64) -> f64 {
    number as f64
}

fn latencies(page: &mut String, report: &Report) {
    page.push_str("<table class=\"latencies\"><caption>Latencies</caption><tr><th></th>");
    let all: Vec<Metric> = metrics::all();
    let is_time = |metric: &&Metric| matches!(metric.of(report), Value::Latency(_));
    for name in ["p50", "p90", "p99", "p99.9", "max"] {
        let _ = write!(page, "<th>{name}</th>");
    }
    let mut group = "";
    for metric in all.iter().filter(is_time) {
        if metric.group != group {
            group = metric.group;
            let _ = write!(page, "</tr>\n<tr><th>{group}</th>");
        }
        let text = match metric.of(report) {
            Value::Latency(Some(us)) => millis(us),
            Value::Latency(None) | Value::Count(..) => "–".to_owned(),
        };
        let _ = write!(page, "<td>{text}</td>");
    }
    page.push_str("</tr></table>\n");
}

fn counts(page: &mut String, report: &Report) {
    page.push_str("<table><caption>Counts</caption>\n");
    for metric in metrics::all() {
        if let Value::Count(count, _) = metric.of(report) {
            row(page, &metric.name(), &thousands(count));
        }
    }
    page.push_str("</table>\n");
}

fn settings(page: &mut String, run: &Run<'_>, report: &Report) {
    page.push_str("<table><caption>Run</caption>\n");
    members(page, &asked(run, report));
    page.push_str("</table>\n");
}

/// Checks that were asked for, and what must not happen and did.
fn judged(page: &mut String, run: &Run<'_>, report: &Report) {
    if !run.outcomes.is_empty() {
        page.push_str("<table><caption>Checks</caption>\n");
        for (check, outcome) in run.outcomes {
            let holds = if outcome.holds {
                "holds"
            } else {
                "does not hold"
            };
            row(
                page,
                &check.to_string(),
                &format!("{holds}: {}", outcome.seen),
            );
        }
        page.push_str("</table>\n");
    }
    if report.failures_total > 0 {
        page.push_str("<table><caption>Errors</caption>\n");
        members(page, &errors(report));
        page.push_str("</table>\n");
    }
}

/// A row for each member that is there.
fn members(page: &mut String, members: &Fields) {
    for (name, value) in &members.0 {
        match value {
            Json::Null => {}
            Json::String(text) => row(page, name, text),
            Json::Number(number) => {
                let text = number
                    .as_u64()
                    .map_or_else(|| number.to_string(), thousands);
                row(page, name, &text);
            }
            Json::Bool(_) | Json::Object(_) | Json::Array(_) => row(page, name, &value.to_string()),
        }
    }
}

fn row(page: &mut String, name: &str, value: &str) {
    let (name, value) = (escape(name), escape(value));
    let _ = writeln!(page, "<tr><th>{name}</th><td>{value}</td></tr>");
}
