//! Sending to a connection: what a member must not miss and cannot be queued ends it.

use bytes::Bytes;
use rejoin_protocol::connection::{OrderedStream, SendError, Tag};
use rejoin_protocol::message::ServerMessage;
use rejoin_protocol::text::Quoted;
use rejoin_protocol::{CloseReason, Limit, SeatId, messagepack};
use tracing::{debug, error};

use crate::connections::Connections;
use crate::keys::Slot;

impl Connections {
    /// Queues a control message.
    pub(crate) fn tell(&mut self, slot: Slot, message: &ServerMessage) {
        let Some(peer) = self.get_mut(slot) else {
            return;
        };
        let bytes = messagepack::encode(message).expect("our own messages can be written");
        let sent = peer.connection.send_control(bytes.into());
        self.settle(slot, sent);
    }

    /// Queues a message on the ordered stream of a seat.
    pub(crate) fn send_ordered(
        &mut self,
        slot: Slot,
        seat: SeatId,
        message: Bytes,
        tag: Option<Tag>,
    ) {
        let stream = OrderedStream::of_seat(seat);
        let Some(peer) = self.get_mut(slot) else {
            return;
        };
        let sent = peer.connection.send_ordered_on(stream, message, tag);
        self.settle(slot, sent);
    }

    /// Offers a message of the latest lane: head and body.
    pub(crate) fn send_latest(
        &mut self,
        slot: Slot,
        seat: SeatId,
        (head, body): (&[u8], Bytes),
        tag: Option<Tag>,
    ) {
        let Some(peer) = self.get_mut(slot) else {
            return;
        };
        let sent = peer.connection.send_latest(seat.0, head, body, tag);
        self.settle(slot, sent);
    }

    fn settle(&mut self, slot: Slot, sent: Result<(), SendError>) {
        match sent {
            Ok(()) => self.mark_ready(slot),
            // Its end is on the way.
            Err(SendError::Closed) => {}
            Err(SendError::QueueFull) => {
                debug!(?slot, "peer reads too slowly");
                self.doom(slot, CloseReason::OverLimit(Limit::SendQueue));
            }
            Err(problem @ (SendError::TooLong { .. } | SendError::Size(_))) => {
                error!(?slot, %problem, "message was not bounded before it was sent");
                self.doom(slot, CloseReason::InternalError);
            }
            Err(problem) => {
                debug!(?slot, problem = %Quoted(problem), "message could not be queued");
                self.doom(slot, CloseReason::Overloaded);
            }
        }
    }
}
