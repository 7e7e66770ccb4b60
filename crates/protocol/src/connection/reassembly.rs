//! Putting the fragments of one message together again.

use bytes::Bytes;

use super::error::Violation;
use super::frame::Fragment;
use crate::limits::{FRAGMENT_COST, MESSAGE_COST};

/// A message of which something is missing. Memory is taken for what has come, never for
/// what the peer says will come.
#[derive(Debug)]
pub(crate) struct Reassembly {
    count: u8,
    /// By index, ascending.
    parts: Vec<(u8, Box<[u8]>)>,
    cost: usize,
}

impl Reassembly {
    pub(crate) fn new(count: u8) -> Self {
        Self {
            count,
            // One by itself would get room for four.
            parts: Vec::with_capacity(1),
            cost: MESSAGE_COST,
        }
    }

    /// Bytes held, with what holding them costs.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// What taking in a fragment would add to the cost: nothing if it is there already.
    ///
    /// # Errors
    /// It contradicts what came before. A sound sender sends a fragment again with the same bytes.
    pub(crate) fn price(&self, fragment: Fragment, data: &[u8]) -> Result<usize, Violation> {
        if fragment.count != self.count {
            return Err(Violation("fragment count changed"));
        }
        match self.place(fragment.index) {
            Err(_) => Ok(FRAGMENT_COST + data.len()),
            Ok(at) if self.parts.get(at).is_some_and(|(_, held)| **held == *data) => Ok(0),
            Ok(_) => Err(CHANGED),
        }
    }

    /// Adds a fragment of which [`Reassembly::price`] is known. Gives the message once complete.
    pub(crate) fn insert(&mut self, fragment: Fragment, data: &[u8]) -> Option<Bytes> {
        if let Err(at) = self.place(fragment.index) {
            self.parts.insert(at, (fragment.index, data.into()));
            self.cost += FRAGMENT_COST + data.len();
        }
        if self.parts.len() < usize::from(self.count) {
            return None;
        }
        let len = self.parts.iter().map(|(_, part)| part.len()).sum();
        let mut message = Vec::with_capacity(len);
        for (_, part) in std::mem::take(&mut self.parts) {
            message.extend_from_slice(&part);
        }
        Some(message.into())
    }

    fn place(&self, index: u8) -> Result<usize, usize> {
        self.parts.binary_search_by_key(&index, |(index, _)| *index)
    }
}

/// The same fragment with other bytes.
pub(crate) const CHANGED: Violation = Violation("fragment changed");

#[cfg(test)]
mod tests {
    use super::*;

    fn part(index: u8) -> Fragment {
        Fragment { index, count: 3 }
    }

    #[test]
    fn fragments_join_in_any_order_and_once() {
        let mut reassembly = Reassembly::new(3);
        assert_eq!(reassembly.insert(part(2), b"c"), None);
        assert_eq!(reassembly.insert(part(0), b"aa"), None);
        assert_eq!(reassembly.insert(part(0), b"aa"), None);
        let message = reassembly.insert(part(1), b"bb");
        assert_eq!(message, Some(Bytes::from_static(b"aabbc")));
    }

    #[test]
    fn an_equal_fragment_is_free_and_a_different_one_a_violation() {
        let mut reassembly = Reassembly::new(3);
        reassembly.insert(part(1), b"bb");
        assert_eq!(reassembly.price(part(1), b"bb"), Ok(0));
        assert_eq!(reassembly.price(part(1), b"bc"), Err(CHANGED));
        assert_eq!(reassembly.price(part(1), b"b"), Err(CHANGED));
        assert_eq!(reassembly.price(part(0), b"x"), Ok(FRAGMENT_COST + 1));
    }

    #[test]
    fn memory_follows_what_came() {
        let mut reassembly = Reassembly::new(57);
        let far = Fragment {
            index: 55,
            count: 57,
        };
        for _ in 0..2 {
            reassembly.insert(far, &[0; 10]);
        }
        assert_eq!(reassembly.cost(), MESSAGE_COST + FRAGMENT_COST + 10);
        let other = Fragment {
            index: 1,
            count: 56,
        };
        let changed = reassembly.price(other, &[0; 10]);
        assert_eq!(changed, Err(Violation("fragment count changed")));
    }
}
