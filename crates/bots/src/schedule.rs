//! Planned times: when which bot acts, whatever the server does.
//!
//! Owned by the fleet. Acts are spread evenly over each second and go round all players, so that
//! number `done` falls to player `done` modulo their number.

use std::time::Duration;

use rejoin_protocol::{Rng, Timestamp};

/// How many acts there are, and how fast they follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Acts of all players together per second.
    pub(crate) per_second: u64,
    /// Acts in all.
    pub(crate) total: u64,
}

/// The planned acts of one sort.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: Timestamp,
    players: Vec<usize>,
    pace: Pace,
    done: u64,
    /// Moves each act to a random moment of its slot.
    jitter: Option<Rng>,
    /// The planned time of the next act.
    next: Timestamp,
}

/// An act of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Who acts.
    pub(crate) bot: usize,
    /// Which of its acts it is, from 1.
    pub(crate) number: u64,
    /// When it was meant to act.
    pub(crate) planned: Timestamp,
}

impl Pace {
    /// `hz` acts per second of each player, in whole rounds.
    pub(crate) fn each(hz: u32, players: usize, span: Duration) -> Self {
        let players = players as u128;
        let rounds = span.as_nanos() * u128::from(hz) / 1_000_000_000;
        Self {
            per_second: saturated(u128::from(hz) * players),
            total: saturated(rounds * players),
        }
    }

    /// The same, but never more than `most` acts per second of all players together.
    pub(crate) fn at_most(most: u64, hz: u32, players: usize, span: Duration) -> Self {
        let per_second = saturated(u128::from(hz) * players as u128).min(most);
        Self {
            per_second,
            total: saturated(span.as_nanos() * u128::from(per_second) / 1_000_000_000),
        }
    }
}

impl Schedule {
    /// Acts at even distances.
    pub(crate) fn even(players: Vec<usize>, pace: Pace, start: Timestamp) -> Self {
        Self::new(players, pace, start, None)
    }

    /// Acts at a random moment of each slot: no rhythm of a server can hide between them.
    pub(crate) fn jittered(players: Vec<usize>, pace: Pace, start: Timestamp, rng: Rng) -> Self {
        Self::new(players, pace, start, Some(rng))
    }

    fn new(players: Vec<usize>, pace: Pace, start: Timestamp, jitter: Option<Rng>) -> Self {
        let mut schedule = Self {
            start,
            players,
            pace,
            done: 0,
            jitter,
            next: start,
        };
        schedule.next = schedule.plan();
        schedule
    }

    /// The planned time of the next act; `None` after the last.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        (!self.is_over()).then_some(self.next)
    }

    /// The next act, once its time has come.
    pub(crate) fn next_due(&mut self, now: Timestamp) -> Option<Due> {
        let planned = self.next_at().filter(|planned| *planned <= now)?;
        let players = u64::try_from(self.players.len()).ok()?;
        let turn = usize::try_from(self.done.checked_rem(players)?).ok()?;
        let bot = *self.players.get(turn)?;
        let number = self.done.checked_div(players)? + 1;
        self.done += 1;
        self.next = self.plan();
        Some(Due {
            bot,
            number,
            planned,
        })
    }

    /// True once every act is done.
    pub(crate) const fn is_over(&self) -> bool {
        self.done >= self.pace.total
    }

    fn plan(&mut self) -> Timestamp {
        let per_second = u128::from(self.pace.per_second.max(1));
        let slot = u128::from(self.done) * 1_000_000_000;
        let within = self
            .jitter
            .as_mut()
            .map_or(0, |rng| rng.below(1_000_000_000));
        let nanos = (slot + u128::from(within)) / per_second;
        self.start + Duration::from_nanos(saturated(nanos))
    }
}

fn saturated(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_000);

    fn due(schedule: &mut Schedule, until: Timestamp) -> Vec<Due> {
        std::iter::from_fn(|| schedule.next_due(until)).collect()
    }

    fn even(players: usize) -> Schedule {
        let pace = Pace::each(10, players, Duration::from_secs(2));
        Schedule::even((0..players).collect(), pace, START)
    }

    #[test]
    fn steps_are_spread_evenly_over_the_interval() {
        let steps = due(&mut even(4), Timestamp::from_millis(1_125));
        let planned: Vec<u64> = steps.iter().map(|due| due.planned.as_millis()).collect();
        assert_eq!(planned, [1_000, 1_025, 1_050, 1_075, 1_100, 1_125]);
        let bots: Vec<(usize, u64)> = steps.iter().map(|due| (due.bot, due.number)).collect();
        assert_eq!(bots, [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn a_late_loop_still_makes_every_planned_step() {
        let mut schedule = even(3);
        assert_eq!(
            due(&mut schedule, Timestamp::from_millis(60_000)).len(),
            3 * 20
        );
        assert!(schedule.is_over());
        assert_eq!(schedule.next_at(), None);
    }

    #[test]
    fn a_crowd_shares_the_most_that_all_may_do() {
        let span = Duration::from_secs(3);
        let few = Pace::at_most(1_000, 5, 16, span);
        assert_eq!((few.per_second, few.total), (80, 240));
        let crowd = Pace::at_most(1_000, 5, 4_000, span);
        assert_eq!((crowd.per_second, crowd.total), (1_000, 3_000));
    }

    #[test]
    fn jittered_acts_stay_each_in_its_slot_and_in_no_rhythm() {
        let pace = Pace::at_most(1_000, 10, 4, Duration::from_secs(1));
        let mut schedule = Schedule::jittered((0..4).collect(), pace, START, Rng::from_number(1));
        let acts = due(&mut schedule, Timestamp::from_millis(60_000));
        assert_eq!(acts.len(), 40);
        let mut within = std::collections::BTreeSet::new();
        for (slot, act) in (0..).zip(acts) {
            let after = act.planned.since(START + Duration::from_millis(25) * slot);
            assert!(after < Duration::from_millis(25), "{act:?}");
            within.insert(after.as_millis());
        }
        assert!(within.len() > 10, "{within:?}");
    }
}
