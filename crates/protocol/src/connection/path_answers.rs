//! Our answers to the peer's challenges: the newest is repeated until the peer has it.
//!
//! A peer that challenges us goes on sending to where we no longer are until it has an answer, so a lost
//! one would cost as long as it takes the peer to ask again. Nine bytes in each packet that leaves
//! anyway, for about a round trip, are cheaper. That departs from RFC 9000, section 8.2.2, which has one
//! answer for each challenge; what an answer says, and where it goes, is the same.

use super::carried::{Carried, Fate};
use super::frame::{FrameWriter, PathAnswerFrame, PathToken};

/// The newest challenge and what became of its answer.
#[derive(Debug, Default)]
pub(crate) struct PathAnswers {
    newest: Option<PathToken>,
    /// A packet has to leave for it now.
    urgent: bool,
}

impl PathAnswers {
    /// The peer asks.
    pub(crate) fn on_challenge(&mut self, token: PathToken) {
        self.newest = Some(token);
        self.urgent = true;
    }

    /// We are elsewhere now: what the peer asked about is no longer our address.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// True if an answer must leave whatever the time.
    pub(crate) const fn is_pending(&self) -> bool {
        self.urgent
    }

    /// Writes the answer unless the peer has it.
    pub(crate) fn fill(&mut self, writer: &mut FrameWriter<'_>, carried: &mut Vec<Carried>) {
        if let Some(token) = self.newest
            && PathAnswerFrame(token).write(writer)
        {
            self.urgent = false;
            carried.push(Carried::PathAnswer(token));
        }
    }

    /// The fate of a packet with that answer. A lost one needs no packet of its own: each that leaves
    /// has the answer, and the peer asks again.
    pub(crate) fn on_settled(&mut self, token: PathToken, fate: Fate) {
        if fate == Fate::Acked && self.newest == Some(token) {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(answers: &mut PathAnswers) -> Vec<Carried> {
        let mut carried = Vec::new();
        answers.fill(&mut FrameWriter::new(&mut Vec::new()), &mut carried);
        carried
    }

    #[test]
    fn an_answer_leaves_at_once_and_with_each_packet_until_the_peer_has_it() {
        let mut answers = PathAnswers::default();
        assert_eq!(fill(&mut answers), []);
        answers.on_challenge([1; 8]);
        assert!(answers.is_pending());
        for _ in 0..3 {
            assert_eq!(fill(&mut answers), [Carried::PathAnswer([1; 8])]);
            assert!(!answers.is_pending(), "it rides along");
            answers.on_settled([1; 8], Fate::Lost);
        }
        answers.on_challenge([2; 8]);
        answers.on_settled([1; 8], Fate::Acked);
        assert!(answers.is_pending(), "that was an older one");
        assert_eq!(fill(&mut answers), [Carried::PathAnswer([2; 8])]);
        answers.on_settled([2; 8], Fate::Acked);
        assert_eq!(fill(&mut answers), []);
    }

    #[test]
    fn nobody_answers_for_an_address_that_was_left() {
        let mut answers = PathAnswers::default();
        answers.on_challenge([1; 8]);
        answers.clear();
        assert!(!answers.is_pending());
        assert_eq!(fill(&mut answers), []);
    }
}
