//! What a run came to, for people: its figures in lines, and the failure that it ends with.

use rejoin_bots::{Cause, Conduct, Mode, Percentiles, Report};

use crate::exit::{Exit, Failure};
use crate::figures::{bytes, counted, millis, percent, thousands};

use crate::check::{Check, Outcome};

/// The figures that matter, as a table of lines.
pub(crate) fn summary(report: &Report) -> Vec<String> {
    let mut lines = vec![format!(
        "bots        {} of {} {}",
        report.joined,
        report.bots,
        course(report)
    )];
    if report.joined > 0 {
        lines.extend(figures(report));
    }
    lines.extend(verdict(report));
    lines
}

fn course(report: &Report) -> String {
    let seconds = report.played.as_secs_f64();
    match report.conduct {
        Conduct::Play => {
            let rooms = counted(report.rooms, "room");
            format!("took a seat in {rooms}, and played {seconds:.1} s")
        }
        Conduct::Idle => format!("opened a session, and held it {seconds:.1} s"),
    }
}

fn figures(report: &Report) -> Vec<String> {
    let mut lines = match report.conduct {
        Conduct::Play => play_figures(report),
        Conduct::Idle => Vec::new(),
    };
    let traffic = &report.traffic;
    lines.extend([
        format!("round trip  {}", spread(&report.rtt)),
        format!("join        {}", spread(&report.join)),
        format!(
            "network     up {} in {} datagrams, {:.1} % known to be lost; down {} in {}",
            bytes(traffic.bytes_up),
            thousands(traffic.datagrams_up),
            percent(traffic.lost_up, traffic.datagrams_up.max(1)),
            bytes(traffic.bytes_down),
            thousands(traffic.datagrams_down)
        ),
        format!("tester      {}", spread_as(&report.lateness, " late")),
    ]);
    lines.extend(rebinds_line(report));
    lines.extend(silences_line(report));
    lines.extend(resumes_line(report));
    lines.extend(recovery_lines(report));
    if let Some(invalid) = &report.invalid {
        lines.push(format!("not valid   {invalid}"));
    }
    lines
}

fn play_figures(report: &Report) -> Vec<String> {
    let snapshots = report.snapshots.full + report.snapshots.delta;
    let mut lines = vec![
        inputs_line(report),
        format!(
            "snapshots   {}, {:.1} % of them deltas; {} compared between members",
            thousands(snapshots),
            percent(report.snapshots.delta, snapshots.max(1)),
            thousands(report.snapshots.compared)
        ),
        format!("input       {}", spread_as(&report.input, " until seen")),
        format!("view age    {}", spread(&report.snapshot_age)),
    ];
    if report.inputs.refused > 0 {
        let refused = thousands(report.inputs.refused);
        lines.push(format!(
            "            {refused} inputs were not sent: a send queue was full, or the connection over"
        ));
    }
    lines
}

fn rebinds_line(report: &Report) -> Option<String> {
    let rebinds = &report.rebinds;
    let change = rebinds.change?.text();
    Some(format!(
        "rebinds     {} of {change}, {} datagrams missed; pause {}",
        thousands(rebinds.counts.done),
        thousands(rebinds.counts.missed),
        spread(&rebinds.pause)
    ))
}

fn silences_line(report: &Report) -> Option<String> {
    let silences = &report.silences;
    let counts = silences.counts;
    (counts.done > 0).then(|| {
        format!(
            "silences    {}, seats suspect {} and detached {} times; until the next view {}",
            thousands(counts.done),
            thousands(counts.suspect),
            thousands(counts.detached),
            spread(&silences.pause)
        )
    })
}

fn resumes_line(report: &Report) -> Option<String> {
    let resumes = &report.resumes;
    let counts = resumes.counts;
    (counts.ok + counts.failed + counts.killed > 0).then(|| {
        format!(
            "resumes     {} back in their seats and {} not, {} after their client was killed, \
             {} inputs died with it; {}",
            thousands(counts.ok),
            thousands(counts.failed),
            thousands(counts.killed),
            thousands(counts.died),
            spread(&resumes.resume)
        )
    })
}

