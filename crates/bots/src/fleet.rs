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

use rejoin_protocol::Timestamp;

use crate::behaviour::Behaviour;
use crate::bot::Step;
use crate::crew::Crew;
use crate::observer::{Control, Observer, Stage};
use crate::options::Options;
use crate::relay::Relay;
use crate::report::{Cause, Report};
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
/// How often links are sampled.
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
    Playing(Schedule),
    Settling,
    Leaving,
}

/// The planned steps: number `done` of all falls to player `done` modulo their number.
#[derive(Debug)]
struct Schedule {
    start: Timestamp,
    players: Vec<usize>,
    done: u64,
    total: u64,
    hz: u32,
}

/// A step of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    bot: usize,
    number: u64,
    planned: Timestamp,
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
        match &mut self.phase {
            Phase::Joining => self.join(now),
            Phase::Playing(schedule) => {
                while let Some(due) = schedule.next_due(now) {
                    self.crew.tally.planned += 1;
                    self.crew.tally.lateness.add(now.since(due.planned));
                    let step = Step {
                        number: due.number,
                        planned: due.planned,
                        mode: self.options.mode,
                    };
                    self.crew.step(due.bot, step);
                }
                if schedule.is_over() || self.crew.is_over() {
                    self.stop_playing(now);
                }
            }
            Phase::Settling => self.settle(now),
            Phase::Leaving => return self.leave(now),
        }
        false
    }

    fn join(&mut self, now: Timestamp) {
        self.crew.give_up_on_seats(now);
        // Who cannot reach the server now would not a moment later: one wait tells it for all.
        let hopeless = self.crew.tally.failures_total > 0 && self.crew.seated().next().is_none();
        while !hopeless
            && self.crew.bots.len() < self.options.bots
            && self.crew.joining() < JOINING_MAX
        {
            self.crew.start_bot(now);
        }
        if self.crew.joining() > 0 && !hopeless {
            return;
        }
        let players: Vec<usize> = self.crew.seated().map(|bot| bot.place.bot).collect();
        self.course.joined = players.len();
        if players.is_empty() {
            self.enter(Phase::Leaving, now);
            self.crew.leave();
        } else {
            self.enter(
                Phase::Playing(Schedule::new(self.options, players, now)),
                now,
            );
        }
    }

    fn stop_playing(&mut self, now: Timestamp) {
        self.course.played = now.since(self.since);
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
            self.judge();
            self.crew.leave();
            self.enter(Phase::Leaving, now);
        }
    }

    /// The checks at the end of a run, while all still have their seats.
    fn judge(&mut self) {
        self.crew.check();
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
                self.course.joined = self.crew.seated().count();
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
        let step = match &self.phase {
            Phase::Playing(schedule) => Some(schedule.next_at()),
            Phase::Joining | Phase::Settling | Phase::Leaving => None,
        };
        let now = self.now();
        [step, self.crew.next_timer()]
            .into_iter()
            .flatten()
            .map(|at| at.since(now))
            .fold(NAP_MAX, Duration::min)
            .max(NAP_MIN)
    }
}

impl Schedule {
    fn new(options: &Options, players: Vec<usize>, start: Timestamp) -> Self {
        let per_player = options.play_for.as_nanos() * u128::from(options.input_hz) / 1_000_000_000;
        let count = players.len() as u128;
        let total = u64::try_from(per_player * count).unwrap_or(u64::MAX);
        Self {
            start,
            players,
            done: 0,
            total,
            hz: options.input_hz,
        }
    }

    /// The planned time of the next step.
    fn next_at(&self) -> Timestamp {
        let per_second = u128::from(self.hz) * self.players.len() as u128;
        let nanos = u128::from(self.done) * 1_000_000_000 / per_second.max(1);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn next_due(&mut self, now: Timestamp) -> Option<Due> {
        let planned = self.next_at();
        if self.is_over() || planned > now {
            return None;
        }
        let players = u64::try_from(self.players.len()).ok()?;
        let turn = usize::try_from(self.done.checked_rem(players)?).ok()?;
        let bot = *self.players.get(turn)?;
        let number = self.done.checked_div(players)? + 1;
        self.done += 1;
        Some(Due {
            bot,
            number,
            planned,
        })
    }

    const fn is_over(&self) -> bool {
        self.done >= self.total
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::crypto::PublicKey;

    use super::*;

    fn schedule(players: usize) -> Schedule {
        let server = "127.0.0.1:7777".parse().unwrap();
        let mut options = Options::new(server, PublicKey([0; 32]));
        options.input_hz = 10;
        options.play_for = Duration::from_secs(2);
        Schedule::new(
            &options,
            (0..players).collect(),
            Timestamp::from_millis(1_000),
        )
    }

    #[test]
    fn steps_are_spread_evenly_over_the_interval() {
        let mut schedule = schedule(4);
        let steps: Vec<Due> =
            std::iter::from_fn(|| schedule.next_due(Timestamp::from_millis(1_125))).collect();
        let planned: Vec<u64> = steps.iter().map(|due| due.planned.as_millis()).collect();
        assert_eq!(planned, [1_000, 1_025, 1_050, 1_075, 1_100, 1_125]);
        let bots: Vec<(usize, u64)> = steps.iter().map(|due| (due.bot, due.number)).collect();
        assert_eq!(bots, [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn a_late_loop_still_makes_every_planned_step() {
        let mut schedule = schedule(3);
        let late = Timestamp::from_millis(60_000);
        let count = std::iter::from_fn(|| schedule.next_due(late)).count();
        assert_eq!(count, 3 * 20);
        assert!(schedule.is_over());
    }
}
