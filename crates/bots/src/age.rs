//! The age of what a bot sees: at each planned step, how long ago its newest view came.

use std::time::Duration;

use rejoin_protocol::Timestamp;

/// When a bot's views came.
///
/// A pass takes what waits before it plays the steps that are due, so a late pass would see the newest
/// view before a step that was planned without it. Hence the arrival before is kept as well: all
/// steps that are due were planned after it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrivals {
    newest: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Arrivals {
    /// A newer view came.
    pub(crate) fn on_view(&mut self, now: Timestamp) {
        // Views that were taken together are one arrival.
        if self.newest != Some(now) {
            self.before = self.newest.replace(now);
        }
    }

    /// Age of the newest view that had come by `planned`; `None` if there was none.
    pub(crate) fn age(&self, planned: Timestamp) -> Option<Duration> {
        let came = |at: &Timestamp| *at <= planned;
        let known = self.newest.filter(came).or(self.before.filter(came))?;
        Some(planned.since(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_pause_ages_the_view_even_for_steps_that_are_played_after_it() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.age(at(5)), None);
        arrivals.on_view(at(10));
        // All of a pause's views are taken at its end, before the steps that were due within it.
        for _ in 0..3 {
            arrivals.on_view(at(110));
        }
        let ages = [9, 10, 60, 109, 110, 115].map(|planned| arrivals.age(at(planned)));
        let millis = ages.map(|age| age.map(|age| age.as_millis()));
        assert_eq!(
            millis,
            [None, Some(0), Some(50), Some(99), Some(0), Some(5)]
        );
    }
}
