//! Things by moment: near ones in slots of a millisecond, the others in a heap.
//!
//! Most moments are near, and put off when they come up. In a heap each of those steps would go from
//! its top to its bottom, through memory that was last needed long ago; here it is one link of a list (Varghese and
//! Lauck 1987, scheme 4).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rejoin_protocol::Timestamp;

/// Nanoseconds of a slot, as a power of two: a millisecond and a bit.
const SLOT_BITS: u32 = 20;
/// A quarter of a second is near. As many as the lowest byte of a slot's number tells apart.
const SLOTS: usize = 256;

/// What stands in it: when it comes up, and what.
type Entry<K> = (Timestamp, K);

/// See the module page. The same thing may stand in it more than once.
#[derive(Debug)]
pub(crate) struct Wheel<K> {
    /// Number of the slot that time has come to. What should have come up before stands there too.
    hand: u64,
    /// The first link of each slot's list, by the slot's number modulo their count.
    slots: [Option<u32>; SLOTS],
    links: Vec<Link<K>>,
    /// The list of links that hold nothing, the one let go last in front.
    free: Option<u32>,
    near: usize,
    far: BinaryHeap<Reverse<Entry<K>>>,
}

#[derive(Debug)]
struct Link<K> {
    entry: Entry<K>,
    next: Option<u32>,
}

impl<K: Ord + Copy> Wheel<K> {
    pub(crate) fn new() -> Self {
        Self {
            hand: 0,
            slots: [None; SLOTS],
            links: Vec::new(),
            free: None,
            near: 0,
            far: BinaryHeap::new(),
        }
    }

    /// Entries in it.
    pub(crate) fn len(&self) -> usize {
        self.near + self.far.len()
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, entry: Entry<K>) {
        let Some(slot) = self.slot_of(entry.0) else {
            return self.far.push(Reverse(entry));
        };
        let link = match self
            .free
            .and_then(|free| Some((free, self.link_mut(free)?)))
        {
            Some((free, link)) => {
                link.entry = entry;
                self.free = link.next;
                free
            }
            None => {
                self.links.push(Link { entry, next: None });
                u32::try_from(self.links.len() - 1).expect("there are fewer connections and rooms")
            }
        };
        self.near += 1;
        self.hang(link, slot);
    }

    /// Takes out all that comes up until `now`, in no order, and puts off what `judge` gives a later moment for.
    pub(crate) fn take_until(
        &mut self,
        now: Timestamp,
        mut judge: impl FnMut(Entry<K>) -> Option<Timestamp>,
    ) {
        let began = self.hand;
        self.hand = began.max(number_of(now));
        for number in (began..=self.hand).take(SLOTS) {
            let mut next = self.slots.get_mut(place_of(number)).and_then(Option::take);
            while let Some(link) = next {
                let Some(&Link { entry, next: after }) = self.links.get(index(link)) else {
                    break;
                };
                next = after;
                let stays = if entry.0 > now {
                    Some(entry.0)
                } else {
                    judge(entry)
                };
                self.settle(link, stays);
            }
        }
        while let Some(Reverse(entry)) = self.far.peek().filter(|first| first.0.0 <= now) {
            let entry = *entry;
            self.far.pop();
            if let Some(later) = judge(entry) {
                self.push((later, entry.1));
            }
        }
    }

    /// Drops what `holds` denies from the top of the heap, and everywhere if more than `most` are there.
    pub(crate) fn tidy(&mut self, most: usize, holds: impl Fn(&Entry<K>) -> bool) {
        while self.far.peek().is_some_and(|first| !holds(&first.0)) {
            self.far.pop();
        }
        if self.len() <= most {
            return;
        }
        // One that moved away and back stands there twice, and both hold.
        let mut entries: Vec<_> = self.iter().copied().filter(|entry| holds(entry)).collect();
        entries.sort_unstable();
        entries.dedup();
        let hand = self.hand;
        *self = Self {
            hand,
            ..Self::new()
        };
        entries.into_iter().for_each(|entry| self.push(entry));
    }

    /// When the first comes up of those that `holds` confirms. It is asked for the near ones, and for the heap's first.
    pub(crate) fn first(&self, holds: impl Fn(&Entry<K>) -> bool) -> Option<Timestamp> {
        let slots = (self.hand..).take(SLOTS);
        let near = slots
            .filter_map(|number| self.slots.get(place_of(number)).copied().flatten())
            .find_map(|first| {
                let entries = self.list(first).filter(|entry| holds(entry));
                entries.map(|(at, _)| *at).min()
            });
        let far = self.far.peek().filter(|first| holds(&first.0));
        let far = far.map(|Reverse((at, _))| *at);
        [near, far].into_iter().flatten().min()
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<K>> {
        let firsts = self.slots.iter().copied().flatten();
        let near = firsts.flat_map(|first| self.list(first));
        near.chain(self.far.iter().map(|Reverse(entry)| entry))
    }

    /// A link that was taken from its list stands somewhere else from now on, or nowhere.
    fn settle(&mut self, link: u32, stays: Option<Timestamp>) {
        let Some(held) = self.links.get_mut(index(link)) else {
            return;
        };
        if let Some(at) = stays {
            held.entry.0 = at;
            let entry = held.entry;
            match self.slot_of(at) {
                Some(slot) => return self.hang(link, slot),
                None => self.far.push(Reverse(entry)),
            }
        }
        self.near -= 1;
        let free = self.free.replace(link);
        if let Some(link) = self.link_mut(link) {
            link.next = free;
        }
    }

    /// Puts a link at the front of a slot's list.
    fn hang(&mut self, link: u32, slot: usize) {
        let first = self.slots.get_mut(slot);
        let before = first.and_then(|first| first.replace(link));
        if let Some(link) = self.link_mut(link) {
            link.next = before;
        }
    }

    fn list(&self, first: u32) -> impl Iterator<Item = &Entry<K>> {
        let links = std::iter::successors(self.links.get(index(first)), |link| {
            self.links.get(index(link.next?))
        });
        links.map(|link| &link.entry)
    }

    fn link_mut(&mut self, link: u32) -> Option<&mut Link<K>> {
        self.links.get_mut(index(link))
    }

    /// The place of the slot for a moment, if it is near.
    fn slot_of(&self, at: Timestamp) -> Option<usize> {
        let number = number_of(at).max(self.hand);
        (number - self.hand < SLOTS as u64).then(|| place_of(number))
    }
}

const fn number_of(at: Timestamp) -> u64 {
    at.as_nanos() >> SLOT_BITS
}

const fn place_of(number: u64) -> usize {
    let [low, ..] = number.to_le_bytes();
    low as usize
}

const fn index(link: u32) -> usize {
    link as usize
}
