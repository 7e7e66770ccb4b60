//! Rooms: what survives of them, how it is journalled and rebuilt, and what members are shown.

pub(crate) mod backlog;
pub(crate) mod brake;
pub(crate) mod by_player;
pub(crate) mod checkpoint;
mod choice;
pub(crate) mod clock;
pub(crate) mod compare;
pub(crate) mod delivery;
pub(crate) mod durable;
pub(crate) mod entry;
pub(crate) mod fanout;
pub(crate) mod fate;
pub(crate) mod gate;
#[cfg(test)]
mod golden;
pub(crate) mod journal;
pub(crate) mod member;
pub(crate) mod queue;
pub(crate) mod registry;
pub(crate) mod replay;
pub(crate) mod ring;
pub(crate) mod room;
pub(crate) mod seat;
pub(crate) mod upkeep;

pub(crate) use registry::Rooms;
