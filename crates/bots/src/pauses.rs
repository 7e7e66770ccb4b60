//! How long a bot sees nothing new around something that happens to its link.

use std::time::Duration;

use rejoin_protocol::Timestamp;

/// How long after it the longest pause is looked for: longer than a client that moved may need.
pub(crate) const LOOKED_FOR: Duration = Duration::from_secs(1);

/// The times between the views of one bot, while something is watched.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pauses {
    /// When the newest view was applied.
    newest: Option<Timestamp>,
    watched: Option<Watched>,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    /// A pause that begins later is not looked at.
    until: Timestamp,
    longest: Duration,
}

impl Pauses {
    /// Something happens: what is between the newest view and the next belongs to it. Gives the longest
    /// pause of what was watched before.
    pub(crate) fn begin(&mut self, now: Timestamp) -> Option<Duration> {
        let before = self.end(now);
        // Who has seen nothing yet has no pause.
        self.watched = self.newest.map(|_| Watched {
            until: now + LOOKED_FOR,
            longest: Duration::ZERO,
        });
        before
    }

    /// A newer view was applied. Gives the longest pause of what was watched, once its time is over.
    pub(crate) fn on_view(&mut self, now: Timestamp) -> Option<Duration> {
        let pause = now.since(self.newest.replace(now)?);
        let watched = self.watched.as_mut()?;
        watched.longest = watched.longest.max(pause);
        (now >= watched.until).then(|| self.end(now))?
    }

    /// How long ago the newest view was applied; `None` before the first.
    pub(crate) fn open(&self, now: Timestamp) -> Option<Duration> {
        self.newest.map(|at| now.since(at))
    }

    /// Nothing is watched any more. A pause that is not over counts for as long as it has been.
    pub(crate) fn end(&mut self, now: Timestamp) -> Option<Duration> {
        let watched = self.watched.take()?;
        let open = self.newest.map_or(Duration::ZERO, |at| now.since(at));
        Some(watched.longest.max(open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// What is told by views at these times, with something that happens at 1,000 ms.
    fn told(views: &[u64]) -> (Vec<u128>, Pauses) {
        let (mut pauses, mut told) = (Pauses::default(), Vec::new());
        let (before, after) = views.split_at(views.partition_point(|view| *view <= 1_000));
        told.extend(before.iter().filter_map(|view| pauses.on_view(at(*view))));
        told.extend(pauses.begin(at(1_000)));
        told.extend(after.iter().filter_map(|view| pauses.on_view(at(*view))));
        (told.iter().map(Duration::as_millis).collect(), pauses)
    }

    #[test]
    fn the_longest_pause_within_a_second_counts_from_the_view_before() {
        // What was longer before it does not matter, and neither does what begins later.
        let views = [100, 900, 990, 1_130, 1_200, 1_990, 2_010, 5_000];
        assert_eq!(told(&views).0, [790]);
        // The first is the longest here, and counts from 990.
        let even = (12..22).map(|step| step * 100);
        let views: Vec<u64> = [900, 990].into_iter().chain(even).collect();
        assert_eq!(told(&views).0, [210]);
    }

    #[test]
    fn a_pause_that_reaches_over_the_second_counts_whole() {
        assert_eq!(told(&[990, 1_100, 1_900, 7_000]).0, [5_100]);
        assert_eq!(told(&[990, 9_000]).0, [8_010]);
    }

    #[test]
    fn a_pause_that_is_not_over_counts_for_as_long_as_it_has_been() {
        let (told, mut pauses) = told(&[990, 1_100]);
        assert_eq!(told, [0; 0]);
        assert_eq!(pauses.end(at(1_600)), Some(Duration::from_millis(500)));
        assert_eq!(pauses.end(at(1_700)), None);
    }

    #[test]
    fn the_next_one_ends_the_one_before_and_counts_from_the_same_view() {
        let (_, mut pauses) = told(&[990]);
        let told = pauses.begin(at(1_800));
        assert_eq!(told, Some(Duration::from_millis(810)));
        assert_eq!(pauses.on_view(at(3_000)), Some(at(3_000).since(at(990))));
    }

    #[test]
    fn who_has_seen_nothing_yet_has_no_pause() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.begin(at(10)), None);
        assert_eq!(pauses.on_view(at(500)), None);
        assert_eq!(pauses.end(at(9_000)), None);
    }
}
