//! Generated inputs by the million, for every parser and machine.
//!
//! ```sh
//! cargo run --release -p rejoin-fuzzing --example generated -- --inputs 1000000 --steps 100000
//! ```

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use clap::Parser;
use data_encoding::HEXLOWER;
use rejoin_fuzzing::generate::{self, Failure, Tally};
use rejoin_fuzzing::{DECODERS, MACHINES, bombs, corpus, parsers};

/// Gives every parser and machine inputs that nobody sound would send.
#[derive(Parser)]
struct Arguments {
    /// Inputs for each parser.
    #[arg(long, default_value_t = 1_000_000)]
    inputs: u64,
    /// Steps of each machine.
    #[arg(long, default_value_t = 100_000)]
    steps: u64,
    /// What all inputs follow from, with the corpus; drawn from the clock if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this parser or machine.
    #[arg(long)]
    only: Option<String>,
    /// Gives the input in this file once instead, so that a failure can be looked at.
    #[arg(long, requires = "only")]
    file: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "a report for people")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let (Some(name), Some(file)) = (&arguments.only, &arguments.file) {
        let input = std::fs::read(file).expect("the file can be read");
        rejoin_fuzzing::check(name, &input);
        println!("{name}: {} bytes pass", input.len());
        return ExitCode::SUCCESS;
    }
    let seed = arguments.seed.unwrap_or_else(from_clock);
    println!("seed {seed}");
    let jobs = jobs(&arguments);
    if jobs.is_empty() {
        println!("no parser or machine has that name");
        return ExitCode::FAILURE;
    }
    let failed = run_all(&jobs, seed);
    if arguments.only.is_none() {
        time_bombs();
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Runs one job per processor at a time; true if any failed.
fn run_all(jobs: &[Job], seed: u64) -> bool {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !run(job, seed) {
                failed.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    failed.into_inner()
}

/// Reports the bomb that takes longest for its length.
#[expect(clippy::print_stdout, reason = "a report for people")]
fn time_bombs() {
    const ROUNDS: u32 = 20;
    let bombs = bombs::all();
    let mut worst = (0.0, String::new());
    for (name, bytes) in &bombs {
        for decoder in DECODERS {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                (decoder.decode)(bytes);
            }
            let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
            let len = u32::try_from(bytes.len().max(1_024)).unwrap_or(u32::MAX);
            let per_kib = micros * 1_024.0 / f64::from(len);
            if per_kib > worst.0 {
                worst = (per_kib, format!("{name}, as {}", decoder.name));
            }
        }
    }
    println!(
        "{} MessagePack bombs: at most {:.1} us per KiB ({})",
        bombs.len(),
        worst.0,
        worst.1
    );
}

/// One parser or machine with its corpus and its amount.
struct Job {
    name: &'static str,
    run: Box<dyn Fn(u64) -> Result<Tally, Box<Failure>> + Sync>,
}

fn jobs(arguments: &Arguments) -> Vec<Job> {
    let wanted = |name: &str| arguments.only.as_deref().is_none_or(|only| only == name);
    let seeds = |name| corpus::inputs(name).expect("the corpus can be read");
    let (inputs, steps) = (arguments.inputs, arguments.steps);
    // Machines take longest and come first.
    let machines = MACHINES
        .into_iter()
        .filter(|it| wanted(it.name))
        .map(|machine| {
            let seeds = seeds(machine.name);
            Job {
                name: machine.name,
                run: Box::new(move |seed| generate::play(&machine, &seeds, seed, steps)),
            }
        });
    let parsers = parsers().into_iter().filter(|it| wanted(it.name));
    let parsers = parsers.map(|parser| {
        let seeds = seeds(parser.name);
        Job {
            name: parser.name,
            run: Box::new(move |seed| generate::parse(&parser, &seeds, seed, inputs)),
        }
    });
    machines.chain(parsers).collect()
}

/// False if something did not hold.
#[expect(clippy::print_stdout, reason = "a report for people")]
fn run(job: &Job, seed: u64) -> bool {
    let start = Instant::now();
    let outcome = (job.run)(seed);
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(tally) => {
            let name = job.name;
            let rate = |count: u64| format!("{:.0}", as_float(count) / seconds);
            let steps = if tally.steps > 0 {
                format!(", {} steps, {} steps/s", tally.steps, rate(tally.steps))
            } else {
                String::new()
            };
            println!(
                "{name:16} {:>10} inputs {seconds:>8.1} s {:>9} inputs/s{steps}",
                tally.inputs,
                rate(tally.inputs)
            );
            true
        }
        Err(failure) => {
            let Failure {
                index,
                input,
                words,
            } = *failure;
            println!(
                "{}: input {index} of seed {seed} fails: {words}\n{}",
                job.name,
                HEXLOWER.encode(&input)
            );
            false
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn as_float(count: u64) -> f64 {
    count as f64
}

fn from_clock() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
