//! What became of requests for rooms: which room each was placed in, and which rooms are gone.
//!
//! A part of every [`Directory`](crate::Directory), so that whoever shares a request id meets in one room
//! wherever its session lives, and a late retry opens no twin. Bounded: what is remembered longest is
//! forgotten first.

use std::collections::{BTreeMap, VecDeque};

use rejoin_protocol::{RoomId, Timestamp};

use crate::limits::{PLACED_MAX, TOMBSTONE_LIFE, TOMBSTONES_MAX};

/// See the module page.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    /// By the id of the room that each would open.
    placed: BTreeMap<RoomId, RoomId>,
    /// The same, oldest first.
    order: VecDeque<RoomId>,
    /// When rooms were closed, oldest first.
    tombstones: VecDeque<(Timestamp, RoomId)>,
}

impl Requests {
    /// A request is to be met by an open `room`. Tells which room meets it: that one, unless its own
    /// `is_open`, or about to, or it was met before by one that is.
    pub fn place(
        &mut self,
        request: RoomId,
        room: RoomId,
        is_open: impl Fn(RoomId) -> bool,
    ) -> RoomId {
        if is_open(request) {
            return request;
        }
        match self.placed.get_mut(&request) {
            Some(placed) if is_open(*placed) => *placed,
            Some(placed) => {
                *placed = room;
                room
            }
            None => {
                if self.order.len() >= PLACED_MAX
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.placed.remove(&oldest);
                }
                self.placed.insert(request, room);
                self.order.push_back(request);
                room
            }
        }
    }

    /// The room that met a request has no seat for it: another may.
    pub fn displace(&mut self, request: RoomId) {
        if self.placed.remove(&request).is_some() {
            self.order.retain(|of| *of != request);
        }
    }

    /// The room that met a request, which may be closed by now.
    #[must_use]
    pub fn placed(&self, request: RoomId) -> Option<RoomId> {
        self.placed.get(&request).copied()
    }

    /// A room was closed: for a while no request opens it again.
    pub fn bury(&mut self, room: RoomId, now: Timestamp) {
        if self.tombstones.len() >= TOMBSTONES_MAX {
            self.tombstones.pop_front();
        }
        self.tombstones.push_back((now, room));
    }

    /// True if a room of that id was closed a short while ago.
    pub fn is_buried(&mut self, room: RoomId, now: Timestamp) -> bool {
        let first = |tombstones: &VecDeque<(Timestamp, _)>| tombstones.front().map(|(at, _)| *at);
        while first(&self.tombstones).is_some_and(|at| now.since(at) >= TOMBSTONE_LIFE) {
            self.tombstones.pop_front();
        }
        self.tombstones.iter().any(|(_, buried)| *buried == room)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rejoin_protocol::Rng;

    use super::*;

    fn id(rng: &mut Rng) -> RoomId {
        // Few enough to be drawn again.
        let number = u16::try_from(rng.below(15_000)).unwrap();
        RoomId(number.to_be_bytes().repeat(8).try_into().unwrap())
    }

    #[test]
    fn a_request_is_met_by_one_room_while_that_is_open() {
        let [request, first, second] = [1, 2, 3].map(|number| RoomId([number; 16]));
        let mut requests = Requests::default();
        assert_eq!(requests.placed(request), None);
        assert_eq!(requests.place(request, first, |_| false), first);
        let is_first = |room| room == first;
        assert_eq!(requests.place(request, second, is_first), first);
        assert_eq!(requests.place(request, second, |_| false), second);
        assert_eq!(requests.placed(request), Some(second));
        let own = |room| room == request || room == second;
        assert_eq!(requests.place(request, first, own), request);
        requests.displace(request);
        assert_eq!(requests.placed(request), None);
        assert!(requests.order.is_empty());
    }

    #[test]
    fn whatever_is_asked_for_few_requests_and_closed_rooms_are_remembered() {
        for seed in 0..3 {
            let mut rng = Rng::from_number(seed);
            let mut requests = Requests::default();
            let mut now = Timestamp::ZERO;
            for _ in 0..20_000 {
                now += Duration::from_millis(rng.below(60));
                let (one, other) = (id(&mut rng), id(&mut rng));
                if rng.chance(0.3) {
                    requests.bury(one, now);
                    assert!(requests.is_buried(one, now));
                } else {
                    let placed = requests.place(one, other, |_| false);
                    assert_eq!(placed, other);
                    assert_eq!(requests.placed(one), Some(other));
                }
                assert!(requests.placed.len() <= PLACED_MAX);
                assert_eq!(requests.placed.len(), requests.order.len());
                assert!(requests.tombstones.len() <= TOMBSTONES_MAX);
            }
            assert_eq!(requests.placed.len(), PLACED_MAX, "it was filled");
            assert_eq!(requests.tombstones.len(), TOMBSTONES_MAX);
            requests.is_buried(RoomId([0; 16]), now + TOMBSTONE_LIFE);
            assert!(requests.tombstones.is_empty());
        }
    }
}
