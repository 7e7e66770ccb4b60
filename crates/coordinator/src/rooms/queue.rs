//! Calls of one room that wait for its turn.

use std::collections::BTreeMap;

use rejoin_protocol::message::CallId;
use rejoin_protocol::{Fetch, Incarnation, PlayerId};

use super::entry::Entry;
use crate::limits::INPUTS_WAITING_MAX;
use crate::mail::Home;

/// Calls that wait for the turn, in order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    calls: Vec<Queued>,
    /// Where each player's newest latest input waits, by player. A vector keeps its memory
    /// from turn to turn.
    latest: Vec<(PlayerId, usize)>,
    /// Seats asked for.
    admits: usize,
}

/// A call that waits for the turn.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) entry: Entry,
    pub(crate) origin: Origin,
}

/// Who waits for the answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody.
    None,
    /// A session that wants a seat.
    Admit {
        home: Home,
        call: CallId,
        /// True if the same request opened the room.
        created: bool,
    },
    /// A session that gives its seat back.
    Leave { home: Home, call: CallId },
}

/// A session's client that was given a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) player: PlayerId,
    pub(crate) incarnation: Incarnation,
    pub(crate) home: Home,
    pub(crate) call: CallId,
    /// True if the same request opened the room.
    pub(crate) created: bool,
    /// False if it held the seat before.
    pub(crate) fresh: bool,
    /// The newest input that was applied before.
    pub(crate) cursor: u64,
    /// The first view that may be shown to it.
    pub(crate) view: u64,
}

impl Asked {
    /// Who waits for the answer.
    pub(crate) const fn origin(&self) -> Origin {
        Origin::Admit {
            home: self.home,
            call: self.call,
            created: self.created,
        }
    }
}

impl Queue {
    /// See [`crate::fetch`].
    pub(crate) fn fetch_parts(&self, fetch: Fetch) {
        fetch.ends(&self.calls);
        fetch.ends(&self.latest);
    }

    /// Calls that wait.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Seats asked for.
    pub(crate) const fn admits(&self) -> usize {
        self.admits
    }

    /// True if a latest input of the player waits.
    pub(crate) fn has_latest(&self, player: PlayerId) -> bool {
        let latest = &self.latest;
        latest.binary_search_by_key(&player, |(of, _)| *of).is_ok()
    }

    /// True if the last call that waits is a tick.
    pub(crate) fn ends_with_tick(&self) -> bool {
        let last = self.calls.last();
        last.is_some_and(|call| matches!(call.entry, Entry::Tick))
    }

    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds a call. A latest input takes the place of one of the same player that waits.
    pub(crate) fn push(&mut self, entry: Entry, origin: Origin) {
        if let Entry::Input {
            player,
            number: None,
            ..
        } = entry
        {
            match self.latest.binary_search_by_key(&player, |(of, _)| *of) {
                Ok(place) => {
                    let waiting = self.latest.get(place).map(|(_, call)| *call);
                    let waiting = waiting.and_then(|call| self.calls.get_mut(call));
                    waiting.expect("it waits until all calls are taken").entry = entry;
                    return;
                }
                Err(place) => self.latest.insert(place, (player, self.calls.len())),
            }
        }
        if matches!(entry, Entry::Admit { .. }) {
            self.admits += 1;
        }
        self.calls.push(Queued { entry, origin });
    }

    /// Takes all calls out.
    pub(crate) fn take(&mut self) -> Vec<Queued> {
        self.latest.clear();
        self.admits = 0;
        std::mem::take(&mut self.calls)
    }

    /// Takes calls in that were taken out, before all that came since.
    pub(crate) fn put_back(&mut self, calls: Vec<Queued>) {
        let later = self.take();
        for Queued { entry, origin } in calls.into_iter().chain(later) {
            self.push(entry, origin);
        }
    }

    /// Checks that no player has more waiting than the rules let in.
    pub(crate) fn check(&self) {
        let mut reliable = BTreeMap::new();
        for queued in &self.calls {
            if let Entry::Input {
                player,
                number: Some(_),
                ..
            }
            | Entry::Void { player, .. } = queued.entry
            {
                *reliable.entry(player).or_insert(0_u64) += 1;
            }
        }
        assert!(
            reliable
                .into_values()
                .all(|count| count <= INPUTS_WAITING_MAX),
            "reliable inputs that wait are bounded by sender"
        );
        let latest = self
            .calls
            .iter()
            .filter(|queued| matches!(queued.entry, Entry::Input { number: None, .. }));
        assert_eq!(latest.count(), self.latest.len(), "one latest input each");
    }

