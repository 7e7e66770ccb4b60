//! What /proc tells of a process now and then, and whether it grows.

use std::fmt;
use std::fs;
use std::time::Duration;

const PAGE: u64 = 4_096;
const HOUR: f64 = 3_600.0;

/// What a process holds at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) at: Duration,
    pub(crate) resident: u64,
    pub(crate) files: usize,
    pub(crate) threads: usize,
}

/// Looks at one process over time.
#[derive(Default)]
pub(crate) struct Looks(Vec<Look>);

impl Look {
    pub(crate) fn of(process: u32, at: Duration) -> Self {
        let statm = fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        let count = |folder| {
            let entries = fs::read_dir(format!("/proc/{process}/{folder}"));
            entries.unwrap().count()
        };
        Self {
            at,
            resident: pages * PAGE,
            files: count("fd"),
            threads: count("task"),
        }
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            resident,
            files,
            threads,
        } = self;
        let kib = resident / 1_024;
        write!(
            f,
            "{:>6.0} s {kib:>8} KiB {files} files {threads} threads",
            at.as_secs_f64()
        )
    }
}

impl Looks {
    pub(crate) fn add(&mut self, look: Look) {
        self.0.push(look);
    }

    /// Tells the slope of memory by least squares, and whether it and the counts are flat.
    pub(crate) fn judge(&self, slope_max: f64) -> bool {
        let count = self.0.len() as f64;
        let mean = |of: fn(&Look) -> f64| self.0.iter().map(of).sum::<f64>() / count;
        let seconds = |look: &Look| look.at.as_secs_f64();
        let bytes = |look: &Look| look.resident as f64;
        let (middle, level) = (mean(seconds), mean(bytes));
        let (mut up, mut across) = (0.0, 0.0);
        for look in &self.0 {
            let away = seconds(look) - middle;
            up += away * (bytes(look) - level);
            across += away * away;
        }
        let slope = up / across * HOUR;
        let spread = |of: fn(&Look) -> usize| {
            let all = self.0.iter().map(of);
            (all.clone().min().unwrap_or(0), all.max().unwrap_or(0))
        };
        let (files, threads) = (spread(|look| look.files), spread(|look| look.threads));
        println!(
            "{count} looks: memory {:.1} KiB on average, {:+.1} KiB an hour; files {} to {}, threads {} to {}",
            level / 1_024.0,
            slope / 1_024.0,
            files.0,
            files.1,
            threads.0,
            threads.1
        );
        slope <= slope_max && files.0 == files.1 && threads.0 == threads.1
    }
}