fn recovery_lines(report: &Report) -> Vec<String> {
    let (kills, recovery) = (&report.kills, &report.recovery);
    let mut lines = Vec::new();
    if kills.done > 0 {
        let (done, early) = (counted(kills.done, "time"), thousands(kills.in_recovery));
        lines.push(format!(
            "kills       the server {done}, {early} of them before all were back from the one before"
        ));
    }
    if kills.done + recovery.rooms > 0 {
        lines.push(format!(
            "recovery    {} went on; {} ticks and {} inputs lost, {} doubled, {} views differ",
            counted(recovery.rooms, "room"),
            thousands(recovery.ticks_lost),
            thousands(report.inputs.lost),
            thousands(report.inputs.duplicated),
            thousands(recovery.hash_mismatches),
        ));
        lines.push(format!("pause       {}", spread(&report.resumes.pause)));
    }
    let twins = &report.twins;
    if twins.rooms + twins.differ > 0 {
        lines.push(format!(
            "twins       {} replayed from the first of {} records, {} views compared; {} differ",
            counted(twins.rooms, "room"),
            thousands(twins.records),
            thousands(twins.views),
            thousands(twins.differ),
        ));
    }
    lines
}

fn spread(measured: &Percentiles) -> String {
    spread_as(measured, "")
}

/// Figures of a distribution and what they are, if there are any.
fn spread_as(measured: &Percentiles, what: &str) -> String {
    let Percentiles {
        count,
        p50_us,
        p90_us,
        p99_us,
        p999_us,
        max_us,
    } = *measured;
    if count == 0 {
        return "not measured".to_owned();
    }
    let [p50, p90, p99, p999, max] = [p50_us, p90_us, p99_us, p999_us, max_us].map(millis);
    format!("p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}{what}")
}

fn inputs_line(report: &Report) -> String {
    let inputs = &report.inputs;
    let planned = thousands(inputs.planned);
    match report.mode {
        Mode::Latest => format!(
            "inputs      {planned} planned, {} sent",
            thousands(inputs.latest)
        ),
        Mode::Reliable => format!(
            "inputs      {planned} planned, {} sent, {} acknowledged ({:.1} %), {} lost, {} doubled",
            thousands(inputs.reliable),
            thousands(inputs.acknowledged),
            percent(inputs.acknowledged, inputs.planned),
            thousands(inputs.lost),
            thousands(inputs.duplicated)
        ),
    }
}

fn verdict(report: &Report) -> Vec<String> {
    let span = |after: Option<u64>| after.map_or_else(|| "never".to_owned(), millis);
    if report.is_ok() {
        return vec![format!(
            "checks      all held: members agreed after {}, all was settled after {}",
            span(report.agreed_after_us),
            span(report.settled_after_us)
        )];
    }
    let mut lines = vec![format!(
        "checks      {} failed",
        thousands(report.failures_total)
    )];
    lines.extend(
        report
            .failures
            .iter()
            .take(10)
            .map(|failure| format!("            {failure}")),
    );
    lines
}

/// Success, or the failure that explains the others.
///
/// # Errors
/// A check failed, or bots could not play.
pub(crate) fn judge(report: &Report) -> Result<(), Failure> {
    if report.is_ok() {
        return Ok(());
    }
    let Some(root) = report.root_failure() else {
        let text = format!("{} of {} bots took a seat", report.joined, report.bots);
        return Err(Failure::new(Exit::CheckFailed, text));
    };
    let exit = match root.cause {
        Cause::Unreachable => Exit::Unreachable,
        Cause::Version => Exit::Version,
        Cause::Refused => Exit::Refused,
        Cause::Lost => Exit::ConnectionLost,
        Cause::Check => Exit::CheckFailed,
    };
    let more = match report.failures_total.saturating_sub(root.times) {
        0 => String::new(),
        more => format!(" (and {} more)", counted(more, "failure")),
    };
    let hint = match root.cause {
        Cause::Unreachable => ": is it up, and is its key the one in the address?",
        Cause::Version | Cause::Refused | Cause::Lost | Cause::Check => "",
    };
    Err(Failure::new(exit, format!("{root}{more}{hint}")))
}

/// Fails a run whose figures say nothing of the server.
///
/// # Errors
/// The bots were late.
pub(super) fn judge_validity(report: &Report) -> Result<(), Failure> {
    let Some(invalid) = &report.invalid else {
        return Ok(());
    };
    let text =
        format!("the run is not valid: {invalid}; use fewer bots or a machine that is less busy");
    Err(Failure::new(Exit::CheckFailed, text))
}

/// How the bounds that were asked for were kept, as lines.
pub(super) fn checks(outcomes: &[(Check, Outcome)]) -> Vec<String> {
    let line = |(check, outcome): &(Check, Outcome)| {
        let holds = if outcome.holds {
            "holds"
        } else {
            "does not hold"
        };
        format!("check       {check} {holds}: {}", outcome.seen)
    };
    outcomes.iter().map(line).collect()
}

