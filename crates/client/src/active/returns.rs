//! How a session's seats come back on a new connection: each room is asked anew, and says how far it has come.

use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_protocol::message::{Answer, ClientMessage, RoomCloseReason, Seated};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{CloseReason, ConnectionId, Refusal, RefusalCode, SeatId, Timestamp, reset};

use super::{Active, encode};
use crate::away::Kept;
use crate::calls::Call;
use crate::end::{End, VIOLATION};
use crate::event::{Event, Receipt};
use crate::seat::Seat;
use crate::unread::Unread;

/// What a connection has yet to bring back.
#[derive(Debug, Default)]
pub(crate) struct Returns {
    /// When the connection before this one was lost; `None` once all seats are back.
    lost_at: Option<Timestamp>,
    /// Seats to ask for, and when: at once, or when the server said. Bounded as the seats are.
    asks: BTreeMap<SeatId, Timestamp>,
}

impl Returns {
    /// When to ask next.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.asks.values().copied().min()
    }
}

impl Active {
    /// What the server calls the connection.
    pub(crate) const fn connection_id(&self) -> ConnectionId {
        self.reset.0
    }

    /// True if that is the server's own word that it does not know this connection.
    pub(crate) fn is_reset(&self, datagram: &[u8]) -> bool {
        reset::decode(datagram).is_some_and(|reset| {
            reset == self.reset || (reset.0 == self.reset.0 && planted::is(Bug::ResetUnproven))
        })
    }

    /// Takes over what was kept of the connection before: makes its requests again, and asks for its seats.
    pub(crate) fn take_over(&mut self, kept: Kept, now: Timestamp) -> Result<(), End> {
        self.seats = kept.seats;
        self.calls = kept.calls;
        self.returns.lost_at = Some(kept.since);
        for seat in self.seats.keys() {
            self.returns.asks.insert(*seat, now);
        }
        // First, so that each has its number again before a request may bring another seat.
        self.ask_for_seats(now);
        let full = |_| End::Close(CloseReason::Overloaded);
        for (_, message) in self.calls.naming(None) {
            self.connection
                .send_control(encode(message))
                .map_err(full)?;
        }
        self.end_returns();
        self.announce_heartbeat();
        Ok(())
    }

    /// Looks whether all that is to come back is there.
    pub(super) fn end_returns(&mut self) {
        if self.returns.asks.is_empty() && !self.calls.is_returning() {
            self.returns.lost_at = None;
        }
    }

    /// What the next connection takes over.
    pub(crate) fn into_kept(self, now: Timestamp) -> Kept {
        let Self {
            mut seats,
            mut calls,
            ..
        } = self;
        for seat in seats.values_mut() {
            seat.on_connection_lost();
        }
        calls.on_connection_lost();
        Kept {
            seats,
            calls,
            since: self.returns.lost_at.unwrap_or(now),
        }
    }

    /// Asks for the seats whose time has come.
    pub(crate) fn ask_for_seats(&mut self, now: Timestamp) {
        for (seat_id, at) in std::mem::take(&mut self.returns.asks) {
            let Some(seat) = self.seats.get(&seat_id) else {
                continue;
            };
            let id = self.calls.next_return().filter(|_| at <= now);
            let asked = id.and_then(|call| {
                let message = ClientMessage::Return {
                    call,
                    room: seat.room,
                    seat: seat_id,
                    held: seat.held(),
                };
                let sent = self.connection.send_control(encode(&message));
                sent.ok().map(|()| (call, message))
            });
            match asked {
                Some((call, message)) => self.calls.open(call, Call::Return(seat_id), message),
                // What the connection does not take now waits for the next time.
                None => drop(self.returns.asks.insert(seat_id, at)),
            }
        }
    }

    /// The room answers the client that asks for its seat again.
    pub(crate) fn on_return(
        &mut self,
        id: SeatId,
        result: Result<Answer, Refusal>,
        unread: &mut Unread,
        now: Timestamp,
    ) -> Result<(), End> {
        match result {
            Ok(Answer::Seated(seated)) => {
                let Some(seat) = self.seats.get(&id) else {
                    return Ok(());
                };
                let inputs_lost = seated.inputs_lost.saturating_sub(seat.inputs_lost);
                let is_same = seated.seat == id && seat.is_of(&seated);
                // It does not wait if a request of the game's own had its answer before.
                if !is_same || seat.waits() && !seat.goes_on(&seated) {
                    if seat.waits() {
                        self.on_seat_gone(id, unread);
                    }
                    return Ok(());
                }
                let events_missed = self.on_seated(&seated)?;
                if let Some(seat) = self.seats.get(&id) {
                    let receipt = Receipt {
                        away: self
                            .returns
                            .lost_at
                            .map_or(Duration::ZERO, |lost| now.since(lost)),
                        // Views may have told more before this answer came.
                        cursor: seat.inputs.cursor(),
                        inputs_resent: seat.inputs.kept(),
                        inputs_lost,
                        events_missed,
                    };
                    unread.push(Event::Resumed {
                        seat: id,
                        receipt,
                        members: seated.members,
                    });
                }
                self.repeat_for(id)?;
                self.replay_early(id, unread)
            }
            Ok(_) => Err(VIOLATION),
            // A request of the game's own has brought another seat under that name.
            Err(_) if !self.is_away(id) => Ok(()),
            Err(refusal) => {
                if let Some(wait) = refusal.wait() {
                    self.returns.asks.insert(id, now + wait);
                    return Ok(());
                }
                self.on_seat_gone(id, unread);
                Ok(())
            }
        }
    }

    fn on_seat_gone(&mut self, id: SeatId, unread: &mut Unread) {
        if self.seats.remove(&id).is_none() {
            return;
        }
        let reason = RoomCloseReason::Gone;
        unread.push(Event::RoomClosed { seat: id, reason });
        let void: Vec<_> = self.calls.naming(Some(id)).map(|(call, _)| call).collect();
        for call in void {
            self.calls.close(call);
            let text = "the seat was lost with the connection";
            let result = Err(Refusal::new(RefusalCode::UnknownSeat, text));
            unread.push(Event::Answer { call, result });
        }
    }

    /// The room has confirmed a seat that waited: makes the requests that name it.
    pub(crate) fn repeat_for(&mut self, id: SeatId) -> Result<(), End> {
        let full = |_| End::Close(CloseReason::Overloaded);
        for (_, message) in self.calls.naming(Some(id)) {
            self.connection
                .send_control(encode(message))
                .map_err(full)?;
        }
        Ok(())
    }

    pub(crate) fn is_away(&self, id: SeatId) -> bool {
        self.seats.get(&id).is_some_and(Seat::waits)
    }

    /// A seat that the game asked for shows that some of those that wait are lost: the one in the same room if it
    /// does not go on there, and the one whose name it has.
    pub(crate) fn drop_outlived(&mut self, seated: &Seated, unread: &mut Unread) {
        let lost = |id: &SeatId, seat: &Seat| {
            let same_room = seat.room == seated.room;
            let same_name = *id == seated.seat;
            let goes_on = same_name && seat.goes_on(seated);
            seat.waits() && (same_room || same_name) && !goes_on
        };
        let lost = self.seats.iter().filter(|(id, seat)| lost(id, seat));
        let lost: Vec<_> = lost.map(|(id, _)| *id).collect();
        for id in lost {
            self.on_seat_gone(id, unread);
        }
    }
}
