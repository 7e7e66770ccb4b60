//! The log engine on a disk that tears, loses and fails, and on the system's files.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected fails"
)]

mod crashes;
mod faults;
mod keeping;
mod model;
mod reading;
mod rot;
mod support;
mod whole;
