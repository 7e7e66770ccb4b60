//! The end of a bot's play: its books are closed, and what it saw last is judged.

use crate::behaviour::Behaviour;
use crate::bot::{Bot, BotStage};
use crate::fault::{Fault, wrong};
use crate::tally::Tally;
use rejoin_protocol::Timestamp;

impl<B: Behaviour> Bot<B> {
    /// Closes its books: counts what has no answer for as long as it has waited, and what the room
    /// applied.
    pub(crate) fn close_books(&mut self, tally: &mut Tally, now: Timestamp) {
        tally.pause(self.pauses.end(now));
        tally.back(self.hush.on_view(now));
        self.end_way_back(false, tally, now);
        self.probes.give_up(now, |span| tally.rtt(span));
        self.sends.give_up(now, |span| tally.input(span));
        let BotStage::Seated { player, .. } = self.stage else {
            return;
        };
        let seen = self.seen.as_ref();
        if let Some(applied) = seen.and_then(|seen| B::applied(player, &seen.view)) {
            self.sends.on_applied(applied);
        }
    }

    /// Judges what it saw last.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        self.check_present()?;
        let BotStage::Seated { player, .. } = self.stage else {
            return Ok(());
        };
        let seen = self
            .seen
            .as_ref()
            .ok_or_else(|| wrong("it never saw a view"))?;
        if !self.sends.all_covered() {
            let count = self.sends.uncovered();
            return Err(wrong(format!(
                "{count} reliable inputs were never acknowledged"
            )));
        }
        let newest = self.sends.newest_latest();
        match B::shown(player, &seen.view) {
            Some(shown) if shown != newest => Err(wrong(format!(
                "its newest latest input is {newest}, the room shows {shown}"
            ))),
            Some(_) | None => self.behaviour.check(player, &seen.view).map_err(wrong),
        }
    }

    /// Sends its newest latest input again if its room shows an older one: the network may have
    /// lost it, and nothing newer follows. True if it did.
    pub(crate) fn repeat_latest(&mut self) -> bool {
        let BotStage::Seated { seat, player } = self.stage else {
            return false;
        };
        let newest = self.sends.newest_latest();
        let is_behind = self
            .seen
            .as_ref()
            .and_then(|seen| B::shown(player, &seen.view))
            .is_some_and(|shown| shown < newest);
        // A client that takes no more is asked again soon.
        is_behind
            && self
                .sends
                .newest_latest_payload()
                .is_some_and(|payload| self.core.latest(seat, payload).is_ok())
    }
}
