//! The seats of one session, by its own names for them.
//!
//! Nearly every session that plays has one seat, and each of its datagrams looks it up: so the first stands in the
//! session itself, and one line of memory less is touched.

use rejoin_protocol::SeatId;

use crate::mail::At;

/// A seat, as its session knows it.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) at: At,
    /// The session's client has asked for it.
    pub(crate) claimed: bool,
    /// The room, at another shard, has not answered the session's present client yet.
    pub(crate) unanswered: bool,
    /// Newest reliable input handed to the room.
    pub(crate) queued_to: u64,
}

/// See the module page.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    first: Option<(SeatId, Holding)>,
    /// Only with a first.
    more: Vec<(SeatId, Holding)>,
}

impl Holdings {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    /// True if there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The seat of a name.
    pub(crate) fn get(&self, seat: SeatId) -> Option<&Holding> {
        self.iter()
            .find(|(of, _)| *of == seat)
            .map(|(_, holding)| holding)
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, seat: SeatId) -> Option<&mut Holding> {
        let mut all = self.first.iter_mut().chain(&mut self.more);
        all.find(|(of, _)| *of == seat).map(|(_, holding)| holding)
    }

    /// Adds a seat under a name that none has.
    pub(crate) fn insert(&mut self, seat: SeatId, holding: Holding) {
        debug_assert!(self.get(seat).is_none(), "a name is given once");
        if self.first.is_none() {
            self.first = Some((seat, holding));
        } else {
            self.more.push((seat, holding));
        }
    }

    /// Gives a seat that no client has asked for another name. False if one has.
    pub(crate) fn rename(&mut self, from: SeatId, to: SeatId) -> bool {
        let mut all = self.first.iter_mut().chain(&mut self.more);
        let held = all.find(|(of, holding)| *of == from && !holding.claimed);
        held.is_some_and(|(of, _)| {
            *of = to;
            true
        })
    }

    /// Takes a seat away.
    pub(crate) fn remove(&mut self, seat: SeatId) {
        self.more.retain(|(of, _)| *of != seat);
        if self.first.as_ref().is_some_and(|(of, _)| *of == seat) {
            self.first = self.more.pop();
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SeatId, &Holding)> {
        let all = self.first.iter().chain(&self.more);
        all.map(|(seat, holding)| (*seat, holding))
    }

    /// The same without their names.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Holding> {
        self.iter().map(|(_, holding)| holding)
    }

    /// The same, to change them.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Holding> {
        let all = self.first.iter_mut().chain(&mut self.more);
        all.map(|(_, holding)| holding)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rejoin_protocol::Rng;

    use super::*;
    use crate::keys::{Key, RoomKey};

    #[test]
    fn it_holds_what_a_map_would() {
        for seed in 0..20 {
            let mut rng = Rng::from_number(seed);
            let (mut holdings, mut map) = (Holdings::default(), BTreeMap::new());
            for number in 0..2_000 {
                let seat = SeatId(u16::try_from(rng.below(8)).unwrap());
                if rng.chance(0.5) {
                    holdings.remove(seat);
                    map.remove(&seat);
                } else if map.insert(seat, number).is_none() {
                    let holding = Holding {
                        at: At::Here(RoomKey::from_index(0)),
                        claimed: false,
                        unanswered: false,
                        queued_to: number,
                    };
                    holdings.insert(seat, holding);
                } else if let Some(holding) = holdings.get_mut(seat) {
                    holding.queued_to = number;
                }
                assert_eq!(
                    (holdings.len(), holdings.is_empty()),
                    (map.len(), map.is_empty())
                );
                let mut all: Vec<_> = holdings
                    .iter()
                    .map(|(seat, it)| (seat, it.queued_to))
                    .collect();
                all.sort();
                assert!(all.iter().map(|(seat, number)| (seat, number)).eq(&map));
                assert_eq!(
                    holdings.get(seat).map(|it| it.queued_to),
                    map.get(&seat).copied()
                );
                holdings.values_mut().for_each(|it| it.claimed = true);
                assert!(holdings.values().all(|it| it.claimed));
            }
        }
    }
}
