//! How far a run of bots is.

use std::time::Duration;

use rejoin_bots::{Progress, Stage};

use crate::figures::{percent, wide};

/// The part of a run that it is in: in words, and how much of it is done, 0.0 to 1.0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Course {
    pub(crate) words: String,
    pub(crate) share: f64,
}

impl Course {
    /// Of a run of so many bots for so long; `ending` once the user wants the end.
    pub(crate) fn of(now: &Progress, bots: usize, play_for: Duration, ending: bool) -> Self {
        let (words, share) = match now.stage {
            Stage::Joining => {
                let words = format!("{} of {bots} joined", now.playing);
                (words, percent(wide(now.playing), wide(bots)) / 100.0)
            }
            Stage::Playing if ending => ("ending".to_owned(), 1.0),
            Stage::Playing => {
                let all = play_for.as_secs_f64();
                let left = play_for.saturating_sub(now.in_stage).as_secs_f64().ceil();
                let share = now.in_stage.as_secs_f64() / all.max(f64::MIN_POSITIVE);
                (format!("{left:.0} s of {all:.0} s left"), share)
            }
            Stage::Settling => ("counting every input".to_owned(), 1.0),
            Stage::Leaving => ("leaving".to_owned(), 1.0),
        };
        Self { words, share }
    }
}
