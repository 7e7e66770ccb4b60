//! What the clients of one player were told of a room's events, one client after another.
//!
//! The room numbers them for the stay, so numbers go on from client to client while the seat is held.

use std::collections::BTreeMap;

use rejoin_protocol::Stay;
use rejoin_protocol::message::Seated;

use crate::report::{Violation, ensure};

/// All stays.
#[derive(Debug, Default)]
pub(crate) struct Hearings {
    by_stay: BTreeMap<Stay, Hearing>,
}

/// What was heard in one stay.
#[derive(Debug, Default)]
struct Hearing {
    /// The newest that some client was told, or told that it is lost.
    newest: u64,
    /// What events said, by the losses of power before them, and number.
    said: BTreeMap<(u64, u64), u64>,
}

/// Events remembered per seat: more than a room keeps.
const SAID_MAX: usize = 1_024;

impl Hearings {
    /// A client is told where events go on, by its first answer for the room. `unsure` if another client may have
    /// got some that it never told.
    pub(crate) fn seated(&mut self, told: &Seated, unsure: bool) -> Result<(), Violation> {
        let hearing = self.by_stay.entry(told.stay).or_default();
        let (event, dropped) = (told.event, told.events_dropped);
        let newest = hearing.newest;
        let words = || {
            let (player, room) = (told.player, told.room);
            format!("{player} in {room}: {dropped} dropped up to {event}, told up to {newest}")
        };
        if !told.found {
            let fits = event == 0 && dropped == 0;
            return ensure(fits, "events of a fresh seat begin at 1", words);
        }
        let fits = unsure || event <= newest + dropped;
        ensure(fits, "no event is passed over in silence", words)?;
        hearing.newest = newest.max(event);
        Ok(())
    }

    /// A client is told an event. True if another client was told it before.
    pub(crate) fn told(
        &mut self,
        (stay, generation): (Stay, u64),
        number: u64,
        said: u64,
    ) -> Result<bool, Violation> {
        let hearing = self.by_stay.entry(stay).or_default();
        let before = hearing.said.insert((generation, number), said);
        let fits = before.is_none_or(|before| before == said);
        ensure(fits, "an event keeps its number", || {
            format!("{stay:?}: another {number} than before")
        })?;
        if hearing.said.len() > SAID_MAX {
            hearing.said.pop_first();
        }
        hearing.newest = hearing.newest.max(number);
        Ok(before.is_some())
    }

    /// A client is told that it will never get some, up to `number`.
    pub(crate) fn missed(&mut self, stay: Stay, number: u64) {
        let hearing = self.by_stay.entry(stay).or_default();
        hearing.newest = hearing.newest.max(number);
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::{PlayerId, RoomId, SeatId};

    use super::*;

    const STAY: Stay = Stay(3);

    fn answer(found: bool, event: u64, dropped: u64) -> Seated {
        Seated {
            seat: SeatId(0),
            room: RoomId([1; 16]),
            stay: STAY,
            kind: "witness".into(),
            version: 1,
            tick_hz: 0,
            player: PlayerId(5),
            cursor: 0,
            event,
            events_dropped: dropped,
            inputs_lost: 0,
            created: false,
            found,
            members: Vec::new(),
            code: None,
        }
    }

    fn heard(events: u64) -> Hearings {
        let mut hearings = Hearings::default();
        hearings.seated(&answer(false, 0, 0), false).unwrap();
        for number in 1..=events {
            assert_eq!(hearings.told((STAY, 0), number, number * 7), Ok(false));
        }
        hearings
    }

    #[test]
    fn what_no_client_was_told_is_sent_or_said_to_be_lost() {
        let mut hearings = heard(5);
        assert!(hearings.seated(&answer(true, 3, 0), false).is_ok());
        assert_eq!(hearings.told((STAY, 0), 4, 28), Ok(true));
        assert!(hearings.seated(&answer(true, 6, 0), false).is_err());
        assert!(hearings.seated(&answer(true, 6, 0), true).is_ok());
        assert!(hearings.seated(&answer(true, 9, 3), false).is_ok());
        assert!(hearings.seated(&answer(true, 10, 0), false).is_err());
        hearings.missed(STAY, 12);
        assert!(hearings.seated(&answer(true, 12, 0), false).is_ok());
    }

    #[test]
    fn a_fresh_seat_hears_from_the_first_and_a_number_means_one_event() {
        let mut hearings = heard(5);
        assert!(hearings.told((STAY, 0), 5, 1).is_err());
        assert!(hearings.seated(&answer(false, 5, 0), false).is_err());
        let other = Seated {
            stay: Stay(4),
            ..answer(false, 0, 0)
        };
        assert!(hearings.seated(&other, false).is_ok());
        assert_eq!(hearings.told((other.stay, 0), 1, 99), Ok(false));
    }
}
