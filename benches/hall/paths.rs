//! Instructions of the hot paths, counted by callgrind and held against those of the repository.
//!
//! ```sh
//! cargo bench -p rejoin-hall --bench paths                # counts, and fails where one grew by more than 3 %
//! cargo bench -p rejoin-hall --bench paths -- --bless     # writes what it counts
//! cargo bench -p rejoin-hall --bench paths -- --crowd     # many players: time, and memory that is waited for
//! ```
//!
//! Instructions are no time, but they repeat: the same program counts the same whatever else the machine does. They
//! depend on the compiler and on what the processor can do, so `paths.toml` holds a table for each such pair, and one
//! that is not there is told and passes.

#![allow(clippy::print_stdout, reason = "a tool of its own")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rejoin_hall::Hall;
use rejoin_hall::workload::{MEMBERS, MESSAGES, QUARTER, WHOLE};
use rejoin_protocol::snapshot::{self, Codec};

/// How much more than written a path may take, in hundredths.
const TOLERANCE: u64 = 3;

/// By compiler and processor, then by path.
type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// Does something often, and inside of [`counted`] nothing else. Gives how often.
type Run = fn() -> u64;

const PATHS: [(&str, Run); 7] = [
    ("second of a player of the arena", seconds),
    ("input taken", || steps(Hall::open(16, WHOLE), TAKE)),
    ("view of 1000 B sent", || steps(Hall::open(16, WHOLE), TURN)),
    ("delta of a quarter sent", || {
        steps(Hall::open(16, QUARTER), TURN)
    }),
    ("delta sent to one of 100", || {
        steps(Hall::open(100, QUARTER), TURN)
    }),
    ("delta taken by a client", || {
        steps(Hall::open(16, QUARTER), HAND_OUT)
    }),
    ("delta made of 1000 B", deltas),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments = arguments.iter().map(String::as_str);
    // `cargo bench` adds it.
    let arguments: Vec<&str> = arguments.filter(|it| *it != "--bench").collect();
    let outcome = match arguments.as_slice() {
        ["run", name] => return run(name),
        // What `cargo test --benches` does.
        ["--test"] => return ExitCode::SUCCESS,
        ["--crowd"] => crowd(),
        ["--bless"] => guard(true),
        [] => guard(false),
        other => {
            println!(
                "paths: {} is unknown; there are --bless and --crowd",
                other.join(" ")
            );
            return ExitCode::from(2);
        }
    };
    outcome.unwrap_or_else(|problem| {
        println!("paths: {problem}");
        ExitCode::FAILURE
    })
}

/// What callgrind counts: all that is called by this, and nothing around it.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

/// One part of a step of a hall.
type Part = fn(&mut Hall);

/// Ticks of a full room, of which one part counts. Gives the datagrams that passed.
fn steps(mut hall: Hall, part: usize) -> u64 {
    const STEPS: u64 = 32;
    for _ in 0..STEPS {
        hall.act();
        for (index, does) in PARTS.iter().enumerate() {
            match index == part {
                true => counted(&mut || does(&mut hall)),
                false => does(&mut hall),
            }
        }
    }
    STEPS * hall.members()
}

/// A second in which 16 members play. Gives how many there are.
fn seconds() -> u64 {
    let mut hall = Hall::open(16, WHOLE);
    second(&mut hall, count_look);
    hall.members()
}

/// A second of play, looked at each millisecond.
fn second(hall: &mut Hall, mut look: impl FnMut(&mut Hall)) {
    for _ in 0..1_000 {
        hall.look();
        look(hall);
        hall.hand_out();
    }
}

/// What a shard does at a look, counted.
fn count_look(hall: &mut Hall) {
    counted(&mut || {
        hall.take();
        hall.turn();
    });
}

/// Rooms of the crowd whose memory is counted.
const CROWD: u16 = 32;
/// A processor's caches: 32 KiB for data and as much for code, and a mebibyte behind them.
const CACHES: [&str; 4] = [
    "--cache-sim=yes",
    "--D1=32768,8,64",
    "--I1=32768,8,64",
    "--LL=1048576,8,64",
];

/// How long a shard took and turned in a second of play.
fn time_second(hall: &mut Hall) -> [Duration; 2] {
    let [mut taking, mut turning] = [Duration::ZERO; 2];
    second(hall, |hall| {
        let began = Instant::now();
        hall.take();
        let taken = Instant::now();
        hall.turn();
        taking += taken - began;
        turning += taken.elapsed();
    });
    [taking, turning]
}

fn open_crowd(rooms: u16) -> Hall {
    let members = u16::try_from(MEMBERS).expect("a room has few");
    Hall::open_rooms(rooms, members, WHOLE)
}

/// Many players: what a shard takes for one of them, and how much memory each datagram waits for. The clients are
/// in the same caches, so that both are more than a server's.
fn crowd() -> Result<ExitCode, String> {
    println!("players | us a player and second: taking | turning");
    for rooms in [4, CROWD, 2 * CROWD] {
        let mut hall = open_crowd(rooms);
        time_second(&mut hall);
        let [taking, turning] = time_second(&mut hall);
        let of_each = |took: Duration| took.as_secs_f64() * 1e6 / hall.members() as f64;
        println!(
            "{} | {:.0} | {:.0}",
            hall.members(),
            of_each(taking),
            of_each(turning)
        );
    }
    let log = valgrind("many", &CACHES)?.1;
    let players = u64::from(CROWD) * MEMBERS as u64;
    let figure = |name: &str| {
        let line = log.lines().find_map(|line| line.split_once(name))?;
        let figure = line.1.split_whitespace().next()?.replace(',', "");
        Some(figure.parse::<u64>().ok()? as f64 / (players * MESSAGES) as f64)
    };
    for (what, name) in [
        ("instructions", "I   refs:"),
        ("lines of code that the first cache lacks", "I1  misses:"),
        ("lines of data that the first cache lacks", "D1  misses:"),
        ("lines of data that both lack", "LLd misses:"),
    ] {
        let figure = figure(name).ok_or_else(|| format!("valgrind told nothing\n{log}"))?;
        println!("{what}, for a message of {players} players: {figure:.1}");
    }
    Ok(ExitCode::SUCCESS)
}

