//! What can go wrong inside a room: the host's only view of failing logic.
//!
//! Made by whatever runs logic or reads a checkpoint; the host answers it by rebuilding the
//! room without the call, or by closing it.

use rejoin_protocol::SizeError;

/// Why a room cannot go on as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomFault {
    /// Room logic panicked. The state is half changed: rebuild it, never keep it.
    #[error("{kind} panicked in {call}: {message}")]
    Panicked {
        /// The room's kind.
        kind: &'static str,
        /// Which method.
        call: &'static str,
        /// The panic's own words.
        message: String,
    },
    /// Room logic went beyond a bound of its context, such as the number of timers.
    #[error("{kind} went beyond a limit in {call}: {message}")]
    Limit {
        /// The room's kind.
        kind: &'static str,
        /// Which method.
        call: &'static str,
        /// Which bound.
        message: String,
    },
    /// Room logic made something that is longer, or more, than can be kept or sent.
    #[error("{kind} went beyond a limit in {call}: {size}")]
    Size {
        /// The room's kind.
        kind: &'static str,
        /// Which method; `checkpoint` if the state has grown too long.
        call: &'static str,
        /// What, how much, and how much is allowed.
        size: SizeError,
    },
    /// A view, event or state could not be written as MessagePack.
    #[error("{kind} cannot encode its {what}: {message}")]
    Encode {
        /// The room's kind.
        kind: &'static str,
        /// `view`, `event` or `state`.
        what: &'static str,
        /// The encoder's own words.
        message: String,
    },
    /// A checkpoint cannot be read, its state aside.
    #[error("{kind} cannot read its checkpoint: {message}")]
    Decode {
        /// The room's kind.
        kind: &'static str,
        /// The decoder's own words.
        message: String,
    },
    /// The state in a checkpoint cannot be read by the logic as it is now.
    #[error(
        "{kind} of version {version} cannot read a state that version {written} wrote: {message}; three ways out: raise \
         `Room::VERSION` and teach `Room::migrate` to read it, forget such rooms with `rejoin store drop`, or begin without \
         any with `rejoin serve --fresh`"
    )]
    State {
        /// The room's kind.
        kind: &'static str,
        /// Version of the logic that wrote the state.
        written: u32,
        /// Version of the logic that reads it.
        version: u32,
        /// What is wrong, and in which field; or what [`Room::migrate`](crate::Room::migrate) says.
        message: String,
    },
}
