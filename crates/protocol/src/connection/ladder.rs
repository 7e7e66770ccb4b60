//! The peer's promise: where it stands on the ladder, counted from the interval it announced.

use std::time::Duration;

use crate::limits::{
    DETACH_AFTER, HEARTBEAT_ANNOUNCED_MAX, HEARTBEAT_MIN, HEARTBEAT_SEATED, LOADING_MAX,
    LOADING_TOLD_INTERVAL, PROBE_INTERVAL, PROBE_INTERVAL_DETACHED, SUSPECT_AFTER_MAX,
    SUSPECT_AFTER_MIN,
};
use crate::liveness::Liveness;
use crate::planted::{self, Bug};
use crate::time::{Timestamp, nanos};

/// How long the peer has been silent, against what it announced; first what each packet touches.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Ladder {
    liveness: Liveness,
    last_heard: Timestamp,
    /// The peer's word in nanoseconds, within bounds: it must not exempt itself from the ladder.
    announced: u64,
    /// The longest interval that this side bears in nanoseconds, whatever is announced, and since when.
    borne: u64,
    borne_since: Timestamp,
    loading: Option<Loading>,
    /// Packet of the newest announcement; an older one that comes late is void.
    announced_in: Option<u64>,
    /// Packet of the newest notice, alike.
    noticed_in: Option<u64>,
    /// When a loading was last told.
    told_at: Option<Timestamp>,
}

/// A time in which the peer may be silent, or the last one.
#[derive(Clone, Copy, Debug)]
struct Loading {
    /// When the first notice came.
    first: Timestamp,
    until: Timestamp,
}

impl Loading {
    /// When a notice begins a new time: as long after this one as it took.
    fn rested_at(self) -> Timestamp {
        self.until + self.until.since(self.first)
    }
}

