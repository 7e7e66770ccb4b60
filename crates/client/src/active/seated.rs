//! Seats that are taken, found again, and carried from one connection to the next.

use rejoin_protocol::limits::SEATS_MAX;
use rejoin_protocol::message::{Held, Seated};
use rejoin_protocol::{RoomId, SeatId};

use super::Active;
use crate::end::{End, VIOLATION};
use crate::seat::Seat;

impl Active {
    /// What this client has of its seat in `room`, if it has one.
    pub(crate) fn held(&self, room: RoomId) -> Option<Held> {
        let mut seats = self.seats.values();
        let seat = seats.find(|seat| seat.room == room);
        seat.map(Seat::held)
    }

    /// A seat was taken, or found again. Gives how many of its events will never come.
    pub(crate) fn on_seated(&mut self, seated: &Seated) -> Result<u64, End> {
        let mut seats = self.seats.iter_mut();
        let known = seats.find(|(_, seat)| seat.room == seated.room);
        if let Some((id, seat)) = known {
            let id = *id;
            if seat.is_of(seated) && id == seated.seat && !seat.waits() {
                // Asked twice on one connection: what was sent is still on its way.
                seat.inputs.cover(seated.cursor);
                seat.inputs_lost = seat.inputs_lost.max(seated.inputs_lost);
                return Ok(0);
            }
            if let Some(mut seat) = self.seats.remove(&id).filter(|seat| seat.is_of(seated)) {
                let missed = seat.resume(seated);
                self.insert(seated.seat, seat)?;
                return Ok(missed);
            }
        }
        // Nothing is known of it: not of one that takes the place of one that was lost either.
        self.insert(seated.seat, Seat::new(seated))?;
        Ok(seated.events_dropped)
    }

    /// Puts a seat where the room says.
    fn insert(&mut self, id: SeatId, seat: Seat) -> Result<(), End> {
        if self.seats.len() >= SEATS_MAX {
            return Err(VIOLATION);
        }
        match self.seats.insert(id, seat) {
            None => Ok(()),
            // One of that name that waited was dropped before.
            Some(_) => Err(VIOLATION),
        }
    }
}
