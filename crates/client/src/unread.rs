//! Events that wait to be taken by the caller.

use std::collections::VecDeque;

use rejoin_protocol::limits::EVENTS_UNREAD_MAX;

use crate::event::Event;

/// Beyond so many unread events a newer view takes the place of an unread older one: a caller that
/// drains as told never gets there, and one that pauses wants the newest alone.
const VIEWS_KEPT: usize = 64;

/// A bounded queue of events.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    queue: VecDeque<Event>,
    overflowed: bool,
}

impl Unread {
    /// Queues an event. One beyond the bound is dropped, and the queue says so from then on.
    pub(crate) fn push(&mut self, event: Event) {
        if self.queue.len() < VIEWS_KEPT || !self.replaces(&event) {
            self.append(event);
        }
    }

    /// Queues the last event, whatever the bound.
    pub(crate) fn push_last(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }

    /// True if an event had to be dropped: the session cannot go on.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    fn append(&mut self, event: Event) {
        if self.queue.len() < EVENTS_UNREAD_MAX {
            self.queue.push_back(event);
        } else {
            self.overflowed = true;
        }
    }

    /// Puts a view in the place of the newest unread one of the same seat, so that views keep their
    /// order. One from before the seat was given up or taken belongs to another room.
    fn replaces(&mut self, event: &Event) -> bool {
        let Event::View { seat: of, .. } = event else {
            return false;
        };
        let newest_first = self.queue.iter_mut().rev();
        let mut own = newest_first.take_while(|unread| !may_rename_seats(unread));
        let older = own.find(|unread| matches!(unread, Event::View { seat, .. } if seat == of));
        match older {
            Some(older) => {
                older.clone_from(event);
                true
            }
            None => false,
        }
    }
}

/// True if a seat's name may mean another seat after this event.
fn may_rename_seats(event: &Event) -> bool {
    matches!(event, Event::Answer { .. } | Event::RoomClosed { .. })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rejoin_protocol::{Liveness, SeatId};

    use super::*;

    fn view(sequence: u64) -> Event {
        Event::View {
            seat: SeatId(1),
            sequence,
            tick: 0,
            cursor: 0,
            view: Bytes::new(),
            private: false,
            full: true,
        }
    }

    #[test]
    fn a_caller_that_drains_sees_every_view() {
        let mut unread = Unread::default();
        unread.push(view(1));
        unread.push(view(2));
        assert_eq!(
            [unread.pop(), unread.pop(), unread.pop()],
            [Some(view(1)), Some(view(2)), None]
        );
    }

    #[test]
    fn a_caller_that_pauses_finds_the_newest_view_alone() {
        let mut unread = Unread::default();
        for _ in 0..VIEWS_KEPT {
            unread.push(Event::Link(Liveness::Live));
        }
        unread.push(view(1));
        unread.push(view(2));
        let views: Vec<_> = std::iter::from_fn(|| unread.pop())
            .filter(|event| matches!(event, Event::View { .. }))
            .collect();
        assert_eq!(views, [view(2)]);
    }

    #[test]
    fn views_keep_their_order_when_one_takes_the_place_of_another() {
        let mut unread = Unread::default();
        unread.push(view(1));
        unread.push(view(2));
        for _ in 2..VIEWS_KEPT {
            unread.push(Event::Link(Liveness::Live));
        }
        unread.push(view(3));
        let views: Vec<_> = std::iter::from_fn(|| unread.pop())
            .filter(|event| matches!(event, Event::View { .. }))
            .collect();
        assert_eq!(views, [view(1), view(3)]);
    }

    #[test]
    fn a_view_of_a_seat_taken_again_stays_behind_what_says_so() {
        let closed = || Event::RoomClosed {
            seat: SeatId(1),
            reason: rejoin_protocol::message::RoomCloseReason::ClosedByOwner,
        };
        let mut unread = Unread::default();
        unread.push(view(7));
        for _ in 1..VIEWS_KEPT {
            unread.push(closed());
        }
        unread.push(view(1));
        let events: Vec<_> = std::iter::from_fn(|| unread.pop()).collect();
        assert_eq!(events.first(), Some(&view(7)));
        assert_eq!(events.last(), Some(&view(1)));
    }

    #[test]
    fn an_overflow_is_told_and_the_last_event_still_arrives() {
        let mut unread = Unread::default();
        for _ in 0..EVENTS_UNREAD_MAX {
            unread.push(Event::Link(Liveness::Live));
        }
        assert!(!unread.overflowed());
        unread.push(Event::Link(Liveness::Suspect));
        assert!(unread.overflowed());
        unread.push_last(Event::Ended(crate::Ended::Left));
        let last = std::iter::from_fn(|| unread.pop()).last();
        assert_eq!(last, Some(Event::Ended(crate::Ended::Left)));
    }
}
