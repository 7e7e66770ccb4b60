//! The events of one seat, numbered, and those of them that no client of its session has acknowledged.
//!
//! They outlive connections: whoever takes the seat again is sent what is kept. A part of what survives of a
//! room, with one difference: that an event was acknowledged is known to the living room alone and stands in no
//! journal. So a room that is rebuilt may keep more than the one it takes the place of, and never less.

use std::collections::VecDeque;

use bytes::Bytes;
use rejoin_protocol::planted::{self, Bug};

use crate::limits::{EVENTS_KEPT_BYTES_MAX, EVENTS_KEPT_MAX};

/// See the module page. Bounded: when full, the oldest is dropped, which whoever misses it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Number of the newest event; they count from 1.
    newest: u64,
    /// All up to this one are acknowledged. None that is kept is.
    acked: u64,
    /// The newest ones, oldest first. What goes to all members of a room is shared by their backlogs.
    kept: VecDeque<Bytes>,
    bytes: usize,
}

/// Where events go on for a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resumed {
    /// The first that can be sent is the one after this.
    pub(crate) event: u64,
    /// How many before that the client lacks for good.
    pub(crate) dropped: u64,
}

impl Backlog {
    /// What a checkpoint tells. `None` if it makes no sense.
    pub(crate) fn restore(newest: u64, acked: u64, kept: VecDeque<Bytes>) -> Option<Self> {
        let bytes = kept.iter().map(Bytes::len).sum();
        let backlog = Self {
            newest,
            acked,
            kept,
            bytes,
        };
        let gone = newest.checked_sub(count(backlog.kept.len()))?;
        (acked <= gone && !backlog.is_over()).then_some(backlog)
    }

    /// Number of the newest event.
    pub(crate) const fn newest(&self) -> u64 {
        self.newest
    }

    /// Number of the newest that is acknowledged.
    pub(crate) const fn acked(&self) -> u64 {
        self.acked
    }

    /// Those that are kept, oldest first.
    pub(crate) const fn kept(&self) -> &VecDeque<Bytes> {
        &self.kept
    }

    /// Adds an event; gives its number.
    pub(crate) fn push(&mut self, payload: Bytes) -> u64 {
        self.newest += 1;
        self.bytes += payload.len();
        self.kept.push_back(payload);
        while self.is_over() {
            self.drop_oldest();
        }
        self.newest
    }

    /// The numbers of all events grow by that much, those that are kept included.
    pub(crate) fn skip(&mut self, numbers: u64) {
        if numbers > 0 {
            self.newest += numbers;
            self.acked = self.gone().min(self.acked + numbers);
        }
    }

    /// A client has all events up to `number`.
    pub(crate) fn on_acked(&mut self, number: u64) {
        self.acked = self.acked.max(number.min(self.newest));
        while self.gone() < self.acked {
            self.drop_oldest();
        }
    }

    /// A client takes the seat again that has all events up to `held`, or says nothing of it.
    pub(crate) fn resume(&mut self, held: Option<u64>) -> Resumed {
        if let Some(held) = held {
            self.on_acked(held);
        }
        // Of one that says nothing no more is known than that somebody acknowledged these.
        let has = held.unwrap_or(self.acked).min(self.newest);
        let mut event = self.gone();
        if planted::is(Bug::EventPassedOver) && event < self.newest {
            event += 1;
        }
        Resumed {
            event,
            dropped: self.gone() - has,
        }
    }

    /// The event of that number, if it is kept.
    pub(crate) fn get(&self, number: u64) -> Option<&Bytes> {
        let place = number.checked_sub(self.gone() + 1)?;
        self.kept.get(usize::try_from(place).ok()?)
    }

    /// How many of those up to `told` are kept, and their bytes.
    pub(crate) fn kept_to(&self, told: u64) -> (u64, usize) {
        let of = told.saturating_sub(self.gone());
        let len = usize::try_from(of).unwrap_or(usize::MAX);
        (of, self.kept.iter().take(len).map(Bytes::len).sum())
    }

    /// Number of the newest that is kept no longer.
    pub(crate) fn gone(&self) -> u64 {
        self.newest - count(self.kept.len())
    }

    fn is_over(&self) -> bool {
        self.kept.len() > EVENTS_KEPT_MAX || self.bytes > EVENTS_KEPT_BYTES_MAX
    }

    fn drop_oldest(&mut self) {
        let dropped = self.kept.pop_front();
        self.bytes -= dropped.map_or(0, |payload| payload.len());
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).expect("a length in memory fits 64 bits")
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;
    use rejoin_protocol::limits::EVENT_MAX;

    use super::*;

    fn filled(events: u64) -> Backlog {
        let mut backlog = Backlog::default();
        for number in 1..=events {
            let payload = Bytes::from(number.to_string());
            assert_eq!(backlog.push(payload), number);
        }
        backlog
    }

    /// Numbers of what is kept, each with its own payload.
    fn kept(backlog: &Backlog) -> Vec<u64> {
        let all = 0..=backlog.newest() + 1;
        let kept = all.filter(|number| backlog.get(*number).is_some());
        kept.inspect(|number| {
            let payload = backlog.get(*number);
            assert_eq!(payload, Some(&Bytes::from(number.to_string())));
        })
        .collect()
    }

