//! A seat as its holder keeps it: inputs up, views and events down.

use rejoin_protocol::message::Seated;
use rejoin_protocol::{Epoch, RoomId};

use crate::inputs::Inputs;
use crate::views::Views;

/// One seat of the session.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) room: RoomId,
    pub(crate) inputs: Inputs,
    pub(crate) views: Views,
    pub(crate) events: EventNumbers,
    /// The room has yet to say, on this connection, how far it has come: inputs wait for that.
    pub(crate) is_away: bool,
    /// The server process that it was last known to.
    epoch: Epoch,
}

impl Seat {
    pub(crate) fn new(seated: &Seated) -> Self {
        Self {
            room: seated.room,
            inputs: Inputs::new(seated.cursor),
            views: Views::default(),
            events: EventNumbers::after(seated.event),
            is_away: false,
            epoch: Epoch::default(),
        }
    }

    /// The connection is lost: what was handed to it may not have arrived.
    pub(crate) fn on_connection_lost(&mut self, epoch: Epoch) {
        if !self.is_away {
            self.epoch = epoch;
        }
        self.is_away = true;
        self.inputs.hand_again();
    }

    /// True if the seat waits and the answer is of the same stay: a room that has applied less than it once said
    /// has begun anew with us, and no room outlives its server's process.
    pub(crate) fn goes_on(&self, seated: &Seated, epoch: Epoch) -> bool {
        let same = self.room == seated.room && self.epoch == epoch;
        self.is_away && same && self.inputs.cursor() <= seated.cursor
    }

    /// The room gave the seat another name: events count anew, and inputs that the room has not
    /// applied go out again.
    pub(crate) fn rename(&mut self, seated: &Seated) {
        self.inputs.cover(seated.cursor);
        self.inputs.hand_again();
        self.is_away = false;
        self.events = EventNumbers::after(seated.event);
    }
}

/// Which event number comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventNumbers {
    /// The first may be any up to this: what was sent before the answer may travel behind it.
    UpTo(u64),
    /// All but this one are out of order.
    Next(u64),
}

/// Where an event stands in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventOrder {
    /// It is the next.
    Next,
    /// It was told before.
    Repeated,
    /// One before it is missing.
    Gap,
}

impl EventNumbers {
    /// For a seat to which `event` events had been sent when it was named.
    fn after(event: u64) -> Self {
        Self::UpTo(event.saturating_add(1))
    }

    pub(crate) fn take(&mut self, number: u64) -> EventOrder {
        let order = match *self {
            Self::UpTo(most) if number <= most => EventOrder::Next,
            Self::Next(next) if number == next => EventOrder::Next,
            Self::Next(next) if number < next => EventOrder::Repeated,
            Self::UpTo(_) | Self::Next(_) => EventOrder::Gap,
        };
        if order == EventOrder::Next {
            *self = Self::Next(number.saturating_add(1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_taken_once_and_in_order() {
        let mut numbers = EventNumbers::after(0);
        assert_eq!(numbers.take(1), EventOrder::Next);
        assert_eq!(numbers.take(1), EventOrder::Repeated);
        assert_eq!(numbers.take(3), EventOrder::Gap);
        assert_eq!(numbers.take(2), EventOrder::Next);
        assert_eq!(numbers.take(3), EventOrder::Next);
    }

    #[test]
    fn what_was_sent_before_the_answer_may_follow_it() {
        let mut numbers = EventNumbers::after(2);
        assert_eq!(numbers.take(1), EventOrder::Next);
        assert_eq!(numbers.take(2), EventOrder::Next);
        assert_eq!(numbers.take(4), EventOrder::Gap);
    }

    #[test]
    fn a_seat_found_again_goes_on_after_its_last_event() {
        assert_eq!(EventNumbers::after(7).take(8), EventOrder::Next);
        assert_eq!(EventNumbers::after(7).take(9), EventOrder::Gap);
        assert_eq!(
            EventNumbers::after(u64::MAX).take(u64::MAX),
            EventOrder::Next
        );
    }
}
