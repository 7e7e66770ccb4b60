//! The recent views of a room, to make deltas against: encoded once, whoever is sent them.

use std::collections::VecDeque;

use bytes::Bytes;
use rejoin_protocol::message::HeldSnapshot;
use rejoin_protocol::snapshot;

use super::choice::Choice;

/// Views that are kept although no member builds on them: another client of a member may have one.
const KEPT: usize = 8;

/// A row of distinct views, oldest first.
///
/// A view keeps its bytes until the next one: what any snapshot from `entry.sequence` up to the
/// next entry showed is that entry's view. So a snapshot that only told a cursor needs no entry.
#[derive(Debug)]
pub(crate) struct Ring {
    capacity: usize,
    entries: VecDeque<View>,
    /// The sequence at which the newest view was last found to be true.
    sequence: u64,
    tick: u64,
    /// Deltas to the newest view, each with the sequence of its base's entry. A vector keeps its memory.
    deltas: Vec<(u64, Option<Bytes>)>,
    choice: Choice,
}

/// One distinct view.
#[derive(Clone, Debug)]
struct View {
    sequence: u64,
    bytes: Bytes,
    check: u32,
}

/// The newest view, as members are to be told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newest<'a> {
    /// The name of the snapshot.
    pub(crate) sequence: u64,
    /// The name under which these bytes were first shown.
    pub(crate) content: u64,
    /// The tick it shows.
    pub(crate) tick: u64,
    /// Its bytes.
    pub(crate) bytes: &'a Bytes,
    /// [`snapshot::check`] of them.
    pub(crate) check: u32,
}

