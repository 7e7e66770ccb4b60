//! The bots that play while the server is attacked.

use std::thread::JoinHandle;
use std::time::Duration;

use rejoin::bots::{self, ArenaBot, Control, Observer, Options, Progress, Report, Stage};

use crate::claim;
use crate::server::Server;

/// Bots on a thread of their own.
pub(crate) struct Players {
    thread: JoinHandle<Report>,
    playing: std::sync::mpsc::Receiver<()>,
}

/// Tells when the bots play.
struct Herald(std::sync::mpsc::Sender<()>);

impl Observer for Herald {
    fn interval(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn observe(&mut self, progress: &Progress) -> Control {
        if progress.stage == Stage::Playing {
            self.0.send(()).ok();
        }
        Control::Continue
    }
}

impl Players {
    /// Starts `count` bots in rooms of 16 that send reliable inputs at 30 Hz for `span`.
    pub(crate) fn start(server: &Server, count: u64, span: Duration, seed: u64) -> Self {
        let mut options = Options::new(server.address, server.key);
        options.bots = count as usize;
        options.rooms = options.bots.div_ceil(16);
        options.play_for = span;
        options.seed = seed;
        let (sender, playing) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            bots::run::<ArenaBot>(&options, &mut Herald(sender)).expect("the bots can start")
        });
        let players = Self { thread, playing };
        players
            .playing
            .recv_timeout(Duration::from_secs(60))
            .expect("the bots come to play");
        players
    }

    /// What they saw.
    pub(crate) fn report(self) -> Report {
        self.thread.join().expect("the bots do not panic")
    }
}

/// Prints what the players of a run saw.
pub(crate) fn tell(name: &str, report: &Report) {
    println!(
        "{name:<14} inputs {} of {} acknowledged; input until seen p50 {:.1} p99 {:.1} max {:.1} ms; \
         round trip p50 {:.2} p99 {:.2} ms; datagrams up {} lost {}; tester late p99 {:.2} ms",
        report.inputs.acknowledged,
        report.inputs.planned,
        millis(report.input.p50_us),
        millis(report.input.p99_us),
        millis(report.input.max_us),
        millis(report.rtt.p50_us),
        millis(report.rtt.p99_us),
        report.traffic.datagrams_up,
        report.traffic.lost_up,
        millis(report.lateness.p99_us),
    );
}

/// The claim that no player lost anything.
pub(crate) fn unharmed(report: &Report) -> bool {
    claim(
        report.failures_total == 0
            && report.joined == report.bots
            && report.inputs.acknowledged == report.inputs.reliable
            && report.inputs.refused == 0,
        format_args!(
            "{} of {} players to the end, {} failures, {} of {} inputs lost",
            report.joined,
            report.bots,
            report.failures_total,
            report.inputs.reliable - report.inputs.acknowledged,
            report.inputs.reliable
        ),
    )
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// How many times `quiet` a latency is.
pub(crate) fn ratio(latency_us: u64, quiet_us: u64) -> f64 {
    latency_us as f64 / quiet_us as f64
}
