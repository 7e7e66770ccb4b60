//! Control messages: what client and server ask and tell each other about rooms.
//!
//! They travel as MessagePack maps on the control lane, so fields may be added.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::ids::{PlayerId, RequestId, RoomId, SeatId, Stay};
use crate::limits::{LIST_MAX, METADATA_ENTRIES_MAX, ROOM_MEMBERS_MAX};
use crate::refusal::Refusal;
use crate::room_code::RoomCode;

/// Filters that are kept: one more than is accepted, so that too many are refused with a reason.
const FILTERS_KEPT_MAX: usize = METADATA_ENTRIES_MAX + 1;
/// Facts that are kept; as above.
const METADATA_KEPT_MAX: usize = METADATA_ENTRIES_MAX + 1;
/// Members that are kept: no room has more.
const MEMBERS_KEPT_MAX: usize = ROOM_MEMBERS_MAX as usize;

/// Ties an answer to its request: counted by the client, per connection.
pub type CallId = u32;

/// What a client asks of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClientMessage {
    /// Open the room that `request` names, and take a seat in it. Repeating it is harmless.
    Create {
        /// Ties the answer to this request.
        call: CallId,
        /// Names the room.
        request: RequestId,
        /// Which room logic.
        kind: String,
        /// How the room is set up.
        settings: RoomSettings,
    },
    /// Take a seat in an open room.
    Join {
        /// Ties the answer to this request.
        call: CallId,
        /// Which room.
        room: RoomId,
        /// What the client still has of a seat there, so that the room goes on from that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<Held>,
    },
    /// Take up the seat again that the session holds in a room, and no other: its client lost its connection.
    Return {
        /// Ties the answer to this request.
        call: CallId,
        /// Which room.
        room: RoomId,
        /// The client's number for the seat. It keeps it, unless another client of the session has given that to another.
        seat: SeatId,
        /// What the client still has of the seat.
        held: Held,
    },
    /// Take a seat in the private room of a code.
    JoinByCode {
        /// Ties the answer to this request.
        call: CallId,
        /// The code that a member told.
        code: RoomCode,
    },
    /// Take a seat in the room that `request` names, else in any open one that fits, else open it.
    JoinOrCreate {
        /// Ties the answer to this request.
        call: CallId,
        /// Names the room to open if none fits.
        request: RequestId,
        /// Which room logic.
        kind: String,
        /// What an open room must match. All of them.
        #[serde(deserialize_with = "bounded::list::<FILTERS_KEPT_MAX, _, _>")]
        filters: Vec<Filter>,
        /// How a new room is set up.
        settings: RoomSettings,
    },
    /// Give a seat back.
    Leave {
        /// Ties the answer to this request.
        call: CallId,
        /// Which seat.
        seat: SeatId,
    },
    /// List open rooms.
    List {
        /// Ties the answer to this request.
        call: CallId,
        /// Only this kind; `None` for all.
        kind: Option<String>,
        /// What a room must match. All of them.
        #[serde(deserialize_with = "bounded::list::<FILTERS_KEPT_MAX, _, _>")]
        filters: Vec<Filter>,
        /// Rooms wanted; at most [`LIST_MAX`] are told.
        max: u16,
    },
    /// Close a room. Only its owner, the player who created it, may.
    Close {
        /// Ties the answer to this request.
        call: CallId,
        /// The owner's seat in it.
        seat: SeatId,
    },
    /// The client lost the snapshot that deltas build on: send a full one.
    Resync {
        /// Which seat's view.
        seat: SeatId,
    },
}

/// What a client has of a seat that it asks for again. Of fixed size, and believed as far as the room
/// can know it: what is senseless is as good as nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which stay it was. What is held of one serves in no other.
    pub stay: Stay,
    /// Number of the newest event of the seat that the client was told, or told that it will never
    /// get: it needs those after it. 0: none.
    pub event: u64,
    /// Number of the newest input of the seat that the client can send no more, since the room said that it had it. A
    /// room that has lost some of its history goes on after it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input: u64,
    /// The newest view of the room that the client still has, of those that all members share.
    /// Private views are never named: they start whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<HeldSnapshot>,
}

