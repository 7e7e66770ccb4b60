//! `bots`: players without people, against any server. Lines while they play, then a summary.
//!
//! ```text
//! arguments -> run (lines meanwhile) -> report -> summary, checks, files -> exit code
//! ```

mod chart;
mod killing;
mod lines;
mod live;
mod page;
mod permits;
mod record;
mod result_file;
mod summary;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use rejoin_bots::{Conduct, FleetError, Observer, Options, Report, Silence};
use rejoin_client::ServerAddress;

use crate::app::App;
use crate::bots_args::{BehaviourArg, BotsArgs};
use crate::check::{Check, Outcome};
use crate::exit::{Exit, Failure};
use crate::figures::counted;
use crate::output;
use crate::stop::Stop;
use crate::terminal::{self, Inline};

pub(crate) use lines::Lines;
pub(crate) use summary::{judge, summary};

use killing::Killing;
use live::Live;
use page::page;
use permits::{check_permits, permits};
use record::{Run, record};
use result_file::ResultFile;

/// Where a result goes.
enum Destination {
    StandardOutput,
    File(ResultFile),
}

/// Runs the command.
///
/// # Errors
/// The bots could not play, saw something that must not happen, were late themselves, or a figure
/// does not keep its bound.
pub(crate) fn run(app: &App, args: &BotsArgs) -> Result<(), Failure> {
    let kind = args.kind.as_deref().unwrap_or_else(|| app.default_kind());
    app.behaviours().check(kind)?;
    let json = args.json.as_deref().map(destination).transpose()?;
    let html = args.html.as_deref();
    let html = html
        .map(|path| ResultFile::begin("--html", path))
        .transpose()?;
    let silent = matches!(json, Some(Destination::StandardOutput));
    let stop = Stop::listen()?;
    let mut killing = Killing::of(args)?;
    let own = killing.as_ref().and_then(Killing::address);
    let address = own.or(args.address.as_ref()).cloned();
    let address = address.unwrap_or_else(local);
    let options = options(args, &address, killing.as_ref())?;
    if !silent {
        output::line(introduction(kind, &options, &address));
        killing.iter().for_each(|it| output::line(it.plan.words()));
    }
    let mut observer = observer(&options, stop, silent);
    let report = match &mut killing {
        Some(killing) => {
            let mut report = killing.play((app, kind, &options), observer.as_mut())?;
            killing.replay(app.kinds(), &mut report)?;
            report
        }
        None => app.behaviours().run(kind, &options, observer.as_mut())?,
    };
    // What it drew goes before the result comes.
    drop(observer);
    let outcome = |check: &Check| (check.clone(), check.judge(&report));
    let outcomes: Vec<(Check, Outcome)> = args.checks.iter().map(outcome).collect();
    if !silent {
        let checks = summary::checks(&outcomes);
        summary(&report)
            .into_iter()
            .chain(checks)
            .for_each(output::line);
    }
    let run = Run {
        options: &options,
        server: &address,
        outcomes: &outcomes,
        plan: killing.as_ref().map(|killing| &killing.plan),
    };
    match json {
        Some(Destination::StandardOutput) => output::line(record(&run, &report)),
        Some(Destination::File(file)) => file.finish(&format!("{}\n", record(&run, &report)))?,
        None => {}
    }
    if let Some(file) = html {
        file.finish(&page(&run, &report))?;
    }
    let ended = killing.map_or(Ok(()), Killing::end);
    verdict(&report, &outcomes).and(ended)
}

/// The server of this machine.
fn local() -> ServerAddress {
    let address = "rejoin://127.0.0.1:7777".parse();
    address.expect("it is an address, and needs no key")
}

/// Who tells the run: a drawing on the terminal, else lines. If standard output is for the result alone,
/// standard error may be a terminal all the same.
fn observer<'a>(options: &'a Options, stop: Stop, silent: bool) -> Box<dyn Observer + 'a> {
    let inline = match silent {
        false => terminal::can_draw(&io::stdout()).then(|| Inline::on(io::stdout())),
        true => terminal::can_draw(&io::stderr()).then(|| Inline::on(io::stderr())),
    };
    match inline {
        Some(inline) => Box::new(Live::new(options, stop, inline)),
        None if silent => Box::new(Lines::silent(stop)),
        None => Box::new(Lines::new(stop)),
    }
}

/// The failure that the command ends with, if one of the run's own checks failed, the bots were late,
/// or a figure does not keep its bound: in this order, as each makes the next meaningless.
fn verdict(report: &Report, outcomes: &[(Check, Outcome)]) -> Result<(), Failure> {
    judge(report)?;
    summary::judge_validity(report)?;
    summary::judge_checks(outcomes)
}

