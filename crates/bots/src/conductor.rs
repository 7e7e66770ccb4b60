//! A run of bots from the first hello to the report: says when the crews do what, and adds up what they
//! tell.
//!
//! ```text
//! join all, some at a time -> play, open loop -> settle, network mended -> check -> leave
//! ```
//!
//! Runs in the thread of whoever asked for the run. Crews act by themselves at times that were
//! planned before; the conductor moves them from one part of the run to the next, and asks for news a
//! few times a second. Nothing else passes between threads.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use rejoin_protocol::Timestamp;

use crate::news::Question;
use crate::observer::{Control, Observer, Stage};
use crate::options::Options;
use crate::orders::{Note, Order, Plan};
use crate::relay::Relay;
use crate::report::{Cause, Report};
use crate::sources::Change;
use crate::summary::{Course, Missing, Sums};

/// How long after the end of play the members of a room may need to hold the same view.
const AGREE_WITHIN: Duration = Duration::from_secs(2);
/// How long every reliable input may need to be covered then, and every check to hold.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);
/// How often is looked whether they are: what the figures about it are exact to.
const SETTLE_LOOK: Duration = Duration::from_millis(2);
/// How long bots may need to leave. Long, as a busy machine is no fault of the server.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// How long the last farewells need to pass a relay.
const FAREWELL: Duration = Duration::from_millis(5);
/// From the end of joins to the start of play: all crews have their plans by then.
const START_AFTER: Duration = Duration::from_millis(5);
/// Time between two samples: four are the last second.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// A crew's thread ended before its time: it panicked.
#[derive(Debug)]
pub(crate) struct Broken;

/// How far a crew is with what it was told to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Done {
    #[default]
    NotYet,
    /// All that it could.
    Yes,
    /// It did not start so many bots, as all before them failed.
    Stuck,
}

/// See the module page.
pub(crate) struct Conductor<'a> {
    options: &'a Options,
    crews: Vec<SyncSender<Order>>,
    notes: Receiver<(usize, Note)>,
    relay: Option<Relay>,
    origin: Instant,
    stage: Stage,
    /// When the stage began.
    since: Timestamp,
    done: Vec<Done>,
    sums: Sums,
    course: Course,
    sample_at: Timestamp,
    observe_at: Timestamp,
    look_at: Timestamp,
}

impl<'a> Conductor<'a> {
    /// Of crews that have begun to join.
    pub(crate) fn new(
        options: &'a Options,
        (crews, notes): (Vec<SyncSender<Order>>, Receiver<(usize, Note)>),
        relay: Option<Relay>,
        origin: Instant,
    ) -> Self {
        Self {
            options,
            relay,
            origin,
            stage: Stage::Joining,
            since: Timestamp::ZERO,
            done: vec![Done::NotYet; crews.len()],
            sums: Sums::new(crews.len(), options),
            course: Course::default(),
            sample_at: Timestamp::ZERO,
            observe_at: Timestamp::ZERO,
            look_at: Timestamp::ZERO,
            crews,
            notes,
        }
    }

    /// Of bots that rebind, and this is another then.
    pub(crate) const fn rebinding(mut self, change: Option<Change>) -> Self {
        self.course.change = change;
        self
    }

