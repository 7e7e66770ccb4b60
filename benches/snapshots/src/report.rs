//! What was measured, as a table and as JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::games::STORIES;
use crate::measure::{Plan, Told};

#[derive(Serialize)]
pub(crate) struct Report {
    processor: String,
    commit: String,
    compiler: String,
    plan: Plan,
    games: Vec<Told>,
}

impl Report {
    pub(crate) fn new(plan: Plan) -> Self {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let here = env!("CARGO_MANIFEST_DIR");
        Self {
            processor: model
                .map_or("unknown", |model| {
                    model.trim_start_matches(['\t', ' ', ':'])
                })
                .to_owned(),
            commit: told("git", &["-C", here, "describe", "--always", "--dirty"]),
            compiler: told("rustc", &["--version"]),
            plan,
            games: STORIES.iter().map(|story| Told::new(story, plan)).collect(),
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{}; {}; commit {}; seed {}; {} views, each beside the one {} before it\n",
            self.processor,
            self.compiler,
            self.commit,
            self.plan.seed,
            self.plan.views,
            self.plan.behind
        );
        for told in &self.games {
            text += &format!(
                "\n**{}**: {}. A whole view has {} bytes.\n\n",
                told.game, told.about, told.bytes
            );
            text += "| codec | bytes p50 | mean | p99 | of the whole | made in us | applied in us | not shorter |\n";
            text += "|---|---|---|---|---|---|---|---|\n";
            for figures in &told.codecs {
                let hundredths = figures.bytes_mean * 10_000 / told.bytes.max(1);
                writeln!(
                    text,
                    "| {} | {} | {} | {} | {}.{:02} % | {} | {} | {} |",
                    figures.codec,
                    figures.bytes_median,
                    figures.bytes_mean,
                    figures.bytes_p99,
                    hundredths / 100,
                    hundredths % 100,
                    micros(figures.make_ns),
                    micros(figures.apply_ns),
                    figures.whole
                )
                .expect("a text takes what is written");
            }
        }
        text
    }

    pub(crate) fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(folder.join("snapshots.json"), json + "\n")?;
        let table = self.table();
        std::fs::write(
            folder.join("snapshots.md"),
            format!("# Deltas of five games\n\n{table}"),
        )
    }
}

fn micros(nanos: u64) -> String {
    format!("{}.{:02}", nanos / 1_000, nanos % 1_000 / 10)
}

/// What a command says.
fn told(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let text = output.filter(|output| output.status.success());
    let text = text.and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
