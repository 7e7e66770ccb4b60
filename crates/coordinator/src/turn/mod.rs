//! Steps 2 to 4 of a turn: journal the calls, apply them, show what came of them.

mod apply;
mod finish;
mod write;

pub(crate) use apply::apply;
pub(crate) use finish::{Hosts, Occasion, checkpoint, close_all, finish};
pub(crate) use write::{Written, write};
