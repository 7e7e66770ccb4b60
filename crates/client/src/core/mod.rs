//! The client's state machine: joins, keeps inputs until a room covers them, patches views.
//!
//! Drain after every `handle_*` and every request: [`Core::poll_event`] until `None`, then
//! [`Core::poll_transmit`] until false, then wait no longer than [`Core::poll_timeout`].
//!
//! ```text
//!    .------------ welcome -------------.
//!    v                                  |
//! active --silence, reset, some closes--> away --too long--> ended
//!    ^ `-------disconnect, other closes-------------------------^
//!    `--welcome-- joining --refused, no common version, no answer--^
//! ```

mod phases;

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::handshake::{ClientHandshake, Ticket};
use rejoin_protocol::limits::LOADING_MAX;
use rejoin_protocol::message::{CallId, ClientMessage, Filter, RoomSettings};
use rejoin_protocol::message_bounds::check_kind;
use rejoin_protocol::{
    CloseReason, Connection, ConnectionId, Epoch, LinkStats, PlayerId, RequestId, Rng, RoomCode,
    RoomId, SeatId, SessionId, SizeError, Timestamp,
};

use crate::active::Active;
use crate::away::Away;
use crate::calls::Call;
use crate::end::End;
use crate::entry::Entry;
use crate::event::{Ended, Event, Loss};
use crate::joining::Joining;
use crate::options::Options;
use crate::state::State;
use crate::unread::Unread;

/// A client. See the module page for the order of calls.
#[derive(Debug)]
pub struct Core {
    phase: Phase,
    entry: Entry,
    /// How long to try to come back; zero: not at all, [`Duration::MAX`]: for ever.
    resume_for: Duration,
    join_timeout: Duration,
    /// What the caller is told of the phase.
    state: State,
    unread: Unread,
    session: Option<SessionId>,
    epoch: Option<Epoch>,
    /// Datagrams that no connection was asked about.
    dropped: u64,
    /// The link as it was when the session ended.
    last_link: LinkStats,
}

#[derive(Debug)]
enum Phase {
    Joining(Box<Joining>),
    Active(Box<Active>),
    Away(Box<Away>),
    /// What is left may have one more datagram: the one that says so.
    Ended(Option<Box<Connection>>),
}

impl Core {
    /// A client that wants to join. Nothing is sent before [`Core::poll_transmit`]. Options that
    /// cannot be used end it at once, with [`Ended::Start`].
    #[must_use]
    pub fn new(options: Options, rng: Rng, now: Timestamp) -> Self {
        let (join_timeout, resume_for) = (options.join_timeout, options.resume_for);
        let mut core = Self {
            phase: Phase::Ended(None),
            entry: Entry::new(options, rng, now),
            resume_for,
            join_timeout,
            state: State::Joining,
            unread: Unread::default(),
            session: None,
            epoch: None,
            dropped: 0,
            last_link: LinkStats::default(),
        };
        match Joining::new(&mut core.entry, now + join_timeout, now) {
            Ok(joining) => core.phase = Phase::Joining(Box::new(joining)),
            Err(error) => core.tell_end(Ended::Start(error)),
        }
        core
    }

    /// Takes a datagram from the server; decrypts in place. Whatever it holds, it cannot hurt.
    pub fn handle_datagram(&mut self, datagram: &mut [u8], now: Timestamp) {
        match &mut self.phase {
            Phase::Joining(joining) => {
                let answer = joining.handle_reply(datagram, &mut self.entry, now);
                self.on_answer(answer, now);
            }
            Phase::Away(away) => {
                let answer = away.joining.handle_reply(datagram, &mut self.entry, now);
                self.on_answer(answer, now);
            }
            // The server repeats its reply if it heard our hello twice.
            Phase::Active(_) if ClientHandshake::is_reply(datagram) => self.dropped += 1,
            Phase::Active(active) if active.is_reset(datagram) => {
                self.on_active(Err(End::Lost(Loss::Forgotten)), now);
            }
            Phase::Active(active) => {
                let result = active.handle_datagram(datagram, &mut self.unread, now);
                self.on_active(result, now);
            }
            Phase::Ended(_) => self.dropped += 1,
        }
    }

