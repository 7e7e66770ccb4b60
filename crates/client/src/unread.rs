//! Events that wait to be taken by the caller.

use std::collections::VecDeque;

use rejoin_protocol::limits::{EVENTS_UNREAD_BYTES_MAX, EVENTS_UNREAD_MAX, SEATS_MAX, VIEW_MAX};

use crate::event::Event;

/// Beyond so many unread events a newer view takes the place of an unread older one: a caller that
/// drains as told never gets there, and one that pauses wants the newest alone.
const VIEWS_KEPT: usize = 64;
const _: () = assert!(
    EVENTS_UNREAD_BYTES_MAX - (VIEWS_KEPT + SEATS_MAX) * VIEW_MAX >= 2 * 1024 * 1024,
    "views leave room for events"
);

/// A queue of events, bounded in count and bytes.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    queue: VecDeque<Event>,
    /// Bytes of their payloads and texts.
    bytes: usize,
    overflowed: bool,
}

impl Unread {
    /// Queues an event. One beyond the bound is dropped, and the queue says so from then on.
    pub(crate) fn push(&mut self, event: Event) {
        let older = match self.queue.len() {
            0..VIEWS_KEPT => None,
            _ => self.replaced_by(&event),
        };
        let freed = older.map_or(0, |older| self.queue.get(older).map_or(0, Event::bytes));
        let bytes = self.bytes - freed + event.bytes();
        let is_full = older.is_none() && self.queue.len() >= EVENTS_UNREAD_MAX;
        if is_full || bytes > EVENTS_UNREAD_BYTES_MAX {
            self.overflowed = true;
            return;
        }
        self.bytes = bytes;
        match older.and_then(|older| self.queue.get_mut(older)) {
            Some(older) => *older = event,
            None => self.queue.push_back(event),
        }
    }

    /// Queues the last event, whatever the bound.
    pub(crate) fn push_last(&mut self, event: Event) {
        self.bytes += event.bytes();
        self.queue.push_back(event);
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        self.bytes -= event.bytes();
        Some(event)
    }

    /// True if an event had to be dropped: the session cannot go on.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The newest unread view of the same seat, in whose place a newer one goes so that views keep
    /// their order. One from before the seat was given up or taken belongs to another room.
    fn replaced_by(&self, event: &Event) -> Option<usize> {
        let Event::View { seat: of, .. } = event else {
            return None;
        };
        let newest_first = self.queue.iter().enumerate().rev();
        let mut own = newest_first.take_while(|(_, unread)| !may_rename_seats(unread));
        let older =
            own.find(|(_, unread)| matches!(unread, Event::View { seat, .. } if seat == of));
        older.map(|(index, _)| index)
    }
}

/// True if a seat's name may mean another seat after this event.
fn may_rename_seats(event: &Event) -> bool {
    matches!(event, Event::Answer { .. } | Event::RoomClosed { .. })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rejoin_protocol::message::{Answer, RoomCloseReason, SeatChange};
    use rejoin_protocol::{Liveness, PlayerId, Refusal, RefusalCode, Rng, SeatId};

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
            bytes: 0,
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
            reason: RoomCloseReason::ClosedByOwner,
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

    #[test]
    fn whatever_a_server_tells_the_queue_is_bounded_in_count_and_bytes() {
        for seed in 0..24 {
            let mut rng = Rng::from_number(seed);
            let mut unread = Unread::default();
            let longest = [2, 3_000, VIEW_MAX][rng.index(3)];
            // A game that takes nothing, or a little.
            let diligence = [0.0, 0.2][rng.index(2)];
            let mut refused = false;
            for sequence in 0..10_000 {
                let bytes = Bytes::from(vec![0; 1 + rng.index(longest)]);
                let event = any_event(&mut rng, sequence, bytes);
                let (before, is_view) = (unread.queue.len(), matches!(event, Event::View { .. }));
                let bytes = unread.bytes + event.bytes();
                unread.overflowed = false;
                unread.push(event);
                let full = before == EVENTS_UNREAD_MAX || bytes > EVENTS_UNREAD_BYTES_MAX;
                assert!(is_view || unread.overflowed() == full);
                assert!(unread.queue.len() <= EVENTS_UNREAD_MAX);
                assert!(unread.bytes <= EVENTS_UNREAD_BYTES_MAX);
                refused |= unread.overflowed();
                if rng.chance(diligence) {
                    unread.pop();
                }
                if sequence % 500 == 0 {
                    let held: usize = unread.queue.iter().map(Event::bytes).sum();
                    assert_eq!(held, unread.bytes, "every byte is counted");
                }
            }
            assert!(refused, "it was filled");
        }
    }

    fn any_event(rng: &mut Rng, sequence: u64, bytes: Bytes) -> Event {
        let seat = SeatId(u16::try_from(rng.below(16)).unwrap());
        let word = || "x".repeat(bytes.len() / 4);
        match rng.below(12) {
            0 => Event::RoomClosed {
                seat,
                reason: RoomCloseReason::Removed(word()),
            },
            1 => Event::InputRefused {
                seat,
                number: sequence,
                refusal: Refusal::new(RefusalCode::RoomFailed, word()),
            },
            2 => Event::Seat {
                seat,
                player: PlayerId(sequence),
                name: word(),
                change: SeatChange::Joined,
            },
            3 => Event::Link(Liveness::Live),
            4 => Event::Answer {
                call: 0,
                result: Ok(Answer::Left),
            },
            5..8 => {
                let mut event = view(sequence);
                if let Event::View { seat: of, view, .. } = &mut event {
                    (*of, *view) = (seat, bytes);
                }
                event
            }
            _ => Event::Room {
                seat,
                number: sequence,
                payload: bytes,
            },
        }
    }
}
