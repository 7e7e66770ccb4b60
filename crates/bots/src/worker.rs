//! A crew in its thread: it plays what was planned, at planned times, and does what it is told in between.
//!
//! ```text
//! join, some at a time -> play, open loop -> settle -> leave
//! ```
//!
//! Open loop: a step happens at its planned time whatever the server does, so a slow server
//! shows as latency and not as less load.

use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use rejoin_protocol::{Rng, Timestamp};

use crate::behaviour::Behaviour;
use crate::bot::Step;
use crate::crew::Crew;
use crate::observer::CutOff;
use crate::options::{Conduct, Options};
use crate::orders::{Line, Note, Order, Plan};
use crate::pauses::LOOKED_FOR;
use crate::schedule::{Pace, Player, Players, Schedule};
use crate::silences::Silence;

/// Longest sleep of a pass: what a bot may be late by design.
const NAP_MAX: Duration = Duration::from_millis(1);
/// Shortest sleep of an idle pass, so that a timer that is due again and again burns no core.
const NAP_MIN: Duration = Duration::from_micros(50);
/// After play, time between two sends of a latest input that a room does not show: a few round
/// trips of most networks.
const REPEAT_EVERY: Duration = Duration::from_millis(200);
/// Probes of each bot per second. They ride along with 30 inputs and cost little.
const PROBES_HZ: u32 = 5;
/// Probes of all bots together per second: ten each second are beyond its 99th percentile, and a crowd
/// is not measured to death.
const PROBES_MAX_HZ: u64 = 1_000;
/// The same for idle bots: their sessions are to stay idle.
const IDLE_PROBES_HZ: u32 = 1;
/// See [`IDLE_PROBES_HZ`].
const IDLE_PROBES_MAX_HZ: u64 = 100;

/// See the module page.
pub(crate) struct Worker<'a, B: Behaviour> {
    crew: Crew<'a, B>,
    options: &'a Options,
    line: Line,
    /// The run's, so that all crews have one clock.
    origin: Instant,
    /// Bots on their way to a seat at a time.
    joining_max: usize,
    task: Task,
    /// True once it was told that the task is done.
    is_told: bool,
}

/// What a crew is at.
#[derive(Debug)]
enum Task {
    /// `anyway` if it goes on although none of its bots is there and some failed.
    Join {
        anyway: bool,
    },
    Play(Box<Play>),
    Settle {
        /// When latest inputs are sent again.
        repeat_at: Timestamp,
    },
    Leave,
}

/// What is planned while bots play.
#[derive(Debug)]
struct Play {
    inputs: Schedule,
    probes: Schedule,
    crashes: Option<Schedule>,
    rebinds: Option<Schedule>,
    silences: Option<(Schedule, Duration)>,
    /// Its end.
    until: Timestamp,
}

impl Play {
    /// When the next act is due.
    fn next_at(&self) -> Option<Timestamp> {
        let rebind = self.rebinds.as_ref().and_then(Schedule::next_at);
        let silence = self.silences.as_ref().and_then(|(it, _)| it.next_at());
        let crash = self.crashes.as_ref().and_then(Schedule::next_at);
        let planned = [
            crash,
            self.inputs.next_at(),
            self.probes.next_at(),
            rebind,
            silence,
        ];
        planned.into_iter().flatten().min()
    }
}

impl<'a, B: Behaviour> Worker<'a, B> {
    /// A crew that begins to join. `origin` is when its run began.
    pub(crate) const fn new(
        crew: Crew<'a, B>,
        options: &'a Options,
        line: Line,
        origin: Instant,
        joining_max: usize,
    ) -> Self {
        Self {
            crew,
            options,
            line,
            origin,
            joining_max,
            task: Task::Join { anyway: false },
            is_told: false,
        }
    }

