//! What a room keeps for each of its players, in order of player.
//!
//! Two vectors instead of a tree: a search reads nothing but players, and a pass over all, as each view needs,
//! goes through memory from front to back. Seats come and go far more seldom than they are looked at.

use std::iter::Zip;
use std::{slice, vec};

use rejoin_protocol::{Fetch, PlayerId};

/// A thing for each player. Bounded by the seats of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByPlayer<T> {
    /// Ascending.
    players: Vec<PlayerId>,
    /// What is whose stands at the same place.
    things: Vec<T>,
}

impl<T> Default for ByPlayer<T> {
    fn default() -> Self {
        Self {
            players: Vec::new(),
            things: Vec::new(),
        }
    }
}

impl<T> ByPlayer<T> {
    /// See [`crate::fetch`]: asks for what a search reads.
    pub(crate) fn fetch_players(&self, fetch: Fetch) {
        fetch.whole(self.players.as_slice());
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.players.len()
    }

    /// A player's thing.
    pub(crate) fn get(&self, player: &PlayerId) -> Option<&T> {
        self.things.get(self.place(*player).ok()?)
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, player: &PlayerId) -> Option<&mut T> {
        let place = self.place(*player).ok()?;
        self.things.get_mut(place)
    }

    /// True if the player has one.
    pub(crate) fn contains_key(&self, player: &PlayerId) -> bool {
        self.place(*player).is_ok()
    }

    /// Gives a player a thing in place of the one it had.
    pub(crate) fn insert(&mut self, player: PlayerId, thing: T) {
        if let Some(held) = self.get_mut(&player) {
            *held = thing;
        } else {
            self.get_or_insert_with(player, || thing);
        }
    }

    /// A player's thing, made now if there is none.
    pub(crate) fn get_or_insert_with(
        &mut self,
        player: PlayerId,
        make: impl FnOnce() -> T,
    ) -> &mut T {
        let place = self.place(player).unwrap_or_else(|place| {
            self.players.insert(place, player);
            self.things.insert(place, make());
            place
        });
        let thing = self.things.get_mut(place);
        thing.expect("players and things are as many")
    }

    /// Takes a player's thing away.
    pub(crate) fn remove(&mut self, player: &PlayerId) -> Option<T> {
        let place = self.place(*player).ok()?;
        self.players.remove(place);
        Some(self.things.remove(place))
    }

    /// The players.
    pub(crate) fn keys(&self) -> slice::Iter<'_, PlayerId> {
        self.players.iter()
    }

    /// The things, in order of player.
    pub(crate) fn values(&self) -> slice::Iter<'_, T> {
        self.things.iter()
    }

    /// Both.
    pub(crate) fn iter(&self) -> Zip<slice::Iter<'_, PlayerId>, slice::Iter<'_, T>> {
        self.players.iter().zip(&self.things)
    }

    /// Both of each player who is also in `other`, with the thing that is there: one pass through both.
    pub(crate) fn iter_mut_with<'a, U>(
        &'a mut self,
        other: &'a ByPlayer<U>,
    ) -> impl Iterator<Item = (PlayerId, &'a mut T, &'a U)> {
        let mut others = other.iter().peekable();
        let own = self.players.iter().zip(&mut self.things);
        own.filter_map(move |(player, thing)| {
            while others.next_if(|(of, _)| *of < player).is_some() {}
            let (_, other) = others.next_if(|(of, _)| *of == player)?;
            Some((*player, thing, other))
        })
    }

    /// Where the player stands, or where it would.
    fn place(&self, player: PlayerId) -> Result<usize, usize> {
        self.players.binary_search(&player)
    }
}

impl<'a, T> IntoIterator for &'a ByPlayer<T> {
    type Item = (&'a PlayerId, &'a T);
    type IntoIter = Zip<slice::Iter<'a, PlayerId>, slice::Iter<'a, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut ByPlayer<T> {
    type Item = (&'a PlayerId, &'a mut T);
    type IntoIter = Zip<slice::Iter<'a, PlayerId>, slice::IterMut<'a, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.players.iter().zip(&mut self.things)
    }
}

impl<T> IntoIterator for ByPlayer<T> {
    type Item = (PlayerId, T);
    type IntoIter = Zip<vec::IntoIter<PlayerId>, vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.players.into_iter().zip(self.things)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rejoin_protocol::Rng;

    use super::*;

    #[test]
    fn it_holds_what_a_tree_would() {
        for seed in 0..20 {
            let mut rng = Rng::from_number(seed);
            let (mut held, mut tree) = (ByPlayer::default(), BTreeMap::new());
            let (mut other, mut other_tree) = (ByPlayer::default(), BTreeMap::new());
            for number in 0..500_u64 {
                let player = PlayerId(rng.below(24));
                match rng.below(5) {
                    0 => assert_eq!(held.remove(&player), tree.remove(&player)),
                    1 => {
                        other.insert(player, number);
                        other_tree.insert(player, number);
                    }
                    2 => assert_eq!(other.remove(&player), other_tree.remove(&player)),
                    _ => {
                        held.insert(player, number);
                        tree.insert(player, number);
                    }
                }
                if let Some(thing) = held.get_mut(&player) {
                    *thing += 1;
                    tree.entry(player).and_modify(|thing| *thing += 1);
                }
                assert_eq!(held.get(&player), tree.get(&player));
                assert_eq!(held.contains_key(&player), tree.contains_key(&player));
                assert_eq!(held.len(), tree.len());
                assert!(held.iter().eq(&tree) && held.values().eq(tree.values()));
                let with: Vec<_> = held
                    .iter_mut_with(&other)
                    .map(|(player, thing, other)| (player, *thing, *other))
                    .collect();
                let both = tree.iter().filter_map(|(player, thing)| {
                    Some((*player, *thing, *other_tree.get(player)?))
                });
                assert!(with.into_iter().eq(both));
            }
        }
    }
}
