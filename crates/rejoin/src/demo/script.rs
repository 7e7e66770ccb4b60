//! `demo --script kill`: the server is killed in the middle of play, and everybody is back or the command fails.

use std::time::Duration;

use rejoin_bots::{Options, Report};
use serde_json::json;

use crate::bots_command::{Lines, introduction, judge};
use crate::exit::{Exit, Failure};
use crate::kills::{self, Moments, Plan, Shared, Victim};
use crate::output;
use crate::server_child::ServerChild;
use crate::stop::Stop;

use super::{Game, tell};

/// The shortest play: half of it is long enough for everybody to be back.
const SHORTEST: Duration = Duration::from_secs(4);

/// Plays, kills, and tells what came of it: lines, or with `is_json` one object and nothing else.
///
/// # Errors
/// Something was lost, somebody is not back, or the run could not start.
pub(super) fn kill(
    game: &Game<'_>,
    server: &mut ServerChild,
    stop: Stop,
    is_json: bool,
) -> Result<(), Failure> {
    let Game { app, kind, options } = *game;
    if options.play_for < SHORTEST {
        let text = format!("--script kill needs --for {SHORTEST:?} at least");
        return Err(Failure::new(Exit::Usage, text));
    }
    let plan = Plan {
        count: 1,
        moments: Moments::Every(options.play_for / 2),
        seed: 0,
        ends_play: false,
        is_for_show: false,
    };
    let mut lines = if is_json {
        Lines::silent(stop)
    } else {
        output::line(introduction(kind, options, server.address()));
        output::line(plan.words());
        Lines::new(stop)
    };
    let shared = Shared::new(server.process());
    let mut victim = Victim::Own(server);
    let report = kills::play(
        (app, kind, options),
        (&plan, &shared),
        &mut victim,
        &mut lines,
    )?;
    let verdict = verdict(&report, options);
    if is_json {
        output::line(record(&report, verdict.is_ok()));
    } else {
        tell(&report);
    }
    verdict
}

/// # Errors
/// Names what the promise was broken by.
fn verdict(report: &Report, options: &Options) -> Result<(), Failure> {
    judge(report)?;
    let resumes = report.resumes.counts;
    let bots = u64::try_from(options.bots).unwrap_or(u64::MAX);
    let wrong = if report.kills.done != 1 {
        Some("the play ended before the server was killed".to_owned())
    } else if resumes.failed > 0 || resumes.ok < bots {
        Some(format!("{} of {bots} sessions resumed", resumes.ok))
    } else if report.inputs.lost + report.inputs.duplicated > 0 {
        let (lost, doubled) = (report.inputs.lost, report.inputs.duplicated);
        Some(format!("{lost} inputs were lost and {doubled} doubled"))
    } else if report.recovery.ticks_lost > 0 {
        Some(format!("{} ticks were lost", report.recovery.ticks_lost))
    } else {
        None
    };
    let failure = wrong.map(|text| Failure::new(Exit::CheckFailed, text));
    failure.map_or(Ok(()), Err)
}

/// As in the file of `bots --json`, what a kill is about.
fn record(report: &Report, is_ok: bool) -> String {
    let (resumes, pause) = (report.resumes.counts, report.resumes.pause);
    let recovery = report.recovery;
    let of_pause = |us: u64| (pause.count > 0).then_some(us);
    json!({
        "ok": is_ok,
        "bots": report.bots,
        "rooms": report.rooms,
        "kills": report.kills.done,
        "resumes": { "ok": resumes.ok, "failed": resumes.failed },
        "pause_us": {
            "p50": of_pause(pause.p50_us),
            "p99": of_pause(pause.p99_us),
            "max": of_pause(pause.max_us),
        },
        "recovery": {
            "rooms": recovery.rooms,
            "ticks_lost": recovery.ticks_lost,
            "inputs_lost": report.inputs.lost,
            "inputs_duplicated": report.inputs.duplicated,
            "hash_mismatches": recovery.hash_mismatches,
        },
    })
    .to_string()
}
