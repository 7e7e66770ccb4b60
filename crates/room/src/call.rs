//! The calls a room is given: what the journal records and a replay repeats.

use bytes::Bytes;
use rejoin_protocol::message::SeatChange;
use rejoin_protocol::{PlayerId, Refusal};

use crate::room::Receipt;

/// One call of room logic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Ask logic whether a player may enter; if so, the player is seated (`Joined`).
    Admit {
        /// Who.
        player: PlayerId,
        /// The player's name.
        name: String,
        /// What the game's backend says about the player.
        claims: Vec<u8>,
    },
    /// Something happened to a seat. `Left` ends the membership.
    Seat {
        /// Whose seat.
        player: PlayerId,
        /// What.
        change: SeatChange,
    },
    /// An input.
    Input {
        /// From whom.
        player: PlayerId,
        /// Encoded [`Room::Input`](crate::Room::Input), as the peer sent it.
        payload: Bytes,
    },
    /// Another process has taken the room up.
    Resumed(Receipt),
    /// One step of the room's clock.
    Tick,
    /// All timers due by the time of this call.
    Timers,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied.
    Done,
    /// Logic did not admit the player, or the input is not readable.
    Refused(Refusal),
}
