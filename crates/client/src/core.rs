//! The client's state machine: joins, keeps inputs until a room covers them, patches views.
//!
//! Drain after every `handle_*` and every request: [`Core::poll_event`] until `None`, then
//! [`Core::poll_transmit`] until false, then wait no longer than [`Core::poll_timeout`].
//!
//! ```text
//! joining --welcome--> active --close, silence, disconnect--> ended
//!    `------refused, no common version, no answer---------------^
//! ```

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::handshake::{ClientHandshake, Established, HandshakeError, HandshakeOptions};
use rejoin_protocol::limits::LOADING_MAX;
use rejoin_protocol::message::{CallId, ClientMessage, Filter, RoomSettings};
use rejoin_protocol::message_bounds::check_kind;
use rejoin_protocol::{
    CloseReason, Connection, LinkStats, PlayerId, RequestId, Rng, RoomCode, RoomId, SeatId,
    SessionId, SizeError, Timestamp,
};

use crate::active::{Active, End};
use crate::calls::Call;
use crate::event::{Ended, Event};
use crate::joining::Joining;
use crate::options::Options;
use crate::state::State;
use crate::unread::Unread;

/// A client. See the module page for the order of calls.
#[derive(Debug)]
pub struct Core {
    phase: Phase,
    /// What the caller is told of the phase.
    state: State,
    unread: Unread,
    session: Option<SessionId>,
    /// Datagrams that no connection was asked about.
    dropped: u64,
    /// The link as it was when the session ended.
    last_link: LinkStats,
}

#[derive(Debug)]
enum Phase {
    Joining(Box<Joining>),
    Active(Box<Active>),
    /// What is left may have one more datagram: the one that says so.
    Ended(Option<Box<Connection>>),
}

impl Core {
    /// A client that wants to join. Nothing is sent before [`Core::poll_transmit`]. Options that
    /// cannot be used end it at once, with [`Ended::Start`].
    #[must_use]
    pub fn new(options: Options, rng: Rng, now: Timestamp) -> Self {
        let join_timeout = options.join_timeout;
        let options = HandshakeOptions {
            server: options.server,
            identity: options.identity,
            permit: options.permit,
            suites: options.suites,
            receive_id: options.receive_id,
            moment: options.moment,
        };
        let mut core = Self {
            phase: Phase::Ended(None),
            state: State::Joining,
            unread: Unread::default(),
            session: None,
            dropped: 0,
            last_link: LinkStats::default(),
        };
        match Joining::new(options, join_timeout, rng, now) {
            Ok(joining) => core.phase = Phase::Joining(Box::new(joining)),
            Err(error) => core.tell_end(Ended::Start(error)),
        }
        core
    }

    /// Takes a datagram from the server; decrypts in place. Whatever it holds, it cannot hurt.
    pub fn handle_datagram(&mut self, datagram: &mut [u8], now: Timestamp) {
        match &mut self.phase {
            Phase::Joining(joining) => match joining.handle_reply(datagram, now) {
                Ok(Some((established, rtt))) => self.on_welcome(established, rtt, now),
                // Only a step of the way: the wait goes on.
                Ok(None) => {}
                Err(error) => self.on_handshake_error(error),
            },
            // The server repeats its reply if it heard our hello twice.
            Phase::Active(_) if ClientHandshake::is_reply(datagram) => self.dropped += 1,
            Phase::Active(active) => {
                let result = active.handle_datagram(datagram, &mut self.unread, now);
                self.on_active(result);
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
                if let Some(tried) = joining.given_up(now) {
                    self.end(Ended::Unreachable(tried), None);
                }
            }
            Phase::Active(active) => {
                let result = active.handle_timeout(&mut self.unread, now);
                self.on_active(result);
            }
            Phase::Ended(_) => {}
        }
    }

    /// Appends the next datagram to `out`. False if there is none.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Timestamp) -> bool {
        match &mut self.phase {
            Phase::Joining(joining) => joining.poll_transmit(out, now),
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
        self.active()?
            .request(Call::TakeSeat, |call| ClientMessage::Create {
                call,
                request,
                kind,
                settings,
            })
    }

    /// Takes a seat in an open room.
    ///
    /// # Errors
    /// As [`Core::create`].
    pub fn join(&mut self, room: RoomId) -> Result<CallId, SendError> {
        self.active()?
            .request(Call::TakeSeat, |call| ClientMessage::Join { call, room })
    }

