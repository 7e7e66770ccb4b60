//! The calls of a hosted room, with all that a replay needs to know of each.

use bytes::Bytes;
use rejoin_protocol::message::SeatChange;
use rejoin_protocol::{Incarnation, PlayerId, RoomCode, SessionId, Stay};
use rejoin_room::{Receipt, RoomSpec};

/// One call, as the journal records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The room opens. First in its history.
    Open(Box<Opening>),
    /// A session asks for a seat, or for the one it holds.
    Admit {
        /// Who.
        applicant: Box<Applicant>,
        /// The name of the stay, if one begins with this.
        stay: Stay,
    },
    /// Something happened to a seat.
    Seat {
        /// Whose.
        player: PlayerId,
        /// What.
        change: SeatChange,
        /// The session's incarnation then. What an older one does is dropped.
        incarnation: Incarnation,
    },
    /// A player acts.
    Input {
        /// Who.
        player: PlayerId,
        /// The number of a reliable input; `None` for a latest one.
        number: Option<u64>,
        /// The game's own bytes.
        payload: Bytes,
    },
    /// A reliable input that room logic could not handle: only the cursor passes it.
    Void {
        /// Whose.
        player: PlayerId,
        /// Its number.
        number: u64,
    },
    /// The room was restored by another process than the one before: nobody is there, and whoever comes back counts
    /// incarnations anew.
    Restored {
        /// Of what was stored.
        receipt: Receipt,
        /// Names of its views go on after this, beyond those that were shown and are lost.
        views: u64,
    },
    /// A client has a seat of a room that has lost something, and may be ahead of it: the seat's numbers go on where the
    /// client's are.
    Ahead {
        /// Whose seat.
        player: PlayerId,
        /// The newest input that the client can give no more.
        input: u64,
        /// The newest event that it has.
        event: u64,
    },
    /// The room leaves memory, with nobody in it.
    Asleep(Sleep),
    /// One step of the room's clock.
    Tick,
    /// All timers due by the time of the record.
    Timers,
}

/// How a room sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sleep {
    /// Nobody can come back to it from then on, in seconds since 1970.
    pub(crate) until_unix_s: u64,
    /// What lets others in meanwhile, if it is private.
    pub(crate) code: Option<RoomCode>,
}

#[cfg(test)]
impl Entry {
    /// The first call of a public room of kind `R`.
    pub(crate) fn opening<R: rejoin_room::Room>(room: rejoin_protocol::RoomId) -> Self {
        let spec = RoomSpec {
            room,
            owner: PlayerId(1),
            settings: rejoin_room::RoomSettings::default(),
            code: None,
        };
        Self::Open(Box::new(Opening {
            kind: R::KIND.to_owned(),
            version: R::VERSION,
            seed: [3; 32],
            spec,
        }))
    }
}

/// How a room opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Name of its kind.
    pub(crate) kind: String,
    /// Version of the kind's logic.
    pub(crate) version: u32,
    /// Feeds the room's chance.
    pub(crate) seed: [u8; 32],
    /// How it was asked for.
    pub(crate) spec: RoomSpec,
}

/// Who asks for a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applicant {
    /// The session; the player is its first half.
    pub(crate) session: SessionId,
    /// Its incarnation.
    pub(crate) incarnation: Incarnation,
    /// The player's name.
    pub(crate) name: String,
    /// What the game's backend says about the player.
    pub(crate) claims: Vec<u8>,
    /// It asks for the seat of that stay, and for no other.
    pub(crate) returns: Option<Stay>,
}
