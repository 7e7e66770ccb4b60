//! Bots whose address changes while they play, as behind a NAT that forgets them or on a phone that
//! changes its network.
//!
//! A bot hops to the next socket of its crew's pool, which is bound elsewhere. What comes to the socket
//! that it left is not given to it: nobody is there any more.

use std::ops::AddAssign;

use rejoin_protocol::Timestamp;
use serde::Serialize;

use crate::behaviour::Behaviour;
use crate::bot::Bot;
use crate::crew::Crew;
use crate::measure::Percentiles;
use crate::sources::Change;
use crate::tally::Tally;

/// What came of the rebinds of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rebinds {
    /// What was another after each; `None` if none were asked for.
    pub change: Option<Change>,
    /// How many there were, and what they cost.
    pub counts: RebindCounts,
    /// For each, the longest pause between two views: from the last before it on, for a second or until
    /// the next.
    pub pause: Percentiles,
}

/// Counts of rebinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RebindCounts {
    /// Rebinds.
    pub done: u64,
    /// Datagrams that went to an address after its bot had left it.
    pub missed: u64,
}

impl AddAssign for RebindCounts {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.missed += other.missed;
    }
}

impl<B: Behaviour> Bot<B> {
    /// Goes on from another socket, if it is there, and lets its client know.
    fn rebind(&mut self, socket: usize, tally: &mut Tally, now: Timestamp) {
        if !self.stage.is_present() {
            return;
        }
        self.place.socket = socket;
        self.core.handle_moved(now);
        tally.rebinds.done += 1;
        tally.pause(self.pauses.begin(now, now));
    }
}

impl<B: Behaviour> Crew<'_, B> {
    /// Lets a bot rebind.
    pub(crate) fn rebind(&mut self, index: usize, now: Timestamp) {
        let Some(bot) = self.bots.get_mut(index) else {
            return;
        };
        let next = self.sockets.next_after(bot.place.socket);
        bot.rebind(next, &mut self.tally, now);
        self.touch(index);
    }
}
