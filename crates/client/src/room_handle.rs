//! A typed handle on a seat.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use rejoin_protocol::connection::SendError;
use rejoin_protocol::message::{Answer, Member, RoomCloseReason, SeatChange, Seated};
use rejoin_protocol::messagepack::DecodeError;
use rejoin_protocol::{PlayerId, Refusal, RefusalCode, RoomCode, RoomId, SeatId};
use rejoin_room::Room;

use crate::error::{InputError, RequestError};
use crate::event::{Ended, Loss, Receipt};
use crate::inbox::{Inbox, Item};
use crate::payload;
use crate::shared::Owner;

/// A seat in a room of kind `R`. Dropping it gives the seat back.
///
/// Whoever asks twice for one room gets two handles on one seat, which share what arrives.
pub struct RoomHandle<R: Room> {
    owner: Arc<Owner>,
    inbox: Arc<Inbox>,
    seat: SeatId,
    player: PlayerId,
    created: bool,
    code: Option<RoomCode>,
    _room: PhantomData<fn() -> R>,
}

/// What happens in a room.
#[non_exhaustive]
pub enum RoomEvent<R: Room> {
    /// A newer view. Views that were not taken in time are skipped.
    View(R::View),
    /// A one-off message.
    Event(R::Event),
    /// So many one-off messages will never come: while this client was away the room said more than is kept for a
    /// member, or another client of the session was told them.
    Missed(u64),
    /// Something happened to a member.
    Seat(PlayerId, SeatChange),
    /// The connection is lost, and the client is on its way back. The seat is held, inputs are kept.
    Away(Loss),
    /// The seat is back.
    Resumed(Receipt),
    /// An input that will not be applied.
    InputRefused(u64, Refusal),
    /// A view or event that `R` cannot read: the server runs another version of the game.
    Unreadable(DecodeError),
    /// The room is over for this player. The last event.
    Closed(RoomCloseReason),
    /// The session is over, and with it every seat. The last event.
    Ended(Ended),
}

impl<R: Room> RoomHandle<R> {
    /// The handle that an answer grants.
    pub(crate) fn new(
        owner: &Arc<Owner>,
        granted: (Answer, Option<Arc<Inbox>>),
    ) -> Result<Self, RequestError> {
        let (
            Answer::Seated(Seated {
                seat,
                player,
                kind,
                created,
                code,
                ..
            }),
            Some(inbox),
        ) = granted
        else {
            return Err(RequestError::WrongAnswer);
        };
        let owner = Arc::clone(owner);
        let handle = Self {
            owner,
            inbox,
            seat,
            player,
            created,
            code,
            _room: PhantomData,
        };
        if kind != R::KIND {
            // Dropping the handle gives the seat back.
            return Err(RequestError::WrongKind {
                expected: R::KIND,
                found: kind,
            });
        }
        Ok(handle)
    }

    /// The code that lets others into this room, if it is private.
    #[must_use]
    pub const fn code(&self) -> Option<RoomCode> {
        self.code
    }

    /// Sends a reliable input: it is applied exactly once, in order. Gives its number.
    ///
    /// # Errors
    /// See [`InputError`].
    pub fn send(&self, input: R::Input) -> Result<u64, InputError> {
        let payload = payload::input(&input)?;
        let number = self.with_seat(|core, seat| core.send(seat, payload))?;
        Ok(number)
    }

    /// Sends a latest input: the newest that waits for the tick of the room wins, an older one may be lost.
    ///
    /// # Errors
    /// See [`InputError`].
    pub fn latest(&self, input: R::Input) -> Result<(), InputError> {
        let payload = payload::input(&input)?;
        self.with_seat(|core, seat| core.latest(seat, payload))?;
        Ok(())
    }

    /// What happens next in the room; `None` after the last event, and after this player left.
    ///
    /// May be dropped half-way: nothing is lost.
    pub async fn next(&mut self) -> Option<RoomEvent<R>> {
        self.inbox.next().await.map(RoomEvent::from)
    }

    /// The room.
    #[must_use]
    pub fn room(&self) -> RoomId {
        self.inbox.room()
    }

    /// This player, as the room and its members see it.
    #[must_use]
    pub const fn player(&self) -> PlayerId {
        self.player
    }

    /// True if the request for this seat opened the room.
    #[must_use]
    pub const fn created(&self) -> bool {
        self.created
    }

