//! Judges what clients are told, event by event, and at the end the whole.

mod back;
mod judge;
mod loading;
mod lookup;
mod private;
mod seats;
mod sessions;
mod shown;
mod times;
mod told;

pub(crate) use judge::{judge, judge_end};
pub(crate) use loading::check_load;
pub(crate) use sessions::look_at_sessions;
pub(crate) use shown::check_cursors;
pub(crate) use told::told;
