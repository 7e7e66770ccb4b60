//! `simulate`: matches drawn from seeds, and what they prove.

use std::time::{Duration, Instant};

use rejoin_simulation::{Counters, Coverage, Report, Settings};

use crate::cli::{Seeds, SimulateArgs};
use crate::exit::{Exit, Failure};
use crate::output;

/// From this many seeds on, every fault must have met every state of a client.
const SWEEP: u64 = 200;

/// Runs the command: stops at the first seed that fails.
///
/// # Errors
/// A property did not hold.
pub(crate) fn run(args: &SimulateArgs) -> Result<(), Failure> {
    let settings = Settings {
        seconds: args.seconds,
        log: usize::try_from(args.log_events).unwrap_or(usize::MAX),
        ..Settings::default()
    };
    match args.seeds {
        Some(seeds) => many(seeds, &settings),
        None => one(args.seed.unwrap_or(0), &settings),
    }
}

/// One match, with everything it can tell.
fn one(seed: u64, settings: &Settings) -> Result<(), Failure> {
    let start = Instant::now();
    let report = rejoin_simulation::run(seed, settings);
    output::line(format_args!("seed {seed}: {}", report.options));
    judge(&report)?;
    output::line(report.counters);
    output::line(format_args!(
        "hash {:016x}; all properties held; {}",
        report.hash,
        speed(report.simulated, start.elapsed())
    ));
    Ok(())
}

/// Many matches: a line a second, then the table of what was tried.
fn many(seeds: Seeds, settings: &Settings) -> Result<(), Failure> {
    let start = Instant::now();
    let mut said = start;
    let mut simulated = Duration::ZERO;
    let mut counters = Counters::default();
    let mut coverage = Coverage::default();
    for seed in seeds.from..seeds.to {
        let report = rejoin_simulation::run(seed, settings);
        judge(&report)?;
        simulated += report.simulated;
        counters.add(&report.counters);
        coverage.add(&report.coverage);
        if said.elapsed() >= Duration::from_secs(1) {
            said = Instant::now();
            output::line(format_args!(
                "seed {seed} passed; {}",
                speed(simulated, start.elapsed())
            ));
        }
    }
    output::line(&coverage);
    output::line(counters);
    let passed = seeds.to - seeds.from;
    output::line(format_args!(
        "{passed} seeds passed; {}",
        speed(simulated, start.elapsed())
    ));
    if passed < SWEEP {
        return Ok(());
    }
    let untried = coverage.unhit().next();
    untried.map_or(Ok(()), |(fault, stage)| {
        let text = format!("{fault:?} never met a client that was {stage:?}");
        Err(Failure::new(Exit::CheckFailed, text))
    })
}

/// Success, or what did not hold, with the events before it.
fn judge(report: &Report) -> Result<(), Failure> {
    let Err(failure) = &report.outcome else {
        return Ok(());
    };
    for event in &report.log {
        output::line(event);
    }
    Err(Failure::new(Exit::CheckFailed, failure))
}

fn speed(simulated: Duration, real: Duration) -> String {
    let factor = simulated.as_secs_f64() / real.as_secs_f64().max(1e-9);
    format!(
        "{:.0} simulated seconds in {:.1} s, {factor:.0} times real time",
        simulated.as_secs_f64(),
        real.as_secs_f64()
    )
}