/// A view that a client still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSnapshot {
    /// The snapshot's name in its room.
    pub sequence: u64,
    /// [`crate::snapshot::check`] of the whole view: another view of that name is no base.
    pub check: u32,
}

/// What a server answers and tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ServerMessage {
    /// With it the client can resume the session. It takes the place of any before it.
    Ticket {
        /// For the server alone; [`SealedTicket`](crate::handshake::SealedTicket) reads it.
        #[serde(with = "serde_bytes")]
        ticket: Vec<u8>,
        /// Seconds for which it is good.
        life_s: u32,
    },
    /// The answer to a request.
    Reply {
        /// The request's own number.
        call: CallId,
        /// What came of it.
        result: Result<Answer, Refusal>,
    },
    /// Something happened to a member of a room.
    Seat {
        /// The receiver's own seat in that room.
        seat: SeatId,
        /// Whom it happened to.
        player: PlayerId,
        /// The player's name.
        name: String,
        /// What happened.
        change: SeatChange,
    },
    /// Room logic could not handle an input. The cursor has passed it; it will not be applied.
    InputRefused {
        /// The receiver's own seat in that room.
        seat: SeatId,
        /// The number of the reliable input.
        number: u64,
        /// Why.
        refusal: Refusal,
    },
    /// The room is gone, or the receiver is no longer in it.
    RoomClosed {
        /// The receiver's own seat in that room.
        seat: SeatId,
        /// Why.
        reason: RoomCloseReason,
    },
}

/// The successful answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Answer {
    /// The caller has a seat.
    Seated(Seated),
    /// The seat was given back.
    Left,
    /// Open rooms, at most [`LIST_MAX`].
    Rooms(#[serde(deserialize_with = "bounded::list::<LIST_MAX, _, _>")] Vec<RoomCard>),
    /// The room was closed.
    Closed,
}

/// A seat taken, or found again by a session that already held it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seated {
    /// The caller's name for the seat.
    pub seat: SeatId,
    /// The room.
    pub room: RoomId,
    /// The stay, which began when the seat was taken: numbers of inputs and events go on throughout it.
    pub stay: Stay,
    /// Its kind.
    pub kind: String,
    /// Version of its logic.
    pub version: u32,
    /// Steps of the room's clock per second; 0: event driven.
    pub tick_hz: u32,
    /// The caller as room logic sees it.
    pub player: PlayerId,
    /// Number of the newest reliable input of this session that the room has applied.
    pub cursor: u64,
    /// Number of the event before the first that follows this answer. What the client has not got of those up
    /// to it, it will never get.
    pub event: u64,
    /// How many events up to [`Seated::event`] are lost to the client: more were sent to the seat than
    /// are kept for it while nothing acknowledged them, or another client of the session has them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_dropped: u64,
    /// How many inputs of the stay up to [`Seated::cursor`] the room has lost, although it once said that it had them: they
    /// will not be applied. Those of earlier losses are counted again, of which a client may have been told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inputs_lost: u64,
    /// True if this call opened the room.
    pub created: bool,
    /// True if the session held the seat before, and its numbers go on. False: it is a new one, and they
    /// begin at 1.
    #[serde(default, skip_serializing_if = "is_false")]
    pub found: bool,
    /// The members, the caller included.
    #[serde(deserialize_with = "bounded::list::<MEMBERS_KEPT_MAX, _, _>")]
    pub members: Vec<Member>,
    /// The code that lets others into a private room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<RoomCode>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A member of a room, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub player: PlayerId,
    /// The player's name.
    pub name: String,
}

/// What happens to a seat; every member of the room is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SeatChange {
    /// Taken.
    Joined,
    /// Its player loads and said so: silence means nothing for a while.
    Loading,
    /// Its player is late; maybe only a bad link.
    Suspect,
    /// Its player is gone; the seat is held for a while.
    Detached,
    /// Its player is back, from loading, suspicion or detachment.
    Returned,
    /// Given up: the player left, was removed, or did not return in time.
    Left,
}

