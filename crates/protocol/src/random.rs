//! Chance as an argument: one seeded generator per owner, forked by label.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

use crate::crypto::hash;

/// A seeded stream of random numbers: ChaCha with 12 rounds, fit for keys if its seed is secret.
///
/// The same seed gives the same numbers on every machine and in every later version,
/// since a replayed room draws from it again.
#[derive(Clone, Debug)]
pub struct Rng {
    seed: [u8; 32],
    stream: ChaCha12Rng,
}

impl Rng {
    /// A stream from a full seed. Shells draw the seed from the operating system.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            seed,
            stream: ChaCha12Rng::from_seed(seed),
        }
    }

    /// A stream from a small number, for tests and the simulator. Never for keys.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Self::from_seed(seed)
    }

    /// An independent stream for another owner. Does not advance this one.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        Self::from_seed(hash::keyed(&self.seed, &[b"fork", label.as_bytes()]))
    }

    /// The seed and how many 32-bit words were drawn: enough to continue with [`Rng::resume`].
    #[must_use]
    pub fn position(&self) -> ([u8; 32], u128) {
        (self.seed, self.stream.get_word_pos())
    }

    /// Continues a stream where [`Rng::position`] was taken.
    #[must_use]
    pub fn resume(seed: [u8; 32], words: u128) -> Self {
        let mut rng = Self::from_seed(seed);
        rng.stream.set_word_pos(words);
        rng
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.stream.fill_bytes(out);
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A number uniform over all of `u64`.
    pub fn next_u64(&mut self) -> u64 {
        self.stream.next_u64()
    }

    /// A number uniform in `0..bound`, or 0 if `bound` is 0.
    ///
    /// Multiply and shift (Lemire 2019); the bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("a 128-bit product shifted by 64 fits 64 bits")
    }

    /// A uniform place in something of `len` items, at least one.
    pub fn index(&mut self, len: usize) -> usize {
        let len = u64::try_from(len).expect("a length in memory fits 64 bits");
        usize::try_from(self.below(len)).expect("below a length in memory")
    }

    /// A number uniform in `0.0..1.0`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the value has 53 bits, as has an f64"
    )]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with probability `p`: never at 0, always at 1.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_differ_by_label_and_not_by_use() {
        let mut parent = Rng::from_number(7);
        let mut before = parent.fork("rooms");
        parent.next_u64();
        let mut after = parent.fork("rooms");
        assert_eq!(before.next_u64(), after.next_u64());
        assert_ne!(parent.fork("a").next_u64(), parent.fork("b").next_u64());
    }

    #[test]
    fn a_resumed_stream_continues_exactly() {
        let mut rng = Rng::from_number(1);
        rng.bytes::<5>();
        let (seed, words) = rng.position();
        let mut resumed = Rng::resume(seed, words);
        assert_eq!(rng.next_u64(), resumed.next_u64());
    }

    #[test]
    fn bounded_numbers_stay_below_their_bound() {
        let mut rng = Rng::from_number(3);
        assert_eq!(rng.below(0), 0);
        assert!((0..1_000).all(|_| rng.below(10) < 10));
        assert!(!rng.chance(0.0) && rng.chance(1.0));
    }

    #[test]
    fn the_stream_is_the_same_for_ever() {
        // A changed value here would break the replay of stored rooms.
        assert_eq!(Rng::from_number(42).next_u64(), 7_969_544_298_883_215_725);
    }
}
