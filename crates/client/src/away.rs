//! A session between two connections: its seats, and the hello that will bring it back.
//!
//! Nothing is lost meanwhile. Reliable inputs are kept up to their bound, requests wait, and the game goes on
//! seeing what it saw last.

use std::collections::BTreeMap;

use bytes::Bytes;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::message::{CallId, ClientMessage};
use rejoin_protocol::{LinkStats, SeatId, Timestamp};

use crate::calls::{Call, Calls};
use crate::event::Loss;
use crate::inputs;
use crate::joining::Joining;
use crate::seat::Seat;

/// See the module page.
#[derive(Debug)]
pub(crate) struct Away {
    pub(crate) joining: Joining,
    pub(crate) kept: Kept,
    pub(crate) loss: Loss,
    /// The link as it was.
    pub(crate) link: LinkStats,
}

/// What a session takes from one connection to the next.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) seats: BTreeMap<SeatId, Seat>,
    pub(crate) calls: Calls,
    /// When the connection was lost.
    pub(crate) since: Timestamp,
}

impl Away {
    /// Opens a request, to be made on the next connection.
    pub(crate) fn request(
        &mut self,
        call: Call,
        message: impl FnOnce(CallId) -> ClientMessage,
    ) -> Result<CallId, SendError> {
        let calls = &mut self.kept.calls;
        let id = calls.next().ok_or(SendError::QueueFull)?;
        calls.open(id, call, message(id));
        Ok(id)
    }

    /// Keeps a reliable input for the next connection; gives its number.
    pub(crate) fn send(&mut self, seat: SeatId, payload: Bytes) -> Result<u64, SendError> {
        let seat = self.kept.seats.get_mut(&seat).ok_or(SendError::Closed)?;
        let number = seat.inputs.next(payload.len())?;
        seat.inputs.keep_back(number, payload);
        Ok(number)
    }

    /// A latest input is old before anybody could see it.
    pub(crate) fn latest(&self, seat: SeatId, payload: &Bytes) -> Result<(), SendError> {
        inputs::check_len(payload.len())?;
        let known = self.kept.seats.contains_key(&seat);
        known.then_some(()).ok_or(SendError::Closed)
    }

    pub(crate) fn cursor(&self, seat: SeatId) -> Option<u64> {
        self.kept.seats.get(&seat).map(|seat| seat.inputs.cursor())
    }
}