const PARTS: [Part; 3] = [Hall::take, Hall::turn, Hall::hand_out];
const TAKE: usize = 0;
const TURN: usize = 1;
const HAND_OUT: usize = 2;

fn deltas() -> u64 {
    const DELTAS: u64 = 256;
    let base: Vec<u8> = (0..1_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let mut view = base.clone();
    for row in view.chunks_mut(62).step_by(4) {
        row.iter_mut().for_each(|byte| *byte ^= 0x55);
    }
    for _ in 0..DELTAS {
        counted(&mut || {
            drop(black_box(snapshot::delta_by(
                Codec::Xor,
                black_box(&base),
                &view,
            )))
        });
    }
    DELTAS
}

/// What valgrind runs.
fn run(name: &str) -> ExitCode {
    if name == "many" {
        second(&mut open_crowd(CROWD), count_look);
        return ExitCode::SUCCESS;
    }
    let Some((_, run)) = PATHS.iter().find(|(path, _)| *path == name) else {
        return ExitCode::from(2);
    };
    println!("{} {}", run(), features());
    ExitCode::SUCCESS
}

/// What the cipher and the hashes choose their code by.
fn features() -> String {
    let mut found = vec![std::env::consts::ARCH];
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("aes", is_x86_feature_detected!("aes")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("vaes", is_x86_feature_detected!("vaes")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
        ];
        found.extend(known.iter().filter(|(_, has)| *has).map(|(name, _)| name));
    }
    found.join("+")
}

/// Counts all paths and compares.
fn guard(bless: bool) -> Result<ExitCode, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("paths.toml");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let mut written: Counts =
        toml::from_str(&text).map_err(|problem| format!("{}: {problem}", file.display()))?;
    let compiler = output(Command::new("rustc").arg("--version"))?;
    let compiler: Vec<&str> = compiler.split_whitespace().take(2).collect();
    let compiler = compiler.join(" ");
    let mut counts: Counts = BTreeMap::new();
    let mut grown = Vec::new();
    for (name, _) in &PATHS {
        let (count, features) = count(name)?;
        let key = format!("{compiler}, {features}");
        let before = written.get(&key).and_then(|paths| paths.get(*name));
        println!("{}", line(name, count, before.copied()));
        if before.is_some_and(|before| count * 100 > before * (100 + TOLERANCE)) {
            grown.push(*name);
        }
        let paths = counts.entry(key).or_default();
        paths.insert((*name).to_owned(), count);
    }
    if bless {
        written.extend(counts);
        std::fs::write(&file, toml_of(&written)).map_err(|problem| problem.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    for key in counts.keys().filter(|key| !written.contains_key(*key)) {
        println!(
            "nothing is written for {key}: `cargo bench -p rejoin-hall --bench paths -- --bless` does"
        );
    }
    if grown.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!(
        "more than {TOLERANCE} % above what is written: {}",
        grown.join(", ")
    ))
}

fn line(name: &str, count: u64, before: Option<u64>) -> String {
    match before {
        None => format!("{name:<26} {count:>8}"),
        Some(before) => {
            let [count_f, before_f] =
                [count, before].map(|count| f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
            let change = (count_f / before_f - 1.0) * 100.0;
            format!("{name:<26} {count:>8}  {change:>+6.2} %")
        }
    }
}

/// Instructions of one run of a path, and what the processor can do under valgrind.
fn count(name: &str) -> Result<(u64, String), String> {
    let (told, log) = valgrind(name, &[])?;
    let collected = log.lines().find_map(|line| line.split_once("Collected : "));
    let collected = collected.and_then(|(_, count)| count.trim().parse::<u64>().ok());
    let runs = told.trim().split_once(' ');
    let runs = runs.and_then(|(runs, features)| Some((runs.parse::<u64>().ok()?, features)));
    match (collected, runs) {
        (Some(collected), Some((runs, features))) if collected > 0 && runs > 0 => {
            Ok((collected / runs, features.to_owned()))
        }
        _ => Err(format!("{name}: valgrind counted nothing\n{told}{log}")),
    }
}

/// Runs a path under callgrind. Gives what the path prints, and what callgrind does.
fn valgrind(name: &str, more: &[&str]) -> Result<(String, String), String> {
    let own = std::env::current_exe().map_err(|problem| problem.to_string())?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args([
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--toggle-collect=*paths::counted*",
    ]);
    valgrind.args(more).arg(own).args(["run", name]);
    let done = valgrind.output();
    let done =
        done.map_err(|problem| format!("valgrind does not start, is it installed? {problem}"))?;
    Ok((
        String::from_utf8_lossy(&done.stdout).into_owned(),
        String::from_utf8_lossy(&done.stderr).into_owned(),
    ))
}

fn output(command: &mut Command) -> Result<String, String> {
    let done = command.output().map_err(|problem| problem.to_string())?;
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn toml_of(counts: &Counts) -> String {
    let mut text =
        "# Instructions of one run of each hot path: cargo bench -p rejoin-hall --bench paths -- --bless\n"
            .to_owned();
    for (key, paths) in counts {
        text += &format!("\n[\"{key}\"]\n");
        for (name, count) in paths {
            text += &format!("\"{name}\" = {count}\n");
        }
    }
    text
}
