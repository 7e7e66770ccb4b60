//! A vector with holes: things of one kind under small keys, found without a search.

use std::collections::VecDeque;
use std::marker::PhantomData;

use crate::keys::Key;

/// Things by key. A key that was given back is used again as late as possible.
#[derive(Debug)]
pub(crate) struct Slab<K, T> {
    places: Vec<Option<T>>,
    free: VecDeque<u32>,
    key: PhantomData<fn() -> K>,
}

impl<K: Key, T> Slab<K, T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: VecDeque::new(),
            key: PhantomData,
        }
    }

    /// How many things there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Adds a thing.
    pub(crate) fn insert(&mut self, thing: T) -> K {
        if let Some(index) = self.free.pop_front() {
            let place = self.place_mut(index).expect("a free place was once filled");
            *place = Some(thing);
            return K::from_index(index);
        }
        let index = u32::try_from(self.places.len()).expect("limits keep a slab below 2^32");
        self.places.push(Some(thing));
        K::from_index(index)
    }

    /// Takes a thing away.
    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        let thing = self.place_mut(key.index())?.take()?;
        self.free.push_back(key.index());
        Some(thing)
    }

    /// The thing under `key`.
    pub(crate) fn get(&self, key: K) -> Option<&T> {
        self.places
            .get(usize::try_from(key.index()).ok()?)?
            .as_ref()
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut T> {
        self.place_mut(key.index())?.as_mut()
    }

    /// All things, in order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        (0_u32..)
            .map(K::from_index)
            .zip(&self.places)
            .filter_map(|(key, place)| place.as_ref().map(|thing| (key, thing)))
    }

    /// All keys in use, in order.
    pub(crate) fn keys(&self) -> Vec<K> {
        self.iter().map(|(key, _)| key).collect()
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut Option<T>> {
        self.places.get_mut(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::RoomKey;

    #[test]
    fn the_key_given_back_first_is_used_again_first() {
        let mut slab: Slab<RoomKey, char> = Slab::new();
        let keys: Vec<_> = ['a', 'b', 'c'].map(|thing| slab.insert(thing)).into();
        assert_eq!(slab.remove(keys[1]), Some('b'));
        assert_eq!(slab.remove(keys[1]), None);
        assert_eq!(slab.remove(keys[0]), Some('a'));
        assert_eq!((slab.insert('d'), slab.insert('e')), (keys[1], keys[0]));
        assert_eq!(
            slab.iter().map(|(_, thing)| *thing).collect::<String>(),
            "edc"
        );
        assert_eq!((slab.len(), slab.get(keys[2])), (3, Some(&'c')));
    }
}