impl Ladder {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            liveness: Liveness::Live,
            last_heard: now,
            // Each side's first packet asks for an answer, so one is expected soon. A join whose first
            // packets were lost until the server forgot it must not look alive for long.
            announced: nanos(HEARTBEAT_SEATED),
            borne: nanos(HEARTBEAT_ANNOUNCED_MAX),
            borne_since: now,
            announced_in: None,
            loading: None,
            noticed_in: None,
            told_at: None,
        }
    }

    pub(crate) fn liveness(&self) -> Liveness {
        self.liveness
    }

    /// An authentic packet came. Gives the liveness if it changed.
    pub(crate) fn on_heard(&mut self, now: Timestamp) -> Option<Liveness> {
        self.last_heard = self.last_heard.max(now);
        let endless = planted::is(Bug::LoadingNeverEnds);
        let loads = self
            .loading
            .is_some_and(|loading| loading.until > now || endless);
        if loads && self.liveness == Liveness::Loading {
            return None;
        }
        self.change(Liveness::Live)
    }

    /// The peer says in packet `number` that it loads for `span`, or is done. Notices in a row
    /// grant [`LOADING_MAX`] in all. One within [`LOADING_TOLD_INTERVAL`] of the last that was told
    /// is granted and not told, so that nobody makes news for others with every packet.
    pub(crate) fn on_loading(
        &mut self,
        number: u64,
        span: Duration,
        now: Timestamp,
    ) -> Option<Liveness> {
        if self.noticed_in.is_some_and(|newest| number <= newest) {
            return None;
        }
        self.noticed_in = Some(number);
        if span.is_zero() {
            let loading = self.loading.as_mut()?;
            loading.until = loading.until.min(now);
            return self.change(Liveness::Live);
        }
        let before = self.loading.filter(|before| now < before.rested_at());
        let first = before.map_or(now, |before| before.first);
        let until = (now + span).min(first + LOADING_MAX);
        if until <= now || planted::is(Bug::LoadingIgnored) {
            return None;
        }
        self.loading = Some(Loading { first, until });
        let early = |told| now.since(told) < LOADING_TOLD_INTERVAL;
        if self.told_at.is_some_and(early) {
            return None;
        }
        let told = self.change(Liveness::Loading);
        if told.is_some() {
            self.told_at = Some(now);
        }
        told
    }

    /// The peer announces its interval in packet `number`.
    pub(crate) fn on_announced(&mut self, number: u64, interval: Duration) {
        if self.announced_in.is_none_or(|newest| number > newest) {
            self.announced_in = Some(number);
            self.announced = nanos(interval.clamp(HEARTBEAT_MIN, HEARTBEAT_ANNOUNCED_MAX));
        }
    }

    /// No more than this is borne from now on, whatever the peer announces; silence until now was
    /// its right.
    pub(crate) fn bear(&mut self, interval: Duration, now: Timestamp) {
        let interval = nanos(interval);
        if interval != self.borne {
            self.borne = interval;
            self.borne_since = now;
        }
    }

    /// Lets time pass: one step down if it is due. Gives the new liveness; ask again until `None`.
    pub(crate) fn on_timeout(&mut self, now: Timestamp, patience: Duration) -> Option<Liveness> {
        self.deadline(patience)
            .filter(|deadline| *deadline <= now)?;
        match self.liveness {
            Liveness::Live | Liveness::Loading => self.change(Liveness::Suspect),
            Liveness::Suspect => self.change(Liveness::Detached),
            Liveness::Detached => None,
        }
    }

    /// When the next step down is due; `patience` is what a slow link may need.
    pub(crate) fn deadline(&self, patience: Duration) -> Option<Timestamp> {
        let announced = self.last_heard + Duration::from_nanos(self.announced);
        let borne = self.last_heard.max(self.borne_since) + Duration::from_nanos(self.borne);
        let promised = announced.min(borne);
        let expected = self
            .loading
            .map_or(promised, |loading| promised.max(loading.until));
        match self.liveness {
            Liveness::Live | Liveness::Loading => {
                Some(expected + patience.clamp(SUSPECT_AFTER_MIN, SUSPECT_AFTER_MAX))
            }
            Liveness::Suspect => Some(expected + DETACH_AFTER),
            Liveness::Detached => None,
        }
    }

    /// When the next probe is due; `last` is when something left that asks for an answer.
    pub(crate) fn probe_deadline(&self, last: Timestamp) -> Option<Timestamp> {
        match self.liveness {
            Liveness::Live | Liveness::Loading => None,
            Liveness::Suspect => Some(last + PROBE_INTERVAL),
            Liveness::Detached => Some(last + PROBE_INTERVAL_DETACHED),
        }
    }

    fn change(&mut self, liveness: Liveness) -> Option<Liveness> {
        let before = std::mem::replace(&mut self.liveness, liveness);
        (before != liveness).then_some(liveness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn silence_leads_down_and_a_packet_back_up() {
        let mut ladder = Ladder::new(at(0));
        let patience = Duration::ZERO;
        ladder.on_announced(1, Duration::from_millis(500));
        assert_eq!(ladder.on_timeout(at(1_249), patience), None);
        assert_eq!(ladder.probe_deadline(at(0)), None);
        assert_eq!(
            ladder.on_timeout(at(1_250), patience),
            Some(Liveness::Suspect)
        );
        assert_eq!(ladder.probe_deadline(at(1_000)), Some(at(1_200)));
        assert_eq!(ladder.on_timeout(at(5_499), patience), None);
        assert_eq!(
            ladder.on_timeout(at(5_500), patience),
            Some(Liveness::Detached)
        );
        assert_eq!(ladder.on_timeout(at(99_000), patience), None);
        assert_eq!(ladder.probe_deadline(at(99_000)), Some(at(100_000)));
        assert_eq!(ladder.on_heard(at(99_000)), Some(Liveness::Live));
        assert_eq!(ladder.on_heard(at(99_001)), None);
    }

    #[test]
    fn a_peer_that_never_answers_is_given_up_as_soon_as_one_in_play() {
        let mut ladder = Ladder::new(at(0));
        let patience = Duration::ZERO;
        assert_eq!(
            ladder.on_timeout(at(1_250), patience),
            Some(Liveness::Suspect)
        );
        assert_eq!(
            ladder.on_timeout(at(5_500), patience),
            Some(Liveness::Detached)
        );
    }

    #[test]
    fn a_slow_link_gets_more_time_up_to_a_bound() {
        let ladder = Ladder::new(at(0));
        let deadline = |patience_ms| ladder.deadline(Duration::from_millis(patience_ms));
        assert_eq!(deadline(1_000), Some(at(1_500)));
        assert_eq!(deadline(60_000), Some(at(2_000)));
    }

    #[test]
    fn a_late_announcement_is_void_and_an_endless_one_bounded() {
        let mut ladder = Ladder::new(at(0));
        ladder.on_announced(9, Duration::from_secs(1));
        ladder.on_announced(8, Duration::from_secs(30));
        assert_eq!(ladder.announced, nanos(Duration::from_secs(1)));
        ladder.on_announced(10, Duration::MAX);
        assert_eq!(ladder.announced, nanos(HEARTBEAT_ANNOUNCED_MAX));
        ladder.on_announced(11, Duration::ZERO);
        assert_eq!(ladder.announced, nanos(HEARTBEAT_MIN));
    }

    #[test]
    fn whatever_is_announced_no_more_counts_than_is_borne() {
        let mut ladder = Ladder::new(at(0));
        ladder.on_announced(1, secs(60));
        assert_eq!(ladder.deadline(PATIENCE), Some(at(60_750)));
        ladder.bear(HEARTBEAT_SEATED, at(9_000));
        assert_eq!(
            ladder.deadline(PATIENCE),
            Some(at(10_250)),
            "9 s were borne"
        );
        ladder.bear(HEARTBEAT_SEATED, at(10_000));
        ladder.on_announced(2, secs(30));
        assert_eq!(ladder.deadline(PATIENCE), Some(at(10_250)));
        ladder.on_heard(at(9_500));
        assert_eq!(ladder.deadline(PATIENCE), Some(at(10_750)));
        ladder.on_announced(3, HEARTBEAT_MIN);
        assert_eq!(
            ladder.deadline(PATIENCE),
            Some(at(10_350)),
            "less is taken at its word"
        );
        ladder.on_announced(4, secs(30));
        ladder.bear(secs(15), at(9_500));
        assert_eq!(ladder.deadline(PATIENCE), Some(at(25_250)));
    }

    #[test]
    fn a_load_and_an_interval_are_not_added() {
        let mut ladder = Ladder::new(at(0));
        ladder.on_announced(1, secs(60));
        ladder.on_heard(at(1_000));
        ladder.on_loading(2, LOADING_MAX, at(1_000));
        assert_eq!(ladder.deadline(PATIENCE), Some(at(61_750)));
        ladder.on_heard(at(30_000));
        assert_eq!(
            ladder.deadline(PATIENCE),
            Some(at(90_750)),
            "the later of both counts"
        );
    }

    const PATIENCE: Duration = Duration::ZERO;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_loading_peer_is_suspected_only_after_its_time() {
        let mut ladder = Ladder::new(at(0));
        let told = ladder.on_loading(1, secs(20), at(1_000));
        assert_eq!(told, Some(Liveness::Loading));
        assert_eq!(ladder.on_heard(at(5_000)), None, "heard, and still loading");
        assert_eq!(ladder.probe_deadline(at(0)), None);
        assert_eq!(ladder.on_timeout(at(21_749), PATIENCE), None);
        let suspect = ladder.on_timeout(at(21_750), PATIENCE);
        assert_eq!(suspect, Some(Liveness::Suspect));
        let detached = ladder.on_timeout(at(26_000), PATIENCE);
        assert_eq!(detached, Some(Liveness::Detached));
        assert_eq!(ladder.on_heard(at(30_000)), Some(Liveness::Live));
    }

    #[test]
    fn loading_ends_with_a_word_or_with_the_first_packet_after_its_time() {
        let mut ladder = Ladder::new(at(0));
        ladder.on_loading(1, secs(20), at(0));
        ladder.on_heard(at(4_000));
        let told = ladder.on_loading(2, Duration::ZERO, at(4_000));
        assert_eq!(told, Some(Liveness::Live));
        let deadline = ladder.deadline(PATIENCE);
        assert_eq!(
            deadline,
            Some(at(4_000 + 1_250)),
            "ordinary suspicion counts"
        );

        let mut ladder = Ladder::new(at(0));
        ladder.on_loading(1, secs(20), at(0));
        assert_eq!(ladder.on_heard(at(19_999)), None);
        assert_eq!(ladder.on_heard(at(20_000)), Some(Liveness::Live));
    }

    #[test]
    fn a_notice_that_was_overtaken_is_void() {
        let mut ladder = Ladder::new(at(0));
        ladder.on_loading(5, secs(20), at(0));
        ladder.on_loading(7, Duration::ZERO, at(10));
        assert_eq!(ladder.on_loading(6, secs(20), at(20)), None);
        assert_eq!(ladder.liveness(), Liveness::Live);
        let mut ladder = Ladder::new(at(0));
        assert_eq!(
            ladder.on_loading(1, Duration::ZERO, at(0)),
            None,
            "no load ends"
        );
    }

    #[test]
    fn whatever_notices_come_little_of_it_is_news() {
        for seed in 0..50 {
            let mut rng = Rng::from_number(seed);
            let mut ladder = Ladder::new(at(0));
            let (mut news, mut number) = (0, 0);
            // A packet each millisecond, often with a notice.
            for millis in 1..=10_000 {
                news += u64::from(ladder.on_heard(at(millis)).is_some());
                number += rng.below(3);
                let span = Duration::from_millis(rng.below(4) * rng.below(500));
                news += u64::from(ladder.on_loading(number, span, at(millis)).is_some());
            }
            let most = 2 * (10_000 / interval_ms() + 1);
            assert!((2..=most).contains(&news), "{news} of at most {most}");
        }
    }

    fn interval_ms() -> u64 {
        u64::try_from(LOADING_TOLD_INTERVAL.as_millis()).unwrap()
    }

    #[test]
    fn a_notice_that_is_not_told_is_granted_all_the_same() {
        let mut ladder = Ladder::new(at(0));
        ladder.on_loading(1, secs(20), at(0));
        ladder.on_loading(2, Duration::ZERO, at(10));
        assert_eq!(ladder.on_loading(3, secs(20), at(20)), None);
        assert_eq!(ladder.liveness(), Liveness::Live);
        assert_eq!(ladder.deadline(PATIENCE), Some(at(20_020 + 750)));
        let later = ladder.on_loading(4, secs(20), at(interval_ms()));
        assert_eq!(later, Some(Liveness::Loading));
    }

    #[test]
    fn notices_in_a_row_grant_one_bounded_time() {
        let mut ladder = Ladder::new(at(0));
        let mut number = 0;
        let mut notice = |ladder: &mut Ladder, span, millis| {
            number += 1;
            ladder.on_loading(number, span, at(millis));
            ladder.loading.map(|loading| loading.until)
        };
        assert_eq!(
            notice(&mut ladder, Duration::MAX / 4, 1_000),
            Some(at(61_000))
        );
        assert_eq!(notice(&mut ladder, secs(30), 60_000), Some(at(61_000)));
        // It was granted 60 s: another begins only 60 s after they ended.
        assert_eq!(notice(&mut ladder, secs(30), 61_000), Some(at(61_000)));
        assert_eq!(notice(&mut ladder, secs(30), 120_999), Some(at(61_000)));
        assert_eq!(notice(&mut ladder, secs(30), 121_000), Some(at(151_000)));
        // Given up early, it may go on, but what passes meanwhile counts.
        assert_eq!(
            notice(&mut ladder, Duration::ZERO, 141_000),
            Some(at(141_000))
        );
        assert_eq!(
            notice(&mut ladder, Duration::MAX / 4, 150_000),
            Some(at(181_000))
        );
        // Silence until the very end, then suspicion as ever.
        assert_eq!(ladder.deadline(PATIENCE), Some(at(181_000 + 750)));
    }
}
