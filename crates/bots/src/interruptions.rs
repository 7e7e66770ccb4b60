//! What happens to bots while they play: their address changes, as behind a NAT that forgets them or on a
//! phone that changes its network; or they are out of reach, as in a hole of the radio.
//!
//! A bot that rebinds hops to the next socket of its crew's pool, which is bound elsewhere. What comes to
//! the socket that it left is not given to it: nobody is there any more. A silent bot plays on: its client
//! runs, but nothing that it sends leaves, and nothing that is sent to it arrives. What the server makes of
//! it is told by the next member of its room, in the same thread, who is told of its seat.

use std::time::Duration;

use rejoin_protocol::{PlayerId, Timestamp};

use crate::behaviour::Behaviour;
use crate::bot::{Bot, BotStage};
use crate::crew::Crew;
use crate::tally::Tally;

impl<B: Behaviour> Bot<B> {
    /// Goes on from another socket, and lets its client know. False if it is not there.
    fn rebind(&mut self, socket: usize, tally: &mut Tally, now: Timestamp) -> bool {
        if !self.stage.is_present() {
            return false;
        }
        self.place.socket = socket;
        self.core.handle_moved(now);
        tally.rebinds.done += 1;
        tally.pause(self.pauses.begin(now));
        true
    }

    fn fall_silent(&mut self, span: Duration, tally: &mut Tally, now: Timestamp) {
        if !self.stage.is_present() {
            return;
        }
        tally.silences.done += 1;
        tally.back(self.hush.on_view(now));
        self.hush.until = Some(now + span);
    }
}

impl<B: Behaviour> Crew<'_, B> {
    /// Lets a bot rebind.
    pub(crate) fn rebind(&mut self, index: usize, now: Timestamp) {
        let Some(bot) = self.bots.get_mut(index) else {
            return;
        };
        let next = self.sockets.next_after(bot.place.socket);
        if bot.rebind(next, &mut self.tally, now) {
            self.returning.on_moved(index, next);
        }
        self.touch(index);
    }

    /// Lets a bot fall silent.
    pub(crate) fn fall_silent(&mut self, index: usize, span: Duration, now: Timestamp) {
        if let Some(bot) = self.bots.get_mut(index) {
            bot.fall_silent(span, &mut self.tally, now);
        }
    }

    /// Lets the first player of a room fall silent who is not.
    pub(crate) fn cut_off(&mut self, room: usize, span: Duration, now: Timestamp) {
        let Some(place) = room.checked_sub(self.part.rooms.start) else {
            return;
        };
        let fits = |bot: &Bot<B>| {
            let seated = matches!(bot.stage, BotStage::Seated { .. });
            seated && bot.place.room == place && !bot.hush.is_silent(now)
        };
        if let Some(index) = self.bots.iter().position(fits) {
            self.fall_silent(index, span, now);
        }
    }

    /// Ends all silences: the play is over, and everybody is to have seen all of it.
    pub(crate) fn lift_silences(&mut self, now: Timestamp) {
        for bot in &mut self.bots {
            bot.hush.lift(now);
        }
    }

    /// Lets each member of a room tell of the seat of the one before it.
    pub(crate) fn watch_seats(&mut self) {
        let mut before: Vec<Option<PlayerId>> = vec![None; self.rooms.len()];
        // The first of a room tells of the last: the second round finds it.
        for _ in 0..2 {
            for bot in &mut self.bots {
                if let BotStage::Seated { player, .. } = bot.stage
                    && let Some(before) = before.get_mut(bot.place.room)
                {
                    bot.hush.watched = before.replace(player).filter(|other| *other != player);
                }
            }
        }
    }
}
