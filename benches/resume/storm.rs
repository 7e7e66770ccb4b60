//! A server that is silent until all its clients are away, and is there again: how long until everybody is
//! back, and what that costs it.
//!
//! The server's process is stopped (SIGSTOP) until every client has given its connection up, and then goes on
//! (SIGCONT). Times count from then on; a client is back with the first view after its room's answer. The
//! processor time of a resume is what the server used from then until a second after the last one was back,
//! less what it uses in as long a time of the same play, over all clients: it holds the inputs that waited,
//! the members' news of each other, and hellos that came too early as well. The datagrams are those of each
//! client from its first hello that was answered to its first view.

use std::time::{Duration, Instant};

use rejoin::bots::{Control, Observer, Options, Progress, ResumeCounts, Stage, run as play};

use crate::ledger::Clerk;
use crate::server::{Server, claim};
use crate::signal::signal;

/// Play before anything is measured.
const WARM: Duration = Duration::from_secs(2);
/// Play by which the steady rates are told.
const STEADY: Duration = Duration::from_secs(5);
/// What the last one back leaves to do.
const AFTER: Duration = Duration::from_secs(1);
/// Longer than anybody may need to notice, or to be back.
const PATIENCE: Duration = Duration::from_secs(60);
/// Processor time of a resume, at most.
const CPU_US_MAX: f64 = 70.0;
/// Datagrams of a resume each way, at most.
const DATAGRAMS_MAX: f64 = 2.0;

/// How many are there.
pub(crate) struct Size {
    pub(crate) bots: usize,
    /// Members of a room.
    pub(crate) members: usize,
    pub(crate) shards: u64,
}

/// What was used up to a moment.
#[derive(Clone, Copy)]
struct Used {
    at: Instant,
    cpu_ns: u64,
    up: u64,
    down: u64,
}

/// What is used in a second.
#[derive(Clone, Copy)]
struct Rates {
    cpu_us: f64,
    up: f64,
    down: f64,
}

/// Looks on, and stops the server in the middle.
struct Storm<'a> {
    server: &'a Server,
    size: &'a Size,
    phase: Phase,
    before: ResumeCounts,
    /// Bots that were back, at times since the server went on.
    back: Vec<(Duration, u64)>,
    noticed: Option<Duration>,
    steady: Option<Rates>,
    cpu_us: Option<f64>,
    /// Datagrams of a resume, up and down.
    datagrams: (f64, f64),
}

#[derive(Clone, Copy)]
enum Phase {
    Warm,
    Steady(Used),
    Stopped(Instant),
    Returning(Used),
    After(Used, Instant),
    Done,
}

impl Used {
    fn now(server: &Server, progress: &Progress) -> Self {
        Self {
            at: Instant::now(),
            cpu_ns: server.cpu_ns(),
            up: progress.traffic.datagrams_up,
            down: progress.traffic.datagrams_down,
        }
    }

    fn rates_until(self, now: Self) -> Rates {
        let seconds = (now.at - self.at).as_secs_f64();
        Rates {
            cpu_us: (now.cpu_ns - self.cpu_ns) as f64 / 1_000.0 / seconds,
            up: (now.up - self.up) as f64 / seconds,
            down: (now.down - self.down) as f64 / seconds,
        }
    }
}

impl Observer for Storm<'_> {
    fn interval(&self) -> Duration {
        Duration::from_millis(10)
    }

    fn observe(&mut self, progress: &Progress) -> Control {
        if progress.stage != Stage::Playing {
            return Control::Continue;
        }
        let used = || Used::now(self.server, progress);
        match self.phase {
            Phase::Warm if progress.in_stage >= WARM => self.phase = Phase::Steady(used()),
            Phase::Steady(since) if since.at.elapsed() >= STEADY => {
                self.steady = Some(since.rates_until(used()));
                signal(self.server.id(), "STOP");
                self.phase = Phase::Stopped(Instant::now());
            }
            Phase::Stopped(since) => self.look_whether_all_are_away(progress, since),
            Phase::Returning(since) => self.look_who_is_back(progress, since),
            Phase::After(since, last) if last.elapsed() >= AFTER => {
                self.cpu_us = Some(self.cpu_of_each(since, used()));
                self.datagrams = self.datagrams_of_each(progress);
                self.phase = Phase::Done;
                return Control::Stop;
            }
            Phase::Warm | Phase::Steady(_) | Phase::After(..) | Phase::Done => {}
        }
        Control::Continue
    }
}