    fn resumed(event: u64, dropped: u64) -> Resumed {
        Resumed { event, dropped }
    }

    #[test]
    fn what_is_acknowledged_is_let_go_and_an_older_word_takes_nothing_back() {
        let mut backlog = filled(6);
        backlog.on_acked(4);
        backlog.on_acked(2);
        assert_eq!(kept(&backlog), [5, 6]);
        assert_eq!(backlog.push(Bytes::from("7")), 7);
        backlog.on_acked(u64::MAX);
        assert_eq!((kept(&backlog).len(), backlog.acked()), (0, 7));
    }

    #[test]
    fn a_client_that_says_what_it_has_is_sent_the_rest() {
        let mut backlog = filled(6);
        assert_eq!(backlog.resume(Some(4)), resumed(4, 0));
        assert_eq!(kept(&backlog), [5, 6]);
        // One with less was followed by another, which acknowledged them.
        assert_eq!(backlog.resume(Some(1)), resumed(4, 3));
        assert_eq!(backlog.resume(Some(u64::MAX)), resumed(6, 0));
        assert_eq!(kept(&backlog), []);
    }

    #[test]
    fn a_client_that_says_nothing_is_sent_all_that_nobody_acknowledged() {
        let mut backlog = filled(6);
        backlog.on_acked(2);
        assert_eq!(backlog.resume(None), resumed(2, 0));
        assert_eq!(kept(&backlog), [3, 4, 5, 6]);
    }

    #[test]
    fn beyond_the_bound_the_oldest_are_dropped_and_counted() {
        let most = count(EVENTS_KEPT_MAX);
        let mut backlog = filled(10);
        backlog.on_acked(10);
        for number in 11..=most + 30 {
            backlog.push(Bytes::from(number.to_string()));
        }
        assert_eq!(backlog.clone().resume(None), resumed(30, 20));
        assert_eq!(backlog.clone().resume(Some(10)), resumed(30, 20));
        assert_eq!(backlog.clone().resume(Some(28)), resumed(30, 2));
        assert_eq!(backlog.clone().resume(Some(31)), resumed(31, 0));
        assert_eq!(kept(&backlog).len(), EVENTS_KEPT_MAX);
    }

    #[test]
    fn what_is_on_its_way_is_what_is_kept_of_what_was_told() {
        let mut backlog = filled(12);
        backlog.on_acked(8);
        let told = [0, 8, 9, 10, 12].map(|told| backlog.kept_to(told));
        assert_eq!(told, [(0, 0), (0, 0), (1, 1), (2, 3), (4, 7)]);
    }

    #[test]
    fn one_event_of_the_longest_kind_is_always_kept() {
        let mut backlog = Backlog::default();
        for number in 1..=3 {
            backlog.push(Bytes::from(vec![0; EVENT_MAX]));
            assert_eq!((backlog.kept().len(), backlog.gone()), (1, number - 1));
        }
    }

    #[test]
    fn whatever_is_pushed_and_acknowledged_little_is_kept_and_it_is_the_newest() {
        for seed in 0..20 {
            let mut rng = Rng::from_number(seed);
            // One that is told of acknowledgements, and one that is rebuilt without them.
            let (mut live, mut rebuilt) = (Backlog::default(), Backlog::default());
            let longest = [1, 400, EVENT_MAX][rng.index(3)];
            for _ in 0..2_000 {
                let payload = Bytes::from(vec![7; rng.index(longest)]);
                live.push(payload.clone());
                rebuilt.push(payload);
                if rng.chance(0.02) {
                    live.on_acked(rng.below(live.newest() + 3));
                }
                if rng.chance(0.02) {
                    let held = rng.chance(0.5).then(|| rng.below(live.newest() + 3));
                    let before = live.clone();
                    let back = live.resume(held);
                    assert!(back.event <= live.newest() && back.event >= before.gone());
                    assert!(back.dropped <= back.event);
                }
                for backlog in [&live, &rebuilt] {
                    assert!(!backlog.is_over() && backlog.acked <= backlog.gone());
                    let bytes: usize = backlog.kept.iter().map(Bytes::len).sum();
                    assert_eq!(bytes, backlog.bytes, "every byte is counted");
                }
                assert!(rebuilt.gone() <= live.gone(), "never less");
                let mut same = rebuilt.clone();
                same.on_acked(live.acked());
                assert_eq!(same, live);
            }
        }
    }

    #[test]
    fn a_checkpoint_that_makes_no_sense_gives_none() {
        let kept = |count: usize| VecDeque::from(vec![Bytes::from_static(b"x"); count]);
        assert!(Backlog::restore(5, 3, kept(2)).is_some());
        assert!(Backlog::restore(5, 4, kept(2)).is_none(), "kept and acked");
        assert!(
            Backlog::restore(1, 0, kept(2)).is_none(),
            "before the first"
        );
        let most = count(EVENTS_KEPT_MAX);
        assert!(Backlog::restore(most, 0, kept(EVENTS_KEPT_MAX)).is_some());
        assert!(Backlog::restore(most + 1, 0, kept(EVENTS_KEPT_MAX + 1)).is_none());
    }
}
