//! Counters as a page in the text format of Prometheus (version 0.0.4).
//!
//! Labels are shards alone: a room or player in a label would make as many series as there were ever any.

use crate::report::ServerReport;

/// Whether a figure may fall.
#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

/// The page.
pub(super) fn page(shards: &[ServerReport]) -> String {
    let mut page = String::new();
    let version = env!("CARGO_PKG_VERSION");
    head(
        &mut page,
        Kind::Gauge,
        "build_info",
        "The version that runs.",
    );
    line(
        &mut page,
        "build_info",
        &format!("version=\"{version}\""),
        1,
    );
    for Figure {
        kind,
        name,
        help,
        of,
    } in &FIGURES
    {
        head(&mut page, *kind, name, help);
        for (shard, report) in shards.iter().enumerate() {
            line(&mut page, name, &format!("shard=\"{shard}\""), of(report));
        }
    }
    page
}

fn head(page: &mut String, kind: Kind, name: &str, help: &str) {
    let kind = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
    };
    page.push_str(&format!(
        "# HELP rejoin_{name} {help}\n# TYPE rejoin_{name} {kind}\n"
    ));
}

fn line(page: &mut String, name: &str, labels: &str, value: u64) {
    page.push_str(&format!("rejoin_{name}{{{labels}}} {value}\n"));
}

/// One figure.
struct Figure {
    kind: Kind,
    name: &'static str,
    help: &'static str,
    of: fn(&ServerReport) -> u64,
}

const fn gauge(name: &'static str, help: &'static str, of: fn(&ServerReport) -> u64) -> Figure {
    let kind = Kind::Gauge;
    Figure {
        kind,
        name,
        help,
        of,
    }
}

const fn counter(name: &'static str, help: &'static str, of: fn(&ServerReport) -> u64) -> Figure {
    let kind = Kind::Counter;
    Figure {
        kind,
        name,
        help,
        of,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// All figures, with what each is.
const FIGURES: [Figure; 33] = [
    gauge("sessions", "Sessions now.", |report| {
        count(report.shard.sessions)
    }),
    gauge("rooms", "Rooms now.", |report| count(report.shard.rooms)),
    gauge(
        "rooms_to_come",
        "Rooms of an earlier process that are yet to be taken up.",
        |report| count(report.shard.rooms_to_come),
    ),
    gauge(
        "rooms_paused",
        "Rooms that wait for place on the disk.",
        |report| count(report.shard.rooms_paused),
    ),
    gauge(
        "rooms_asleep",
        "Rooms that hibernate now: on the disk alone.",
        |report| count(report.shard.rooms_asleep),
    ),
    gauge(
        "joins_pending",
        "Joins that no packet has confirmed yet.",
        |report| count(report.shard.joins_pending),
    ),
    counter("joins_total", "Joins confirmed.", |report| {
        report.shard.joins
    }),
    counter(
        "cookies_asked_total",
        "Hellos that were asked for a cookie.",
        |report| report.shard.cookies_asked,
    ),
    counter(
        "resumes_total",
        "Joins confirmed that presented a ticket.",
        |report| report.shard.resumes,
    ),
    counter(
        "resets_total",
        "Clients told that their connection is no more.",
        |report| report.shard.resets,
    ),
    counter(
        "hellos_refused_total",
        "Hellos that got no answer or a refusal.",
        |report| report.shard.hellos_refused,
    ),
    counter("turns_total", "Turns of the loop.", |report| report.turns),
    counter(
        "datagrams_received_total",
        "Datagrams received.",
        |report| report.received,
    ),
    counter(
        "datagrams_too_long_total",
        "Datagrams dropped because they were longer than any of ours.",
        |report| report.received_too_long,
    ),
    counter(
        "datagrams_dropped_total",
        "Datagrams of no connection, replayed, or not authentic.",
        |report| report.shard.dropped,
    ),
    counter(
        "datagrams_forwarded_total",
        "Datagrams handed to the shard that they are for.",
        |report| report.shard.forwarded,
    ),
    counter(
        "letters_total",
        "What shards told each other about sessions and rooms.",
        |report| report.shard.letters,
    ),
    counter(
        "moves_total",
        "Clients that went on from another address.",
        |report| report.shard.moves,
    ),
    counter(
        "datagrams_sent_total",
        "Datagrams that the system took.",
        |report| report.sent,
    ),
    counter(
        "sends_blocked_total",
        "Datagrams dropped because the send buffer was full.",
        |report| report.sends_blocked,
    ),
    counter(
        "sends_refused_total",
        "Datagrams that the system refused.",
        |report| report.sends_refused,
    ),
    counter("ticks_total", "Ticks of rooms.", |report| {
        report.shard.ticks
    }),
    counter(
        "ticks_skipped_total",
        "Ticks skipped because the shard was late.",
        |report| report.shard.ticks_skipped,
    ),
    counter("inputs_total", "Reliable inputs applied.", |report| {
        report.shard.inputs
    }),
    counter(
        "inputs_ignored_total",
        "Inputs for seats that their session does not hold any more.",
        |report| report.shard.inputs_ignored,
    ),
    counter("snapshots_full_total", "Snapshots sent whole.", |report| {
        report.shard.snapshots_full
    }),
    counter(
        "snapshots_delta_total",
        "Snapshots sent as deltas.",
        |report| report.shard.snapshots_delta,
    ),
    counter(
        "resyncs_total",
        "Whole views that clients asked for.",
        |report| report.shard.resyncs,
    ),
    counter(
        "over_budget_total",
        "Inputs and requests refused or dropped over a budget.",
        |report| report.shard.over_budget,
    ),
    counter(
        "calls_over_budget_total",
        "Calls of room logic that took longer than call_budget.",
        |report| report.shard.calls_over_budget,
    ),
    counter(
        "ticks_slowed_total",
        "Ticks put off because several before them took longer than call_budget.",
        |report| report.shard.ticks_slowed,
    ),
    counter(
        "voids_total",
        "Calls taken out because room logic failed in them.",
        |report| report.shard.voids,
    ),
    counter(
        "rooms_failed_total",
        "Rooms closed because their logic failed.",
        |report| report.shard.rooms_failed,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_help_its_type_and_a_value() {
        let mut report = ServerReport::default();
        (report.turns, report.shard.sessions) = (12, 3);
        let page = page(&[report, ServerReport::default()]);
        let mut lines = page.lines();
        let mut names = Vec::new();
        while let Some(help) = lines.next() {
            let name = help
                .strip_prefix("# HELP ")
                .unwrap()
                .split(' ')
                .next()
                .unwrap();
            let kind = lines.next().unwrap();
            let value = lines.next().unwrap();
            if !name.ends_with("build_info") {
                assert_eq!(lines.next().unwrap(), format!("{name}{{shard=\"1\"}} 0"));
            }
            let counter = name.ends_with("_total");
            let expected = if counter { "counter" } else { "gauge" };
            assert_eq!(kind, format!("# TYPE {name} {expected}"));
            assert!(value.starts_with(&format!("{name}{{")), "{value}");
            assert!(value.rsplit(' ').next().unwrap().parse::<u64>().is_ok());
            names.push(name.to_owned());
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), FIGURES.len() + 1);
        assert!(page.contains("rejoin_turns_total{shard=\"0\"} 12\n"));
        assert!(page.contains("rejoin_sessions{shard=\"0\"} 3\n"));
    }
}
