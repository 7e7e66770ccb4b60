//! One stay of a player in a room: what was sent, and which of it the room may show.
//!
//! Inputs have numbers, and rooms count those they applied. Both are the same until a loss of power takes some: the
//! numbers of those are passed over, and the count goes on from what is left.

use std::collections::{BTreeMap, VecDeque};

use rejoin_protocol::Timestamp;

use crate::content::Input;

/// One life.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// The chain after each number of applied inputs, from none on.
    chains: Vec<u64>,
    /// Numbers that were passed over: those after the first up to the second.
    gaps: Vec<(u64, u64)>,
    /// What processes before the newest loss of power may have shown, by count and chain: up to which generation.
    past: BTreeMap<(u64, u64), u64>,
    /// The newest input that the player was told is applied, and must not be lost.
    pub(super) acked: u64,
    /// When that was told, oldest first.
    acks: VecDeque<(Timestamp, u64)>,
    /// Applied inputs that no loss of power may take: something that waited for the medium was told of them.
    pub(super) durable: u64,
    /// When it was first heard of.
    pub(super) since: Timestamp,
    /// True once power was lost under it.
    pub(super) lost_power: bool,
    /// True if the seat may be lost without the player's knowledge.
    pub(super) may_be_over: bool,
    /// True if the player was told that the seat is lost.
    pub(super) over: bool,
    /// The client that knows how far it stands; others' inputs would not follow.
    pub(super) client: Option<usize>,
}

/// Acknowledgements that are remembered with their time: seconds of the busiest player.
const ACKS_MAX: usize = 512;

impl Life {
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            chains: vec![0],
            gaps: Vec::new(),
            past: BTreeMap::new(),
            acked: 0,
            acks: VecDeque::new(),
            durable: 0,
            since,
            lost_power: false,
            may_be_over: false,
            over: false,
            client: None,
        }
    }

    /// The newest number.
    pub(super) fn sent(&self) -> u64 {
        wide(self.chains.len() - 1) + self.lost()
    }

    /// Numbers that were passed over.
    pub(super) fn lost(&self) -> u64 {
        self.gaps.iter().map(|(from, to)| to - from).sum()
    }

    /// Count and chain once all is applied.
    pub(super) fn total(&self) -> (u64, u64) {
        let chain = self.chains.last().copied().unwrap_or(0);
        (wide(self.chains.len() - 1), chain)
    }

    pub(super) fn push(&mut self, input: &Input) {
        let (_, before) = self.total();
        self.chains.push(input.chain(before));
    }

    /// How many are applied once the cursor is there.
    pub(super) fn count_at(&self, number: u64) -> u64 {
        let passed = self.gaps.iter().filter(|(from, _)| *from < number);
        let passed = passed.map(|(from, to)| number.min(*to) - from);
        number - passed.sum::<u64>()
    }

    /// The number of the input that is the `count`th applied.
    fn number_of(&self, count: u64) -> u64 {
        let gaps = self.gaps.iter();
        gaps.fold(count, |number, (from, to)| match number > *from {
            true => number + (to - from),
            false => number,
        })
    }

    /// Nothing after that number was applied, or will be.
    pub(super) fn cut(&mut self, number: u64) {
        let keep = narrow(self.count_at(number));
        self.chains.truncate(keep + 1);
        self.gaps.retain(|(from, _)| *from < number);
        if let Some((_, to)) = self.gaps.last_mut() {
            *to = number.min(*to);
        }
    }

    /// The room had applied that many and goes on at `cursor`. What it showed before it may have shown in that generation.
    pub(super) fn pass_over(&mut self, count: u64, cursor: u64, generation: u64) {
        let base = self.number_of(count);
        let keep = narrow(count) + 1;
        let gone = self.chains.iter().enumerate().skip(keep);
        let gone = gone.map(|(count, chain)| ((wide(count), *chain), generation));
        self.past.extend(gone);
        self.cut(base);
        if cursor > base {
            self.gaps.push((base, cursor));
        }
    }

    pub(super) fn on_acked(&mut self, cursor: u64, now: Timestamp) {
        if cursor > self.acked {
            self.acked = cursor;
            self.acks.push_back((now, cursor));
            if self.acks.len() > ACKS_MAX {
                self.acks.pop_front();
            }
        }
    }

    /// Power was lost: of what was told from `durable` on anything may be gone.
    pub(super) fn on_power_lost(&mut self, durable: Timestamp) {
        self.lost_power = true;
        self.may_be_over |= self.since >= durable;
        self.acks.retain(|(at, _)| *at < durable);
        self.acked = self.acks.back().map_or(0, |(_, cursor)| *cursor);
    }

    /// What was stored of its room has rotted: anything may be gone.
    pub(super) fn on_rotten(&mut self) {
        (self.lost_power, self.may_be_over) = (true, true);
        (self.acked, self.durable) = (0, 0);
        self.acks.clear();
    }

    /// True if the room may show that, to a client of that generation.
    pub(super) fn shows(&self, count: u64, chain: u64, generation: u64) -> bool {
        let shown = self.chains.get(narrow(count)) == Some(&chain);
        let past = self.past.get(&(count, chain));
        shown || past.is_some_and(|until| generation <= *until)
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).expect("a length in memory fits 64 bits")
}

fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX - 1)
}
