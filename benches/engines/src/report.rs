//! Medians and spread of all rounds as a table, and every run as JSON.

use std::fmt::Write;

use crate::kill::Kill;
use crate::kind::Kind;
use crate::run::{Figures, Load, Plan};
use crate::system::Machine;
use crate::units::as_f64;
use crate::workload::Shape;

/// Everything that was measured, and on what.
#[derive(serde::Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) command: String,
    /// The machine did other work meanwhile.
    pub(crate) rough: bool,
    pub(crate) rounds: u16,
    pub(crate) loads: Vec<Described>,
    pub(crate) kills: Vec<Kill>,
    pub(crate) runs: Vec<Run>,
}

/// A load as it was asked for.
#[derive(serde::Serialize)]
pub(crate) struct Described {
    pub(crate) load: &'static str,
    /// Turns a second; 0 for as many as can be.
    pub(crate) hz: u32,
    pub(crate) seconds: u64,
    pub(crate) shape: Shape,
}

impl Described {
    pub(crate) const fn of(plan: Plan) -> Self {
        Self {
            load: plan.load.name(),
            hz: plan.hz,
            seconds: plan.seconds,
            shape: plan.shape,
        }
    }
}

/// One engine in one round.
#[derive(serde::Serialize)]
pub(crate) struct Run {
    pub(crate) round: u16,
    pub(crate) load: &'static str,
    pub(crate) engine: &'static str,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

impl Report {
    /// What was measured, and on what.
    pub(crate) fn head(&self) -> String {
        let Machine {
            processor,
            processors,
            memory_kib,
            kernel,
            file_system,
            compiler,
            versions,
        } = &self.machine;
        let versions = versions.iter().map(|(name, it)| format!("{name} {it}"));
        let versions = versions.collect::<Vec<_>>().join(", ");
        let rough = if self.rough {
            "ROUGH: the machine did other work meanwhile\n"
        } else {
            ""
        };
        format!(
            "machine {processor}, {processors} processors, {} MiB, Linux {kernel}\ndisk    \
             {file_system}\nbuilt   {compiler}; {versions}\ncommand {}\n{rough}",
            memory_kib / 1024,
            self.command,
        )
    }

    /// What a kill leaves, a line for each engine.
    pub(crate) fn kills(&self) -> String {
        let mut text = "\nkill -9 after the last turn returned, nothing synced\n".to_owned();
        row(&mut text, ["engine", "turns", "kept", "open ms"]);
        for kill in &self.kills {
            let (written, kept) = (kill.written.to_string(), kill.kept.to_string());
            let open = format!("{:.1}", kill.open_ms);
            row(&mut text, [kill.engine, &written, &kept, &open]);
            tell_fault(&mut text, kill.fault.as_ref());
        }
        text
    }

    /// The table of one load.
    pub(crate) fn table(&self, load: Load, engines: &[Kind]) -> String {
        let name = load.name();
        let mut text = format!("\n{name}: medians of {} rounds\n", self.rounds);
        row(&mut text, COLUMNS);
        for engine in engines {
            let runs = self.runs.iter();
            let runs = runs.filter(|run| run.load == name && run.engine == engine.name());
            let runs: Vec<&Figures> = runs.map(|run| &run.figures).collect();
            let cells = cells(*engine, &runs);
            row(&mut text, cells.each_ref().map(String::as_str));
            for run in &runs {
                tell_fault(&mut text, run.fault.as_ref());
            }
        }
        text
    }

    /// Whether every engine gave back what it was given.
    pub(crate) fn is_sound(&self) -> bool {
        let runs = self.runs.iter().map(|run| &run.figures.fault);
        let kills = self.kills.iter().map(|kill| &kill.fault);
        runs.chain(kills).all(Option::is_none)
    }
}

const COLUMNS: [&str; 14] = [
    "engine",
    "wall ns",
    "min-max",
    "thread",
    "process",
    "p50 us",
    "p99 us",
    "max us",
    "B/record",
    "end MiB",
    "peak",
    "close ms",
    "open+load",
    "paced",
];

fn cells(engine: Kind, runs: &[&Figures]) -> [String; 14] {
    let of = |figure: fn(&Figures) -> f64| spread(runs.iter().map(|run| figure(run)).collect());
    let mib = |it: Spread| format!("{:.1}", it.median / 1_048_576.0);
    let wall = of(|it| it.wall_ns);
    let (open, load) = (of(|it| it.open_ms).median, of(|it| it.load_ms).median);
    [
        engine.name().to_owned(),
        format!("{:.0}", wall.median),
        format!("{:.0}-{:.0}", wall.least, wall.most),
        format!("{:.0}", of(|it| it.thread_ns).median),
        format!("{:.0}", of(|it| it.process_ns).median),
        format!("{:.1}", of(|it| it.p50_us).median),
        format!("{:.1}", of(|it| it.p99_us).median),
        format!("{:.0}", of(|it| it.max_us).most),
        format!("{:.0}", of(|it| it.written_bytes).median),
        mib(of(|it| as_f64(it.end_bytes))),
        mib(of(|it| as_f64(it.peak_bytes))),
        format!("{:.1}", of(|it| it.close_ms).median),
        format!("{open:.1}+{load:.1}"),
        format!("{:.0} %", of(|it| it.share).median * 100.0),
    ]
}

fn row<const N: usize>(text: &mut String, cells: [&str; N]) {
    for (index, cell) in cells.iter().enumerate() {
        // The first is a name.
        let written = if index == 0 {
            write!(text, "{cell:<14}")
        } else {
            write!(text, " {cell:>11}")
        };
        written.expect("a string takes all");
    }
    text.push('\n');
}

fn tell_fault(text: &mut String, fault: Option<&String>) {
    if let Some(fault) = fault {
        text.push_str("  NOT WHAT WAS WRITTEN: ");
        text.push_str(fault);
        text.push('\n');
    }
}

/// The middle and the ends of one figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

fn spread(mut figures: Vec<f64>) -> Spread {
    figures.sort_by(f64::total_cmp);
    let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
    let last = figures.len().saturating_sub(1);
    Spread {
        least: at(0),
        median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
        most: at(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        let of = |figures: &[f64]| spread(figures.to_vec());
        let odd = of(&[3.0, 1.0, 2.0]);
        assert_eq!((odd.least, odd.median, odd.most), (1.0, 2.0, 3.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(of(&[7.0]).median, 7.0);
    }
}
