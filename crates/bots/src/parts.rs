//! Which bots of a run are in which thread.
//!
//! Bots are cut into parts as even as can be in the order of their rooms, so that the members of a room
//! sit together. Between whole rooms a cut may miss its place by an eighth of a part; only else it goes
//! through a room.

use std::ops::Range;
use std::thread;

use crate::options::Options;

/// Threads at most, asked for or not: more than the cores of most machines.
pub(crate) const THREADS_MAX: usize = 64;
/// Threads at most if nobody says: a tester with more has a network to itself, and is told so.
const THREADS_DEFAULT_MAX: usize = 8;
/// Bots that a thread is worth, if nobody says.
const BOTS_PER_THREAD: usize = 64;
/// A cut may miss its place by the part of a part that this divides it into.
const SLACK: usize = 8;

/// The bots of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Their numbers in the run, rising.
    pub(crate) bots: Vec<usize>,
    /// The rooms they play in.
    pub(crate) rooms: Range<usize>,
    /// Those of them that have members elsewhere as well: the first, the last, or both.
    pub(crate) crossing: Vec<usize>,
}

impl Part {
    /// What its crew knows a bot by: its place in the part.
    pub(crate) fn index_of(&self, bot: usize) -> Option<usize> {
        self.bots.binary_search(&bot).ok()
    }
}

/// How many threads a run has.
fn threads(options: &Options) -> usize {
    let wanted = options.threads.unwrap_or_else(|| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let worth = options.bots.div_ceil(BOTS_PER_THREAD);
        cores.min(THREADS_DEFAULT_MAX).min(worth)
    });
    wanted.min(THREADS_MAX).min(options.bots).max(1)
}

/// The parts of a run, one for each thread.
pub(crate) fn of(options: &Options) -> Vec<Part> {
    let order = Order {
        bots: options.bots,
        rooms: options.rooms_of_bots(),
    };
    let threads = threads(options);
    let cuts: Vec<usize> = (0..=threads).map(|cut| order.cut(cut, threads)).collect();
    let parts = cuts.iter().zip(cuts.iter().skip(1));
    parts.map(|(from, to)| order.part(*from..*to)).collect()
}

/// All bots in the order of their rooms: bot `b` plays in room `b` modulo their number.
#[derive(Clone, Copy, Debug)]
struct Order {
    bots: usize,
    rooms: usize,
}

impl Order {
    /// Where the first member of a room stands.
    fn start_of(self, room: usize) -> usize {
        let (each, more) = (self.bots / self.rooms, self.bots % self.rooms);
        room * each + room.min(more)
    }

    /// The room of the bot at this place.
    fn room_at(self, place: usize) -> usize {
        let (each, more) = (self.bots / self.rooms, self.bots % self.rooms);
        let larger = more * (each + 1);
        match place.checked_sub(larger) {
            None => place / (each + 1),
            Some(beyond) => more + beyond / each.max(1),
        }
    }

    fn bot_at(self, place: usize) -> usize {
        let room = self.room_at(place);
        room + (place - self.start_of(room)) * self.rooms
    }

    fn cut(self, cut: usize, threads: usize) -> usize {
        let ideal = self.bots * cut / threads;
        if ideal >= self.bots {
            return self.bots;
        }
        let room = self.room_at(ideal);
        let (before, after) = (self.start_of(room), self.start_of(room + 1));
        let near = if ideal - before <= after - ideal {
            before
        } else {
            after
        };
        let slack = self.bots / threads / SLACK;
        if near.abs_diff(ideal) <= slack {
            near
        } else {
            ideal
        }
    }

    fn part(self, places: Range<usize>) -> Part {
        let mut bots: Vec<usize> = places.clone().map(|place| self.bot_at(place)).collect();
        bots.sort_unstable();
        let Some(last) = places
            .end
            .checked_sub(1)
            .filter(|last| *last >= places.start)
        else {
            return Part {
                bots,
                rooms: 0..0,
                crossing: Vec::new(),
            };
        };
        let rooms = self.room_at(places.start)..self.room_at(last) + 1;
        let whole = |room: &usize| {
            places.start <= self.start_of(*room) && self.start_of(*room + 1) <= places.end
        };
        Part {
            crossing: rooms.clone().filter(|room| !whole(room)).collect(),
            bots,
            rooms,
        }
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::crypto::PublicKey;

    use super::*;

    fn options(bots: usize, rooms: usize, threads: usize) -> Options {
        let mut options = Options::new("127.0.0.1:7".parse().unwrap(), PublicKey([0; 32]));
        (options.bots, options.rooms, options.threads) = (bots, rooms, Some(threads));
        options
    }

    /// How many bots each part has, and which rooms it shares with others.
    fn shape(bots: usize, rooms: usize, threads: usize) -> Vec<(usize, Vec<usize>)> {
        let parts = of(&options(bots, rooms, threads));
        let shape = |part: Part| (part.bots.len(), part.crossing);
        parts.into_iter().map(shape).collect()
    }

    #[test]
    fn rooms_stay_whole_while_parts_stay_even() {
        assert_eq!(shape(16, 2, 2), [(8, vec![]), (8, vec![])]);
        assert_eq!(shape(16, 1, 2), [(8, vec![0]), (8, vec![0])]);
        assert_eq!(shape(90, 3, 2), [(45, vec![1]), (45, vec![1])]);
        // Seventeen rooms on four threads: no cut is needed.
        let many = shape(1_700, 17, 4);
        assert!(
            many.iter().all(|(_, crossing)| crossing.is_empty()),
            "{many:?}"
        );
        assert_eq!(shape(3, 1, 8).len(), 3);
    }

    #[test]
    fn every_bot_is_in_one_part_and_every_member_of_a_whole_room_in_one() {
        for (bots, rooms, threads) in [
            (1, 1, 1),
            (7, 3, 2),
            (100, 7, 8),
            (64, 64, 5),
            (1_000, 13, 7),
            (1_000, 999, 64),
        ] {
            let parts = of(&options(bots, rooms, threads));
            let mut all: Vec<usize> = parts.iter().flat_map(|part| part.bots.clone()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..bots).collect::<Vec<_>>());
            for (index, part) in parts.iter().enumerate() {
                assert!(part.bots.is_sorted(), "{part:?}");
                for bot in &part.bots {
                    let room = bot % rooms;
                    assert!(part.rooms.contains(&room), "bot {bot} of {part:?}");
                    let elsewhere = parts.iter().enumerate().any(|(other, part)| {
                        other != index && part.bots.iter().any(|bot| bot % rooms == room)
                    });
                    assert_eq!(elsewhere, part.crossing.contains(&room), "room {room}");
                }
                let even = bots.div_ceil(threads);
                let miss = part.bots.len().abs_diff(even);
                assert!(miss <= even / 4 + 1, "{} of {even}", part.bots.len());
            }
        }
    }

    #[test]
    fn a_few_bots_share_a_thread_unless_told_otherwise() {
        let mut few = options(64, 1, 1);
        few.threads = None;
        assert_eq!(of(&few).len(), 1);
        few.bots = 1_000_000;
        assert!(of(&few).len() <= THREADS_DEFAULT_MAX);
        few.threads = Some(usize::MAX);
        assert_eq!(of(&few).len(), THREADS_MAX);
    }
}