/// Fails a run that does not keep the bounds that were asked for.
///
/// # Errors
/// Names the first that is not kept.
pub(super) fn judge_checks(outcomes: &[(Check, Outcome)]) -> Result<(), Failure> {
    let mut missed = outcomes.iter().filter(|(_, outcome)| !outcome.holds);
    let Some((check, outcome)) = missed.next() else {
        return Ok(());
    };
    let more = match missed.count() {
        0 => String::new(),
        more => format!(" (and {} more)", counted(more, "check")),
    };
    let text = format!("{check} does not hold: {}{more}", outcome.seen);
    Err(Failure::new(Exit::CheckMissed, text))
}

/// The report of a run in which all went well and nothing happened.
#[cfg(test)]
pub(super) fn a_report() -> Report {
    Report {
        kind: "arena",
        mode: Mode::Reliable,
        seed: 1,
        input_hz: 30,
        bots: 2,
        conduct: Conduct::Play,
        joined: 2,
        connected: 2,
        joins: rejoin_bots::Joins::default(),
        rooms: 1,
        threads: 1,
        played: std::time::Duration::from_secs(1),
        inputs: rejoin_bots::Inputs::default(),
        snapshots: rejoin_bots::Snapshots::default(),
        events: 0,
        traffic: rejoin_bots::Traffic::default(),
        join: Percentiles::default(),
        rtt: Percentiles::default(),
        input: Percentiles::default(),
        snapshot_age: Percentiles::default(),
        probes: rejoin_bots::Probes::default(),
        lateness: Percentiles::default(),
        rebinds: rejoin_bots::Rebinds::default(),
        silences: rejoin_bots::Silences::default(),
        resumes: rejoin_bots::Resumes::default(),
        recovery: rejoin_bots::RecoveryCounts::default(),
        kills: rejoin_bots::Kills::default(),
        twins: rejoin_bots::Twins::default(),
        marks: None,
        invalid: None,
        windows: Vec::new(),
        rtt_buckets: Vec::new(),
        agreed_after_us: Some(1_000),
        settled_after_us: Some(2_000),
        failures_total: 0,
        failures: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use rejoin_bots::Failure as BotFailure;

    use super::*;

    fn report(failures: Vec<BotFailure>) -> Report {
        Report {
            failures_total: failures.iter().map(|failure| failure.times).sum(),
            failures,
            ..a_report()
        }
    }

    fn failure(bot: Option<usize>, times: u64, cause: Cause) -> BotFailure {
        BotFailure {
            bot,
            times,
            cause,
            text: format!("{cause:?}"),
        }
    }

    #[test]
    fn what_was_not_measured_is_not_told_as_nothing() {
        let lines = play_figures(&report(Vec::new()));
        let told = |line: &str| lines.iter().any(|told| told == line);
        assert!(told("input       not measured"), "{lines:?}");
        assert!(told("view age    not measured"), "{lines:?}");
    }

    #[test]
    fn a_run_without_failures_is_a_success() {
        assert_eq!(judge(&report(Vec::new())), Ok(()));
    }

    #[test]
    fn a_run_whose_bots_were_late_is_no_success() {
        let mut late = report(Vec::new());
        assert_eq!(judge_validity(&late), Ok(()));
        late.invalid = Some("they slept".to_owned());
        let failure = judge_validity(&late).unwrap_err();
        assert_eq!(failure.exit, Exit::CheckFailed);
        assert!(failure.text.contains("they slept"), "{failure:?}");
    }

    #[test]
    fn a_bound_that_is_not_kept_is_told_with_the_figure() {
        let outcome = |holds| {
            let seen = "31.004ms".to_owned();
            ("rtt.p99<20ms".parse().unwrap(), Outcome { holds, seen })
        };
        assert_eq!(judge_checks(&[outcome(true)]), Ok(()));
        let failure = judge_checks(&[outcome(true), outcome(false), outcome(false)]);
        let text = "rtt.p99<20ms does not hold: 31.004ms (and 1 check more)";
        assert_eq!(failure, Err(Failure::new(Exit::CheckMissed, text)));
    }

    #[test]
    fn the_failure_that_explains_the_others_gives_the_code() {
        let failures = vec![
            failure(None, 1, Cause::Check),
            failure(Some(7), 2, Cause::Lost),
        ];
        let found = judge(&report(failures));
        let text = "2 bots: Lost (and 1 failure more)";
        assert_eq!(found, Err(Failure::new(Exit::ConnectionLost, text)));
        let found = judge(&report(vec![failure(Some(7), 1, Cause::Check)]));
        assert_eq!(found, Err(Failure::new(Exit::CheckFailed, "bot 7: Check")));
    }
}
