//! How a session's seats come back on a new connection: each room is asked anew, and says how far it has come.

use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_protocol::message::{Answer, ClientMessage, RoomCloseReason};
use rejoin_protocol::{CloseReason, ConnectionId, Refusal, SeatId, Timestamp, reset};

use super::{Active, encode};
use crate::away::Kept;
use crate::calls::Call;
use crate::end::{End, VIOLATION};
use crate::event::{Event, Receipt};
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
        reset::decode(datagram).is_some_and(|reset| reset == self.reset)
    }

    /// Takes over what was kept of the connection before: makes its requests again, and asks for its seats.
    pub(crate) fn take_over(&mut self, kept: Kept, now: Timestamp) -> Result<(), End> {
        self.seats = kept.seats;
        self.calls = kept.calls;
        self.returns.lost_at = Some(kept.since);
        let full = |_| End::Close(CloseReason::Overloaded);
        for message in self.calls.messages() {
            self.connection
                .send_control(encode(message))
                .map_err(full)?;
        }
        for seat in self.seats.keys() {
            if !self.calls.is_leaving(*seat) {
                self.returns.asks.insert(*seat, now);
            }
        }
        self.ask_for_seats(now);
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
                let covered = self.seats.get(&id).map(|seat| seat.inputs.cursor());
                // A room that has applied less than it said, or another seat of ours: what is kept does not
                // belong there.
                let is_behind = covered.is_none_or(|covered| covered > seated.cursor);
                if !seated.found || seated.seat != id || is_behind {
                    return Err(VIOLATION);
                }
                let events_missed = self.on_seated(&seated)?;
                if let Some(seat) = self.seats.get(&id) {
                    let receipt = Receipt {
                        away: self
                            .returns
                            .lost_at
                            .map_or(Duration::ZERO, |lost| now.since(lost)),
                        cursor: seated.cursor,
                        inputs_resent: seat.inputs.kept(),
                        events_missed,
                    };
                    unread.push(Event::Resumed {
                        seat: id,
                        receipt,
                        members: seated.members,
                    });
                }
                self.replay_early(id, unread)
            }
            Ok(_) => Err(VIOLATION),
            Err(refusal) => {
                if let Some(wait) = refusal.wait() {
                    self.returns.asks.insert(id, now + wait);
                    return Ok(());
                }
                if self.seats.remove(&id).is_some() {
                    let reason = RoomCloseReason::Gone;
                    unread.push(Event::RoomClosed { seat: id, reason });
                }
                Ok(())
            }
        }
    }
}