impl Storm<'_> {
    fn look_whether_all_are_away(&mut self, progress: &Progress, since: Instant) {
        let late = since.elapsed() > PATIENCE;
        if progress.away < self.size.bots && !late {
            return;
        }
        self.noticed = (!late).then(|| since.elapsed());
        self.before = progress.resumes;
        let used = Used::now(self.server, progress);
        signal(self.server.id(), "CONT");
        self.phase = Phase::Returning(used);
    }

    fn look_who_is_back(&mut self, progress: &Progress, since: Used) {
        let back = progress.resumes.ok - self.before.ok;
        self.back.push((since.at.elapsed(), back));
        if back >= wide(self.size.bots) || since.at.elapsed() > PATIENCE {
            self.phase = Phase::After(since, Instant::now());
        }
    }

    /// Microseconds that each resume took more than play alone.
    fn cpu_of_each(&self, since: Used, now: Used) -> f64 {
        let seconds = (now.at - since.at).as_secs_f64();
        let more = since.rates_until(now).cpu_us - self.steady.unwrap().cpu_us;
        more * seconds / self.size.bots as f64
    }

    fn datagrams_of_each(&self, progress: &Progress) -> (f64, f64) {
        let (now, before) = (progress.resumes, self.before);
        let each = |now: u64, before: u64| (now - before) as f64 / self.size.bots as f64;
        (
            each(now.datagrams_up, before.datagrams_up),
            each(now.datagrams_down, before.datagrams_down),
        )
    }

    /// When so many of a thousand were back.
    fn back_after(&self, thousandths: u64) -> Option<Duration> {
        let wanted = (wide(self.size.bots) * thousandths).div_ceil(1_000);
        let (at, _) = self.back.iter().find(|(_, back)| *back >= wanted)?;
        Some(*at)
    }
}

pub(crate) fn run(size: &Size) -> bool {
    let (sessions, shards) = (
        format!("sessions_max={}", size.bots + 64),
        size.shards.to_string(),
    );
    let rooms = size.bots.div_ceil(size.members);
    let rooms_max = format!("rooms_max={}", rooms + 64);
    let server = Server::start_own(&[
        "--limit", &sessions, "--limit", &rooms_max, "--shards", &shards,
    ]);
    let mut options = Options::new(server.address, server.key);
    (options.bots, options.rooms) = (size.bots, rooms);
    // Little, so that what is measured is the way back.
    options.input_hz = 1;
    options.play_for = 2 * PATIENCE + WARM + STEADY + AFTER;
    // Beside a busy core the bots are late; only the times above count here.
    options.lateness_max = Duration::from_secs(10);
    let mut storm = Storm {
        server: &server,
        size,
        phase: Phase::Warm,
        before: ResumeCounts::default(),
        back: Vec::new(),
        noticed: None,
        steady: None,
        cpu_us: None,
        datagrams: (0.0, 0.0),
    };
    let report = play::<Clerk>(&options, &mut storm).expect("the run starts");
    println!(
        "{} of {} bots in rooms of {}, one input a second each; {} inputs, {} acknowledged, {} lost, {} doubled",
        report.connected,
        report.bots,
        size.members,
        report.inputs.reliable,
        report.inputs.acknowledged,
        report.inputs.lost,
        report.inputs.duplicated
    );
    for failure in report.failures.iter().take(5) {
        println!("  failure: {failure:?}");
    }
    let good = tell(&storm, report.is_ok());
    good & server.stop()
}

fn tell(storm: &Storm<'_>, whole: bool) -> bool {
    let (Some(noticed), Some(steady), Some(cpu_us)) = (storm.noticed, storm.steady, storm.cpu_us)
    else {
        return claim(
            false,
            "the server was stopped and went on, and all was seen",
        );
    };
    let millis = |span: Option<Duration>| {
        span.map_or_else(
            || "never".to_owned(),
            |span| format!("{} ms", span.as_millis()),
        )
    };
    println!(
        "  before: {:.1} % of a core, {:.0} datagrams a second up and {:.0} down",
        steady.cpu_us / 10_000.0,
        steady.up,
        steady.down
    );
    println!(
        "  all were away {} ms after the server stopped",
        noticed.as_millis()
    );
    println!(
        "  back after p50 {}, p90 {}, p99 {}, all {}",
        millis(storm.back_after(500)),
        millis(storm.back_after(900)),
        millis(storm.back_after(990)),
        millis(storm.back_after(1_000))
    );
    let (up, down) = storm.datagrams;
    println!(
        "  each resume: {:.1} us of the server's CPU, {:.2} datagrams up and {:.2} down",
        cpu_us, up, down
    );
    claim(whole, "every check held: nothing was lost or doubled")
        & claim(storm.back_after(1_000).is_some(), "all are active again")
        & claim(
            cpu_us <= CPU_US_MAX,
            format!("{:.1} us of CPU a resume, at most {CPU_US_MAX}", cpu_us),
        )
        & claim(
            up <= DATAGRAMS_MAX && down <= DATAGRAMS_MAX,
            format!("at most {DATAGRAMS_MAX} datagrams a resume each way"),
        )
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}