    /// Takes a seat in the private room of a code.
    ///
    /// # Errors
    /// As [`Core::create`].
    pub fn join_by_code(&mut self, code: RoomCode) -> Result<CallId, SendError> {
        self.active()?
            .request(Call::TakeSeat, |call| ClientMessage::JoinByCode {
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
        self.active()?
            .request(Call::TakeSeat, |call| ClientMessage::JoinOrCreate {
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
        self.active()?
            .request(Call::Leave(seat), |call| ClientMessage::Leave {
                call,
                seat,
            })
    }

    /// Closes a room that this player created.
    ///
    /// # Errors
    /// As [`Core::create`].
    pub fn close_room(&mut self, seat: SeatId) -> Result<CallId, SendError> {
        self.active()?
            .request(Call::Other, |call| ClientMessage::Close { call, seat })
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
        self.active()?
            .request(Call::Other, |call| ClientMessage::List {
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
        self.active()?.send(seat, payload)
    }

    /// Sends a latest input: the newest wins, an older one may be lost.
    ///
    /// # Errors
    /// As [`Core::send`].
    pub fn latest(&mut self, seat: SeatId, payload: Bytes) -> Result<(), SendError> {
        self.active()?.latest(seat, payload)
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

    /// Where the client stands.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The session; `None` while joining.
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
            Phase::Joining(_) | Phase::Ended(_) => self.last_link,
        };
        LinkStats {
            dropped: link.dropped + self.dropped,
            ..link
        }
    }

    fn active(&mut self) -> Result<&mut Active, SendError> {
        match &mut self.phase {
            Phase::Active(active) => Ok(active),
            Phase::Joining(_) | Phase::Ended(_) => Err(SendError::Closed),
        }
    }

    fn on_welcome(&mut self, established: Established, rtt: Option<Duration>, now: Timestamp) {
        let session = established.welcome.session;
        let active = Active::new(established.setup, rtt, now);
        self.session = Some(session);
        self.state = State::Active(active.liveness());
        self.phase = Phase::Active(Box::new(active));
        self.unread.push(Event::Connected { session });
    }

    fn on_handshake_error(&mut self, error: HandshakeError) {
        match error {
            HandshakeError::Version { .. } => self.end(Ended::Version(error.to_string()), None),
            HandshakeError::Refused(refusal) => self.end(Ended::Refused(refusal), None),
            HandshakeError::Broken => {
                self.end(Ended::Closed(CloseReason::ProtocolViolation), None);
            }
            // Garbage, or someone else's: the wait goes on. A cookie was taken before it came here.
            HandshakeError::NotForUs | HandshakeError::Cookie => self.dropped += 1,
            _ => self.dropped += 1,
        }
    }

    fn on_active(&mut self, result: Result<(), End>) {
        match result {
            Ok(()) => {
                if let Phase::Active(active) = &self.phase {
                    self.state = State::Active(active.liveness());
                }
            }
            Err(End::Close(reason)) => self.close(reason),
            Err(end @ (End::Closed(_) | End::Lost)) => self.end(end.into(), None),
        }
    }

    /// The one way out of every phase. `word` is what the server is told, if anything.
    fn end(&mut self, ended: Ended, word: Option<CloseReason>) {
        let farewell = match std::mem::replace(&mut self.phase, Phase::Ended(None)) {
            Phase::Joining(_) => None,
            Phase::Active(active) => {
                self.last_link = active.link();
                let mut connection = active.into_connection();
                if let Some(word) = word {
                    connection.close(word);
                }
                (ended != Ended::Closed(CloseReason::TimedOut)).then(|| Box::new(connection))
            }
            Phase::Ended(farewell) => {
                self.phase = Phase::Ended(farewell);
                return;
            }
        };
        self.phase = Phase::Ended(farewell);
        self.tell_end(ended);
    }

    fn tell_end(&mut self, ended: Ended) {
        self.state = State::Ended(ended.clone());
        self.unread.push_last(Event::Ended(ended));
    }
}

fn check_loading(span: Duration) -> Result<(), SizeError> {
    // Rounded up, so that a nanosecond too much is too much.
    let millis = span.as_nanos().div_ceil(1_000_000);
    let millis = usize::try_from(millis).unwrap_or(usize::MAX);
    let most = usize::try_from(LOADING_MAX.as_millis()).unwrap_or(usize::MAX);
    SizeError::check("milliseconds of loading", millis, most)
}
