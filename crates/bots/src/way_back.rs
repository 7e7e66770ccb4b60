//! One bot's way back to its seat: since when, and how far it is.

use rejoin_protocol::{PlayerId, Timestamp};

use crate::tally::Tally;

/// One bot's way back.
#[derive(Debug, Default)]
pub(crate) struct WayBack {
    /// Since when it is on its way.
    pub(crate) since: Option<Timestamp>,
    /// True once its room has answered: the next view ends the way.
    pub(crate) is_answered: bool,
    /// True while a new client takes the place of one that was killed.
    pub(crate) is_relaunch: bool,
    /// Who it was before.
    pub(crate) player: Option<PlayerId>,
    /// True if its client is to be killed once everything has been sent.
    pub(crate) is_doomed: bool,
    /// The newest ticket, unless it is in a file.
    pub(crate) ticket: Option<String>,
    /// Packets that its dead clients took for lost.
    pub(crate) lost_before: u64,
    pub(crate) lives: u64,
    /// Datagrams since the first hello that was answered.
    up: u64,
    down: u64,
}

impl WayBack {
    /// The connection is lost.
    pub(crate) fn on_away(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
        self.is_answered = false;
        (self.up, self.down) = (0, 0);
    }

    /// The room has answered.
    pub(crate) fn on_answer(&mut self) {
        self.is_answered = self.since.is_some();
    }

    /// A datagram leaves. A hello after one that nothing answered begins anew.
    pub(crate) fn on_sent(&mut self, is_hello: bool) {
        let is_first = is_hello && self.down == 0;
        self.up = if is_first { 1 } else { self.up + 1 };
    }

    /// A datagram came. One of the lost connection counts for nothing.
    pub(crate) fn on_received(&mut self, counts: bool) {
        self.down += u64::from(counts);
    }

    /// True until it is in its seat again.
    pub(crate) fn is_pending(&self) -> bool {
        self.since.is_some()
    }

    /// True if the next view is the first since the room answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// It is back.
    pub(crate) fn finish(&mut self, tally: &mut Tally, now: Timestamp) {
        if let Some(since) = self.since.take() {
            tally.resumes.ok += 1;
            tally.resumes.datagrams_up += self.up;
            tally.resumes.datagrams_down += self.down;
            tally.measures.resume.add(now.since(since));
        }
        (self.is_answered, self.is_relaunch) = (false, false);
    }

    /// It will not be back.
    pub(crate) fn give_up(&mut self, tally: &mut Tally, now: Timestamp) {
        if let Some(since) = self.since.take() {
            tally.resumes.failed += 1;
            tally.measures.resume.add(now.since(since));
        }
    }

    /// Takes the order to kill its client.
    pub(crate) fn take_doom(&mut self) -> bool {
        std::mem::take(&mut self.is_doomed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_way_back_ends_with_the_first_view_after_the_rooms_answer() {
        let mut tally = Tally::new(Duration::ZERO);
        let mut back = WayBack::default();
        back.on_answer();
        assert!(!back.is_answered(), "it was never away");
        back.on_away(Timestamp::from_millis(100));
        back.on_away(Timestamp::from_millis(150));
        assert!(back.is_pending() && !back.is_answered());
        back.on_answer();
        assert!(back.is_answered());
        back.finish(&mut tally, Timestamp::from_millis(180));
        assert!(!back.is_pending() && !back.is_answered());
        assert_eq!((tally.resumes.ok, tally.resumes.failed), (1, 0));
        let took = tally.measures.resume.percentiles();
        assert!(
            took.count == 1 && took.max_us.abs_diff(80_000) < 100,
            "{took:?}"
        );
    }

    #[test]
    fn datagrams_count_from_the_first_hello_that_was_answered() {
        let mut tally = Tally::new(Duration::ZERO);
        let mut back = WayBack::default();
        back.on_away(Timestamp::ZERO);
        for _ in 0..5 {
            back.on_sent(true);
            back.on_received(false);
        }
        // A cookie is asked for, and given with the next hello; then the reply, the question and its answer.
        back.on_received(true);
        back.on_sent(true);
        back.on_received(true);
        back.on_sent(false);
        back.on_received(true);
        back.finish(&mut tally, Timestamp::ZERO);
        let counts = tally.resumes;
        assert_eq!((counts.datagrams_up, counts.datagrams_down), (3, 3));
    }

    #[test]
    fn who_is_not_back_by_the_end_has_failed_once() {
        let mut tally = Tally::new(Duration::ZERO);
        let mut back = WayBack::default();
        back.on_away(Timestamp::from_millis(100));
        back.give_up(&mut tally, Timestamp::from_millis(5_100));
        back.give_up(&mut tally, Timestamp::from_millis(9_100));
        assert_eq!((tally.resumes.ok, tally.resumes.failed), (0, 1));
        assert_eq!(tally.measures.resume.percentiles().count, 1);
    }
}
