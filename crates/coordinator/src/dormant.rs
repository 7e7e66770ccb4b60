//! Rooms of this shard that are in its store alone: all of them when a process begins, and those that cannot be taken up.
//!
//! Owned by the house. It says which room is taken up next, and keeps what was asked of one until it is there;
//! `recovery` takes them up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rejoin_protocol::RoomId;

use crate::limits::DORMANT_CALLS_MAX;
use crate::mail::{Ask, Guest};
use crate::request::Request;

/// See the module page. Bounded by the store.
#[derive(Debug, Default)]
pub(crate) struct Dormant {
    rooms: BTreeMap<RoomId, Rest>,
    /// Rooms that somebody waits for.
    wanted: VecDeque<RoomId>,
    /// All others that were not looked at yet, the most recently active first; some may be up by now.
    queue: VecDeque<RoomId>,
    /// Those that sleep, by when that is over.
    by_end: BTreeSet<(u64, RoomId)>,
    /// All that the process found were looked at.
    first_done: bool,
    /// What waits for a room. Bounded together.
    calls: Vec<(RoomId, Waiting)>,
}

/// How a room rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// It will be taken up.
    Stored,
    /// Somebody waits for that.
    Wanted,
    /// It is taken up when somebody asks for it, and forgotten when that second since 1970 is over.
    Asleep(u64),
    /// It cannot be taken up, and what is stored of it stays.
    Failed,
}

/// Something that is asked of a room which is not up yet.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// By a session of this shard.
    Request(Request),
    /// By a session of another shard.
    Ask(Guest, Box<Ask>),
}

/// What becomes of a call to a room that rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// It does not rest here.
    Up,
    /// It will be taken up: the call may wait.
    Soon,
    /// It cannot be taken up.
    Never,
    /// Too much waits already.
    Busy,
}

impl Dormant {
    /// The rooms of a store, the most recently active first.
    pub(crate) fn of(rooms: Vec<RoomId>) -> Self {
        Self {
            rooms: rooms.iter().map(|room| (*room, Rest::Stored)).collect(),
            queue: rooms.into(),
            ..Self::default()
        }
    }

    /// How many will be taken up.
    pub(crate) fn to_come(&self) -> usize {
        let queued = self.queue.iter();
        let waits = |room: &&RoomId| self.rooms.get(room) == Some(&Rest::Stored);
        self.wanted.len() + queued.filter(waits).count()
    }

    /// True if some may have to be taken up.
    pub(crate) fn has_more(&self) -> bool {
        !self.wanted.is_empty() || !self.queue.is_empty()
    }

    /// True once, when all that the process found were looked at.
    pub(crate) fn is_first_done(&mut self) -> bool {
        !self.has_more() && !std::mem::replace(&mut self.first_done, true)
    }

    /// True if there is nothing to do.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.has_more() && self.calls.is_empty()
    }

    /// How many cannot be taken up.
    pub(crate) fn failed(&self) -> usize {
        self.rooms
            .values()
            .filter(|rest| **rest == Rest::Failed)
            .count()
    }

    /// Somebody turns to a room. If it can be taken up it will be, before those that nobody waits for.
    pub(crate) fn want(&mut self, room: RoomId) -> Wake {
        let Some(rest) = self.rooms.get_mut(&room) else {
            return Wake::Up;
        };
        match rest {
            Rest::Failed => return Wake::Never,
            _ if self.calls.len() >= DORMANT_CALLS_MAX => return Wake::Busy,
            Rest::Wanted => {}
            Rest::Stored | Rest::Asleep(_) => {
                if let Rest::Asleep(until) = *rest {
                    self.by_end.remove(&(until, room));
                }
                *rest = Rest::Wanted;
                self.wanted.push_back(room);
            }
        }
        Wake::Soon
    }

    /// Keeps a call until its room is up, after [`Dormant::want`] said [`Wake::Soon`].
    pub(crate) fn wait(&mut self, room: RoomId, call: Waiting) {
        self.calls.push((room, call));
    }

    /// The room to be taken up next.
    pub(crate) fn next(&mut self) -> Option<RoomId> {
        if let Some(room) = self.wanted.pop_front() {
            return Some(room);
        }
        while let Some(room) = self.queue.pop_front() {
            if self.rooms.get(&room) == Some(&Rest::Stored) {
                return Some(room);
            }
        }
        None
    }

    /// A room is up, or does not belong here.
    pub(crate) fn remove(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// A room is in the store alone from now on, until somebody asks for it.
    pub(crate) fn add(&mut self, room: RoomId) {
        self.rooms.insert(room, Rest::Stored);
    }

    /// A room sleeps until that second since 1970.
    pub(crate) fn hibernate(&mut self, room: RoomId, until: u64) {
        self.rooms.insert(room, Rest::Asleep(until));
        self.by_end.insert((until, room));
    }

    /// True if somebody waits for a room.
    pub(crate) fn is_wanted(&self, room: RoomId) -> bool {
        self.rooms.get(&room) == Some(&Rest::Wanted)
    }

    /// When the first sleep is over, in seconds since 1970.
    pub(crate) fn next_end(&self) -> Option<u64> {
        self.by_end.first().map(|(until, _)| *until)
    }

    /// Takes a room whose sleep is over.
    pub(crate) fn take_overdue(&mut self, now_unix_s: u64) -> Option<RoomId> {
        let (_, room) = self
            .by_end
            .first()
            .filter(|(until, _)| *until <= now_unix_s)?;
        let room = *room;
        self.by_end.pop_first();
        self.rooms.remove(&room);
        Some(room)
    }

    /// How many sleep.
    pub(crate) fn asleep(&self) -> usize {
        self.by_end.len()
    }

    /// A room cannot be taken up, or failed and must not be.
    pub(crate) fn fail(&mut self, room: RoomId) {
        self.rooms.insert(room, Rest::Failed);
    }

    /// Takes the calls that wait for nothing any more: their rooms are up, or never will be.
    pub(crate) fn take_answerable(&mut self) -> Vec<(RoomId, Waiting)> {
        let rooms = &self.rooms;
        let waits = |room: &RoomId| matches!(rooms.get(room), Some(Rest::Stored | Rest::Wanted));
        self.calls
            .extract_if(.., |(room, _)| !waits(room))
            .collect()
    }

    /// Nothing is waited for any more: the shard stops.
    pub(crate) fn stop(&mut self) {
        self.calls.clear();
        self.wanted.clear();
        self.by_end.clear();
        self.queue.clear();
    }

    /// Checks that who waits, waits for something.
    pub(crate) fn check(&self) {
        let asleep =
            |(until, room): (&u64, &RoomId)| self.rooms.get(room) == Some(&Rest::Asleep(*until));
        assert!(
            self.by_end
                .iter()
                .all(|(until, room)| asleep((until, room))),
            "sleeps agree"
        );
        assert!(self.calls.len() <= DORMANT_CALLS_MAX, "calls are bounded");
        for room in self
            .wanted
            .iter()
            .chain(self.calls.iter().map(|(room, _)| room))
        {
            let rest = self.rooms.get(room);
            assert_eq!(
                rest,
                Some(&Rest::Wanted),
                "a room that is waited for will come"
            );
        }
    }
}
