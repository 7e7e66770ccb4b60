//! What will happen, in order of time and, at one time, of planning.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rejoin_protocol::Timestamp;

/// Items by time.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    planned: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Timestamp,
    order: u64,
    item: T,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            planned: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Timestamp, item: T) {
        self.planned += 1;
        self.heap.push(Reverse(Entry {
            at,
            order: self.planned,
            item,
        }));
    }

    pub(crate) fn pop(&mut self) -> Option<(Timestamp, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.item))
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_comes_first_and_equal_times_keep_their_order() {
        let mut queue = Queue::new();
        for (millis, item) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            queue.push(Timestamp::from_millis(millis), item);
        }
        assert_eq!(queue.len(), 4);
        let order: String = std::iter::from_fn(|| queue.pop())
            .map(|(_, item)| item)
            .collect();
        assert_eq!(order, "abcd");
    }
}
