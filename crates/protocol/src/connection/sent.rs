//! The log of sent packets, by number and without gaps, until each has met its fate.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::carried::Carried;
use crate::fetch::Fetch;
use crate::time::Timestamp;

/// What is remembered of a sent packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentPacket {
    pub(crate) sent_at: Timestamp,
    /// True if the peer must acknowledge it.
    pub(crate) eliciting: bool,
    /// Bytes of ordered data in it.
    pub(crate) ordered_bytes: u16,
    /// The largest packet number it acknowledged.
    pub(crate) acked_up_to: Option<u64>,
}

/// A packet and the first thing that it carried: most carry one.
#[derive(Clone, Copy, Debug)]
struct Entry {
    packet: SentPacket,
    settled: bool,
    /// How many more it carried.
    more: u16,
    first: Option<Carried>,
    /// Where these begin in `more`, counted since the beginning, modulo 2^32.
    more_from: u32,
}

/// Sent packets and what they carried. Both are queues that lose at the front what has
/// met its fate, so that a packet costs no allocation. An empty queue begins at the front of its memory
/// again: in play that stays in reach.
#[derive(Debug, Default)]
pub(crate) struct SentLog {
    /// Number of the front packet, or of the next one if there is none.
    first: u64,
    packets: VecDeque<Entry>,
    /// Count of what has left the front of `more`, modulo 2^32.
    more_first: u32,
    more: VecDeque<Carried>,
}

impl SentLog {
    /// Appends the packet after the last.
    pub(crate) fn push(&mut self, packet: SentPacket, mut carried: impl Iterator<Item = Carried>) {
        let before = self.more.len();
        let first = carried.next();
        carried.for_each(|carried| self.more.push_back(carried));
        let more = u16::try_from(self.more.len() - before);
        if self.packets.capacity() == 0 {
            // An idle session has one or two under way. More are taken once there are more.
            self.packets.reserve_exact(2);
        }
        self.packets.push_back(Entry {
            packet,
            settled: false,
            more: more.expect("a packet is too small for as many"),
            first,
            more_from: self.more_first.wrapping_add(narrow(before)),
        });
    }

    /// See [`super::fetch`].
    pub(super) fn fetch_parts(&self, fetch: Fetch) {
        fetch.ends(self.packets.as_slices().0);
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// What is remembered of their loads.
    #[cfg(test)]
    pub(crate) fn carried(&self) -> usize {
        let first = self.packets.iter().filter(|entry| entry.first.is_some());
        first.count() + self.more.len()
    }

    /// Number that the next packet will have.
    pub(crate) fn next(&self) -> u64 {
        self.first + wide(self.packets.len())
    }

    /// The part of `range` that may still be waiting.
    pub(crate) fn clip(&self, range: &RangeInclusive<u64>) -> std::ops::Range<u64> {
        let start = self.first.max(*range.start());
        start..self.next().min(range.end().saturating_add(1)).max(start)
    }

    /// The packet, unless its fate is known.
    pub(crate) fn waiting(&self, number: u64) -> Option<&SentPacket> {
        let entry = self.packets.get(self.index(number)?)?;
        (!entry.settled).then_some(&entry.packet)
    }

    /// Decides a packet's fate; `None` if it was decided before.
    pub(crate) fn settle(
        &mut self,
        number: u64,
        mut tell: impl FnMut(Carried),
    ) -> Option<SentPacket> {
        let index = self.index(number)?;
        let entry = self.packets.get_mut(index).filter(|entry| !entry.settled)?;
        entry.settled = true;
        entry.first.into_iter().for_each(&mut tell);
        if entry.more > 0 {
            let from = entry.more_from.wrapping_sub(self.more_first);
            let from = usize::try_from(from).expect("an offset into a queue fits a usize");
            let more = self.more.range(from..from + usize::from(entry.more));
            more.copied().for_each(&mut tell);
        }
        Some(entry.packet)
    }

    /// Forgets the front as far as nothing waits there.
    pub(crate) fn trim(&mut self) {
        while let Some(entry) = self.packets.front()
            && (entry.settled || !entry.packet.eliciting)
        {
            if entry.more > 0 {
                self.more_first = self.more_first.wrapping_add(u32::from(entry.more));
                self.more.drain(..usize::from(entry.more));
            }
            self.packets.pop_front();
            self.first += 1;
        }
        if self.packets.is_empty() {
            self.packets.clear();
            self.more.clear();
        }
    }

    /// Gives its memory back if nothing waits.
    pub(crate) fn rest(&mut self) {
        if self.packets.is_empty() {
            self.packets = VecDeque::new();
            self.more = VecDeque::new();
        }
    }

    /// Number of the oldest packet in the log.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    fn index(&self, number: u64) -> Option<usize> {
        number
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok())
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).expect("a length fits 64 bits")
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).expect("the loads of a thousand packets are fewer")
}

const _: () = assert!(size_of::<Entry>() <= 64, "a packet is one cache line");

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(eliciting: bool) -> SentPacket {
        SentPacket {
            sent_at: Timestamp::ZERO,
            eliciting,
            ordered_bytes: 0,
            acked_up_to: None,
        }
    }

    fn settle(log: &mut SentLog, number: u64) -> Option<Vec<Carried>> {
        let mut told = Vec::new();
        log.settle(number, |carried| told.push(carried))
            .map(|_| told)
    }

    #[test]
    fn each_packet_tells_its_own_load_once() {
        let mut log = SentLog::default();
        log.push(
            packet(true),
            [Carried::Latest(1), Carried::Latest(2)].into_iter(),
        );
        log.push(packet(false), std::iter::empty());
        log.push(packet(true), [Carried::Latest(3)].into_iter());
        assert_eq!(settle(&mut log, 2), Some(vec![Carried::Latest(3)]));
        log.trim();
        assert_eq!(log.first(), 0, "packet 0 still waits");
        assert_eq!(
            settle(&mut log, 0),
            Some(vec![Carried::Latest(1), Carried::Latest(2)])
        );
        assert_eq!(settle(&mut log, 0), None);
        log.trim();
        assert_eq!((log.first(), log.next(), log.len()), (3, 3, 0));
        assert_eq!(log.carried(), 0);
        assert_eq!((log.packets.len(), log.more.len()), (0, 0));
        assert_eq!(settle(&mut log, 1), None);
        assert_eq!(settle(&mut log, 3), None);
        log.push(packet(true), [Carried::Latest(4)].into_iter());
        assert_eq!(settle(&mut log, 3), Some(vec![Carried::Latest(4)]));
    }

    #[test]
    fn a_range_is_clipped_to_what_waits() {
        let mut log = SentLog::default();
        (0..5).for_each(|_| log.push(packet(true), std::iter::empty()));
        settle(&mut log, 0);
        log.trim();
        assert_eq!(log.clip(&(0..=u64::MAX)), 1..5);
        assert!(log.clip(&(0..=0)).is_empty());
        assert!(log.clip(&(7..=9)).is_empty());
    }
}