impl Ring {
    /// Keeps `capacity` views.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: VecDeque::new(),
            sequence: 0,
            tick: 0,
            deltas: Vec::new(),
            choice: Choice::new(),
        }
    }

    /// The room's view at `sequence` is `bytes`; sequences only grow.
    pub(crate) fn show(&mut self, sequence: u64, tick: u64, bytes: &[u8]) {
        debug_assert!(
            self.entries.is_empty() || sequence > self.sequence,
            "sequences grow"
        );
        self.sequence = sequence;
        self.tick = tick;
        if self
            .entries
            .back()
            .is_some_and(|newest| newest.bytes == bytes)
        {
            return;
        }
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
        }
        self.choice.on_view();
        let check = snapshot::check(bytes);
        self.entries.push_back(View {
            sequence,
            bytes: Bytes::copy_from_slice(bytes),
            check,
        });
        self.deltas.clear();
    }

    /// Nobody builds on what was shown before snapshot `sequence`: what is needed for nothing else is dropped.
    pub(crate) fn keep_from(&mut self, sequence: u64) {
        // A view serves up to the next one.
        while self.entries.len() > KEPT
            && self
                .entries
                .get(1)
                .is_some_and(|next| next.sequence <= sequence)
        {
            self.entries.pop_front();
        }
    }

    /// The newest view, if any was shown.
    pub(crate) fn newest(&self) -> Option<Newest<'_>> {
        self.entries.back().map(|view| Newest {
            sequence: self.sequence,
            content: view.sequence,
            tick: self.tick,
            bytes: &view.bytes,
            check: view.check,
        })
    }

    /// True if a client that says so has a view that is kept here. Another room's, one of before the newest
    /// rebuild or one that is yet to be shown has another check, or none.
    pub(crate) fn holds(&self, said: HeldSnapshot) -> bool {
        let mut entries = self.entries.iter().rev();
        let view = entries.find(|view| view.sequence <= said.sequence);
        said.sequence <= self.sequence && view.is_some_and(|view| view.check == said.check)
    }

    /// The delta from what snapshot `base` showed to the newest view; `None` if the base is no
    /// longer kept or the whole view is as short. Made once per distinct base.
    pub(crate) fn delta_from(&mut self, base: u64) -> Option<Bytes> {
        let newest = self.entries.back()?;
        let base = self
            .entries
            .iter()
            .rev()
            .find(|view| view.sequence <= base)?;
        let mut made = self.deltas.iter();
        if let Some((_, delta)) = made.find(|(of, _)| *of == base.sequence) {
            return delta.clone();
        }
        let delta = self.choice.delta(&base.bytes, &newest.bytes);
        self.deltas.push((base.sequence, delta.clone()));
        delta
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;
    use rejoin_protocol::limits::SNAPSHOT_RING;

    use super::*;

    fn view(fill: u8) -> Vec<u8> {
        let mut view = vec![9; 100];
        view[50] = fill;
        view
    }

    fn said(sequence: u64, fill: u8) -> HeldSnapshot {
        let check = snapshot::check(&view(fill));
        HeldSnapshot { sequence, check }
    }

    fn patched(ring: &mut Ring, base: u64, bytes: &[u8]) -> Option<Vec<u8>> {
        let delta = ring.delta_from(base)?;
        Some(snapshot::apply(bytes, &delta, 1_000).unwrap())
    }

    #[test]
    fn equal_views_share_an_entry_and_any_name_of_it_is_a_base() {
        let mut ring = Ring::new(3);
        ring.show(4, 1, &view(1));
        ring.show(7, 2, &view(1));
        let newest = ring.newest().unwrap();
        assert_eq!((newest.sequence, newest.content, newest.tick), (7, 4, 2));
        ring.show(9, 3, &view(2));
        for base in [4, 6, 7, 8] {
            assert_eq!(patched(&mut ring, base, &view(1)), Some(view(2)));
        }
        assert_eq!(ring.delta_from(3), None);
        assert_eq!(
            ring.deltas.len(),
            1,
            "one delta serves all names of one base"
        );
    }

    #[test]
    fn only_what_is_kept_under_its_name_and_check_is_held() {
        let mut ring = Ring::new(2);
        assert!(!ring.holds(said(0, 1)), "nothing was shown");
        for (sequence, fill) in [(3, 1), (5, 2), (8, 3), (9, 3)] {
            ring.show(sequence, 0, &view(fill));
        }
        let held = [(5, 2), (6, 2), (7, 2), (8, 3), (9, 3)];
        for sequence in (0..12).chain([u64::MAX]) {
            for fill in 1..=3 {
                let expected = held.contains(&(sequence, fill));
                assert_eq!(
                    ring.holds(said(sequence, fill)),
                    expected,
                    "{sequence} {fill}"
                );
            }
        }
    }

    #[test]
    fn an_unchanged_view_is_told_as_the_same() {
        let mut ring = Ring::new(3);
        ring.show(4, 1, &view(1));
        ring.show(5, 2, &view(1));
        assert_eq!(ring.delta_from(4).unwrap().len(), 1);
    }

    #[test]
    fn the_oldest_view_makes_room() {
        let mut ring = Ring::new(2);
        for sequence in 1..=3 {
            ring.show(sequence, 0, &view(u8::try_from(sequence).unwrap()));
        }
        assert_eq!(ring.delta_from(1), None);
        assert_eq!(patched(&mut ring, 2, &view(2)), Some(view(3)));
    }

    #[test]
    fn what_nobody_builds_on_is_dropped_but_for_the_newest() {
        let mut ring = Ring::new(32);
        for sequence in 1..=20 {
            ring.show(sequence, 0, &view(u8::try_from(sequence).unwrap()));
        }
        ring.keep_from(0);
        assert_eq!(ring.entries.len(), 20);
        // What snapshot 4 showed is needed.
        ring.keep_from(4);
        assert_eq!(ring.entries.front().map(|view| view.sequence), Some(4));
        assert_eq!(patched(&mut ring, 4, &view(4)), Some(view(20)));
        ring.keep_from(20);
        assert_eq!(ring.entries.len(), KEPT);
        assert_eq!(patched(&mut ring, 13, &view(13)), Some(view(20)));
    }

    #[test]
    fn a_delta_is_made_anew_for_each_newest_view() {
        let mut ring = Ring::new(8);
        ring.show(1, 0, &view(1));
        ring.show(2, 0, &view(2));
        assert_eq!(patched(&mut ring, 1, &view(1)), Some(view(2)));
        ring.show(3, 0, &view(3));
        assert_eq!(patched(&mut ring, 1, &view(1)), Some(view(3)));
    }

    #[test]
    fn whatever_bases_are_asked_for_views_and_deltas_are_bounded() {
        for seed in 0..20 {
            let mut rng = Rng::from_number(seed);
            let capacity = 1 + rng.index(SNAPSHOT_RING);
            let mut ring = Ring::new(capacity);
            let mut sequence = 0;
            for _ in 0..1_000 {
                sequence += 1 + rng.below(3);
                let mut view = vec![9; 40 + rng.index(60)];
                let place = rng.index(view.len());
                view[place] = u8::try_from(rng.below(4)).unwrap();
                ring.show(sequence, 0, &view);
                // Any member may acknowledge any snapshot, or say so.
                for _ in 0..rng.below(80) {
                    ring.delta_from(rng.below(sequence + 9));
                }
                assert!(ring.entries.len() <= capacity && ring.deltas.len() <= capacity);
                let deltas = ring.deltas.iter().flat_map(|(_, delta)| delta);
                assert!(deltas.into_iter().all(|delta| delta.len() < view.len()));
                let bases = ring.deltas.iter().map(|(base, _)| base);
                let oldest = ring.entries.front().map(|view| &view.sequence);
                assert!(bases.into_iter().all(|base| Some(base) >= oldest));
            }
        }
    }
}
