//! What rooms tell a seat: events and snapshots. What overtakes the answer that names the seat waits for it.

use bytes::Bytes;
use rejoin_protocol::room_message::{RoomMessage, SnapshotHead};
use rejoin_protocol::wire::Reader;
use rejoin_protocol::{CloseReason, SeatId};

use super::Active;
use crate::early::EarlyMessage;
use crate::end::{End, VIOLATION};
use crate::event::Event;
use crate::seat::EventOrder;
use crate::unread::Unread;
use crate::views::Received;

impl Active {
    pub(crate) fn replay_early(&mut self, seat: SeatId, unread: &mut Unread) -> Result<(), End> {
        for message in self.early.take(seat) {
            match message {
                EarlyMessage::Snapshot(message) => self.on_snapshot(seat, message, unread)?,
                EarlyMessage::Missed { number } => self.on_missed(seat, number, unread)?,
                EarlyMessage::Event { number, payload } => {
                    // One out of order was meant for an earlier holder of the seat's number.
                    let _ = self.on_event(seat, number, payload, unread);
                }
            }
        }
        Ok(())
    }

    pub(super) fn on_ordered(&mut self, message: &Bytes, unread: &mut Unread) -> Result<(), End> {
        match RoomMessage::decode(message).map_err(|_| VIOLATION)? {
            RoomMessage::Event {
                seat,
                number,
                payload,
            } => self.on_event(seat, number, payload, unread),
            RoomMessage::Missed { seat, number } => self.on_missed(seat, number, unread),
            RoomMessage::Snapshot { seat, payload } => self.on_snapshot(seat, payload, unread),
            // Inputs go the other way; nothing else decodes.
            RoomMessage::Input { .. } => Err(VIOLATION),
            _ => Err(VIOLATION),
        }
    }

    pub(super) fn on_event(
        &mut self,
        id: SeatId,
        number: u64,
        payload: Bytes,
        unread: &mut Unread,
    ) -> Result<(), End> {
        let seat = self.seats.get_mut(&id).filter(|seat| !seat.waits());
        let Some(seat) = seat else {
            return self.keep_early(id, EarlyMessage::Event { number, payload });
        };
        match seat.events.take(number) {
            EventOrder::Next => unread.push(Event::Room {
                seat: id,
                number,
                payload,
            }),
            EventOrder::Repeated => {}
            EventOrder::Gap => return Err(VIOLATION),
        }
        Ok(())
    }

    pub(super) fn on_missed(
        &mut self,
        id: SeatId,
        number: u64,
        unread: &mut Unread,
    ) -> Result<(), End> {
        let seat = self.seats.get_mut(&id).filter(|seat| !seat.waits());
        let Some(seat) = seat else {
            return self.keep_early(id, EarlyMessage::Missed { number });
        };
        let count = seat.events.pass_over(number);
        if count > 0 {
            unread.push(Event::EventsMissed { seat: id, count });
        }
        Ok(())
    }

    pub(super) fn on_snapshot(
        &mut self,
        id: SeatId,
        message: Bytes,
        unread: &mut Unread,
    ) -> Result<(), End> {
        let seat = self.seats.get_mut(&id).filter(|seat| !seat.waits());
        let Some(seat) = seat else {
            return self.keep_early(id, EarlyMessage::Snapshot(message));
        };
        let mut reader = Reader::new(&message);
        let head = SnapshotHead::decode(&mut reader).map_err(|_| VIOLATION)?;
        let body = message.slice_ref(reader.rest());
        // The cursor is good even if the view is not.
        seat.inputs.cover(head.cursor);
        match seat.views.handle_snapshot(&head, &body) {
            Received::Newer(view) => unread.push(Event::View {
                seat: id,
                sequence: head.sequence,
                tick: head.tick,
                cursor: head.cursor,
                view,
                private: head.private,
                full: head.base.is_none(),
                bytes: message.len(),
            }),
            Received::Known | Received::Unusable => {}
        }
        Ok(())
    }

    /// Keeps a message for a seat that an answer may still name; else it came for a seat given up.
    fn keep_early(&mut self, seat: SeatId, message: EarlyMessage) -> Result<(), End> {
        if !self.calls.may_take_seat() {
            return Ok(());
        }
        self.early
            .keep(seat, message)
            .map_err(|_| End::Close(CloseReason::Overloaded))
    }
}
