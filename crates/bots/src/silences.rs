//! Silences: how often and how long bots are out of reach, one bot's part in that, and what came of it.

use std::ops::AddAssign;
use std::time::Duration;

use rejoin_protocol::message::SeatChange;
use rejoin_protocol::{PlayerId, Timestamp};
use serde::Serialize;

use crate::measure::Percentiles;

/// How often each bot is silent, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// From one beginning to the next, staggered over all bots.
    pub every: Duration,
    /// How long.
    pub span: Duration,
}

/// What came of the silences of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Silences {
    /// How many there were, and what became of seats.
    pub counts: SilenceCounts,
    /// From the end of each to the next view.
    pub pause: Percentiles,
}

/// Counts of silences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SilenceCounts {
    /// Silences.
    pub done: u64,
    /// Times that a seat was suspect.
    pub suspect: u64,
    /// Times that a seat was detached.
    pub detached: u64,
}

impl AddAssign for SilenceCounts {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.suspect += other.suspect;
        self.detached += other.detached;
    }
}

/// One bot's part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hush {
    /// Until when it is silent, or was if no view has come since.
    pub(crate) until: Option<Timestamp>,
    /// Whose seat it tells of.
    pub(crate) watched: Option<PlayerId>,
}

impl Hush {
    /// True while nothing leaves and nothing arrives.
    pub(crate) fn is_silent(self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Ends the silence, if there is one.
    pub(crate) fn lift(&mut self, now: Timestamp) {
        if self.is_silent(now) {
            self.until = Some(now);
        }
    }

    /// A view came. Gives the time since the end of the silence before it.
    pub(crate) fn on_view(&mut self, now: Timestamp) -> Option<Duration> {
        let until = self.until.take_if(|until| *until <= now)?;
        Some(now.since(until))
    }

    /// A seat's change was told.
    pub(crate) fn on_seat(self, player: PlayerId, change: SeatChange, counts: &mut SilenceCounts) {
        let is_watched = self.watched == Some(player);
        counts.suspect += u64::from(is_watched && change == SeatChange::Suspect);
        counts.detached += u64::from(is_watched && change == SeatChange::Detached);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_way_back_counts_from_the_end_of_the_silence_to_the_next_view() {
        let mut hush = Hush::default();
        assert!(!hush.is_silent(at(5)));
        hush.until = Some(at(1_000));
        assert!(hush.is_silent(at(999)) && !hush.is_silent(at(1_000)));
        assert_eq!(hush.on_view(at(999)), None, "it was on its way");
        assert_eq!(hush.on_view(at(1_250)), Some(Duration::from_millis(250)));
        assert_eq!(hush.on_view(at(1_300)), None, "once");
    }

    #[test]
    fn only_the_seat_that_is_watched_counts() {
        let mut counts = SilenceCounts::default();
        let hush = Hush {
            until: None,
            watched: Some(PlayerId(7)),
        };
        for player in [PlayerId(6), PlayerId(7)] {
            for change in [
                SeatChange::Suspect,
                SeatChange::Returned,
                SeatChange::Detached,
            ] {
                hush.on_seat(player, change, &mut counts);
            }
        }
        assert_eq!((counts.suspect, counts.detached), (1, 1));
    }
}