fn destination(path: &Path) -> Result<Destination, Failure> {
    if path == Path::new("-") {
        return Ok(Destination::StandardOutput);
    }
    ResultFile::begin("--json", path).map(Destination::File)
}

/// How long bots play if nobody says, and nobody is killed.
const PLAY_FOR: Duration = Duration::from_secs(30);

/// What the arguments ask for.
fn options(
    args: &BotsArgs,
    address: &ServerAddress,
    killing: Option<&Killing>,
) -> Result<Options, Failure> {
    let mut options = Options::new(resolve(address)?, address.key);
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
    if args.behaviour == Some(BehaviourArg::Idle) {
        options.conduct = Conduct::Idle;
    }
    options.mode = args.input_mode;
    options.input_hz = args.input_rate;
    let default = killing.map_or(PLAY_FOR, Killing::play_for);
    options.play_for = args.duration.unwrap_or(default);
    options.ramp_hz = args.ramp;
    let threads = args.threads.map(usize::try_from);
    options.threads = threads.map(|threads| threads.unwrap_or(usize::MAX));
    options.lateness_max = args.lateness_max;
    options.seed = args.seed;
    options.net = args.net;
    options.rebind_every = args.rebind_every;
    options.silence = silence(args)?;
    options.resume_for = args.resume_for;
    options.client_crash_every = args.client_crash_every;
    options.ticket_dir.clone_from(&args.ticket_dir);
    options.keep_marks = args.twins;
    check_span(&options)?;
    check_crashes(&options)?;
    Ok(options)
}

/// How often and how long bots are silent.
///
/// # Errors
/// They would be all the time.
fn silence(args: &BotsArgs) -> Result<Option<Silence>, Failure> {
    let (Some(every), Some(span)) = (args.silence_every, args.silence_for) else {
        return Ok(None);
    };
    if span >= every {
        let text = format!("--silence-for {span:?} must be shorter than --silence-every {every:?}");
        return Err(Failure::new(Exit::Usage, text));
    }
    Ok(Some(Silence { every, span }))
}

/// A run that has no time for a single input would prove nothing.
///
/// # Errors
/// It is one.
pub(crate) fn check_span(options: &Options) -> Result<(), Failure> {
    let inputs = options.play_for.as_nanos() * u128::from(options.input_hz) / 1_000_000_000;
    check_interruptions(options)?;
    let idle = options.conduct == Conduct::Idle && !options.play_for.is_zero();
    if inputs > 0 || idle {
        return Ok(());
    }
    let text = format!(
        "--for {:?} is shorter than the time between two inputs at {} Hz",
        options.play_for, options.input_hz
    );
    Err(Failure::new(Exit::Usage, text))
}

/// A run that has no time for a single rebind or silence, and the play after it, would prove nothing of it.
///
/// # Errors
/// It is one.
fn check_interruptions(options: &Options) -> Result<(), Failure> {
    let span = options.play_for;
    let leaves_no_time = |for_what: &str, least: Duration| {
        let text = format!("--for {span:?} leaves no time for {for_what}: {least:?} is too short");
        (span <= least).then(|| Failure::new(Exit::Usage, text))
    };
    let after = Options::PLAYED_AFTER;
    let rebind = options.rebind_every;
    let rebind = rebind.and_then(|_| leaves_no_time("--rebind-every", after));
    let silence = options.silence.map(|silence| silence.span + after);
    let silence = silence.and_then(|least| leaves_no_time("--silence-every", least));
    rebind.or(silence).map_or(Ok(()), Err)
}

/// A run in which no client could be killed would prove nothing of it.
fn check_crashes(options: &Options) -> Result<(), Failure> {
    let least = Options::PLAYED_AFTER_CRASH;
    if options.client_crash_every.is_none() || options.play_for > least {
        return Ok(());
    }
    let text = format!(
        "--for {:?} leaves no time for --client-crash-every: nobody is killed in the last {least:?}",
        options.play_for
    );
    Err(Failure::new(Exit::Usage, text))
}

/// What will be played.
pub(crate) fn introduction(kind: &str, options: &Options, address: &ServerAddress) -> String {
    let mut text = play(kind, options, address);
    if let Some(every) = options.rebind_every {
        text.push_str(&format!("\neach changes its address every {every:?}"));
    }
    if let Some(Silence { every, span }) = options.silence {
        text.push_str(&format!("\neach is silent for {span:?} every {every:?}"));
    }
    text
}

fn play(kind: &str, options: &Options, address: &ServerAddress) -> String {
    if options.conduct == Conduct::Idle {
        let (bots, span) = (counted(options.bots, "idle bot"), options.play_for);
        return format!("{bots} without a seat on {address}, for {span:?}");
    }
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
