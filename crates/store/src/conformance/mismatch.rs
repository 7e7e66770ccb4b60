//! A claim that does not hold, and where.

use std::fmt::Debug;

/// A claim that does not hold.
pub(super) struct Mismatch(pub(super) String);

/// Where a case failed is told by the line.
#[track_caller]
pub(super) fn same<T: PartialEq + Debug>(found: T, expected: T) -> Result<(), Mismatch> {
    if found == expected {
        return Ok(());
    }
    let line = std::panic::Location::caller().line();
    Err(Mismatch(format!(
        "found {found:?}, expected {expected:?} (line {line})"
    )))
}