    /// This machine's address has changed, or may have: the server is told at once, and everything it
    /// sends goes on to the old one until it has been. A game that is not told of a change, as by a NAT
    /// that forgot it, moves as well: with the next packet it sends. While joining nothing is to be done,
    /// as the hello is repeated anyway.
    pub fn handle_moved(&mut self, now: Timestamp) {
        if let Phase::Active(active) = &mut self.phase {
            active.handle_moved(now);
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        match &mut self.phase {
            Phase::Joining(joining) => {
                if joining.is_over(now) {
                    self.end(Ended::Unreachable(self.join_timeout), None);
                }
            }
            Phase::Away(away) => {
                let reason = away.loss.reason();
                if away.joining.is_over(now) {
                    self.end(Ended::Closed(reason), None);
                }
            }
            Phase::Active(active) => {
                let result = active.handle_timeout(&mut self.unread, now);
                self.on_active(result, now);
            }
            Phase::Ended(_) => {}
        }
    }

    /// Appends the next datagram to `out`. False if there is none.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Timestamp) -> bool {
        match &mut self.phase {
            Phase::Joining(joining) => joining.poll_transmit(out, &mut self.entry, now),
            Phase::Away(away) => away.joining.poll_transmit(out, &mut self.entry, now),
            Phase::Active(active) => active.poll_transmit(out, now),
            Phase::Ended(farewell) => {
                // One datagram says it; a lost one leaves the server to its own patience.
                farewell
                    .take()
                    .is_some_and(|mut connection| connection.poll_transmit(out, now))
            }
        }
    }

