//! What the conductor of a run and its crews say to each other.

use std::sync::mpsc::{Receiver, SyncSender};

use rejoin_protocol::Timestamp;

use crate::news::{News, Question};
use crate::observer::CutOff;

/// Orders that may wait for a crew: it takes them in each pass, and whoever sends waits till then.
pub(crate) const ORDERS_MAX: usize = 4;
/// Notes of one crew that may wait for the conductor: one answer, as it asks one thing at a time, and
/// one for each part of the run, as no crew is told of the next before it has been heard.
pub(crate) const NOTES_MAX: usize = 8;

/// What the conductor wants of a crew.
#[derive(Debug)]
pub(crate) enum Order {
    /// To go on with joins although all of its own failed: others did not.
    Join,
    /// The bots that are there, in a [`Note::Present`].
    Muster,
    /// To play.
    Play(Plan),
    /// To stop playing and get all answers.
    Settle,
    /// To judge what every bot saw last.
    Judge,
    /// To break off joins, and give every seat back.
    Leave,
    /// To take the network of one of its players.
    CutOff(CutOff),
    /// [`Note::News`].
    Tell(Question),
}

/// A crew's part of the play.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// When it begins.
    pub(crate) start: Timestamp,
    /// Its players, and their places among all of the run.
    pub(crate) players: Vec<(usize, u64)>,
    /// Players of the run.
    pub(crate) all: usize,
}

/// What a crew tells.
#[derive(Debug)]
pub(crate) enum Note {
    /// None of its bots is on its way. So many it did not start, as all before them failed.
    Joined { left: usize },
    /// Everything planned is done.
    Played,
    /// Nobody is there any more.
    Gone,
    /// The numbers of the bots that are there, rising.
    Present(Vec<usize>),
    /// What it was asked.
    News(Box<News>),
    /// Its thread ends.
    Ended,
}

/// A crew's way to the conductor.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) crew: usize,
    pub(crate) orders: Receiver<Order>,
    pub(crate) notes: SyncSender<(usize, Note)>,
}

impl Line {
    /// Tells something. A conductor that is gone needs nothing.
    pub(crate) fn tell(&self, note: Note) {
        drop(self.notes.send((self.crew, note)));
    }
}

impl Drop for Line {
    /// Told also if the thread panics: nobody shall wait for it.
    fn drop(&mut self) {
        drop(self.notes.try_send((self.crew, Note::Ended)));
    }
}
