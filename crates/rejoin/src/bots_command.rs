//! `bots`: players without people, against any server. Lines while they play, then a summary.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use rejoin_bots::{
    Cause, Control, FleetError, Mode, Observer, Options, Percentiles, Progress, Report, Stage,
};
use rejoin_client::{Credentials, ServerAddress};

use crate::app::App;
use crate::cli::BotsArgs;
use crate::exit::{Exit, Failure};
use crate::figures::{bytes, counted, millis, percent, thousands};
use crate::output;
use crate::stop::Stop;
use crate::token_command;

/// Runs the command.
///
/// # Errors
/// The bots could not play, or saw something that must not happen.
pub(crate) fn run(app: &App, args: &BotsArgs) -> Result<(), Failure> {
    let kind = args.kind.as_deref().unwrap_or_else(|| app.default_kind());
    app.behaviours().check(kind)?;
    let mut options = Options::new(resolve(&args.address)?, args.address.key);
    if let Some(file) = &args.permits {
        options.credentials = permits(file)?;
    }
    options.bots = match args.bots {
        Some(bots) => usize::try_from(bots).unwrap_or(usize::MAX),
        None if options.credentials.is_empty() => options.bots,
        None => options.credentials.len(),
    };
    check_permits(&options)?;
    options.rooms = usize::try_from(args.rooms).unwrap_or(usize::MAX);
    options.mode = args.input_mode;
    options.input_hz = args.input_rate;
    options.play_for = args.duration;
    options.seed = args.seed;
    options.net = args.net;
    check_span(&options)?;
    output::line(introduction(kind, &options, &args.address));
    let mut lines = Lines::new(Stop::listen()?);
    let report = app.behaviours().run(kind, &options, &mut lines)?;
    for line in summary(&report) {
        output::line(line);
    }
    judge(&report)
}

/// The permits in a file, one a line; `-` is standard input.
fn permits(file: &Path) -> Result<Vec<Credentials>, Failure> {
    let text = if file == Path::new("-") {
        token_command::standard_input()?
    } else {
        std::fs::read_to_string(file).map_err(|error| wrong_permits(file, error))?
    };
    let mut permits: Vec<Credentials> = Vec::new();
    let mut lines = HashMap::new();
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let number = index + 1;
        let credentials: Credentials = line
            .parse()
            .map_err(|error| wrong_permits(file, format_args!("line {number}: {error}")))?;
        if credentials.identity.is_none() {
            let text = format_args!("line {number}: the permit comes without its client's secret");
            return Err(wrong_permits(file, text));
        }
        if let Some(before) = lines.insert(line.trim(), number) {
            let text = format_args!("line {number}: the same permit as in line {before}");
            return Err(wrong_permits(file, text));
        }
        permits.push(credentials);
    }
    if permits.is_empty() {
        return Err(wrong_permits(file, "no permit in it"));
    }
    Ok(permits)
}

fn wrong_permits(file: &Path, problem: impl Display) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("--permits {}: {problem}", file.display()),
    )
}

/// Each bot needs a permit of its own, if any has one.
fn check_permits(options: &Options) -> Result<(), Failure> {
    let permits = options.credentials.len();
    if permits == 0 || permits >= options.bots {
        return Ok(());
    }
    let text = format!(
        "{} bots need as many permits, there are {permits}",
        options.bots
    );
    Err(Failure::new(Exit::Usage, text))
}

/// A run that has no time for a single input would prove nothing.
///
/// # Errors
/// It is one.
pub(crate) fn check_span(options: &Options) -> Result<(), Failure> {
    let inputs = options.play_for.as_nanos() * u128::from(options.input_hz) / 1_000_000_000;
    if inputs > 0 {
        return Ok(());
    }
    let text = format!(
        "--for {:?} is shorter than the time between two inputs at {} Hz",
        options.play_for, options.input_hz
    );
    Err(Failure::new(Exit::Usage, text))
}

/// What will be played.
pub(crate) fn introduction(kind: &str, options: &Options, address: &ServerAddress) -> String {
    format!(
        "{} in {} of kind {kind} on {address}\n{} inputs at {} Hz for {:?}, seed {}",
        counted(options.bots, "bot"),
        counted(options.rooms.min(options.bots), "room"),
        options.mode,
        options.input_hz,
        options.play_for,
        options.seed,
    )
}

/// Tells a run in lines, one each second.
#[derive(Debug)]
pub(crate) struct Lines {
    stop: Stop,
    before: Option<Progress>,
}

impl Lines {
    /// Lines until `stop` is asked for.
    pub(crate) const fn new(stop: Stop) -> Self {
        Self { stop, before: None }
    }
}

impl Observer for Lines {
    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn observe(&mut self, progress: &Progress) -> Control {
        if self.before.is_none() {
            output::line(HEADING);
        }
        output::line(progress_line(progress, self.before.as_ref()));
        self.before = Some(progress.clone());
        if self.stop.is_asked() {
            Control::Stop
        } else {
            Control::Continue
        }
    }
}

/// What the columns of [`progress_line`] are.
const HEADING: &str =
    "            s   bots   inputs sent  acknowledged  snapshots/s  round trip    input";

