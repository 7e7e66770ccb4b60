//! A room's timers: at most one per token, fired in order of due time, then token.
//!
//! Owned by the room's context. It knows nothing of logic: the host asks which token fires
//! next and calls logic itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rejoin_protocol::limits::TIMERS_MAX;

/// Timers of one room, in room time.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// When each token is due. A token stands in exactly one of the two sets below.
    due: BTreeMap<u64, Duration>,
    waiting: BTreeSet<(Duration, u64)>,
    /// What the current call will still fire. Empty between calls, so never checkpointed.
    firing: BTreeSet<(Duration, u64)>,
}

/// The bound on waiting timers is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {TIMERS_MAX} timers wait")]
pub(crate) struct TooManyTimers;

impl Timers {
    /// Sets or moves a timer. It waits for the next firing even if it is due already.
    pub(crate) fn set(&mut self, token: u64, due: Duration) -> Result<(), TooManyTimers> {
        if !self.cancel(token) && self.due.len() >= TIMERS_MAX {
            return Err(TooManyTimers);
        }
        self.due.insert(token, due);
        self.waiting.insert((due, token));
        Ok(())
    }

    /// Takes a timer back, even from the firing that is under way. True if it was there.
    pub(crate) fn cancel(&mut self, token: u64) -> bool {
        let Some(due) = self.due.remove(&token) else {
            return false;
        };
        self.waiting.remove(&(due, token)) || self.firing.remove(&(due, token))
    }

    /// Chooses what [`Timers::next_firing`] gives: all that is due by `now`.
    pub(crate) fn start_firing(&mut self, now: Duration) {
        while let Some(&(due, token)) = self.waiting.first() {
            if due > now {
                break;
            }
            self.waiting.pop_first();
            self.firing.insert((due, token));
        }
    }

    /// The next token to fire. It no longer waits.
    pub(crate) fn next_firing(&mut self) -> Option<u64> {
        let (_, token) = self.firing.pop_first()?;
        self.due.remove(&token);
        Some(token)
    }

    /// When the next timer is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// All that wait, in order.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.waiting.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn fire(timers: &mut Timers, now: Duration) -> Vec<u64> {
        timers.start_firing(now);
        std::iter::from_fn(|| timers.next_firing()).collect()
    }

    #[test]
    fn timers_fire_by_due_time_then_token() {
        let mut timers = Timers::default();
        for (token, due) in [(9, 1), (2, 2), (1, 2), (5, 3)] {
            timers.set(token, at(due)).unwrap();
        }
        assert_eq!(timers.next_due(), Some(at(1)));
        assert_eq!(fire(&mut timers, at(2)), [9, 1, 2]);
        assert_eq!(fire(&mut timers, at(3)), [5]);
        assert_eq!(timers.next_due(), None);
    }

    #[test]
    fn a_token_set_again_moves() {
        let mut timers = Timers::default();
        timers.set(1, at(1)).unwrap();
        timers.set(1, at(5)).unwrap();
        assert_eq!(fire(&mut timers, at(4)), []);
        assert_eq!(fire(&mut timers, at(5)), [1]);
    }

    #[test]
    fn a_timer_set_or_cancelled_while_firing_does_not_fire_in_the_same_call() {
        let mut timers = Timers::default();
        for token in 1..=3 {
            timers.set(token, at(1)).unwrap();
        }
        timers.start_firing(at(1));
        assert_eq!(timers.next_firing(), Some(1));
        timers.set(2, at(1)).unwrap();
        assert!(timers.cancel(3));
        assert_eq!(timers.next_firing(), None);
        assert_eq!(fire(&mut timers, at(1)), [2]);
        assert!(!timers.cancel(2));
    }

    #[test]
    fn the_bound_refuses_one_more_but_lets_a_timer_move() {
        let mut timers = Timers::default();
        for token in 0..1024 {
            timers.set(token, at(1)).unwrap();
        }
        assert_eq!(timers.set(1024, at(1)), Err(TooManyTimers));
        assert_eq!(timers.set(7, at(2)), Ok(()));
        assert!(timers.cancel(8));
        assert_eq!(timers.set(1024, at(1)), Ok(()));
    }
}