    /// Conducts the run to its end.
    ///
    /// # Errors
    /// A crew's thread panicked.
    pub(crate) fn run(
        mut self,
        kind: &'static str,
        observer: &mut dyn Observer,
    ) -> Result<Report, Broken> {
        loop {
            let now = self.now();
            self.look(observer, now)?;
            if self.advance(now)? {
                break;
            }
            self.wait()?;
        }
        self.ask(MEASURES)?;
        if self.relay.is_some() {
            std::thread::sleep(FAREWELL);
        }
        Ok(self.sums.report(kind, self.options, &self.course))
    }

    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.origin.elapsed()
    }

    /// Moves the run on. True once it is over.
    fn advance(&mut self, now: Timestamp) -> Result<bool, Broken> {
        match self.stage {
            Stage::Joining => self.join(now)?,
            Stage::Playing if self.all_done() => self.stop_playing(now)?,
            Stage::Playing => {}
            Stage::Settling => self.settle(now)?,
            Stage::Leaving => return Ok(self.leave(now)),
        }
        Ok(false)
    }

    fn all_done(&self) -> bool {
        self.done.iter().all(|done| *done != Done::NotYet)
    }

    fn join(&mut self, now: Timestamp) -> Result<(), Broken> {
        if self.done.contains(&Done::Stuck) {
            if self.all_done() {
                self.ask(Question::default())?;
            }
            // A crew of whose bots none could join goes on if others could.
            if self.sums.totals().present > 0 {
                self.unstick();
            }
        }
        if !self.all_done() {
            return Ok(());
        }
        let present = self.muster()?;
        let joined = present.iter().map(Vec::len).sum();
        self.course.joined = joined;
        if joined == 0 {
            self.begin_leaving(now);
            return Ok(());
        }
        let start = self.now() + START_AFTER;
        self.ask(MEASURES)?;
        self.sums.series.start(start, self.sums.amounts());
        self.sample_at = start + SAMPLE_EVERY;
        for (crew, players) in self.crews.iter().zip(plans(&present, start)) {
            drop(crew.send(Order::Play(players)));
        }
        self.enter(Stage::Playing, start);
        Ok(())
    }

    fn unstick(&mut self) {
        for (crew, done) in self.crews.iter().zip(&mut self.done) {
            if *done == Done::Stuck {
                *done = Done::NotYet;
                drop(crew.send(Order::Join));
            }
        }
    }

    fn stop_playing(&mut self, now: Timestamp) -> Result<(), Broken> {
        self.order(|| Order::Settle);
        self.course.played = now.since(self.since);
        self.ask(MEASURES)?;
        self.sums.end_window(now);
        if let Some(relay) = &self.relay {
            relay.clean();
        }
        self.look_at = now;
        self.enter(Stage::Settling, now);
        Ok(())
    }

    fn settle(&mut self, now: Timestamp) -> Result<(), Broken> {
        if now < self.look_at {
            return Ok(());
        }
        self.look_at = now + SETTLE_LOOK;
        self.ask(Question {
            unsettled: true,
            ..Question::default()
        })?;
        let missing = self.sums.missing();
        let after = self.now().since(self.since);
        if missing.divided == 0 && self.course.agreed_after.is_none() {
            self.course.agreed_after = Some(after);
        }
        let settled = missing == Missing::default();
        if settled {
            self.course.settled_after = Some(after);
        }
        let present = self.sums.totals().present;
        if settled || after >= SETTLE_WITHIN || present == 0 {
            self.course.connected = present - self.sums.totals().away.min(present);
            self.judge(missing)?;
            self.begin_leaving(now);
        }
        Ok(())
    }

    /// The checks at the end of a run, while all still have their seats.
    fn judge(&mut self, missing: Missing) -> Result<(), Broken> {
        self.order(|| Order::Judge);
        self.ask(MEASURES)?;
        self.sums.check_whole(self.options, &self.course);
        let divided = missing.divided;
        let late = |after: Duration| after > AGREE_WITHIN;
        if divided > 0 {
            self.sums.fail(format!(
                "the members of {divided} rooms do not hold the same view"
            ));
        } else if self.course.agreed_after.is_none_or(late) {
            self.sums.fail(format!(
                "members agreed later than {AGREE_WITHIN:?} after the end of play"
            ));
        }
        Ok(())
    }

    fn begin_leaving(&mut self, now: Timestamp) {
        self.order(|| Order::Leave);
        self.enter(Stage::Leaving, now);
    }

    /// True once all have left, or had the time to.
    fn leave(&mut self, now: Timestamp) -> bool {
        if self.all_done() {
            return true;
        }
        let late = now.since(self.since) >= LEAVE_WITHIN;
        if late {
            let text = format!("not all bots could leave within {LEAVE_WITHIN:?}");
            self.sums.fail_for(Cause::Lost, text);
        }
        late
    }

    fn enter(&mut self, stage: Stage, now: Timestamp) {
        self.stage = stage;
        self.since = now;
        self.done.fill(Done::NotYet);
    }

    /// Takes samples, and lets the observer look on.
    fn look(&mut self, observer: &mut dyn Observer, now: Timestamp) -> Result<(), Broken> {
        if now >= self.sample_at {
            while self.sample_at <= now {
                self.sample_at += SAMPLE_EVERY;
            }
            self.ask(MEASURES)?;
            self.sums.end_sample();
            let playing = self.stage == Stage::Playing;
            // What is left of the last window ends with the play.
            let within = now < self.since + self.options.play_for;
            if playing && within && self.sums.series.is_due(now) {
                self.sums.end_window(now);
            }
        }
        if now < self.observe_at {
            return Ok(());
        }
        self.observe_at = now + observer.interval();
        self.ask(Question {
            room: Some(observer.room()),
            ..Question::default()
        })?;
        let in_stage = now.since(self.since);
        let progress = self.sums.progress(self.stage, in_stage, self.options);
        match observer.observe(&progress) {
            Control::Continue => Ok(()),
            Control::Stop => self.stop_early(now),
        }
    }

    fn stop_early(&mut self, now: Timestamp) -> Result<(), Broken> {
        match self.stage {
            // Those who have a seat are all that there will be.
            Stage::Joining => {
                self.course.joined = self.sums.totals().present;
                self.begin_leaving(now);
                Ok(())
            }
            Stage::Playing => self.stop_playing(now),
            Stage::Settling | Stage::Leaving => Ok(()),
        }
    }

    /// Gives all crews an order. One that is gone has said so.
    fn order(&self, order: impl Fn() -> Order) {
        for crew in &self.crews {
            drop(crew.send(order()));
        }
    }

    /// Asks all crews, and takes their answers.
    fn ask(&mut self, question: Question) -> Result<(), Broken> {
        self.sums.begin();
        self.order(|| Order::Tell(question));
        for _ in 0..self.crews.len() {
            loop {
                let (crew, note) = self.notes.recv().map_err(|_| Broken)?;
                if let Note::News(news) = note {
                    self.sums.take(crew, *news);
                    break;
                }
                self.take(crew, &note)?;
            }
        }
        Ok(())
    }

    /// The bots that are there, of each crew.
    fn muster(&mut self) -> Result<Vec<Vec<usize>>, Broken> {
        self.order(|| Order::Muster);
        let mut present = vec![Vec::new(); self.crews.len()];
        for _ in 0..self.crews.len() {
            loop {
                let (crew, note) = self.notes.recv().map_err(|_| Broken)?;
                if let (Note::Present(bots), Some(place)) = (&note, present.get_mut(crew)) {
                    place.clone_from(bots);
                    break;
                }
                self.take(crew, &note)?;
            }
        }
        Ok(present)
    }

    /// Takes a note that answers nothing. One about a stage that was broken off may come late, and
    /// says nothing of the stage that is.
    fn take(&mut self, crew: usize, note: &Note) -> Result<(), Broken> {
        let (of, done) = match note {
            Note::Joined { left: 0 } => (Stage::Joining, Done::Yes),
            Note::Joined { .. } => (Stage::Joining, Done::Stuck),
            Note::Played => (Stage::Playing, Done::Yes),
            Note::Gone => (Stage::Leaving, Done::Yes),
            Note::Ended => return Err(Broken),
            Note::Present(_) | Note::News(_) => return Ok(()),
        };
        if let Some(place) = self.done.get_mut(crew)
            && of == self.stage
        {
            *place = done;
        }
        Ok(())
    }

    /// Waits for a note, or until something is due.
    fn wait(&mut self) -> Result<(), Broken> {
        let leave_at = self.since + LEAVE_WITHIN;
        let next = match self.stage {
            Stage::Joining | Stage::Playing => self.sample_at,
            Stage::Settling => self.look_at,
            Stage::Leaving => leave_at,
        };
        let next = next.min(self.sample_at).min(self.observe_at);
        match self.notes.recv_timeout(next.since(self.now())) {
            Ok((crew, note)) => self.take(crew, &note),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Broken),
        }
    }
}

