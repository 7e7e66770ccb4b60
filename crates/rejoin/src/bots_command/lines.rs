//! A run in lines, one each second.

use std::time::Duration;

use rejoin_bots::{Control, Observer, Percentiles, Progress, Stage};

use crate::figures::{millis, thousands};
use crate::output;
use crate::stop::Stop;

/// Tells a run.
#[derive(Debug)]
pub(crate) struct Lines {
    stop: Stop,
    /// Nothing is told, as standard output is for the result alone.
    silent: bool,
    before: Option<Progress>,
}

impl Lines {
    /// Lines until `stop` is asked for.
    pub(crate) const fn new(stop: Stop) -> Self {
        Self {
            stop,
            silent: false,
            before: None,
        }
    }

    /// No lines, but an end once `stop` is asked for.
    pub(crate) const fn silent(stop: Stop) -> Self {
        Self {
            stop,
            silent: true,
            before: None,
        }
    }
}

impl Observer for Lines {
    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn observe(&mut self, progress: &Progress) -> Control {
        if self.before.is_none() && !self.silent {
            output::line(HEADING);
        }
        if !self.silent {
            output::line(progress_line(progress, self.before.as_ref()));
        }
        self.before = Some(progress.clone());
        if self.stop.is_asked() {
            Control::Stop
        } else {
            Control::Continue
        }
    }
}

/// What the columns of [`progress_line`] are.
const HEADING: &str =
    "            s   bots   inputs sent  acknowledged  snapshots/s  round trip    input";

/// One second of a run. Latencies are medians.
fn progress_line(now: &Progress, before: Option<&Progress>) -> String {
    let stage = match now.stage {
        Stage::Joining => "joining",
        Stage::Playing => "playing",
        Stage::Settling => "settling",
        Stage::Leaving => "leaving",
    };
    let snapshots = |progress: &Progress| progress.snapshots.full + progress.snapshots.delta;
    let newly = snapshots(now).saturating_sub(before.map_or(0, snapshots));
    let known = |measured: &Percentiles| match measured.count {
        0 => "-".to_owned(),
        _ => millis(measured.p50_us),
    };
    let sent = if now.inputs.reliable > 0 {
        now.inputs.reliable
    } else {
        now.inputs.latest
    };
    let failed = if now.failed > 0 {
        format!("  {} failed", now.failed)
    } else {
        String::new()
    };
    format!(
        "{stage:<8} {:>4.0} {:>6} {:>13} {:>13} {:>12} {:>11} {:>8}{failed}",
        now.in_stage.as_secs_f64(),
        now.playing,
        thousands(sent),
        thousands(now.inputs.acknowledged),
        thousands(newly),
        known(&now.rtt),
        known(&now.input),
    )
}