    /// Works until the conductor is gone.
    pub(crate) fn run(mut self) {
        loop {
            let now = self.now();
            let busy = self.crew.receive(now);
            self.crew.wake(now);
            self.advance(now);
            self.crew.flush(self.now());
            self.report_done(now);
            match self.line.orders.try_recv() {
                Ok(order) => self.obey(order),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) if busy => {}
                Err(TryRecvError::Empty) => std::thread::sleep(self.nap()),
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.origin.elapsed()
    }

    fn advance(&mut self, now: Timestamp) {
        match &mut self.task {
            Task::Join { .. } => self.join(now),
            Task::Play(_) => self.play(now),
            Task::Settle { repeat_at } if now >= *repeat_at => {
                *repeat_at = now + REPEAT_EVERY;
                self.crew.repeat_latest();
            }
            Task::Settle { .. } | Task::Leave => {}
        }
    }

    fn join(&mut self, now: Timestamp) {
        self.crew.give_up_on_seats(now);
        while !self.is_stuck()
            && let Some(planned) = self.next_join(now)
        {
            self.crew.start_bot(planned, now);
        }
    }

    /// Who cannot reach the server now would not a moment later: one wait tells it for all.
    fn is_stuck(&self) -> bool {
        let anyway = matches!(self.task, Task::Join { anyway: true });
        !anyway && self.crew.tally.has_failed && self.crew.present().next().is_none()
    }

    /// When the next bot was planned to join, if that time has come and there is room for it.
    fn next_join(&self, now: Timestamp) -> Option<Timestamp> {
        let bot = self.crew.next_bot()?;
        if self.crew.joining() >= self.joining_max {
            return None;
        }
        let Some(hz) = self.options.ramp_hz else {
            return Some(now);
        };
        let nanos = bot as u128 * 1_000_000_000 / u128::from(hz.max(1));
        let after = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Some(Timestamp::ZERO + after).filter(|planned| *planned <= now)
    }

    fn play(&mut self, now: Timestamp) {
        let Task::Play(play) = &mut self.task else {
            return;
        };
        let Play {
            inputs,
            probes,
            crashes,
            rebinds,
            silences,
            ..
        } = &mut **play;
        while let Some(due) = inputs.next_due(now) {
            if self.crew.is_killed(due.index) {
                continue;
            }
            self.crew.tally.planned += 1;
            self.crew.tally.act(now.since(due.planned));
            let step = Step {
                number: due.number,
                planned: due.planned,
                mode: self.options.mode,
            };
            self.crew.step(due.index, step);
        }
        while let Some(due) = probes.next_due(now) {
            self.crew.tally.act(now.since(due.planned));
            self.crew.probe(due.index, due.planned, now);
        }
        while let Some(due) = crashes.as_mut().and_then(|it| it.next_due(now)) {
            self.crew.tally.act(now.since(due.planned));
            self.crew.kill(due.index);
        }
        while let Some(due) = rebinds.as_mut().and_then(|it| it.next_due(now)) {
            self.crew.tally.act(now.since(due.planned));
            self.crew.rebind(due.index, now);
        }
        let Some((silences, span)) = silences else {
            return;
        };
        while let Some(due) = silences.next_due(now) {
            self.crew.tally.act(now.since(due.planned));
            self.crew.fall_silent(due.index, *span, now);
        }
    }

    /// What these players will do.
    fn plan(&self, plan: &Plan) -> Play {
        let Options {
            input_hz, play_for, ..
        } = *self.options;
        let (input_hz, hz, most) = match self.options.conduct {
            Conduct::Play => (input_hz, PROBES_HZ, PROBES_MAX_HZ),
            Conduct::Idle => (0, IDLE_PROBES_HZ, IDLE_PROBES_MAX_HZ),
        };
        let inputs = Pace::each(input_hz, plan.all, play_for);
        let probes = Pace::at_most(most, hz, plan.all, play_for);
        let own = plan.players.iter().filter_map(|(bot, place)| {
            let index = self.crew.part.index_of(*bot)?;
            let place = *place;
            Some(Player { place, index })
        });
        let players = Players {
            own: own.collect(),
            all: u64::try_from(plan.all).unwrap_or(u64::MAX),
        };
        let rng = Rng::from_number(self.options.seed);
        let crashes = self.options.client_crash_every.map(|every| {
            // Each has the time to come back after it.
            let span = play_for.saturating_sub(Options::PLAYED_AFTER_CRASH);
            let pace = Pace::every(every, plan.all, span);
            Schedule::jittered(players.clone(), pace, plan.start, rng.fork("crashes"))
        });
        let rebinds = self.options.rebind_every.map(|every| {
            // Each has its whole time of play after it.
            let pace = Pace::every(every, plan.all, play_for.saturating_sub(LOOKED_FOR));
            Schedule::jittered(players.clone(), pace, plan.start, rng.fork("rebinds"))
        });
        let silences = self.options.silence.map(|Silence { every, span }| {
            let pace = Pace::every(every, plan.all, play_for.saturating_sub(span + LOOKED_FOR));
            let rng = rng.fork("silences");
            (
                Schedule::jittered(players.clone(), pace, plan.start, rng),
                span,
            )
        });
        Play {
            probes: Schedule::jittered(players.clone(), probes, plan.start, rng.fork("probes")),
            crashes,
            rebinds,
            silences,
            inputs: Schedule::even(players, inputs, plan.start),
            until: plan.start + play_for,
        }
    }

    /// Tells once that its task is done.
    fn report_done(&mut self, now: Timestamp) {
        if self.is_told {
            return;
        }
        let note = match &self.task {
            Task::Join { .. } => {
                let left = self.crew.part.bots.len() - self.crew.bots.len();
                let done = left == 0 || self.is_stuck();
                (done && self.crew.joining() == 0).then_some(Note::Joined { left })
            }
            Task::Play(play) => {
                let done = play.inputs.is_over() && play.probes.is_over() && now >= play.until;
                (done || self.crew.is_over()).then_some(Note::Played)
            }
            Task::Settle { .. } => None,
            Task::Leave => self.crew.is_over().then_some(Note::Gone),
        };
        if let Some(note) = note {
            self.is_told = true;
            self.line.tell(note);
        }
    }

    fn obey(&mut self, order: Order) {
        let now = self.now();
        match order {
            Order::Join => self.enter(Task::Join { anyway: true }),
            Order::Muster => self.line.tell(Note::Present(self.crew.muster())),
            Order::Play(plan) => {
                let play = Box::new(self.plan(&plan));
                self.crew.watch_seats();
                self.enter(Task::Play(play));
            }
            Order::Settle => {
                self.crew.lift_silences(now);
                self.enter(Task::Settle {
                    repeat_at: now + REPEAT_EVERY,
                });
            }
            Order::Judge => self.crew.check(now),
            Order::Leave => {
                self.crew.leave();
                self.enter(Task::Leave);
            }
            Order::CutOff(CutOff { room, span }) => self.crew.cut_off(room, span, now),
            Order::Tell(question) => {
                let news = Box::new(self.crew.news(question));
                self.line.tell(Note::News(news));
            }
        }
    }

    fn enter(&mut self, task: Task) {
        self.task = task;
        self.is_told = false;
    }

    /// How long nothing is due, within bounds.
    fn nap(&self) -> Duration {
        let planned = match &self.task {
            Task::Play(play) => play.next_at(),
            Task::Join { .. } | Task::Settle { .. } | Task::Leave => None,
        };
        let now = self.now();
        [planned, self.crew.next_timer()]
            .into_iter()
            .flatten()
            .map(|at| at.since(now))
            .fold(NAP_MAX, Duration::min)
            .max(NAP_MIN)
    }
}