const MEASURES: Question = Question {
    measures: true,
    unsettled: false,
    room: None,
};

/// Each crew's part of the play: all players of the run take turns in the order of their numbers.
fn plans(present: &[Vec<usize>], start: Timestamp) -> Vec<Plan> {
    let mut everyone: Vec<usize> = present.concat();
    everyone.sort_unstable();
    let place = |bot: &usize| {
        let place = everyone.partition_point(|other| other < bot);
        (*bot, u64::try_from(place).unwrap_or(u64::MAX))
    };
    let plan = |bots: &Vec<usize>| Plan {
        start,
        players: bots.iter().map(place).collect(),
        all: everyone.len(),
    };
    present.iter().map(plan).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use rejoin_protocol::crypto::PublicKey;

    use super::*;

    #[test]
    fn news_of_a_stage_that_was_broken_off_do_not_end_the_next() {
        let options = Options::new("127.0.0.1:7".parse().unwrap(), PublicKey([0; 32]));
        let (crew, _orders) = sync_channel(8);
        let (_tell, notes) = sync_channel(8);
        let mut conductor = Conductor::new(&options, (vec![crew], notes), None, Instant::now());
        // Its note that all have joined is under way when the user wants the end.
        conductor.begin_leaving(Timestamp::ZERO);
        conductor.take(0, &Note::Joined { left: 0 }).unwrap();
        assert!(!conductor.leave(Timestamp::ZERO));
        conductor.take(0, &Note::Gone).unwrap();
        assert!(conductor.leave(Timestamp::ZERO));
        assert!(conductor.take(0, &Note::Ended).is_err());
    }

    #[test]
    fn players_take_turns_by_their_numbers_whatever_their_crews() {
        let plans = plans(&[vec![3, 5], vec![], vec![0, 4]], Timestamp::ZERO);
        let players: Vec<_> = plans.iter().map(|plan| plan.players.clone()).collect();
        assert_eq!(
            players,
            [vec![(3, 1), (5, 3)], vec![], vec![(0, 0), (4, 2)]]
        );
        assert!(plans.iter().all(|plan| plan.all == 4));
    }
}