/// Why a member is no longer in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RoomCloseReason {
    /// Room logic ended the room, with a word of its own.
    Ended(String),
    /// The owner closed it.
    ClosedByOwner,
    /// Room logic removed this player, with a word of its own.
    Removed(String),
    /// Room logic failed beyond repair.
    Failed(String),
    /// The server is shutting down.
    ServerStopping,
    /// The player's client came back, and the room or the seat was there no longer.
    Gone,
    /// A reason of a newer peer.
    #[serde(other)]
    Other,
}

impl RoomCloseReason {
    /// The word that room logic or the server gave; empty without one.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Ended(word) | Self::Removed(word) | Self::Failed(word) => word,
            Self::ClosedByOwner | Self::ServerStopping | Self::Gone | Self::Other => "",
        }
    }
}

/// How a room is set up by the player who creates it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSettings {
    /// Most members; 0 leaves it to the kind.
    pub members_max: u16,
    /// What lists show and filters match.
    #[serde(deserialize_with = "bounded::map::<METADATA_KEPT_MAX, _, _>")]
    pub metadata: Metadata,
    /// The kind's own options, opaque here.
    #[serde(with = "serde_bytes")]
    pub options: Vec<u8>,
    /// True: no list shows the room and no search finds it. Its members are told a code, and
    /// whoever has that may enter.
    #[serde(default)]
    pub private: bool,
}

/// Typed facts about a room, by key.
pub type Metadata = BTreeMap<String, MetadataValue>;

/// One fact about a room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MetadataValue {
    /// Yes or no.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A short text.
    Text(String),
}

/// A demand on a room's metadata. A missing key, or a value of another type, never matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Which fact.
    pub key: String,
    /// How it must compare with `value`.
    pub comparison: Comparison,
    /// What it is compared with.
    pub value: MetadataValue,
}

/// How a fact must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Another one.
    NotEqual,
    /// At least as large.
    AtLeast,
    /// At most as large.
    AtMost,
}

/// A room as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomCard {
    /// Its id.
    pub room: RoomId,
    /// Its kind.
    pub kind: String,
    /// Seats taken.
    pub members: u16,
    /// Seats in all.
    pub members_max: u16,
    /// Its facts.
    pub metadata: Metadata,
}

impl ClientMessage {
    /// The number under which the answer goes back; `None` if there is none.
    #[must_use]
    pub const fn call(&self) -> Option<CallId> {
        match self {
            Self::Create { call, .. }
            | Self::Join { call, .. }
            | Self::Return { call, .. }
            | Self::JoinByCode { call, .. }
            | Self::JoinOrCreate { call, .. }
            | Self::Leave { call, .. }
            | Self::List { call, .. }
            | Self::Close { call, .. } => Some(*call),
            Self::Resync { .. } => None,
        }
    }
}

impl Filter {
    /// True if `metadata` meets the demand.
    #[must_use]
    pub fn matches(&self, metadata: &Metadata) -> bool {
        let Some(found) = metadata.get(&self.key) else {
            return false;
        };
        if std::mem::discriminant(found) != std::mem::discriminant(&self.value) {
            return false;
        }
        match self.comparison {
            Comparison::Equal => *found == self.value,
            Comparison::NotEqual => *found != self.value,
            Comparison::AtLeast => *found >= self.value,
            Comparison::AtMost => *found <= self.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_compare_only_values_of_one_type() {
        let metadata = Metadata::from([("level".into(), MetadataValue::Int(5))]);
        let filter = |comparison, value| Filter {
            key: "level".into(),
            comparison,
            value,
        };
        assert!(filter(Comparison::AtLeast, MetadataValue::Int(5)).matches(&metadata));
        assert!(!filter(Comparison::AtMost, MetadataValue::Int(4)).matches(&metadata));
        assert!(!filter(Comparison::NotEqual, MetadataValue::Bool(true)).matches(&metadata));
        assert!(
            !Filter {
                key: "map".into(),
                ..filter(Comparison::NotEqual, MetadataValue::Int(1))
            }
            .matches(&metadata)
        );
    }
}
