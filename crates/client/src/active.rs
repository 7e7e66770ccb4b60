//! The open session: requests and inputs go up, answers, views and events come down.
//!
//! Owned by [`Core`](crate::Core) from the server's welcome to the end. Everything that arrives
//! here is authentic, so what makes no sense is a defect and ends the session.

mod returns;
mod room_news;
mod seated;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::{OrderedStream, PacketError, SendError};
use rejoin_protocol::handshake::{Established, SealedTicket, Ticket};
use rejoin_protocol::limits::{HEARTBEAT_IDLE, HEARTBEAT_SEATED};
use rejoin_protocol::message::{Answer, CallId, ClientMessage, ServerMessage};
use rejoin_protocol::reset::ResetToken;
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{
    CloseReason, Connection, ConnectionEvent, ConnectionId, LinkStats, Liveness, Refusal,
    RefusalCode, SeatId, Timestamp, messagepack,
};

use crate::calls::{Call, Calls, seat_of};
use crate::control;
use crate::early::Early;
use crate::end::{End, VIOLATION};
use crate::event::{Event, Loss};
use crate::inputs;
use crate::seat::Seat;
use crate::unread::Unread;

/// A session with its connection.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) connection: Connection,
    /// The longest silence that was announced.
    heartbeat: Duration,
    pub(crate) seats: BTreeMap<SeatId, Seat>,
    pub(crate) calls: Calls,
    early: Early,
    /// What only this connection's server can show when it has forgotten it.
    reset: (ConnectionId, ResetToken),
    /// What the tickets of this connection need.
    psk: [u8; 32],
    /// Came on this connection, and has not been told.
    ticket: Option<Ticket>,
    returns: returns::Returns,
}

impl Active {
    pub(crate) fn new(established: Established, rtt: Option<Duration>, now: Timestamp) -> Self {
        let Established {
            setup,
            welcome,
            resume_psk,
        } = established;
        let mut connection = Connection::new(setup, rtt, now);
        connection.set_heartbeat(HEARTBEAT_IDLE);
        Self {
            connection,
            heartbeat: HEARTBEAT_IDLE,
            seats: BTreeMap::new(),
            calls: Calls::default(),
            early: Early::default(),
            reset: (ConnectionId(welcome.connection), welcome.reset_token),
            psk: resume_psk,
            ticket: None,
            returns: returns::Returns::default(),
        }
    }

    /// A ticket that came and was not told yet.
    pub(crate) fn take_ticket(&mut self) -> Option<Ticket> {
        self.ticket.take()
    }

