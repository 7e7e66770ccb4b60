//! How cost grows: one thing changes, all else stays.

mod chart;
mod points;

use std::fmt::Write as _;
use std::path::Path;

use rejoin::protocol::limits::HEARTBEAT_IDLE;
use serde::Serialize;

use crate::figures::{Spread, Turn};
use crate::idle::{self, Idle, Stillness};
use crate::options::{Options, machine};
use crate::rounds;
use points::{CURVES, Curve, Point, Series};

/// What `curves.json` holds.
#[derive(Serialize)]
struct Report {
    machine: String,
    rounds: u16,
    seconds: f64,
    curves: Vec<Drawn>,
}

/// One curve, measured.
#[derive(Serialize)]
struct Drawn {
    name: &'static str,
    about: &'static str,
    /// What is along the bottom, and up the side.
    along: &'static str,
    up: &'static str,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    places: Vec<Place>,
}

/// One point of a line, over all rounds.
#[derive(Serialize)]
struct Place {
    at: usize,
    value: Spread,
    /// Of the turns that count.
    turns: Vec<Turn>,
    idle: Vec<Idle>,
    /// What speaks against those that do not.
    left_out: Vec<String>,
}

/// Measures all curves and writes them. True if each point has a turn that counts.
pub(crate) fn run(options: &Options, folder: &Path) -> bool {
    if let Err(error) = std::fs::create_dir_all(folder) {
        println!("--curves: {}: {error}", folder.display());
        return false;
    }
    let mut good = true;
    let curves = CURVES
        .iter()
        .map(|curve| draw(curve, options, &mut good))
        .collect();
    let report = Report {
        machine: machine(),
        rounds: options.rounds,
        seconds: options.span().as_secs_f64(),
        curves,
    };
    let json = serde_json::to_string_pretty(&report).expect("figures can be written");
    let files = [
        ("curves.json", json + "\n"),
        ("curves.md", report.tables()),
        ("curves.svg", chart::svg(&report)),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("the folder can be written to");
    }
    good
}

fn draw(curve: &'static Curve, options: &Options, good: &mut bool) -> Drawn {
    println!("{}: {}", curve.name, curve.about);
    let lines = curve.lines.iter().map(|series| Line {
        name: series.name,
        places: series
            .points
            .iter()
            .filter_map(|point| place(series, *point, options, good))
            .collect(),
    });
    Drawn {
        name: curve.name,
        about: curve.about,
        along: curve.along,
        up: curve.lines.first().map_or("", |series| series.what.unit()),
        lines: lines.collect(),
    }
}

/// One point in all rounds. `None` if it has no figures.
fn place(series: &Series, point: Point, options: &Options, good: &mut bool) -> Option<Place> {
    let (mut values, mut left_out) = (Vec::new(), Vec::new());
    let (mut turns, mut idles) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        match series.what {
            points::What::Play => {
                let load = point.load(options.span());
                let (turn, ended_well) = rounds::measure(round, series.subject, load);
                *good &= ended_well;
                println!("{:>7} {}", point.at, turn.line());
                match &turn.invalid {
                    Some(why) if !options.rough => left_out.push(why.clone()),
                    _ => {
                        values.push(turn.cpu_ns_per_player_second / 1e3);
                        turns.push(turn);
                    }
                }
            }
            points::What::Idle => {
                let stillness = Stillness {
                    sessions: point.at,
                    seated: false,
                    // Each has its heartbeat.
                    span: options.span().max(HEARTBEAT_IDLE),
                };
                let (idle, ended_well) = idle::measure(round, series.subject, stillness);
                *good &= ended_well;
                println!(
                    "{:>7} {:.2} KiB, {:.2} % of a core",
                    point.at,
                    idle.kib_per_session,
                    idle.cpu_share * 100.0
                );
                values.push(idle.cpu_share * 1e6 / point.at as f64);
                idles.push(idle);
            }
        }
    }
    let value = Spread::of(values.into_iter());
    *good &= value.is_some();
    Some(Place {
        at: point.at,
        value: value?,
        turns,
        idle: idles,
        left_out,
    })
}

impl Report {
    fn tables(&self) -> String {
        let mut text = format!(
            "# How cost grows\n\n{}; {} rounds of {} s a point\n",
            self.machine, self.rounds, self.seconds
        );
        for curve in &self.curves {
            write!(
                text,
                "\n**{}**: {}.\n\n| {} |",
                curve.name, curve.about, curve.along
            )
            .expect(TEXT);
            let ats: Vec<usize> = curve.ats();
            for at in &ats {
                write!(text, " {at} |").expect(TEXT);
            }
            text += &format!("\n|---|{}\n", "---|".repeat(ats.len()));
            for line in &curve.lines {
                write!(text, "| {}, {} |", line.name, curve.up).expect(TEXT);
                for at in &ats {
                    let place = line.places.iter().find(|place| place.at == *at);
                    match place {
                        Some(place) => write!(text, " {:.1} |", place.value),
                        None => write!(text, " - |"),
                    }
                    .expect(TEXT);
                }
                text.push('\n');
            }
            for (name, of) in [
                ("KiB a session", kib as fn(&Place) -> Option<f64>),
                ("round trip p99, ms", p99),
            ] {
                for line in curve
                    .lines
                    .iter()
                    .filter(|line| line.places.iter().any(|it| of(it).is_some()))
                {
                    write!(text, "| {}, {name} |", line.name).expect(TEXT);
                    for at in &ats {
                        let place = line.places.iter().find(|place| place.at == *at);
                        match place.and_then(of) {
                            Some(value) => write!(text, " {value:.2} |"),
                            None => write!(text, " - |"),
                        }
                        .expect(TEXT);
                    }
                    text.push('\n');
                }
            }
        }
        text
    }
}

const TEXT: &str = "a text takes what is written";

impl Drawn {
    /// All places along the bottom.
    fn ats(&self) -> Vec<usize> {
        let places = self.lines.iter().flat_map(|line| &line.places);
        let mut ats: Vec<usize> = places.map(|place| place.at).collect();
        ats.sort_unstable();
        ats.dedup();
        ats
    }
}

fn kib(place: &Place) -> Option<f64> {
    let idle = place.idle.iter().map(|it| it.kib_per_session);
    Spread::of(idle).map(|spread| spread.median)
}

fn p99(place: &Place) -> Option<f64> {
    Spread::of(place.turns.iter().map(|it| it.rtt_p99_ms)).map(|spread| spread.median)
}