    /// When [`Core::handle_timeout`] and [`Core::poll_transmit`] are due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Joining(joining) => Some(joining.poll_timeout()),
            Phase::Away(away) => Some(away.joining.poll_timeout()),
            Phase::Active(active) => active.poll_timeout(),
            Phase::Ended(farewell) => farewell.as_ref().map(|_| Timestamp::ZERO),
        }
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.unread.pop()
    }

    /// Opens the room that `request` names and takes a seat in it.
    ///
    /// # Errors
    /// The session is not open, or too much waits to be sent or answered; or `settings` or the name
    /// `kind` go beyond a bound, which [`SendError::Size`] names.
    pub fn create(
        &mut self,
        request: RequestId,
        kind: &str,
        settings: RoomSettings,
    ) -> Result<CallId, SendError> {
        settings.check(kind)?;
        let kind = kind.to_owned();
        self.request(Call::TakeSeat, |call| ClientMessage::Create {
            call,
            request,
            kind,
            settings,
        })
    }

    /// Takes a seat in an open room. For one in which this client has a seat, it tells the room what it holds of
    /// it, so that events and views go on from there.
    ///
    /// # Errors
    /// As [`Core::create`].
    pub fn join(&mut self, room: RoomId) -> Result<CallId, SendError> {
        let held = match &self.phase {
            Phase::Active(active) => active.held(room),
            Phase::Joining(_) | Phase::Away(_) | Phase::Ended(_) => None,
        };
        self.request(Call::TakeSeat, |call| ClientMessage::Join {
            call,
            room,
            held,
        })
    }

    /// Takes a seat in the private room of a code.
    ///
    /// # Errors
    /// As [`Core::create`].
    pub fn join_by_code(&mut self, code: RoomCode) -> Result<CallId, SendError> {
        self.request(Call::TakeSeat, |call| ClientMessage::JoinByCode {
            call,
            code,
        })
    }

    /// Takes a seat in the room of `request`, else in one that fits, else opens it.
    ///
    /// # Errors
    /// As [`Core::create`]; or there are more filters than a room has metadata, or longer ones.
    pub fn join_or_create(
        &mut self,
        request: RequestId,
        kind: &str,
        filters: Vec<Filter>,
        settings: RoomSettings,
    ) -> Result<CallId, SendError> {
        Filter::check_all(&filters)?;
        settings.check(kind)?;
        let kind = kind.to_owned();
        self.request(Call::TakeSeat, |call| ClientMessage::JoinOrCreate {
            call,
            request,
            kind,
            filters,
            settings,
        })
    }

    /// Gives a seat back.
    ///
    /// # Errors
    /// As [`Core::create`].
    pub fn leave(&mut self, seat: SeatId) -> Result<CallId, SendError> {
        self.request(Call::Leave(seat), |call| ClientMessage::Leave {
            call,
            seat,
        })
    }

    /// Closes a room that this player created.
    ///
    /// # Errors
    /// As [`Core::create`].
    pub fn close_room(&mut self, seat: SeatId) -> Result<CallId, SendError> {
        self.request(Call::Other, |call| ClientMessage::Close { call, seat })
    }

    /// Asks for open rooms, at most `max` and at most
    /// [`LIST_MAX`](rejoin_protocol::limits::LIST_MAX).
    ///
    /// # Errors
    /// As [`Core::join_or_create`].
    pub fn list(
        &mut self,
        kind: Option<&str>,
        filters: Vec<Filter>,
        max: u16,
    ) -> Result<CallId, SendError> {
        Filter::check_all(&filters)?;
        kind.map_or(Ok(()), check_kind)?;
        let kind = kind.map(str::to_owned);
        self.request(Call::Other, |call| ClientMessage::List {
            call,
            kind,
            filters,
            max,
        })
    }

    /// Sends a reliable input; gives its number. It is kept until the room's cursor covers it.
    ///
    /// # Errors
    /// See [`SendError`]; nothing is queued then. `Closed` also means that there is no such seat,
    /// `QueueFull` that the room has too much to catch up with.
    pub fn send(&mut self, seat: SeatId, payload: Bytes) -> Result<u64, SendError> {
        match &mut self.phase {
            Phase::Active(active) => active.send(seat, payload),
            Phase::Away(away) => away.send(seat, payload),
            Phase::Joining(_) | Phase::Ended(_) => Err(SendError::Closed),
        }
    }

    /// Sends a latest input: the newest wins, an older one may be lost.
    ///
    /// # Errors
    /// As [`Core::send`].
    pub fn latest(&mut self, seat: SeatId, payload: Bytes) -> Result<(), SendError> {
        match &mut self.phase {
            Phase::Active(active) => active.latest(seat, payload),
            Phase::Away(away) => away.latest(seat, &payload),
            Phase::Joining(_) | Phase::Ended(_) => Err(SendError::Closed),
        }
    }

    /// Tells the server that this client loads and may be silent for `span`, so that it is not
    /// taken for gone. As long a time of ordinary play must pass before it is granted again.
    ///
    /// # Errors
    /// The session is not open; or `span` is more than [`LOADING_MAX`], a minute, and then nothing is
    /// told: whoever needs longer would be taken for gone in the middle of it.
    pub fn loading(&mut self, span: Duration) -> Result<(), SendError> {
        check_loading(span)?;
        self.active()?.loading(span);
        Ok(())
    }

    /// Tells the server that loading is over.
    ///
    /// # Errors
    /// As [`Core::loading`].
    pub fn loaded(&mut self) -> Result<(), SendError> {
        self.active()?.loaded();
        Ok(())
    }

    /// The newest of this client's reliable inputs that the room of `seat` has applied.
    #[must_use]
    pub fn cursor(&self, seat: SeatId) -> Option<u64> {
        match &self.phase {
            Phase::Active(active) => active.cursor(seat),
            Phase::Away(away) => away.cursor(seat),
            Phase::Joining(_) | Phase::Ended(_) => None,
        }
    }

    /// Ends the session; `Ended(Left)` follows.
    pub fn disconnect(&mut self) {
        self.end(Ended::Left, Some(CloseReason::Left));
    }

    /// Ends the session for a reason of the caller's own; `Ended(Closed(reason))` follows.
    pub fn close(&mut self, reason: CloseReason) {
        self.end(Ended::Closed(reason), Some(reason));
    }

    /// What lets another client, or this one after its process was started anew, take the session up:
    /// [`Options::ticket`]. The newest one; [`Event::Ticket`] tells of each. Secret.
    #[must_use]
    pub const fn ticket(&self) -> Option<&Ticket> {
        self.entry.ticket()
    }

    /// Where the client stands.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What the server calls the connection: a reset names it. `None` if there is none.
    #[must_use]
    pub fn connection_id(&self) -> Option<ConnectionId> {
        match &self.phase {
            Phase::Active(active) => Some(active.connection_id()),
            Phase::Joining(_) | Phase::Away(_) | Phase::Ended(_) => None,
        }
    }

    /// Which process of its data folder the server was, as it said when it took this client in last; `None` before the
    /// first time. A server that was started again is of a later epoch.
    #[must_use]
    pub const fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The session; `None` while joining for the first time.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// The player that others see; `None` while joining.
    #[must_use]
    pub fn player(&self) -> Option<PlayerId> {
        self.session.map(SessionId::player)
    }

    /// Link estimates; zeros while joining, but for what was dropped.
    #[must_use]
    pub fn link(&self) -> LinkStats {
        let link = match &self.phase {
            Phase::Active(active) => active.link(),
            Phase::Away(away) => away.link,
            Phase::Joining(_) | Phase::Ended(_) => self.last_link,
        };
        LinkStats {
            dropped: link.dropped + self.dropped,
            ..link
        }
    }

    /// The open session.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn active(&mut self) -> Result<&mut Active, SendError> {
        match &mut self.phase {
            Phase::Active(active) => Ok(active),
            Phase::Joining(_) | Phase::Away(_) | Phase::Ended(_) => Err(SendError::Closed),
        }
    }

    fn request(
        &mut self,
        call: Call,
        message: impl FnOnce(CallId) -> ClientMessage,
    ) -> Result<CallId, SendError> {
        match &mut self.phase {
            Phase::Active(active) => active.request(call, message),
            Phase::Away(away) => away.request(call, message),
            Phase::Joining(_) | Phase::Ended(_) => Err(SendError::Closed),
        }
    }
}

fn check_loading(span: Duration) -> Result<(), SizeError> {
    // Rounded up, so that a nanosecond too much is too much.
    let millis = span.as_nanos().div_ceil(1_000_000);
    let millis = usize::try_from(millis).unwrap_or(usize::MAX);
    let most = usize::try_from(LOADING_MAX.as_millis()).unwrap_or(usize::MAX);
    SizeError::check("milliseconds of loading", millis, most)
}
