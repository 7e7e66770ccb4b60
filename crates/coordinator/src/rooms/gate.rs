//! What of a room waits for the medium: acknowledgements and answers of a room that is kept as `synced`, and events that
//! are to be told once they are durable.
//!
//! Owned by the room. A *mark* is how far the store was written when something happened; it is durable once the store
//! is synced up to there.

use std::collections::{BTreeMap, VecDeque};

use rejoin_protocol::PlayerId;
use rejoin_protocol::planted::{self, Bug};

use super::by_player::ByPlayer;
use super::seat::Seat;
use crate::seating::Asked;

/// See the module page.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// How far each member's inputs are acknowledged; `None`: a room that acknowledges what it has applied.
    acks: Option<BTreeMap<PlayerId, Ack>>,
    /// Answers to those who took a seat or came back to one, oldest first: what they are told of it is on the medium.
    answers: VecDeque<Answer>,
    /// Events that wait, oldest first; those after them to the same member wait too.
    fences: VecDeque<Fence>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ack {
    cursor: u64,
    /// What will be acknowledged next, and the mark that it waits for.
    next: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Answer {
    /// `None`: its turn is not over.
    mark: Option<u64>,
    /// The newest input that was applied before.
    cursor: u64,
    asked: Asked,
}

#[derive(Clone, Copy, Debug)]
struct Fence {
    /// `None`: no checkpoint covers it yet.
    mark: Option<u64>,
    player: PlayerId,
    number: u64,
}

impl Gate {
    /// Of a room whose inputs are acknowledged once they are durable, if so asked. All that its seats hold now is.
    pub(crate) fn new(synced: bool, seats: &ByPlayer<Seat>) -> Self {
        let ack = |seat: &Seat| Ack {
            cursor: seat.cursor,
            ..Ack::default()
        };
        let acks = seats.iter().map(|(player, seat)| (*player, ack(seat)));
        Self {
            acks: synced.then(|| acks.collect()),
            answers: VecDeque::new(),
            fences: VecDeque::new(),
        }
    }

    /// The newest input of a seat that may be acknowledged.
    pub(crate) fn cursor(&self, player: PlayerId, seat: &Seat) -> u64 {
        let acks = self.acks.as_ref();
        let acks = acks.filter(|_| !planted::is(Bug::UnsyncedAcknowledged));
        acks.map_or(seat.cursor, |acks| {
            acks.get(&player).map_or(0, |ack| ack.cursor)
        })
    }

    /// Somebody has a seat that stands at `cursor`. True if the answer waits.
    pub(crate) fn hold_answer(&mut self, asked: Asked, cursor: u64) -> bool {
        let holds = self.acks.is_some() && !planted::is(Bug::UnsyncedAcknowledged);
        if holds {
            let mark = None;
            self.answers.push_back(Answer {
                mark,
                cursor,
                asked,
            });
        }
        holds
    }

    /// How many answers wait.
    pub(crate) fn answers(&self) -> usize {
        self.answers.len()
    }

    /// Takes the answers that wait: the room is no more.
    pub(crate) fn take_answers(&mut self) -> Vec<Asked> {
        let answers = std::mem::take(&mut self.answers);
        answers.into_iter().map(|answer| answer.asked).collect()
    }

    /// Calls were applied that are written up to `mark`.
    pub(crate) fn on_applied(&mut self, seats: &ByPlayer<Seat>, mark: u64) {
        let Some(acks) = &mut self.acks else { return };
        for answer in &mut self.answers {
            answer.mark.get_or_insert(mark);
        }
        acks.retain(|player, _| seats.get(player).is_some());
        for (player, seat) in seats {
            let ack = acks.entry(*player).or_default();
            // A seat that was taken anew counts from the beginning.
            if ack.cursor > seat.cursor {
                *ack = Ack::default();
            }
            if seat.cursor > ack.cursor && ack.next.is_none() {
                ack.next = Some((mark, seat.cursor));
            }
        }
    }

    /// An event is to be told once what is written up to `mark` is durable; once a checkpoint covers it if there is none.
    pub(crate) fn hold_event(&mut self, player: PlayerId, number: u64, mark: Option<u64>) {
        self.fences.push_back(Fence {
            mark,
            player,
            number,
        });
    }

    /// True if an event may not be told yet.
    pub(crate) fn holds(&self, player: PlayerId, number: u64) -> bool {
        let mut fences = self.fences.iter();
        let holds = fences.any(|fence| fence.player == player && fence.number <= number);
        holds && !planted::is(Bug::DurableIgnored)
    }

    /// A checkpoint covers all that was applied, and is written up to `mark`.
    pub(crate) fn on_checkpoint(&mut self, mark: u64) {
        for fence in &mut self.fences {
            fence.mark.get_or_insert(mark);
        }
    }

    /// True if something waits for a sync.
    pub(crate) fn waits(&self) -> bool {
        let waiting = |acks: &BTreeMap<_, Ack>| acks.values().any(|ack| ack.next.is_some());
        !self.answers.is_empty()
            || self.fences.iter().any(|fence| fence.mark.is_some())
            || self.acks.as_ref().is_some_and(waiting)
    }

    /// All up to `synced` is durable. Gives what may go on.
    pub(crate) fn on_synced(
        &mut self,
        synced: u64,
        seats: &ByPlayer<Seat>,
        written: u64,
    ) -> Opened {
        let mut opened = Opened::default();
        for ack in self.acks.iter_mut().flat_map(BTreeMap::values_mut) {
            if let Some((_, cursor)) = ack.next.take_if(|(mark, _)| *mark <= synced) {
                ack.cursor = cursor;
                opened.acknowledged = true;
            }
        }
        let is_synced = |answer: &Answer| answer.mark.is_some_and(|mark| mark <= synced);
        while self.answers.front().is_some_and(is_synced) {
            let Some(answer) = self.answers.pop_front() else {
                break;
            };
            let acks = self.acks.as_mut();
            if let Some(ack) = acks.and_then(|acks| acks.get_mut(&answer.asked.player)) {
                ack.cursor = ack.cursor.max(answer.cursor);
            }
            opened.answers.push(answer.asked);
        }
        if opened.acknowledged {
            // What was applied meanwhile waits for the next.
            self.on_applied(seats, written);
        }
        self.fences.retain(|fence| {
            let open = fence.mark.is_some_and(|mark| mark <= synced);
            if open {
                opened.players.push(fence.player);
            }
            !open
        });
        opened
    }
}

/// What need not wait any more.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) acknowledged: bool,
    /// Members whose events go on.
    pub(crate) players: Vec<PlayerId>,
    /// Who is answered now.
    pub(crate) answers: Vec<Asked>,
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::{Incarnation, SessionId};

    use super::*;
    use crate::keys::{Key, SessionKey};
    use crate::mail::Home;
    use crate::rooms::entry::Applicant;

    const ANA: PlayerId = PlayerId(1);

    fn seats(cursor: u64) -> ByPlayer<Seat> {
        let applicant = Applicant {
            session: SessionId([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            incarnation: Incarnation(1),
            name: "ana".into(),
            claims: Vec::new(),
            returns: None,
        };
        let mut seats = ByPlayer::default();
        let mut seat = Seat::new(&applicant, rejoin_protocol::Stay(1));
        seat.cursor = cursor;
        seats.insert(ANA, seat);
        seats
    }

    fn acknowledged(gate: &Gate, seats: &ByPlayer<Seat>) -> u64 {
        gate.cursor(ANA, seats.get(&ANA).unwrap())
    }

    #[test]
    fn inputs_are_acknowledged_once_they_are_synced() {
        let mut gate = Gate::new(true, &seats(3));
        assert_eq!(acknowledged(&gate, &seats(3)), 3);
        gate.on_applied(&seats(5), 10);
        gate.on_applied(&seats(6), 11);
        assert_eq!(acknowledged(&gate, &seats(6)), 3);
        assert!(!gate.on_synced(9, &seats(6), 11).acknowledged && gate.waits());
        assert!(gate.on_synced(10, &seats(6), 11).acknowledged);
        assert_eq!(acknowledged(&gate, &seats(6)), 5);
        assert!(gate.on_synced(11, &seats(6), 11).acknowledged && !gate.waits());
        assert_eq!(acknowledged(&gate, &seats(6)), 6);
    }

    #[test]
    fn a_seat_that_is_taken_anew_begins_anew() {
        let mut gate = Gate::new(true, &seats(3));
        gate.on_applied(&ByPlayer::default(), 4);
        gate.on_applied(&seats(0), 5);
        assert_eq!(acknowledged(&gate, &seats(0)), 0);
        let mut gate = Gate::new(true, &seats(3));
        gate.on_applied(&seats(1), 5);
        assert_eq!(acknowledged(&gate, &seats(1)), 0);
    }

    #[test]
    fn who_has_a_seat_is_answered_once_that_is_synced() {
        let asked = Asked {
            player: ANA,
            incarnation: Incarnation(1),
            home: Home::Here(SessionKey::from_index(0)),
            call: 1,
            created: false,
            fresh: false,
        };
        let mut gate = Gate::new(true, &seats(3));
        gate.on_applied(&seats(5), 10);
        gate.on_applied(&seats(6), 11);
        assert!(gate.hold_answer(asked, 6) && gate.waits());
        gate.on_applied(&seats(6), 12);
        assert_eq!(gate.on_synced(11, &seats(6), 12).answers, []);
        gate.on_applied(&seats(7), 13);
        assert_eq!(gate.on_synced(11, &seats(7), 13).answers, []);
        assert_eq!(gate.on_synced(12, &seats(7), 13).answers, [asked]);
        assert_eq!(acknowledged(&gate, &seats(7)), 6, "all before it is");
        assert_eq!(gate.answers(), 0);
        assert!(!Gate::new(false, &seats(3)).hold_answer(asked, 3));
    }

    #[test]
    fn a_room_that_is_not_synced_acknowledges_what_it_applied() {
        let mut gate = Gate::new(false, &seats(3));
        gate.on_applied(&seats(7), 10);
        assert_eq!(acknowledged(&gate, &seats(7)), 7);
        assert!(!gate.waits());
    }

    #[test]
    fn an_event_holds_those_after_it_until_it_is_durable() {
        let mut gate = Gate::new(false, &seats(0));
        gate.hold_event(ANA, 4, Some(10));
        gate.hold_event(ANA, 6, None);
        assert!(!gate.holds(ANA, 3) && gate.holds(ANA, 5) && !gate.holds(PlayerId(2), 5));
        assert_eq!(gate.on_synced(10, &seats(0), 10).players, [ANA]);
        assert!(!gate.holds(ANA, 5) && gate.holds(ANA, 6) && !gate.waits());
        gate.on_checkpoint(12);
        assert!(gate.waits());
        assert_eq!(gate.on_synced(12, &seats(0), 12).players, [ANA]);
        assert!(!gate.holds(ANA, 6));
    }
}
