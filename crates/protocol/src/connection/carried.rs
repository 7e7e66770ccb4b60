//! What a sent packet carried, remembered until its fate is known.

use super::event::Tag;
use super::frame::{PathToken, StreamName};

/// A part of a packet that someone wants to know the fate of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// A fragment of a reliable message.
    Stream {
        stream: StreamName,
        id: u64,
        index: u8,
    },
    /// A whole unreliable message.
    Latest(Tag),
    /// A fragment of an unreliable message, by the name of its flight.
    LatestFragment(u64),
    /// An announcement of this interval in milliseconds.
    Heartbeat(u32),
    /// A notice that we load, by its name.
    Loading(u32),
    /// The answer to this challenge.
    PathAnswer(PathToken),
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Acked,
    Lost,
}
