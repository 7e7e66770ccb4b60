//! Putting the fragments of one message together again.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::Violation;
use super::frame::Fragment;

/// A message of which something is missing. Memory is taken for what has come, never for
/// what the peer says will come.
#[derive(Debug)]
pub(crate) struct Reassembly {
    count: u8,
    parts: BTreeMap<u8, Box<[u8]>>,
    bytes: usize,
}

impl Reassembly {
    pub(crate) fn new(count: u8) -> Self {
        Self {
            count,
            parts: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a fragment; one that is there already is ignored. Gives the message once complete.
    pub(crate) fn insert(
        &mut self,
        fragment: Fragment,
        data: &[u8],
    ) -> Result<Option<Bytes>, Violation> {
        if fragment.count != self.count {
            return Err(Violation("fragment count changed"));
        }
        self.parts.entry(fragment.index).or_insert_with(|| {
            self.bytes += data.len();
            data.into()
        });
        if self.parts.len() < usize::from(self.count) {
            return Ok(None);
        }
        let mut message = Vec::with_capacity(self.bytes);
        std::mem::take(&mut self.parts)
            .into_values()
            .for_each(|part| message.extend_from_slice(&part));
        Ok(Some(message.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_join_in_any_order_and_once() {
        let mut reassembly = Reassembly::new(3);
        let mut insert = |index, data: &[u8]| reassembly.insert(Fragment { index, count: 3 }, data);
        assert_eq!(insert(2, b"c"), Ok(None));
        assert_eq!(insert(0, b"aa"), Ok(None));
        assert_eq!(insert(0, b"xx"), Ok(None), "what came first stands");
        assert_eq!(insert(1, b"bb"), Ok(Some(Bytes::from_static(b"aabbc"))));
    }

    #[test]
    fn memory_follows_what_came() {
        let mut reassembly = Reassembly::new(57);
        reassembly
            .insert(
                Fragment {
                    index: 55,
                    count: 57,
                },
                &[0; 10],
            )
            .unwrap();
        reassembly
            .insert(
                Fragment {
                    index: 55,
                    count: 57,
                },
                &[0; 10],
            )
            .unwrap();
        assert_eq!(reassembly.bytes(), 10);
        let changed = reassembly.insert(
            Fragment {
                index: 1,
                count: 56,
            },
            &[0; 10],
        );
        assert_eq!(changed, Err(Violation("fragment count changed")));
    }
}
