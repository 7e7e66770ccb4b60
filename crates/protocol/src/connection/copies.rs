//! Copies of short messages that arrive, without an allocation for each.
//!
//! The memory of earlier messages is used again once nobody holds any of them: a shard lets go of what it
//! was sent at the end of its turn.

use bytes::{Bytes, BytesMut};

/// Longest message that is copied here, in bytes; few inputs of games are longer.
const SHORT_MAX: usize = 128;
/// As much is taken at a time: what a player sends in one turn. It stays with the connection.
const CHUNK: usize = 256;

/// See the module page.
#[derive(Debug)]
pub(crate) struct Copies {
    chunk: BytesMut,
    /// The one before it. Of what was copied there most is let go by the time that this one is full.
    before: BytesMut,
    /// As much is taken at a time.
    chunk_len: usize,
}

impl Default for Copies {
    fn default() -> Self {
        Self::new(CHUNK)
    }
}

impl Copies {
    /// Takes `chunk_len` bytes at a time.
    pub(crate) fn new(chunk_len: usize) -> Self {
        Self {
            chunk: BytesMut::new(),
            before: BytesMut::new(),
            chunk_len,
        }
    }

    /// The same bytes with a life of their own.
    pub(crate) fn copy(&mut self, message: &[u8]) -> Bytes {
        let len = message.len();
        if len > SHORT_MAX {
            return Bytes::copy_from_slice(message);
        }
        if self.chunk.capacity() < len && !self.chunk.try_reclaim(len) {
            std::mem::swap(&mut self.chunk, &mut self.before);
            if !self.chunk.try_reclaim(len) {
                self.chunk = BytesMut::with_capacity(self.chunk_len);
            }
        }
        self.chunk.extend_from_slice(message);
        self.chunk.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;

    #[test]
    fn whatever_is_still_held_is_never_overwritten() {
        let mut rng = Rng::from_number(1);
        let mut copies = Copies::default();
        let mut held: Vec<(Vec<u8>, Bytes)> = Vec::new();
        for number in 0..5_000_u32 {
            let message = vec![number.to_le_bytes()[0]; rng.index(2 * SHORT_MAX)];
            held.push((message.clone(), copies.copy(&message)));
            if rng.chance(0.5) {
                held.swap_remove(rng.index(held.len()));
            }
            if rng.chance(0.05) {
                held.clear();
            }
            assert!(held.iter().all(|(message, copy)| message == copy));
        }
    }

    #[test]
    fn memory_is_used_again_once_nobody_holds_it() {
        let mut copies = Copies::default();
        let first = copies.copy(&[1; 32]).as_ptr();
        let places: Vec<_> = (0..100).map(|_| copies.copy(&[2; 32]).as_ptr()).collect();
        assert!(places.contains(&first));
        assert!(copies.chunk.capacity() <= CHUNK);
    }
}
