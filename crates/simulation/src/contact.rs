//! How one peer heard another: when last, and the silences before.

use std::collections::VecDeque;
use std::time::Duration;

use rejoin_protocol::Timestamp;

/// When a peer was last heard, and its silences of late.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contact {
    /// `None` before the first word: who was never heard cannot fall silent.
    last: Option<Timestamp>,
    /// When silences ended, and how long they were.
    silences: VecDeque<(Timestamp, Duration)>,
}

/// Shorter silences explain nothing and are not kept.
const SILENCE_MIN: Duration = Duration::from_millis(500);
/// Silences that ended before are forgotten: no hold or delay of a run is longer.
const SILENCE_LIFE: Duration = Duration::from_secs(60);

impl Contact {
    /// A peer that is expected from `start` on.
    pub(crate) fn since(start: Timestamp) -> Self {
        Self {
            last: Some(start),
            silences: VecDeque::new(),
        }
    }

    pub(crate) fn touch(&mut self, now: Timestamp) {
        let silence = self.present(now);
        if silence >= SILENCE_MIN {
            self.silences.push_back((now, silence));
        }
        while self
            .silences
            .front()
            .is_some_and(|(end, _)| now.since(*end) > SILENCE_LIFE)
        {
            self.silences.pop_front();
        }
        self.last = Some(now);
    }

    /// How long the peer has been silent by now.
    pub(crate) fn present(&self, now: Timestamp) -> Duration {
        self.last.map_or(Duration::ZERO, |last| now.since(last))
    }

    /// The longest silence that lasts or ended no longer than `within` ago.
    pub(crate) fn longest(&self, within: Duration, now: Timestamp) -> Duration {
        let recent = self
            .silences
            .iter()
            .filter(|(end, _)| now.since(*end) <= within);
        recent
            .map(|(_, silence)| *silence)
            .fold(self.present(now), Duration::max)
    }

    /// How long ago `moment` is, or the beginning of the silence that it was in.
    pub(crate) fn before(&self, moment: Timestamp, now: Timestamp) -> Duration {
        let ended = self.silences.iter().filter(|(end, _)| *end >= moment);
        let begun = ended.map(|(end, silence)| now.since(*end) + *silence);
        begun.fold(now.since(moment), Duration::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silences_count_while_they_last_and_for_a_while_after() {
        let at = Timestamp::from_millis;
        let within = Duration::from_secs(20);
        let mut contact = Contact::default();
        assert_eq!(
            contact.longest(within, at(9_000)),
            Duration::ZERO,
            "never heard"
        );
        for millis in [10_000, 13_000, 13_400] {
            contact.touch(at(millis));
        }
        assert_eq!(contact.present(at(13_500)), Duration::from_millis(100));
        assert_eq!(contact.longest(within, at(13_500)), Duration::from_secs(3));
        assert_eq!(contact.longest(within, at(18_400)), Duration::from_secs(5));
        contact.touch(at(13_500));
        for seconds in 14..40 {
            contact.touch(at(seconds * 1_000));
        }
        assert_eq!(
            contact.longest(within, at(39_100)),
            Duration::from_secs(1),
            "forgotten"
        );
    }
}