    pub(crate) fn handle_datagram(
        &mut self,
        datagram: &mut [u8],
        unread: &mut Unread,
        now: Timestamp,
    ) -> Result<(), End> {
        let result = self.connection.handle_datagram(datagram, now);
        self.settle(unread, now)?;
        match result {
            Err(PacketError::Violation(_)) => Err(VIOLATION),
            // The connection counts what it does not take.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(crate) fn handle_timeout(
        &mut self,
        unread: &mut Unread,
        now: Timestamp,
    ) -> Result<(), End> {
        self.connection.handle_timeout(now);
        self.settle(unread, now)
    }

    pub(crate) fn handle_moved(&mut self, now: Timestamp) {
        self.connection.handle_moved(now);
    }

    pub(crate) fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Timestamp) -> bool {
        self.connection.poll_transmit(out, now)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let rtt = self.connection.stats().rtt;
        let resync = self
            .seats
            .values()
            .filter(|seat| !seat.waits())
            .filter_map(|seat| seat.views.resync_due(rtt))
            .min();
        [self.connection.poll_timeout(), resync, self.returns.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Makes a request; gives its number.
    pub(crate) fn request(
        &mut self,
        call: Call,
        message: impl FnOnce(CallId) -> ClientMessage,
    ) -> Result<CallId, SendError> {
        let id = self.calls.next().ok_or(SendError::QueueFull)?;
        let message = message(id);
        // What names a seat that waits is made when the room has confirmed it.
        if !seat_of(&message).is_some_and(|seat| self.is_away(seat)) {
            self.connection.send_control(encode(&message))?;
        }
        self.calls.open(id, call, message);
        Ok(id)
    }

    /// Sends a reliable input; gives its number.
    pub(crate) fn send(&mut self, seat_id: SeatId, payload: Bytes) -> Result<u64, SendError> {
        let seat = self.seats.get_mut(&seat_id).ok_or(SendError::Closed)?;
        let number = seat.inputs.next(payload.len())?;
        if seat.waits() {
            seat.inputs.keep_back(number, payload);
            return Ok(number);
        }
        hand_over(&mut self.connection, seat_id, seat)?;
        let message = RoomMessage::Input {
            seat: seat_id,
            number,
            payload: payload.clone(),
        };
        let stream = OrderedStream::of_seat(seat_id);
        self.connection
            .send_ordered_on(stream, message.encode(), None)?;
        seat.inputs.keep(number, payload);
        Ok(number)
    }

    /// Sends a latest input. One for a seat that waits is passed over: a newer one follows.
    pub(crate) fn latest(&mut self, seat: SeatId, payload: Bytes) -> Result<(), SendError> {
        inputs::check_len(payload.len())?;
        if self.seats.get(&seat).ok_or(SendError::Closed)?.waits() {
            return Ok(());
        }
        self.connection.send_latest(seat.0, &[], payload, None)
    }

    pub(crate) fn loading(&mut self, span: Duration) {
        self.connection.loading(span);
    }

    pub(crate) fn loaded(&mut self) {
        self.connection.loaded();
    }

    pub(crate) fn cursor(&self, seat: SeatId) -> Option<u64> {
        self.seats.get(&seat).map(|seat| seat.inputs.cursor())
    }

    pub(crate) fn liveness(&self) -> Liveness {
        self.connection.liveness()
    }

    pub(crate) fn link(&self) -> LinkStats {
        self.connection.stats()
    }

    /// Leaves the rest of its life, a closing word, to the connection.
    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Works off what the connection has to tell, and what follows from it.
    fn settle(&mut self, unread: &mut Unread, now: Timestamp) -> Result<(), End> {
        while let Some(event) = self.connection.poll_event() {
            self.on_connection_event(event, unread, now)?;
        }
        for (id, seat) in self.seats.iter_mut().filter(|(_, seat)| !seat.waits()) {
            // What the connection does not take now waits for the next time.
            let _ = hand_over(&mut self.connection, *id, seat);
        }
        self.ask_for_seats(now);
        self.ask_for_whole_views(now);
        self.announce_heartbeat();
        if unread.overflowed() {
            return Err(End::Close(CloseReason::Overloaded));
        }
        Ok(())
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent,
        unread: &mut Unread,
        now: Timestamp,
    ) -> Result<(), End> {
        match event {
            ConnectionEvent::Control(message) => self.on_control(&message, unread, now),
            ConnectionEvent::Ordered(message) => self.on_ordered(&message, unread),
            ConnectionEvent::Latest { key, message } => {
                self.on_snapshot(SeatId(key), message, unread)
            }
            ConnectionEvent::Liveness(liveness) => {
                unread.push(Event::Link(liveness));
                if liveness == Liveness::Detached {
                    Err(End::Lost(Loss::Silence))
                } else {
                    Ok(())
                }
            }
            ConnectionEvent::Closed(reason) => Err(End::Closed(reason)),
            // A client's server stays where it is, so nothing here asks it to prove a path.
            ConnectionEvent::Confirmed
            | ConnectionEvent::Acked(_)
            | ConnectionEvent::Lost(_)
            | ConnectionEvent::PathAnswered(_) => Ok(()),
            // Told by a newer protocol crate to those who know of it.
            _ => Ok(()),
        }
    }

    fn on_control(
        &mut self,
        message: &Bytes,
        unread: &mut Unread,
        now: Timestamp,
    ) -> Result<(), End> {
        let Some(message) = control::decode(message).map_err(|_| VIOLATION)? else {
            return Ok(());
        };
        // News of a seat that was given up meanwhile is passed over.
        let (is_ours, event) = match message {
            ServerMessage::Reply { call, result } => {
                return self.on_reply(call, result, unread, now);
            }
            ServerMessage::Ticket { ticket, .. } => {
                let sealed = SealedTicket::from_bytes(&ticket).map_err(|_| VIOLATION)?;
                let psk = self.psk;
                self.ticket = Some(Ticket { sealed, psk });
                return Ok(());
            }
            ServerMessage::Seat {
                seat,
                player,
                name,
                change,
            } => (
                self.seats.contains_key(&seat),
                Event::Seat {
                    seat,
                    player,
                    name,
                    change,
                },
            ),
            ServerMessage::InputRefused {
                seat,
                number,
                refusal,
            } => (
                self.seats.contains_key(&seat),
                Event::InputRefused {
                    seat,
                    number,
                    refusal,
                },
            ),
            ServerMessage::RoomClosed { seat, reason } => (
                self.seats.remove(&seat).is_some(),
                Event::RoomClosed { seat, reason },
            ),
            // Decoding has sorted out what a newer server says.
            _ => return Ok(()),
        };
        if is_ours {
            unread.push(event);
        }
        Ok(())
    }

    fn on_reply(
        &mut self,
        call: CallId,
        result: Result<Answer, Refusal>,
        unread: &mut Unread,
        now: Timestamp,
    ) -> Result<(), End> {
        // An answer nobody waits for tells nobody anything.
        let Some(asked) = self.calls.close(call) else {
            return Ok(());
        };
        if let Call::Return(seat) = asked {
            self.on_return(seat, result, unread, now)?;
            self.end_returns();
            if !self.calls.may_take_seat() {
                self.early.clear();
            }
            return Ok(());
        }
        if asked == Call::GiveBack {
            return Ok(());
        }
        let seated = match (&result, asked) {
            (Ok(Answer::Seated(seated)), Call::TakeSeat) => {
                self.drop_outlived(seated, unread);
                let was_away = self.is_away(seated.seat);
                let missed = self.on_seated(seated)?;
                if was_away {
                    self.repeat_for(seated.seat)?;
                }
                Some((seated.seat, missed))
            }
            (
                Ok(Answer::Seated(_)),
                Call::Leave(_) | Call::Return(_) | Call::GiveBack | Call::Other,
            ) => {
                return Err(VIOLATION);
            }
            (Ok(Answer::Left), Call::Leave(seat)) => {
                self.seats.remove(&seat);
                None
            }
            // It was lost while the request was on its way: to the same end.
            (Err(refusal), Call::Leave(seat)) if refusal.code == RefusalCode::UnknownSeat => {
                self.seats.remove(&seat);
                None
            }
            (Ok(_) | Err(_), _) => None,
        };
        unread.push(Event::Answer { call, result });
        if let Some((seat, missed)) = seated {
            if missed > 0 {
                unread.push(Event::EventsMissed {
                    seat,
                    count: missed,
                });
            }
            self.replay_early(seat, unread)?;
        }
        if !self.calls.may_take_seat() {
            self.early.clear();
        }
        Ok(())
    }

    fn ask_for_whole_views(&mut self, now: Timestamp) {
        let rtt = self.connection.stats().rtt;
        for (id, seat) in self.seats.iter_mut().filter(|(_, seat)| !seat.waits()) {
            if seat.views.resync_due(rtt).is_none_or(|due| due > now) {
                continue;
            }
            let message = encode(&ClientMessage::Resync { seat: *id });
            // If the queue is full now, the next due time tries again.
            let _ = self.connection.send_control(message);
            seat.views.resync_asked(now);
        }
    }

    pub(crate) fn announce_heartbeat(&mut self) {
        let wanted = if self.seats.is_empty() {
            HEARTBEAT_IDLE
        } else {
            HEARTBEAT_SEATED
        };
        if wanted != self.heartbeat {
            self.heartbeat = wanted;
            self.connection.set_heartbeat(wanted);
        }
    }
}

/// Gives the connection the inputs that it has not had under the seat's present name.
fn hand_over(connection: &mut Connection, id: SeatId, seat: &mut Seat) -> Result<(), SendError> {
    while let Some(kept) = seat.inputs.unhanded() {
        let number = kept.number;
        let message = RoomMessage::Input {
            seat: id,
            number,
            payload: kept.payload.clone(),
        };
        connection.send_ordered_on(OrderedStream::of_seat(id), message.encode(), None)?;
        seat.inputs.handed(number);
    }
    Ok(())
}

/// The bytes of a request.
pub(crate) fn encode(message: &ClientMessage) -> Bytes {
    messagepack::encode(message)
        .expect("our own messages can be written")
        .into()
}
