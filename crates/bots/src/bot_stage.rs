//! Where a bot belongs, and how far it is.

use rejoin_protocol::message::CallId;
use rejoin_protocol::{PlayerId, SeatId};

/// Where a bot belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its number in the run.
    pub(crate) bot: usize,
    /// What its crew knows it by, and the label of its packets.
    pub(crate) index: usize,
    /// Its room's place in its crew.
    pub(crate) room: usize,
    /// Its socket's number.
    pub(crate) socket: usize,
}

/// How far a bot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BotStage {
    /// The hello is under way.
    Joining,
    /// It asked for a seat.
    Seating { call: CallId },
    /// It holds its session and takes no seat.
    Idle,
    /// It plays, or could.
    Seated { seat: SeatId, player: PlayerId },
    /// It gave its seat back.
    Leaving,
    /// It left.
    Gone,
    /// See the tally.
    Failed,
}

impl BotStage {
    /// True while it does what it joined for.
    pub(crate) const fn is_present(self) -> bool {
        matches!(self, Self::Idle | Self::Seated { .. })
    }
}