    /// Takes the memory of applied calls back for the next ones.
    pub(crate) fn recycle(&mut self, mut calls: Vec<Queued>) {
        if self.calls.capacity() == 0 && calls.capacity() <= RECYCLED_MAX {
            calls.clear();
            self.calls = calls;
        }
    }
}

/// Calls whose memory a queue keeps; that of a rare flood is given back.
const RECYCLED_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rejoin_protocol::limits::INPUT_MAX;
    use rejoin_protocol::{Incarnation, Rng, SessionId, Stay};

    use super::super::entry::Applicant;
    use super::*;

    #[test]
    fn of_latest_inputs_only_the_newest_per_player_waits() {
        let mut queue = Queue::default();
        let input = |player, number, byte: u8| Entry::Input {
            player: PlayerId(player),
            number,
            payload: Bytes::from(vec![byte]),
        };
        for entry in [
            input(1, None, 1),
            input(2, None, 2),
            input(1, Some(1), 3),
            input(1, None, 4),
        ] {
            queue.push(entry, Origin::None);
        }
        let entries: Vec<_> = queue
            .take()
            .into_iter()
            .map(|queued| queued.entry)
            .collect();
        assert_eq!(
            entries,
            [input(1, None, 4), input(2, None, 2), input(1, Some(1), 3)]
        );
        queue.push(input(1, None, 5), Origin::None);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn calls_that_are_put_back_come_before_the_later_ones() {
        let mut queue = Queue::default();
        let input = |player, number, byte: u8| Entry::Input {
            player: PlayerId(player),
            number,
            payload: Bytes::from(vec![byte]),
        };
        queue.push(input(1, None, 1), Origin::None);
        queue.push(admit(), Origin::None);
        queue.push(input(1, Some(1), 2), Origin::None);
        let taken = queue.take();
        queue.push(input(1, Some(2), 3), Origin::None);
        queue.push(input(1, None, 4), Origin::None);
        queue.put_back(taken);
        queue.check();
        assert_eq!((queue.admits(), queue.has_latest(PlayerId(1))), (1, true));
        let entries: Vec<_> = queue.take().into_iter().map(|it| it.entry).collect();
        let expected = [
            input(1, None, 4),
            admit(),
            input(1, Some(1), 2),
            input(1, Some(2), 3),
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn whatever_players_send_one_latest_input_of_each_waits() {
        for seed in 0..20 {
            let mut rng = Rng::from_number(seed);
            let mut queue = Queue::default();
            let players = 1 + rng.below(40);
            for _ in 0..20 {
                let (mut newest, mut others, mut admits) = (BTreeMap::new(), 0, 0);
                for step in 0..rng.below(2_000) {
                    let player = PlayerId(rng.below(players));
                    let payload = Bytes::from(vec![7; rng.index(INPUT_MAX + 1)]);
                    let len = payload.len();
                    let number = rng.chance(0.1).then_some(step);
                    let entry = Entry::Input {
                        player,
                        number,
                        payload,
                    };
                    match number {
                        None => drop(newest.insert(player, len)),
                        Some(_) => others += len,
                    }
                    queue.push(entry, Origin::None);
                    if rng.chance(0.1) {
                        admits += 1;
                        queue.push(admit(), Origin::None);
                    }
                    assert!(queue.has_latest(player) || number.is_some());
                    assert_eq!((queue.latest.len(), queue.admits()), (newest.len(), admits));
                }
                let calls = queue.take();
                let held = calls.iter().map(|call| {
                    if let Entry::Input { payload, .. } = &call.entry {
                        payload.len()
                    } else {
                        0
                    }
                });
                assert_eq!(held.sum::<usize>(), others + newest.values().sum::<usize>());
                queue.recycle(calls);
                assert!(queue.is_empty() && queue.calls.capacity() <= RECYCLED_MAX);
                assert_eq!((queue.latest.len(), queue.admits()), (0, 0));
            }
        }
    }

    fn admit() -> Entry {
        let applicant = Box::new(Applicant {
            session: SessionId([0; 16]),
            incarnation: Incarnation(1),
            name: "ana".into(),
            claims: Vec::new(),
            returns: None,
        });
        let stay = Stay(1);
        Entry::Admit { applicant, stay }
    }
}
