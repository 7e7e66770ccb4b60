//! Planned times: when which bot acts, whatever the server does.
//!
//! Acts are spread evenly over each second and go round all players of a run: act number `n` falls to
//! the player at place `n` modulo their number. Each crew has the acts of its own players, at the times
//! that they would have in one schedule of all, so that the load is the same in any number of threads.

use std::time::Duration;

use rejoin_protocol::{Rng, Timestamp};

/// How many acts there are, and how fast they follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Acts of all players together in each `per`.
    pub(crate) acts: u64,
    pub(crate) per: Duration,
    /// Acts in all.
    pub(crate) total: u64,
}

/// One of the players whose acts a crew plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Player {
    /// Its place among all players of the run.
    pub(crate) place: u64,
    /// What its crew knows it by.
    pub(crate) index: usize,
}

/// The players of a crew, and how many there are in all.
#[derive(Clone, Debug)]
pub(crate) struct Players {
    /// In order of their places.
    pub(crate) own: Vec<Player>,
    pub(crate) all: u64,
}

/// A crew's part of the planned acts of one sort.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: Timestamp,
    players: Players,
    pace: Pace,
    /// How often all own players have acted.
    round: u64,
    /// Own players who have acted since.
    turn: usize,
    jitter: Option<Jitter>,
    /// The next act; `None` after the last.
    next: Option<Due>,
}

/// Moves each act to a random moment of its slot.
#[derive(Debug)]
struct Jitter {
    rng: Rng,
    /// Draws made: one for each act of the run up to it, whoever plays it.
    drawn: u64,
}

/// An act of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Who acts, as its crew knows it.
    pub(crate) index: usize,
    /// Which of its acts it is, from 1.
    pub(crate) number: u64,
    /// When it was meant to act.
    pub(crate) planned: Timestamp,
}

const SECOND: Duration = Duration::from_secs(1);

impl Pace {
    /// `hz` acts per second of each player, in whole rounds.
    pub(crate) fn each(hz: u32, players: usize, span: Duration) -> Self {
        let players = players as u128;
        let rounds = span.as_nanos() * u128::from(hz) / 1_000_000_000;
        Self {
            acts: saturated(u128::from(hz) * players),
            per: SECOND,
            total: saturated(rounds * players),
        }
    }

    /// One act of each player every so often, until `span` is over.
    pub(crate) fn every(every: Duration, players: usize, span: Duration) -> Self {
        let players = players as u128;
        Self {
            acts: saturated(players),
            per: every,
            total: saturated(players * span.as_nanos() / every.as_nanos().max(1)),
        }
    }

    /// The same, but never more than `most` acts per second of all players together.
    pub(crate) fn at_most(most: u64, hz: u32, players: usize, span: Duration) -> Self {
        let per_second = saturated(u128::from(hz) * players as u128).min(most);
        Self {
            acts: per_second,
            per: SECOND,
            total: saturated(span.as_nanos() * u128::from(per_second) / 1_000_000_000),
        }
    }
}

impl Schedule {
    /// Acts at even distances.
    pub(crate) fn even(players: Players, pace: Pace, start: Timestamp) -> Self {
        Self::new(players, pace, start, None)
    }

    /// Acts at a random moment of each slot: no rhythm of a server can hide between them.
    pub(crate) fn jittered(players: Players, pace: Pace, start: Timestamp, rng: Rng) -> Self {
        Self::new(players, pace, start, Some(Jitter { rng, drawn: 0 }))
    }

    fn new(players: Players, pace: Pace, start: Timestamp, jitter: Option<Jitter>) -> Self {
        let mut schedule = Self {
            start,
            players,
            pace,
            round: 0,
            turn: 0,
            jitter,
            next: None,
        };
        schedule.next = schedule.plan();
        schedule
    }

