//! One engine under one load: written in turns, closed, opened again and checked.
//!
//! The thread that runs it plays the shard. Upkeep goes to another thread each 20 ms, and a third
//! looks at the folder's size.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rejoin_store::Record;
use rustix::time::ClockId;

use crate::engine::{Engine, Failure, Job, Outcome, Syncs, Turn};
use crate::kind::Kind;
use crate::read::read;
use crate::system::{cpu, folder_bytes, written_bytes};
use crate::units::{as_f64, ns};
use crate::workload::{Shape, Workload};

/// What is asked of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Turns, and nothing is synced before the end.
    Journal,
    /// Turns, with a sync each 20 ms.
    Synced,
    /// The same with checkpoints, and what they make needless goes.
    Checkpoints,
}

impl Load {
    const ALL: [Self; 3] = [Self::Journal, Self::Synced, Self::Checkpoints];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Synced => "synced",
            Self::Checkpoints => "checkpoints",
        }
    }

    pub(crate) const fn syncs(self) -> Syncs {
        match self {
            Self::Journal => Syncs::AtTheEnd,
            Self::Synced | Self::Checkpoints => Syncs::Grouped,
        }
    }

    pub(crate) fn from_name(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|load| load.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no load `{name}`: {names}")
        })
    }
}

/// A load with all its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) load: Load,
    pub(crate) shape: Shape,
    pub(crate) seconds: u64,
    pub(crate) turns_max: u64,
    /// Turns a second; 0 for as many as can be.
    pub(crate) hz: u32,
}

/// What one run showed.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Figures {
    pub(crate) turns: u64,
    /// Share of the turns that the pace asked for.
    pub(crate) share: f64,
    /// What a turn took of the shard, by the clock, for each record of it.
    pub(crate) wall_ns: f64,
    /// Time that the shard's thread ran, for each record; the runner's own part is in it.
    pub(crate) thread_ns: f64,
    /// The same of all threads, the orderly stop included.
    pub(crate) process_ns: f64,
    /// Turns, as long as the shard waited for them.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    /// Bytes handed to the system for each record, checkpoints and what is written again included.
    pub(crate) written_bytes: f64,
    /// Bytes of the folder on the medium.
    pub(crate) peak_bytes: u64,
    pub(crate) end_bytes: u64,
    pub(crate) close_ms: f64,
    /// Opening again, with what was read or written last still in memory.
    pub(crate) open_ms: f64,
    /// Loading every room after that.
    pub(crate) load_ms: f64,
    /// What was read is what was written. The reason if it is not.
    pub(crate) fault: Option<String>,
}

/// Runs it in a folder of its own, which does not exist before.
pub(crate) fn run(kind: Kind, plan: Plan, folder: &Path) -> Result<Figures, Failure> {
    let workload = Workload::new(plan.shape);
    let engine = kind.open(folder, plan.load.syncs())?;
    let mut figures = write(engine, plan, &workload, folder)?;
    if kind.keeps() {
        let read = read(kind, &workload, folder, figures.turns)?;
        figures.open_ms = read.open_ms;
        figures.load_ms = read.load_ms;
        figures.fault = read.fault;
    }
    Ok(figures)
}

fn write(
    mut engine: Box<dyn Engine>,
    plan: Plan,
    workload: &Workload,
    folder: &Path,
) -> Result<Figures, Failure> {
    let stop = AtomicBool::new(false);
    let peak = AtomicU64::new(0);
    let begun = Usage::now()?;
    std::thread::scope(|threads| {
        let (jobs, taken) = channel::<Job>();
        let (back, outcomes) = channel();
        threads.spawn(move || taken.iter().all(|job| back.send(job()).is_ok()));
        threads.spawn(|| watch(folder, &stop, &peak));
        let mut shard = Shard {
            upkeep: Upkeep {
                syncs: plan.load.syncs(),
                jobs,
                outcomes,
                under_way: false,
                next: Instant::now() + UPKEEP_EVERY,
            },
            latencies: Vec::new(),
        };
        let started = Instant::now();
        let written = shard.write(&mut *engine, plan, workload);
        let took = started.elapsed();
        let used = Usage::now();
        let written = written.and_then(|()| shard.settle(&mut *engine));
        let closed = Instant::now();
        let written = written.and_then(|()| engine.close());
        let close = closed.elapsed();
        // Whatever happened, the other threads end.
        stop.store(true, Ordering::Relaxed);
        let mut figures = shard.figures(plan);
        drop(shard);
        written?;
        let end = Usage::now()?;
        let records = as_f64(figures.turns) * f64::from(plan.shape.rooms);
        figures.share = share(plan, figures.turns, took);
        figures.thread_ns = ns(used?.thread.saturating_sub(begun.thread)) / records;
        figures.process_ns = ns(end.process.saturating_sub(begun.process)) / records;
        figures.written_bytes = as_f64(end.written.saturating_sub(begun.written)) / records;
        figures.end_bytes = folder_bytes(folder);
        figures.peak_bytes = peak.load(Ordering::Relaxed).max(figures.end_bytes);
        figures.close_ms = ns(close) / 1e6;
        Ok(figures)
    })
}