    /// The members, this player included, by player.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.inbox.members()
    }

    /// The newest of this player's reliable inputs that the room has applied; `None` once the seat
    /// is gone.
    #[must_use]
    pub fn cursor(&self) -> Option<u64> {
        self.with_seat(|core, seat| core.cursor(seat).ok_or(SendError::Closed))
            .ok()
    }

    /// Gives the seat back, and waits until the server has taken it.
    ///
    /// # Errors
    /// See [`RequestError`]. A seat that is gone already is none.
    pub async fn leave(self) -> Result<(), RequestError> {
        let outcome = match self.request_leave().await {
            Ok((Answer::Left, _)) => Ok(()),
            Ok(_) => Err(RequestError::WrongAnswer),
            Err(RequestError::Refused(refusal)) if refusal.code == RefusalCode::UnknownSeat => {
                Ok(())
            }
            // The seat is gone already.
            Err(RequestError::Send(SendError::Closed)) => Ok(()),
            Err(error) => Err(error),
        };
        // After an error the drop of this handle gives the seat back.
        if outcome.is_ok() {
            self.owner.shared.lock().on_left(self.seat, &self.inbox);
        }
        outcome
    }

    async fn request_leave(&self) -> Result<(Answer, Option<Arc<Inbox>>), RequestError> {
        let request = self.owner.shared.request(|inner| {
            if inner.holds(self.seat, &self.inbox) {
                inner.core.leave(self.seat)
            } else {
                Err(SendError::Closed)
            }
        });
        request.await
    }

    /// Does something with the core while the seat's number still means this seat.
    fn with_seat<T>(
        &self,
        act: impl FnOnce(&mut crate::core::Core, SeatId) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        let result = {
            let mut inner = self.owner.shared.lock();
            if !inner.holds(self.seat, &self.inbox) {
                return Err(SendError::Closed);
            }
            act(&mut inner.core, self.seat)
        };
        self.owner.shared.wake();
        result
    }
}

impl<R: Room> Drop for RoomHandle<R> {
    fn drop(&mut self) {
        self.owner.shared.release(self.seat, &self.inbox);
    }
}

impl<R: Room> fmt::Debug for RoomHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RoomHandle");
        debug
            .field("kind", &R::KIND)
            .field("room", &self.room())
            .field("seat", &self.seat);
        debug.finish_non_exhaustive()
    }
}

impl<R: Room> From<Item> for RoomEvent<R> {
    fn from(item: Item) -> Self {
        match item {
            Item::View(bytes) => payload::decode(&bytes).map_or_else(Self::Unreadable, Self::View),
            Item::Event(bytes) => {
                payload::decode(&bytes).map_or_else(Self::Unreadable, Self::Event)
            }
            Item::Missed(count) => Self::Missed(count),
            Item::Seat(player, change) => Self::Seat(player, change),
            Item::InputRefused(number, refusal) => Self::InputRefused(number, refusal),
            Item::Away(loss) => Self::Away(loss),
            Item::Resumed(receipt) => Self::Resumed(receipt),
            Item::Closed(reason) => Self::Closed(reason),
            Item::Ended(ended) => Self::Ended(ended),
        }
    }
}

// By hand, since deriving would ask the same of `R`, which is only a name.

impl<R: Room> Clone for RoomEvent<R>
where
    R::View: Clone,
    R::Event: Clone,
{
    fn clone(&self) -> Self {
        match self {
            Self::View(view) => Self::View(view.clone()),
            Self::Event(event) => Self::Event(event.clone()),
            Self::Missed(count) => Self::Missed(*count),
            Self::Seat(player, change) => Self::Seat(*player, *change),
            Self::InputRefused(number, refusal) => Self::InputRefused(*number, refusal.clone()),
            Self::Away(loss) => Self::Away(*loss),
            Self::Resumed(receipt) => Self::Resumed(*receipt),
            Self::Unreadable(error) => Self::Unreadable(error.clone()),
            Self::Closed(reason) => Self::Closed(reason.clone()),
            Self::Ended(ended) => Self::Ended(ended.clone()),
        }
    }
}

impl<R: Room> fmt::Debug for RoomEvent<R>
where
    R::View: fmt::Debug,
    R::Event: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View(view) => f.debug_tuple("View").field(view).finish(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Missed(count) => f.debug_tuple("Missed").field(count).finish(),
            Self::Seat(player, change) => {
                f.debug_tuple("Seat").field(player).field(change).finish()
            }
            Self::InputRefused(number, refusal) => f
                .debug_tuple("InputRefused")
                .field(number)
                .field(refusal)
                .finish(),
            Self::Away(loss) => f.debug_tuple("Away").field(loss).finish(),
            Self::Resumed(receipt) => f.debug_tuple("Resumed").field(receipt).finish(),
            Self::Unreadable(error) => f.debug_tuple("Unreadable").field(error).finish(),
            Self::Closed(reason) => f.debug_tuple("Closed").field(reason).finish(),
            Self::Ended(ended) => f.debug_tuple("Ended").field(ended).finish(),
        }
    }
}

impl<R: Room> PartialEq for RoomEvent<R>
where
    R::View: PartialEq,
    R::Event: PartialEq,
{
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::View(a), Self::View(b)) => a == b,
            (Self::Event(a), Self::Event(b)) => a == b,
            (Self::Missed(a), Self::Missed(b)) => a == b,
            (Self::Seat(a, x), Self::Seat(b, y)) => (a, x) == (b, y),
            (Self::InputRefused(a, x), Self::InputRefused(b, y)) => (a, x) == (b, y),
            (Self::Away(a), Self::Away(b)) => a == b,
            (Self::Resumed(a), Self::Resumed(b)) => a == b,
            (Self::Unreadable(a), Self::Unreadable(b)) => a == b,
            (Self::Closed(a), Self::Closed(b)) => a == b,
            (Self::Ended(a), Self::Ended(b)) => a == b,
            _ => false,
        }
    }
}
