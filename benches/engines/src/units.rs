//! Counts and spans as figures.

use std::time::Duration;

#[expect(clippy::cast_precision_loss, reason = "a figure needs no 53 bits")]
pub(crate) const fn as_f64(number: u64) -> f64 {
    number as f64
}

/// Nanoseconds.
pub(crate) fn ns(span: Duration) -> f64 {
    span.as_secs_f64() * 1e9
}
