//! Watches that no key ever seals two texts under one nonce: what every AEAD here stands on.
//!
//! Only with the feature `planted-bugs`, for the simulator: server and clients of a run live in one thread, so
//! one record sees all that any of them seals, packets and tickets alike.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Suite;

/// Hash of what was sealed, by key and nonce.
type Seals = HashMap<(u64, [u8; 12]), u64>;

thread_local! {
    static SEALS: RefCell<Option<Record>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Record {
    seals: Seals,
    reused: u64,
}

/// Begins a record in this thread, and forgets the one before.
pub fn watch() {
    SEALS.set(Some(Record::default()));
}

/// How often a nonce was used again for another text since [`watch`].
#[must_use]
pub fn reused() -> u64 {
    SEALS.with_borrow(|record| record.as_ref().map_or(0, |record| record.reused))
}

/// How many nonces were used since [`watch`].
#[must_use]
pub fn used() -> usize {
    SEALS.with_borrow(|record| record.as_ref().map_or(0, |record| record.seals.len()))
}

/// What a key is called here: the same for the same bytes.
pub(super) fn name(suite: Suite, material: &[u8; 32]) -> u64 {
    digest(&(suite.number(), material))
}

/// A key seals a text. The same text sealed again says nothing new.
pub(super) fn note(key: u64, nonce: [u8; 12], header: &[u8], text: &[u8]) {
    SEALS.with_borrow_mut(|record| {
        let Some(record) = record else { return };
        let text = digest(&(header, text));
        let before = record.seals.insert((key, nonce), text);
        record.reused += u64::from(before.is_some_and(|before| before != text));
    });
}

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::TrafficKey;

    #[test]
    fn a_nonce_used_for_two_texts_of_one_key_is_noticed() {
        let key = |byte| TrafficKey::new(Suite::Aes128Gcm, &[byte; 32], [2; 12]);
        let seal = |key: &TrafficKey, number, text: &[u8]| {
            key.seal(number, &mut text.to_vec(), 0, 1);
        };
        seal(&key(1), 1, b"before anybody looks");
        watch();
        for (of, number) in [(1, 1), (1, 2), (3, 1)] {
            seal(&key(of), number, b"text");
        }
        seal(&key(1), 1, b"text");
        assert_eq!((used(), reused()), (3, 0));
        seal(&key(1), 2, b"other");
        assert_eq!((used(), reused()), (3, 1));
    }
}
