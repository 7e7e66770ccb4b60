//! A run of bots from the first hello to the report.
//!
//! ```text
//! join all, some at a time -> play, open loop -> settle, network mended -> check -> leave
//! ```
//!
//! Open loop: a step happens at its planned time whatever the server does, so a slow server
//! shows as latency and not as less load. Steps are spread evenly over the interval.

use std::io;
use std::time::{Duration, Instant};

use rejoin_protocol::{Rng, Timestamp};

use crate::behaviour::Behaviour;
use crate::bot::Step;
use crate::crew::Crew;
use crate::observer::{Control, Observer, Stage};
use crate::options::{Conduct, Options};
use crate::relay::Relay;
use crate::report::{Cause, Report};
use crate::schedule::{Pace, Schedule};
use crate::summary::{self, Course, Standing};

/// Bots on their way to a seat at a time: a rush, but not a flood of 1,200-byte hellos.
const JOINING_MAX: usize = 64;
/// How long after the end of play the members of a room may need to hold the same view.
const AGREE_WITHIN: Duration = Duration::from_secs(2);
/// How long every reliable input may need to be covered then, and every check to hold.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);
/// After play, time between two sends of a latest input that a room does not show: a few round
/// trips of most networks.
const REPEAT_EVERY: Duration = Duration::from_millis(200);
/// How long bots may need to leave. Long, as a busy machine is no fault of the server.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// Longest sleep of a pass: what a bot may be late by design.
const NAP_MAX: Duration = Duration::from_millis(1);
/// Shortest sleep of an idle pass, so that a timer that is due again and again burns no core.
const NAP_MIN: Duration = Duration::from_micros(50);
/// Probes of each bot per second. They ride along with 30 inputs and cost little.
const PROBES_HZ: u32 = 5;
/// Probes of all bots together per second: ten each second are beyond its 99th percentile, and a crowd
/// is not measured to death.
const PROBES_MAX_HZ: u64 = 1_000;
/// The same for idle bots: their sessions are to stay idle.
const IDLE_PROBES_HZ: u32 = 1;
/// See [`IDLE_PROBES_HZ`].
const IDLE_PROBES_MAX_HZ: u64 = 100;
/// Bots on their way to a seat at a time if the run says how fast they come: a server that is too slow
/// is asked by so many, and no more.
const RAMP_JOINING_MAX: usize = 1_024;
/// How long a window of the recent figures is.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// Why a run could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// No behaviour for that kind of room.
    #[error("no bots know how to play {kind:?}: there are bots for {known}")]
    UnknownKind {
        /// The kind asked for.
        kind: String,
        /// The kinds there are bots for.
        known: String,
    },
    /// No sockets.
    #[error("cannot open the bots' UDP sockets: {0}")]
    Sockets(io::Error),
    /// No relay.
    #[error("cannot start the relay: {0}")]
    Relay(io::Error),
    /// No random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    Entropy(getrandom::Error),
}

/// Plays a whole run of `B` and reports. Returns when all bots have left.
///
/// # Errors
/// The run could not start. What goes wrong later is in the report.
pub fn run<B: Behaviour>(
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Report, FleetError> {
    let relay = options.net.map(|net| Relay::start(options.server, net));
    let relay = relay.transpose().map_err(FleetError::Relay)?;
    let target = relay.as_ref().map_or(options.server, Relay::address);
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).map_err(FleetError::Entropy)?;
    let crew = Crew::<B>::new(options, target, entropy).map_err(FleetError::Sockets)?;
    let fleet = Fleet {
        crew,
        options,
        relay,
        origin: Instant::now(),
        phase: Phase::Joining,
        since: Timestamp::ZERO,
        course: Course::default(),
        sample_at: Timestamp::ZERO,
        observe_at: Timestamp::ZERO,
        repeat_at: Timestamp::ZERO,
    };
    Ok(fleet.run(observer))
}

/// What is planned while bots play.
#[derive(Debug)]
struct Play {
    inputs: Schedule,
    probes: Schedule,
    /// Its end.
    until: Timestamp,
}

/// A run under way.
struct Fleet<'a, B: Behaviour> {
    crew: Crew<B>,
    options: &'a Options,
    relay: Option<Relay>,
    origin: Instant,
    phase: Phase,
    /// When the phase began.
    since: Timestamp,
    course: Course,
    sample_at: Timestamp,
    observe_at: Timestamp,
    /// When latest inputs are sent again, while the run settles.
    repeat_at: Timestamp,
}

