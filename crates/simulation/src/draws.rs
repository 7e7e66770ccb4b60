//! How options and plans are drawn.

use std::time::Duration;

use rejoin_protocol::Rng;

/// A number in `low..=high`.
pub(crate) fn between(rng: &mut Rng, low: u64, high: u64) -> u64 {
    low + rng.below(high - low + 1)
}

/// A span in `low..=high` milliseconds.
pub(crate) fn millis(rng: &mut Rng, low: u64, high: u64) -> Duration {
    Duration::from_millis(between(rng, low, high))
}

/// A span between nothing and twice `mean`.
pub(crate) fn around(rng: &mut Rng, mean: Duration) -> Duration {
    mean.mul_f64(rng.unit() * 2.0)
}

/// One of `choices`.
pub(crate) fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    let len = u64::try_from(choices.len()).expect("a length in memory fits 64 bits");
    let index = usize::try_from(rng.below(len)).expect("an index below a length fits");
    *choices
        .get(index)
        .expect("there is something to choose from")
}

/// A thing, with that chance.
pub(crate) fn maybe<T>(rng: &mut Rng, chance: f64, draw: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.chance(chance).then(|| draw(rng))
}
