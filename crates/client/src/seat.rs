//! A seat as its holder keeps it: inputs up, views and events down.

use rejoin_protocol::message::{Held, Seated};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::{RoomId, Stay};

use crate::inputs::Inputs;
use crate::views::Views;

/// One seat of the session.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) room: RoomId,
    stay: Stay,
    pub(crate) inputs: Inputs,
    /// Inputs of the stay that the room has lost, as far as it said.
    pub(crate) inputs_lost: u64,
    pub(crate) views: Views,
    pub(crate) events: EventNumbers,
    waits: bool,
}

impl Seat {
    /// A seat that was taken, or found by a client that knows nothing of it.
    pub(crate) fn new(seated: &Seated) -> Self {
        Self {
            room: seated.room,
            stay: seated.stay,
            inputs: Inputs::new(seated.cursor),
            inputs_lost: seated.inputs_lost,
            views: Views::default(),
            events: EventNumbers(seated.event),
            waits: false,
        }
    }

    /// The connection is lost on which the seat was had. What it holds serves on the next one, once the room has
    /// answered there; until then inputs wait, and the name means nothing.
    pub(crate) fn on_connection_lost(&mut self) {
        self.waits = true;
        self.inputs.hand_again();
        self.views.on_connection_lost();
    }

    /// True until the room has answered on the present connection.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// True if the answer is of the stay that is known.
    pub(crate) fn is_of(&self, seated: &Seated) -> bool {
        let same_stay = self.stay == seated.stay || planted::is(Bug::StayIgnored);
        self.room == seated.room && same_stay
    }

    /// True if the seat waits and the answer says that it is there still. A room that has applied less than it once
    /// said has forgotten some of the stay.
    pub(crate) fn goes_on(&self, seated: &Seated) -> bool {
        let forgets = self.inputs.cursor() > seated.cursor && !planted::is(Bug::StayIgnored);
        self.waits && self.is_of(seated) && !forgets
    }

    /// What the room is told as the seat is asked for again.
    pub(crate) fn held(&self) -> Held {
        Held {
            stay: self.stay,
            event: self.events.0,
            input: self.inputs.cursor(),
            snapshot: self.views.newest_shared(),
        }
    }

    /// The room found the seat again, on another connection or under another name: inputs that it has not applied
    /// go out again, and events go on. Gives how many of them will never come.
    pub(crate) fn resume(&mut self, seated: &Seated) -> u64 {
        self.waits = false;
        self.inputs_lost = seated.inputs_lost;
        self.inputs.cover(seated.cursor);
        self.inputs.hand_again();
        self.events.pass_over(seated.event)
    }
}

/// Number of the newest event that was told, or that will never come. It goes on over connections, so that each
/// event is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventNumbers(u64);

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
    /// Takes the event of that number, unless it is not the next.
    pub(crate) fn take(&mut self, number: u64) -> EventOrder {
        let next = self.0.saturating_add(1);
        if number > next {
            return EventOrder::Gap;
        }
        if number < next && !planted::is(Bug::EventsSentAgain) {
            return EventOrder::Repeated;
        }
        self.0 = number;
        EventOrder::Next
    }

    /// The next is the one after `event`. Gives how many are missed by it.
    pub(crate) fn pass_over(&mut self, event: u64) -> u64 {
        let missed = event.saturating_sub(self.0);
        self.0 = self.0.max(event);
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_taken_once_and_in_order() {
        let mut numbers = EventNumbers(0);
        assert_eq!(numbers.take(1), EventOrder::Next);
        assert_eq!(numbers.take(1), EventOrder::Repeated);
        assert_eq!(numbers.take(3), EventOrder::Gap);
        assert_eq!(numbers.take(2), EventOrder::Next);
        assert_eq!(numbers.take(3), EventOrder::Next);
    }

    #[test]
    fn a_seat_found_again_goes_on_after_its_last_event() {
        assert_eq!(EventNumbers(7).take(7), EventOrder::Repeated);
        assert_eq!(EventNumbers(7).take(8), EventOrder::Next);
        assert_eq!(EventNumbers(7).take(9), EventOrder::Gap);
        assert_eq!(EventNumbers(u64::MAX).take(u64::MAX), EventOrder::Next);
    }

    #[test]
    fn events_that_will_never_come_are_counted_once() {
        let mut numbers = EventNumbers(7);
        assert_eq!(numbers.pass_over(5), 0, "those after it are sent again");
        assert_eq!(numbers.take(6), EventOrder::Repeated);
        assert_eq!(numbers.pass_over(10), 3);
        assert_eq!(numbers.pass_over(10), 0);
        assert_eq!(numbers.take(11), EventOrder::Next);
    }
}