/// Which part of the run it is in.
#[derive(Debug)]
enum Phase {
    Joining,
    Playing(Box<Play>),
    Settling,
    Leaving,
}

impl<B: Behaviour> Fleet<'_, B> {
    fn run(mut self, observer: &mut dyn Observer) -> Report {
        loop {
            let now = self.now();
            let busy = self.crew.receive(now);
            self.crew.wake(now);
            let over = self.advance(now);
            self.crew.flush(self.now());
            self.observe(observer, now);
            if over {
                break;
            }
            if !busy {
                std::thread::sleep(self.nap());
            }
        }
        // The last farewells are on their way; the relay must not end before they have passed.
        if self.relay.is_some() {
            std::thread::sleep(NAP_MAX * 5);
        }
        summary::report(self.crew, self.options, &self.course)
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.origin.elapsed()
    }

    /// Moves the run on. True once it is over.
    fn advance(&mut self, now: Timestamp) -> bool {
        match &self.phase {
            Phase::Joining => self.join(now),
            Phase::Playing(_) => self.play(now),
            Phase::Settling => self.settle(now),
            Phase::Leaving => return self.leave(now),
        }
        false
    }

    fn join(&mut self, now: Timestamp) {
        self.crew.give_up_on_seats(now);
        // Who cannot reach the server now would not a moment later: one wait tells it for all.
        let hopeless = self.crew.tally.failures_total > 0 && self.crew.present().next().is_none();
        while !hopeless && let Some(planned) = self.next_join(now) {
            self.crew.start_bot(planned, now);
        }
        let more = self.crew.bots.len() < self.options.bots;
        if (more || self.crew.joining() > 0) && !hopeless {
            return;
        }
        let players: Vec<usize> = self.crew.present().map(|bot| bot.place.bot).collect();
        self.course.joined = players.len();
        if players.is_empty() {
            self.enter(Phase::Leaving, now);
            self.crew.leave();
        } else {
            let play = Box::new(self.plan(players, now));
            let amounts = summary::amounts(&self.crew);
            self.crew.tally.series.start(now, amounts);
            self.enter(Phase::Playing(play), now);
        }
    }

    /// When the next bot was planned to join, if that time has come and there is room for it.
    fn next_join(&self, now: Timestamp) -> Option<Timestamp> {
        let started = self.crew.bots.len();
        let most = match self.options.ramp_hz {
            Some(_) => RAMP_JOINING_MAX,
            None => JOINING_MAX,
        };
        if started >= self.options.bots || self.crew.joining() >= most {
            return None;
        }
        let Some(hz) = self.options.ramp_hz else {
            return Some(now);
        };
        let nanos = started as u128 * 1_000_000_000 / u128::from(hz.max(1));
        let planned = self.since + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        (planned <= now).then_some(planned)
    }

    /// What these players will do from `now` on.
    fn plan(&self, players: Vec<usize>, now: Timestamp) -> Play {
        let Options {
            input_hz, play_for, ..
        } = *self.options;
        let count = players.len();
        let (input_hz, hz, most) = match self.options.conduct {
            Conduct::Play => (input_hz, PROBES_HZ, PROBES_MAX_HZ),
            Conduct::Idle => (0, IDLE_PROBES_HZ, IDLE_PROBES_MAX_HZ),
        };
        let inputs = Pace::each(input_hz, count, play_for);
        let probes = Pace::at_most(most, hz, count, play_for);
        let rng = Rng::from_number(self.options.seed).fork("probes");
        Play {
            probes: Schedule::jittered(players.clone(), probes, now, rng),
            inputs: Schedule::even(players, inputs, now),
            until: now + play_for,
        }
    }

    fn play(&mut self, now: Timestamp) {
        let Phase::Playing(play) = &mut self.phase else {
            return;
        };
        let Play {
            inputs,
            probes,
            until,
        } = &mut **play;
        while let Some(due) = inputs.next_due(now) {
            self.crew.tally.planned += 1;
            self.crew.tally.act(now.since(due.planned));
            let step = Step {
                number: due.number,
                planned: due.planned,
                mode: self.options.mode,
            };
            self.crew.step(due.bot, step);
        }
        while let Some(due) = probes.next_due(now) {
            self.crew.tally.act(now.since(due.planned));
            self.crew.probe(due.bot, due.planned, now);
        }
        let done = inputs.is_over() && probes.is_over() && now >= *until;
        if done || self.crew.is_over() {
            self.stop_playing(now);
        }
    }

    fn stop_playing(&mut self, now: Timestamp) {
        self.course.played = now.since(self.since);
        let amounts = summary::amounts(&self.crew);
        self.crew.tally.series.end_window(now, amounts);
        if let Some(relay) = &self.relay {
            relay.clean();
        }
        self.repeat_at = now + REPEAT_EVERY;
        self.enter(Phase::Settling, now);
    }

    fn settle(&mut self, now: Timestamp) {
        let missing = self.crew.unsettled();
        let after = now.since(self.since);
        if missing.divided == 0 && self.course.agreed_after.is_none() {
            self.course.agreed_after = Some(after);
        }
        let settled = missing.is_none();
        if settled {
            self.course.settled_after = Some(after);
        }
        if !settled && now >= self.repeat_at {
            self.repeat_at = now + REPEAT_EVERY;
            self.crew.repeat_latest();
        }
        if settled || after >= SETTLE_WITHIN || self.crew.is_over() {
            self.judge(now);
            self.crew.leave();
            self.enter(Phase::Leaving, now);
        }
    }

    /// The checks at the end of a run, while all still have their seats.
    fn judge(&mut self, now: Timestamp) {
        self.course.connected = self.crew.present().count();
        self.crew.check(now);
        summary::check_whole(&mut self.crew, self.options, &self.course);
        let divided = self.crew.unsettled().divided;
        let tally = &mut self.crew.tally;
        if divided > 0 {
            let text = format!("the members of {divided} rooms do not hold the same view");
            tally.fail(None, Cause::Check, text);
        } else if self
            .course
            .agreed_after
            .is_none_or(|after| after > AGREE_WITHIN)
        {
            let text = format!("members agreed later than {AGREE_WITHIN:?} after the end of play");
            tally.fail(None, Cause::Check, text);
        }
    }

    fn leave(&mut self, now: Timestamp) -> bool {
        if self.crew.is_over() {
            return true;
        }
        let late = now.since(self.since) >= LEAVE_WITHIN;
        if late {
            let text = format!("not all bots could leave within {LEAVE_WITHIN:?}");
            self.crew.tally.fail(None, Cause::Lost, text);
        }
        late
    }

    fn enter(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        self.since = now;
    }

    fn observe(&mut self, observer: &mut dyn Observer, now: Timestamp) {
        if now >= self.sample_at {
            self.sample_at = now + SAMPLE_EVERY;
            self.crew.sample();
        }
        if matches!(self.phase, Phase::Playing(_)) && self.crew.tally.series.is_due(now) {
            let amounts = summary::amounts(&self.crew);
            self.crew.tally.series.end_window(now, amounts);
        }
        if now < self.observe_at {
            return;
        }
        self.observe_at = now + observer.interval();
        let standing = Standing {
            stage: self.stage(),
            in_stage: now.since(self.since),
            room: observer.room(),
        };
        match observer.observe(&summary::progress(&self.crew, standing)) {
            Control::Continue => {}
            Control::Stop => self.stop_early(now),
        }
    }

    fn stop_early(&mut self, now: Timestamp) {
        match self.phase {
            // Those who have a seat are all that there will be.
            Phase::Joining => {
                self.course.joined = self.crew.present().count();
                self.enter(Phase::Leaving, now);
                self.crew.leave();
            }
            Phase::Playing(_) => self.stop_playing(now),
            Phase::Settling | Phase::Leaving => {}
        }
    }

    const fn stage(&self) -> Stage {
        match self.phase {
            Phase::Joining => Stage::Joining,
            Phase::Playing(_) => Stage::Playing,
            Phase::Settling => Stage::Settling,
            Phase::Leaving => Stage::Leaving,
        }
    }

    /// How long nothing is due, within bounds.
    fn nap(&self) -> Duration {
        let [step, probe] = match &self.phase {
            Phase::Playing(play) => [play.inputs.next_at(), play.probes.next_at()],
            Phase::Joining | Phase::Settling | Phase::Leaving => [None, None],
        };
        let now = self.now();
        [step, probe, self.crew.next_timer()]
            .into_iter()
            .flatten()
            .map(|at| at.since(now))
            .fold(NAP_MAX, Duration::min)
            .max(NAP_MIN)
    }
}