/// The thread that writes.
struct Shard {
    upkeep: Upkeep,
    /// Of each turn, in nanoseconds.
    latencies: Vec<u64>,
}

/// The other thread, as the shard sees it.
struct Upkeep {
    syncs: Syncs,
    jobs: Sender<Job>,
    outcomes: Receiver<Outcome>,
    under_way: bool,
    next: Instant,
}

impl Shard {
    fn write(
        &mut self,
        engine: &mut dyn Engine,
        plan: Plan,
        workload: &Workload,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let limit = Duration::from_secs(plan.seconds);
        let mut records = Vec::with_capacity(workload.rooms().len());
        let mut checkpoints = Vec::new();
        let mut turn = 0;
        while turn < plan.turns_max && started.elapsed() < limit {
            if plan.hz > 0 && !is_due(turn, plan.hz, started.elapsed()) {
                std::thread::sleep(PAUSE);
                continue;
            }
            turn += 1;
            records.clear();
            records.extend(workload.rooms().iter().map(|room| Record {
                room: *room,
                sequence: turn,
                body: workload.record(*room, turn),
            }));
            workload.checkpoints(turn, &mut checkpoints);
            let begun = Instant::now();
            self.upkeep.turn(engine, begun)?;
            engine.turn(&Turn {
                records: &records,
                checkpoints: &checkpoints,
            })?;
            let took = begun.elapsed().as_nanos();
            self.latencies.push(u64::try_from(took).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// Waits for what is under way.
    fn settle(&mut self, engine: &mut dyn Engine) -> Result<(), Failure> {
        if std::mem::take(&mut self.upkeep.under_way) {
            engine.on_upkeep(self.upkeep.outcomes.recv()?)?;
        }
        Ok(())
    }

    fn figures(&mut self, plan: Plan) -> Figures {
        self.latencies.sort_unstable();
        let turns = self.latencies.len();
        let at = |share: usize| {
            let place = (turns * share / 100).min(turns.saturating_sub(1));
            as_f64(self.latencies.get(place).copied().unwrap_or_default()) / 1e3
        };
        let turns = u64::try_from(turns).unwrap_or_default();
        let records = as_f64(turns) * f64::from(plan.shape.rooms);
        Figures {
            turns,
            wall_ns: as_f64(self.latencies.iter().sum()) / records,
            p50_us: at(50),
            p99_us: at(99),
            max_us: at(100),
            ..Figures::default()
        }
    }
}

impl Upkeep {
    /// Takes in what is finished, and hands over the next when it is time.
    fn turn(&mut self, engine: &mut dyn Engine, now: Instant) -> Result<(), Failure> {
        if self.under_way
            && let Ok(outcome) = self.outcomes.try_recv()
        {
            self.under_way = false;
            engine.on_upkeep(outcome)?;
        }
        if self.under_way || now < self.next {
            return Ok(());
        }
        self.next = now + UPKEEP_EVERY;
        if let Some(job) = engine.upkeep(self.syncs) {
            let sent = self.jobs.send(job);
            sent.map_err(|_| "the thread for upkeep is gone")?;
            self.under_way = true;
        }
        Ok(())
    }
}

/// Looks at the folder's size until it is told to stop.
fn watch(folder: &Path, stop: &AtomicBool, peak: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        peak.fetch_max(folder_bytes(folder), Ordering::Relaxed);
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What was used so far.
struct Usage {
    thread: Duration,
    process: Duration,
    written: u64,
}

impl Usage {
    fn now() -> Result<Self, Failure> {
        Ok(Self {
            thread: cpu(ClockId::ThreadCPUTime),
            process: cpu(ClockId::ProcessCPUTime),
            written: written_bytes()?,
        })
    }
}

/// Whether the pace asks for another turn by now.
fn is_due(turns: u64, hz: u32, elapsed: Duration) -> bool {
    as_f64(turns) < elapsed.as_secs_f64() * f64::from(hz)
}

fn share(plan: Plan, turns: u64, took: Duration) -> f64 {
    if plan.hz == 0 {
        return 1.0;
    }
    (as_f64(turns) / (took.as_secs_f64() * f64::from(plan.hz))).min(1.0)
}

/// How often upkeep is due: the group sync of the server.
const UPKEEP_EVERY: Duration = Duration::from_millis(20);
/// How long a shard sleeps when no turn is due: as a server that drains its socket each millisecond.
const PAUSE: Duration = Duration::from_millis(1);
/// How often the folder's size is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rejoin_protocol::RoomId;

    use super::*;
    use crate::engine::State;

    const LOADS: [Load; 3] = [Load::Journal, Load::Synced, Load::Checkpoints];

    fn plan(load: Load) -> Plan {
        Plan {
            load,
            shape: Shape {
                rooms: 5,
                record_bytes: 60,
                checkpoint_bytes: 4096,
                checkpoint_every: if load == Load::Checkpoints { 30 } else { 0 },
                seed: 3,
            },
            seconds: 60,
            turns_max: 400,
            hz: 4_000,
        }
    }

    /// A folder of its own for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("rejoin-engines-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn every_engine_gives_back_what_it_was_given() {
        let folder = Folder::new("whole");
        for kind in Kind::ALL {
            for load in LOADS {
                let place = folder
                    .0
                    .join(format!("{}-{}/store", kind.name(), load.name()));
                let figures = run(kind, plan(load), &place).unwrap();
                let name = (kind.name(), load.name());
                assert_eq!((figures.turns, figures.fault), (400, None), "{name:?}");
                assert_eq!(figures.peak_bytes > 0, kind.keeps(), "{name:?}");
            }
        }
    }

    /// Drops the last turn's records of some rooms, without a word.
    struct Forgetful(Box<dyn Engine>);

    impl Engine for Forgetful {
        fn turn(&mut self, turn: &Turn<'_>) -> Result<(), Failure> {
            let last = turn.records.iter().any(|record| record.sequence == 400);
            let kept = if last { 3 } else { turn.records.len() };
            self.0.turn(&Turn {
                records: &turn.records[..kept],
                checkpoints: &[],
            })
        }

        fn upkeep(&mut self, syncs: Syncs) -> Option<Job> {
            self.0.upkeep(syncs)
        }

        fn on_upkeep(&mut self, outcome: Outcome) -> Result<(), Failure> {
            self.0.on_upkeep(outcome)
        }

        fn load(&self, room: RoomId) -> Result<Option<State>, Failure> {
            self.0.load(room)
        }

        fn close(self: Box<Self>) -> Result<(), Failure> {
            self.0.close()
        }
    }

    #[test]
    fn an_engine_that_loses_a_record_is_found_out() {
        let folder = Folder::new("lossy");
        let plan = plan(Load::Synced);
        let workload = Workload::new(plan.shape);
        for kind in Kind::ALL.into_iter().filter(|kind| kind.keeps()) {
            let place = folder.0.join(kind.name()).join("store");
            let engine = Forgetful(kind.open(&place, Syncs::Grouped).unwrap());
            let figures = write(Box::new(engine), plan, &workload, &place).unwrap();
            assert_eq!(figures.turns, 400);
            let read = read(kind, &workload, &place, 400).unwrap();
            let fault = "room 3 ends at record 399, and 400 were written";
            assert_eq!(read.fault.as_deref(), Some(fault), "{}", kind.name());
        }
    }

    #[test]
    fn a_pace_asks_for_turns_as_time_goes() {
        assert!(is_due(0, 1_000, Duration::from_nanos(1)));
        assert!(!is_due(10, 1_000, Duration::from_millis(10)));
        assert!(is_due(10, 1_000, Duration::from_micros(10_001)));
        let plan = plan(Load::Synced);
        assert_eq!(share(plan, 1_000, Duration::from_secs(1)), 0.25);
        assert_eq!(
            share(Plan { hz: 0, ..plan }, 1, Duration::from_secs(1)),
            1.0
        );
    }
}
