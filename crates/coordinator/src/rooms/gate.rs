//! What of a room waits for the medium: all that a room which is kept as `synced` tells of itself, and events that are to
//! be told once they are durable.
//!
//! Owned by the room. A *mark* is how far the store was written when something happened; it is durable once the store
//! is synced up to there. What happens within a turn has its mark once the turn is written.

use std::collections::VecDeque;

use rejoin_protocol::PlayerId;
use rejoin_protocol::planted::{self, Bug};

use super::by_player::ByPlayer;
use super::queue::Asked;

/// See the module page.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Everything waits.
    synced: bool,
    /// Answers to those who took a seat or came back to one, oldest first.
    answers: VecDeque<(Mark, Asked)>,
    /// The newest view. No other is made meanwhile.
    view: Option<Mark>,
    /// Events by whom they are for, oldest first; those after them to the same member wait too.
    fences: ByPlayer<VecDeque<Fence>>,
}

/// `None`: it is not written yet, or no checkpoint covers it yet.
type Mark = Option<u64>;

#[derive(Clone, Copy, Debug)]
struct Fence {
    mark: Mark,
    /// The first event of that mark.
    number: u64,
}

impl Gate {
    /// Of a room of which everything waits, if so asked.
    pub(crate) fn new(synced: bool) -> Self {
        Self {
            synced: synced && !planted::is(Bug::UnsyncedAcknowledged),
            ..Self::default()
        }
    }

    /// True if everything waits.
    pub(crate) const fn is_synced(&self) -> bool {
        self.synced
    }

    /// Somebody has a seat, and is answered later.
    pub(crate) fn hold_answer(&mut self, asked: Asked) {
        self.answers.push_back((None, asked));
    }

    /// How many answers wait.
    pub(crate) fn answers(&self) -> usize {
        self.answers.len()
    }

    /// Takes the answers that wait: the room is no more.
    pub(crate) fn take_answers(&mut self) -> impl Iterator<Item = Asked> {
        let answers = std::mem::take(&mut self.answers);
        answers.into_iter().map(|(_, asked)| asked)
    }

    /// A view was made of what is written up to `mark`, which is sent later.
    pub(crate) fn hold_view(&mut self, mark: u64) {
        self.view = Some(Some(mark));
    }

    /// True if the newest view may not be sent yet.
    pub(crate) const fn holds_view(&self) -> bool {
        self.view.is_some()
    }

    /// An event is told later.
    pub(crate) fn hold_event(&mut self, player: PlayerId, number: u64) {
        let fences = self.fences.get_or_insert_with(player, VecDeque::new);
        if fences.back().is_none_or(|last| last.mark.is_some()) {
            fences.push_back(Fence { mark: None, number });
        }
    }

    /// True if an event may not be told yet.
    pub(crate) fn holds(&self, player: PlayerId, number: u64) -> bool {
        let fences = self.fences.get(&player);
        let first = fences.and_then(VecDeque::front);
        first.is_some_and(|first| first.number <= number) && !planted::is(Bug::DurableIgnored)
    }

    /// All that happened so far is written up to `mark`, or a checkpoint that covers it is.
    pub(crate) fn on_written(&mut self, mark: u64) {
        for (of, _) in &mut self.answers {
            of.get_or_insert(mark);
        }
        for (_, fences) in &mut self.fences {
            if let Some(last) = fences.back_mut() {
                last.mark.get_or_insert(mark);
            }
        }
    }

    /// True if something waits for a sync.
    pub(crate) fn waits(&self) -> bool {
        let written = |fences: &VecDeque<Fence>| fences.iter().any(|fence| fence.mark.is_some());
        let answer = self.answers.iter().any(|(mark, _)| mark.is_some());
        answer || self.view.is_some() || self.fences.values().any(written)
    }

    /// All up to `synced` is durable. Gives what may go on.
    pub(crate) fn on_synced(&mut self, synced: u64) -> Opened {
        let is_durable = |mark: Mark| mark.is_some_and(|mark| mark <= synced);
        let mut opened = Opened {
            view: self.view.take_if(|mark| is_durable(*mark)).is_some(),
            ..Opened::default()
        };
        while self
            .answers
            .front()
            .is_some_and(|(mark, _)| is_durable(*mark))
        {
            opened
                .answers
                .extend(self.answers.pop_front().map(|(_, asked)| asked));
        }
        for (player, fences) in &mut self.fences {
            let count = fences.len();
            fences.retain(|fence| !is_durable(fence.mark));
            if fences.len() < count {
                opened.players.push(*player);
            }
        }
        for player in &opened.players {
            if self.fences.get(player).is_some_and(VecDeque::is_empty) {
                self.fences.remove(player);
            }
        }
        opened
    }
}

/// What need not wait any more.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    /// The newest view is sent.
    pub(crate) view: bool,
    /// Members whose events go on.
    pub(crate) players: Vec<PlayerId>,
    /// Who is answered now.
    pub(crate) answers: Vec<Asked>,
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Incarnation;

    use super::*;
    use crate::keys::{Key, SessionKey};
    use crate::mail::Home;

    const ANA: PlayerId = PlayerId(1);

    #[test]
    fn a_view_waits_until_what_it_shows_is_synced() {
        let mut gate = Gate::new(true);
        gate.hold_view(10);
        assert!(!gate.on_synced(9).view && gate.holds_view() && gate.waits());
        assert!(gate.on_synced(10).view && !gate.holds_view() && !gate.waits());
        assert!(!gate.on_synced(11).view);
    }

    #[test]
    fn who_has_a_seat_is_answered_once_that_is_synced() {
        let asked = |call| Asked {
            player: ANA,
            incarnation: Incarnation(1),
            home: Home::Here(SessionKey::from_index(0)),
            call,
            created: false,
            fresh: false,
            cursor: 6,
            view: 7,
        };
        let mut gate = Gate::new(true);
        gate.hold_answer(asked(1));
        assert!(!gate.waits(), "for its turn to be written");
        gate.on_written(12);
        gate.hold_answer(asked(2));
        gate.on_written(13);
        assert_eq!(gate.on_synced(11).answers, []);
        assert_eq!(gate.on_synced(12).answers, [asked(1)]);
        assert!(gate.answers() == 1 && gate.waits());
        assert_eq!(gate.on_synced(20).answers, [asked(2)]);
        assert!(gate.answers() == 0 && !gate.waits());
    }

    #[test]
    fn an_event_holds_those_after_it_until_it_is_durable() {
        let mut gate = Gate::new(false);
        gate.hold_event(ANA, 4);
        gate.hold_event(ANA, 5);
        gate.on_written(10);
        gate.hold_event(ANA, 6);
        assert!(!gate.holds(ANA, 3) && gate.holds(ANA, 5) && !gate.holds(PlayerId(2), 5));
        assert_eq!(gate.on_synced(9).players, []);
        assert_eq!(gate.on_synced(10).players, [ANA]);
        assert!(!gate.holds(ANA, 5) && gate.holds(ANA, 6) && !gate.waits());
        gate.on_written(12);
        assert!(gate.waits());
        assert_eq!(gate.on_synced(12).players, [ANA]);
        assert!(!gate.holds(ANA, 6) && !gate.waits());
    }
}