    /// The planned time of the next act; `None` after the last.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.next.map(|due| due.planned)
    }

    /// The next act, once its time has come.
    pub(crate) fn next_due(&mut self, now: Timestamp) -> Option<Due> {
        let due = self.next.filter(|due| due.planned <= now)?;
        self.turn += 1;
        if self.turn >= self.players.own.len() {
            (self.round, self.turn) = (self.round + 1, 0);
        }
        self.next = self.plan();
        Some(due)
    }

    /// True once every act is done.
    pub(crate) const fn is_over(&self) -> bool {
        self.next.is_none()
    }

    fn plan(&mut self) -> Option<Due> {
        let player = self.players.own.get(self.turn)?;
        let act = self.round.checked_mul(self.players.all)? + player.place;
        if act >= self.pace.total {
            return None;
        }
        let within = self.jitter.as_mut().map_or(0, |jitter| jitter.of(act));
        let Pace { acts, per, .. } = self.pace;
        let slots = u128::from(act) * 1_000_000_000 + u128::from(within);
        let nanos = slots * per.as_nanos() / (u128::from(acts.max(1)) * 1_000_000_000);
        Some(Due {
            index: player.index,
            number: self.round + 1,
            planned: self.start + Duration::from_nanos(saturated(nanos)),
        })
    }
}

impl Jitter {
    /// The part of its slot by which an act is late, in billionths.
    fn of(&mut self, act: u64) -> u64 {
        let mut within = 0;
        while self.drawn <= act {
            within = self.rng.below(1_000_000_000);
            self.drawn += 1;
        }
        within
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

    /// The players at these places of so many.
    fn some(places: impl IntoIterator<Item = usize>, all: usize) -> Players {
        let player = |index| Player {
            place: u64::try_from(index).unwrap(),
            index,
        };
        Players {
            own: places.into_iter().map(player).collect(),
            all: u64::try_from(all).unwrap(),
        }
    }

    fn even(players: usize) -> Schedule {
        let pace = Pace::each(10, players, Duration::from_secs(2));
        Schedule::even(some(0..players, players), pace, START)
    }

    #[test]
    fn steps_are_spread_evenly_over_the_interval() {
        let steps = due(&mut even(4), Timestamp::from_millis(1_125));
        let planned: Vec<u64> = steps.iter().map(|due| due.planned.as_millis()).collect();
        assert_eq!(planned, [1_000, 1_025, 1_050, 1_075, 1_100, 1_125]);
        let bots: Vec<(usize, u64)> = steps.iter().map(|due| (due.index, due.number)).collect();
        assert_eq!(bots, [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2), (1, 2)]);
    }

    #[test]
    fn what_happens_every_so_often_is_staggered_over_all_players() {
        let pace = Pace::every(
            Duration::from_millis(1_500),
            3,
            Duration::from_millis(3_600),
        );
        let mut schedule = Schedule::even(some(0..3, 3), pace, START);
        let acts = due(&mut schedule, Timestamp::from_millis(60_000));
        let acts: Vec<(usize, u64)> = acts
            .iter()
            .map(|due| (due.index, due.planned.as_millis() - 1_000))
            .collect();
        let rounds = [(0, 0), (1, 500), (2, 1_000), (0, 1_500), (1, 2_000)];
        assert_eq!(acts, [&rounds[..], &[(2, 2_500), (0, 3_000)]].concat());
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
        assert_eq!((few.acts, few.total), (80, 240));
        let crowd = Pace::at_most(1_000, 5, 4_000, span);
        assert_eq!((crowd.acts, crowd.total), (1_000, 3_000));
    }

    #[test]
    fn jittered_acts_stay_each_in_its_slot_and_in_no_rhythm() {
        let pace = Pace::at_most(1_000, 10, 4, Duration::from_secs(1));
        let mut schedule = Schedule::jittered(some(0..4, 4), pace, START, Rng::from_number(1));
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

    #[test]
    fn parts_of_a_schedule_make_up_the_whole() {
        let places = [vec![0, 3, 4], vec![1], vec![], vec![2, 5, 6]];
        let span = Duration::from_secs(3);
        // The second ends within a round.
        for pace in [Pace::each(10, 7, span), Pace::at_most(33, 5, 7, span)] {
            for jitter in [false, true] {
                let all_of = |own: Vec<usize>| {
                    let (players, rng) = (some(own, 7), Rng::from_number(1));
                    let mut schedule = match jitter {
                        false => Schedule::even(players, pace, START),
                        true => Schedule::jittered(players, pace, START, rng),
                    };
                    due(&mut schedule, Timestamp::from_millis(60_000))
                };
                let whole = all_of((0..7).collect());
                assert_eq!(u64::try_from(whole.len()).unwrap(), pace.total);
                let mut parts: Vec<Due> = places.iter().cloned().flat_map(all_of).collect();
                parts.sort_by_key(|due| (due.planned, due.number, due.index));
                assert_eq!(parts, whole);
            }
        }
    }
}
