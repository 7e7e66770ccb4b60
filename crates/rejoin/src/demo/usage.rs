//! What a process costs, where the system tells it cheaply: Linux's `/proc`.

use std::fs;
use std::time::{Duration, Instant};

/// Ticks of CPU time per second in `/proc`: `USER_HZ`, 100 on every Linux that people run.
const TICKS_PER_SECOND: f64 = 100.0;
/// How often to look: fewer ticks than this gives are noise.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches a process.
#[derive(Debug)]
pub(super) struct Usage {
    process: u32,
    last: Option<(Instant, f64)>,
    /// Share of one core over the last second, in percent; `None` if it cannot be told.
    pub(super) cpu_percent: Option<f64>,
    /// Resident memory in bytes.
    pub(super) memory_bytes: Option<u64>,
}

impl Usage {
    /// Watches the process of that id.
    pub(super) const fn of(process: u32) -> Self {
        Self {
            process,
            last: None,
            cpu_percent: None,
            memory_bytes: None,
        }
    }

    /// Looks at the process of that id, if it is time to.
    pub(super) fn look(&mut self, process: u32, now: Instant) {
        if process != self.process {
            *self = Self::of(process);
        }
        if self
            .last
            .is_some_and(|(at, _)| now.duration_since(at) < LOOK_EVERY)
        {
            return;
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process)).ok();
        let seconds = stat.as_deref().and_then(cpu_seconds);
        self.cpu_percent = seconds.zip(self.last).and_then(|(seconds, (at, before))| {
            let passed = now.duration_since(at).as_secs_f64();
            (passed > 0.0).then(|| (seconds - before).max(0.0) / passed * 100.0)
        });
        self.last = seconds.map(|seconds| (now, seconds));
        let status = fs::read_to_string(format!("/proc/{}/status", self.process)).ok();
        self.memory_bytes = status.as_deref().and_then(resident_bytes);
    }
}

/// User and system time of a `stat` line. The program's name may hold anything, so fields are
/// counted from its last bracket.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_tells_cpu_time_whatever_the_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 9 1 2";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("nonsense"), None);
    }

    #[test]
    fn a_status_page_tells_resident_memory() {
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"),
            Some(2_097_152)
        );
        assert_eq!(resident_bytes("Name:\tx\n"), None);
    }
}