/// One second of a run. Latencies are medians.
fn progress_line(now: &Progress, before: Option<&Progress>) -> String {
    let stage = match now.stage {
        Stage::Joining => "joining",
        Stage::Playing => "playing",
        Stage::Settling => "settling",
        Stage::Leaving => "leaving",
    };
    let snapshots = |progress: &Progress| progress.snapshots.full + progress.snapshots.delta;
    let newly = snapshots(now).saturating_sub(before.map_or(0, snapshots));
    let known = |measured: &Percentiles| match measured.count {
        0 => "-".to_owned(),
        _ => millis(measured.p50_ms),
    };
    let sent = if now.inputs.reliable > 0 {
        now.inputs.reliable
    } else {
        now.inputs.latest
    };
    let failed = if now.failed > 0 {
        format!("  {} failed", now.failed)
    } else {
        String::new()
    };
    format!(
        "{stage:<8} {:>4.0} {:>6} {:>13} {:>13} {:>12} {:>11} {:>8}{failed}",
        now.in_stage.as_secs_f64(),
        now.playing,
        thousands(sent),
        thousands(now.inputs.acknowledged),
        thousands(newly),
        known(&now.rtt),
        known(&now.input),
    )
}

/// The figures that matter, as a table of lines.
pub(crate) fn summary(report: &Report) -> Vec<String> {
    let mut lines = vec![format!(
        "bots        {} of {} took a seat in {}, and played {:.1} s",
        report.joined,
        report.bots,
        counted(report.rooms, "room"),
        report.played_s
    )];
    if report.joined > 0 {
        lines.extend(figures(report));
    }
    lines.extend(verdict(report));
    lines
}

fn figures(report: &Report) -> Vec<String> {
    let snapshots = report.snapshots.full + report.snapshots.delta;
    let traffic = &report.traffic;
    let late = if report.late {
        "; these figures speak of the tester"
    } else {
        ""
    };
    let mut lines = vec![
        inputs_line(report),
        format!(
            "snapshots   {}, {:.1} % of them deltas; {} compared between members",
            thousands(snapshots),
            percent(report.snapshots.delta, snapshots.max(1)),
            thousands(report.snapshots.compared)
        ),
        format!("round trip  {}", spread(&report.rtt)),
        format!("input       {} until seen", spread(&report.input)),
        format!("join        {}", spread(&report.join)),
        format!(
            "network     up {} in {} datagrams, {:.1} % known to be lost; down {} in {}",
            bytes(traffic.bytes_up),
            thousands(traffic.datagrams_up),
            percent(traffic.lost_up, traffic.datagrams_up.max(1)),
            bytes(traffic.bytes_down),
            thousands(traffic.datagrams_down)
        ),
        format!("tester      {} late{late}", spread(&report.lateness)),
    ];
    if report.inputs.refused > 0 {
        let refused = thousands(report.inputs.refused);
        lines.push(format!(
            "            {refused} inputs were not sent: a send queue was full, or the connection over"
        ));
    }
    lines
}

fn spread(measured: &Percentiles) -> String {
    let [p50, p99, max] = [measured.p50_ms, measured.p99_ms, measured.max_ms].map(millis);
    format!("p50 {p50}, p99 {p99}, max {max}")
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
            "inputs      {planned} planned, {} sent, {} acknowledged ({:.1} %)",
            thousands(inputs.reliable),
            thousands(inputs.acknowledged),
            percent(inputs.acknowledged, inputs.planned)
        ),
    }
}

fn verdict(report: &Report) -> Vec<String> {
    let span = |ms: Option<f64>| ms.map_or_else(|| "never".to_owned(), millis);
    if report.is_ok() {
        return vec![format!(
            "checks      all held: members agreed after {}, all was settled after {}",
            span(report.agreed_after_ms),
            span(report.settled_after_ms)
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

/// The first address of the host that a bot can use.
///
/// # Errors
/// The name has none.
fn resolve(address: &ServerAddress) -> Result<SocketAddr, Failure> {
    let host = address.host.as_str();
    let fail =
        |why: String| Failure::new(Exit::Unreachable, format!("cannot resolve {host}: {why}"));
    (host, address.port)
        .to_socket_addrs()
        .map_err(|error| fail(error.to_string()))?
        .next()
        .ok_or_else(|| fail("the name has no address".to_owned()))
}

impl From<FleetError> for Failure {
    fn from(error: FleetError) -> Self {
        let usage = matches!(error, FleetError::UnknownKind { .. });
        Self::new(if usage { Exit::Usage } else { Exit::Internal }, error)
    }
}

#[cfg(test)]
mod tests {
    use rejoin_bots::Failure as BotFailure;

    use super::*;

    fn report(failures: Vec<BotFailure>) -> Report {
        Report {
            kind: "arena",
            mode: Mode::Reliable,
            seed: 1,
            input_hz: 30,
            bots: 2,
            joined: 2,
            rooms: 1,
            played_s: 1.0,
            inputs: rejoin_bots::Inputs::default(),
            snapshots: rejoin_bots::Snapshots::default(),
            events: 0,
            traffic: rejoin_bots::Traffic::default(),
            join: Percentiles::default(),
            rtt: Percentiles::default(),
            input: Percentiles::default(),
            lateness: Percentiles::default(),
            late: false,
            agreed_after_ms: Some(1.0),
            settled_after_ms: Some(2.0),
            failures_total: failures.iter().map(|failure| failure.times).sum(),
            failures,
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
    fn a_run_without_failures_is_a_success() {
        assert_eq!(judge(&report(Vec::new())), Ok(()));
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
