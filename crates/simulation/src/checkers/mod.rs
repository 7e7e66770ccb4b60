//! Judges what clients are told, event by event, and at the end the whole.

mod judge;
mod lookup;
mod shown;
mod told;

pub(crate) use judge::{judge, judge_end};
pub(crate) use shown::check_cursors;
pub(crate) use told::told;
