//! The thread that kills a server while bots play on it.

use std::thread;
use std::time::{Duration, Instant};

use rejoin_bots::Kills;
use rejoin_protocol::Rng;

use crate::exit::{Exit, Failure};

use super::Plan;
use super::shared::Shared;
use super::victim::Victim;

/// Between two looks at the time and at the server: how exact a kill is.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long a run plays on after all are back from the last kill.
const PLAYED_AFTER: Duration = Duration::from_secs(1);

/// See the module page.
pub(super) struct Killer<'a, 'b> {
    plan: &'a Plan,
    shared: &'a Shared,
    victim: &'a mut Victim<'b>,
    rng: Rng,
    kills: Kills,
    /// The newest epoch that bots had seen at the last kill.
    before: u64,
    /// Since when all are back from the last kill.
    back_since: Option<Instant>,
}

/// What happens next.
enum Next {
    /// The play is over.
    Over,
    /// A kill is due, or asked for.
    Kill,
    /// The server is gone although nobody killed it.
    Died(String),
}

impl<'a, 'b> Killer<'a, 'b> {
    pub(super) fn new(plan: &'a Plan, shared: &'a Shared, victim: &'a mut Victim<'b>) -> Self {
        Self {
            rng: Rng::from_number(plan.seed).fork("kills"),
            plan,
            shared,
            victim,
            kills: Kills::default(),
            before: 0,
            back_since: None,
        }
    }

    /// Kills until the play is over. It then has ended the play itself if that was its part.
    ///
    /// # Errors
    /// The server ended by itself, or does not come back.
    pub(super) fn run(mut self) -> Result<Kills, Failure> {
        let outcome = self.kill_all();
        if outcome.is_err() {
            self.shared.end_play();
        }
        outcome.map(|()| self.kills)
    }

    fn kill_all(&mut self) -> Result<(), Failure> {
        while !self.shared.standing().is_playing {
            if self.shared.is_over() {
                return Ok(());
            }
            thread::sleep(LOOK_EVERY);
        }
        let began = Instant::now();
        let mut served = began;
        let mut number = 0;
        loop {
            number += 1;
            let due = if number <= self.plan.count {
                self.plan
                    .moments
                    .due(number, (began, served), &mut self.rng)
            } else {
                None
            };
            match self.next(due) {
                Next::Over => return Ok(()),
                Next::Died(text) if !self.plan.is_for_show => {
                    return Err(Failure::new(Exit::CheckFailed, text));
                }
                Next::Died(_) | Next::Kill => self.kill()?,
            }
            served = Instant::now();
        }
    }

    /// Waits.
    fn next(&mut self, due: Option<Instant>) -> Next {
        loop {
            if self.shared.is_over() || !self.shared.standing().is_playing {
                return Next::Over;
            }
            if let Some(text) = self.victim.is_gone() {
                return Next::Died(text);
            }
            let now = Instant::now();
            if self.shared.take_wish() || due.is_some_and(|due| due <= now) {
                return Next::Kill;
            }
            if due.is_none() && self.plan.ends_play && self.are_all_back_since(now) {
                self.shared.end_play();
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn are_all_back_since(&mut self, now: Instant) -> bool {
        if !self.are_all_back() {
            self.back_since = None;
            return false;
        }
        let since = *self.back_since.get_or_insert(now);
        now.duration_since(since) >= PLAYED_AFTER
    }

    /// True if every bot has seen something of the process that serves now.
    fn are_all_back(&self) -> bool {
        let standing = self.shared.standing();
        let newest = standing.newest;
        newest.epoch > self.before && newest.bots >= standing.present
    }

    fn kill(&mut self) -> Result<(), Failure> {
        self.kills.done += 1;
        self.kills.in_recovery += u64::from(!self.are_all_back());
        self.before = self.shared.standing().newest.epoch;
        self.back_since = None;
        self.shared.on_kill(self.kills.done);
        self.victim.kill().map_err(|failure| Failure {
            text: format!("kill {} of the server: {}", self.kills.done, failure.text),
            ..failure
        })?;
        self.shared.on_served(self.victim.process());
        while !self.victim.is_back_at_once() && !self.shared.is_over() {
            if self.shared.standing().newest.epoch > self.before {
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}
