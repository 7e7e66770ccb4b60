//! What a client has to tell the game.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::handshake::StartError;
use rejoin_protocol::message::{
    Answer, CallId, Member, MetadataValue, RoomCard, RoomCloseReason, SeatChange,
};
use rejoin_protocol::{CloseReason, Liveness, PlayerId, Refusal, SeatId, SessionId};

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The session is open.
    Connected {
        /// The session.
        session: SessionId,
    },
    /// The answer to a request.
    Answer {
        /// The request's number, as the method that made it returned.
        call: CallId,
        /// What came of it.
        result: Result<Answer, Refusal>,
    },
    /// A newer view of a room, already patched.
    View {
        /// Which seat.
        seat: SeatId,
        /// The snapshot's name in its room: the same view has the same name for all members.
        sequence: u64,
        /// The room's tick it shows.
        tick: u64,
        /// The newest of this client's reliable inputs that the room has applied.
        cursor: u64,
        /// The encoded view.
        view: Bytes,
        /// True if it is this player's alone.
        private: bool,
        /// True if it came whole, false if as a delta.
        full: bool,
        /// Bytes of the snapshot as it came: of a delta fewer than of the view.
        bytes: usize,
    },
    /// A one-off message from a room.
    Room {
        /// Which seat.
        seat: SeatId,
        /// Its number: each is told once, in order.
        number: u64,
        /// The encoded event.
        payload: Bytes,
    },
    /// Messages of a room that this client will never be told: while it was away the room said more than is kept
    /// for a member, or another client of the session was told them. Comes before those that follow.
    EventsMissed {
        /// Which seat.
        seat: SeatId,
        /// How many.
        count: u64,
    },
    /// Something happened to a member of a room.
    Seat {
        /// The own seat in that room.
        seat: SeatId,
        /// Whom it happened to.
        player: PlayerId,
        /// The player's name.
        name: String,
        /// What.
        change: SeatChange,
    },
    /// Room logic could not handle an input; it will not be applied.
    InputRefused {
        /// Which seat.
        seat: SeatId,
        /// The input's number.
        number: u64,
        /// Why.
        refusal: Refusal,
    },
    /// A room is over for this player.
    RoomClosed {
        /// Which seat.
        seat: SeatId,
        /// Why.
        reason: RoomCloseReason,
    },
    /// How sure the client is that the server is still there.
    Link(Liveness),
    /// The connection is lost, and the client is on its way back. Seats are held, inputs and requests are kept.
    Away(Loss),
    /// There is a connection again: seats come back one by one.
    Back {
        /// How long there was none.
        away: Duration,
    },
    /// A seat is back after the connection was lost.
    Resumed {
        /// Which seat.
        seat: SeatId,
        /// What became of it meanwhile.
        receipt: Receipt,
        /// The members now, this player included; of a large room others follow one by one.
        members: Vec<Member>,
    },
    /// The client has a new ticket: see [`Core::ticket`](crate::Core::ticket).
    Ticket,
    /// The server did not take the ticket that the client had, for it is too old: the permit is used. If the
    /// session is still there, the permit leads to it.
    TicketRefused,
    /// The session is over for this client: the last event.
    Ended(Ended),
}

impl Event {
    /// Bytes of payload and text, which is what a peer can make an event cost besides its place.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::View { view: bytes, .. } | Self::Room { payload: bytes, .. } => bytes.len(),
            Self::Seat { name, .. } => name.len(),
            Self::InputRefused { refusal, .. } => refusal.text.len(),
            Self::RoomClosed { reason, .. } => reason.word().len(),
            Self::Resumed { members, .. } => members.iter().map(member_bytes).sum(),
            Self::Answer { result, .. } => match result {
                Ok(answer) => answer_bytes(answer),
                Err(refusal) => refusal.text.len(),
            },
            Self::EventsMissed { .. }
            | Self::Connected { .. }
            | Self::Link(_)
            | Self::Away(_)
            | Self::Back { .. }
            | Self::Ticket
            | Self::TicketRefused
            | Self::Ended(_) => 0,
        }
    }
}

/// What the lists of an answer hold, places included.
fn answer_bytes(answer: &Answer) -> usize {
    match answer {
        Answer::Seated(seated) => {
            seated.kind.len() + seated.members.iter().map(member_bytes).sum::<usize>()
        }
        Answer::Rooms(cards) => cards.iter().map(card_bytes).sum(),
        Answer::Left | Answer::Closed => 0,
        // What a newer protocol crate knows and the wire cannot give to this one.
        _ => 0,
    }
}

fn member_bytes(member: &Member) -> usize {
    size_of::<Member>() + member.name.len()
}

fn card_bytes(card: &RoomCard) -> usize {
    let facts = card.metadata.iter().map(|(key, value)| {
        let text = match value {
            MetadataValue::Text(text) => text.len(),
            MetadataValue::Bool(_) | MetadataValue::Int(_) => 0,
        };
        size_of::<(String, MetadataValue)>() + key.len() + text
    });
    size_of::<RoomCard>() + card.kind.len() + facts.sum::<usize>()
}

/// How a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Nothing was heard for too long.
    Silence,
    /// The server does not know the connection: it was restarted, or gave it up.
    Forgotten,
    /// The server closed it, for a reason that does not last.
    Closed(CloseReason),
}

impl Loss {
    /// What the session ends with if the client cannot come back.
    pub(crate) const fn reason(self) -> CloseReason {
        match self {
            Self::Silence | Self::Forgotten => CloseReason::TimedOut,
            Self::Closed(reason) => reason,
        }
    }
}

/// What became of a seat while its client was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// From the loss of the connection to the room's answer.
    pub away: Duration,
    /// The newest of this client's reliable inputs that the room had applied.
    pub cursor: u64,
    /// Reliable inputs that the room had not applied, and that were sent again.
    pub inputs_resent: u64,
    /// Reliable inputs that the room had acknowledged and has lost. More than none only if its machine stopped, or it is kept
    /// as `checkpoint` and its process ended.
    pub inputs_lost: u64,
    /// Events of the room that are lost to this client: more came than the room keeps for one who is away.
    pub events_missed: u64,
}

/// Why a client is done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The client left.
    #[error("left")]
    Left,
    /// The options make no hello: nothing was sent.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No answer came to the hello.
    #[error("no answer from the server within {0:?}")]
    Unreachable(Duration),
    /// The server speaks none of our versions.
    #[error("{0}")]
    Version(String),
    /// The server refused the join.
    #[error("the server refused: {0}")]
    Refused(Refusal),
    /// The connection ended.
    #[error("connection lost: {0}")]
    Closed(CloseReason),
}
