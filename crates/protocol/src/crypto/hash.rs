//! Keyed hashing with BLAKE2s: MAC1, session ids, room ids, forks of chance, key derivation.
//!
//! Both back ends share it: keyed BLAKE2s is a MAC by itself and needs no HMAC around it.

use blake2::digest::consts::U32;
use blake2::digest::{Digest, FixedOutput, KeyInit, Update};
use blake2::{Blake2s, Blake2sMac};

/// BLAKE2s keyed with `key` over the length-prefixed `parts`, so that no two lists collide.
#[must_use]
pub fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Blake2sMac<U32> as KeyInit>::new(key.into());
    for part in parts {
        Update::update(&mut mac, &prefix(part));
        Update::update(&mut mac, part);
    }
    mac.finalize_fixed().into()
}

/// The first 16 bytes of an unkeyed hash over the length-prefixed `parts`.
#[must_use]
pub fn short(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = <Blake2s<U32> as Digest>::new();
    for part in parts {
        Update::update(&mut hash, &prefix(part));
        Update::update(&mut hash, part);
    }
    let full: [u8; 32] = hash.finalize_fixed().into();
    first_half(&full)
}

/// The first 16 bytes of [`keyed`]: for tags that travel.
#[must_use]
pub fn keyed_short(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 16] {
    first_half(&keyed(key, parts))
}

/// True if both are equal, in a time that does not tell where they differ.
#[must_use]
pub fn equal(left: &[u8; 16], right: &[u8; 16]) -> bool {
    let difference = left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0
}

fn prefix(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len())
        .expect("a length in memory fits 64 bits")
        .to_le_bytes()
}

fn first_half(full: &[u8; 32]) -> [u8; 16] {
    *full.first_chunk().expect("16 bytes are a part of 32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_parts_do_not_collide() {
        let key = [1; 32];
        assert_ne!(keyed(&key, &[b"ab", b"c"]), keyed(&key, &[b"a", b"bc"]));
        assert_ne!(keyed(&key, &[b"ab"]), keyed(&[2; 32], &[b"ab"]));
        assert_ne!(short(&[b"ab", b""]), short(&[b"ab"]));
    }

    #[test]
    fn equality_looks_at_every_byte() {
        let left = [7; 16];
        assert!(equal(&left, &[7; 16]));
        for index in 0..16 {
            let mut right = left;
            right[index] ^= 0x80;
            assert!(!equal(&left, &right));
        }
    }
}
