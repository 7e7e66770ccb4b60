//! The congestion window of the ordered stream: NewReno with a floor (RFC 9002, section 7).
//!
//! Only ordered data is counted and held back. Control, latest and acknowledgements are
//! small, needed now, and bounded by their own limits.

use crate::limits::{DATAGRAM_MAX, RELIABLE_MAX};
use crate::time::Timestamp;

/// Ten datagrams to begin with, as RFC 9002 recommends.
const WINDOW_INITIAL: usize = 10 * DATAGRAM_MAX;
/// The floor: even a link that loses at random moves a few datagrams per round trip.
const WINDOW_MIN: usize = 4 * DATAGRAM_MAX;
/// The longest views of four rooms at once: more under way is of no use to a game.
const WINDOW_MAX: usize = 4 * RELIABLE_MAX;

/// What ordered data may be in flight.
#[derive(Debug)]
pub(crate) struct Congestion {
    window: usize,
    in_flight: usize,
    /// Above it the window grows by one datagram per round trip, below it doubles.
    threshold: usize,
    /// Packets sent before it say nothing new about the link.
    recovering_since: Option<Timestamp>,
}

impl Default for Congestion {
    fn default() -> Self {
        Self {
            window: WINDOW_INITIAL,
            in_flight: 0,
            threshold: usize::MAX,
            recovering_since: None,
        }
    }
}

impl Congestion {
    /// True if ordered data may leave, `planned` bytes of it being in the packet already.
    pub(crate) fn is_open(&self, planned: usize) -> bool {
        self.in_flight.saturating_add(planned) < self.window
    }

    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.in_flight += bytes;
    }

    pub(crate) fn on_acked(&mut self, bytes: usize, sent_at: Timestamp) {
        let was_full = self.in_flight * 2 >= self.window;
        self.in_flight = self.in_flight.saturating_sub(bytes);
        if !was_full || self.recovering_since.is_some_and(|since| sent_at <= since) {
            return;
        }
        let growth = if self.window < self.threshold {
            bytes
        } else {
            (DATAGRAM_MAX * bytes).div_ceil(self.window)
        };
        self.window = (self.window + growth).min(WINDOW_MAX);
    }

    /// A packet with `bytes` of ordered data is lost: halves the window once per round trip.
    pub(crate) fn on_lost(&mut self, bytes: usize, sent_at: Timestamp, now: Timestamp) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        if bytes == 0 || self.recovering_since.is_some_and(|since| sent_at <= since) {
            return;
        }
        self.recovering_since = Some(now);
        self.window = (self.window / 2).max(WINDOW_MIN);
        self.threshold = self.window;
    }

    /// Nobody will tell what became of as much: it went where the peer no longer is.
    pub(crate) fn on_abandoned(&mut self, bytes: usize) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
    }

    /// Another link: the window begins anew, with what is under way.
    pub(crate) fn restart(&mut self) {
        *self = Self {
            in_flight: self.in_flight,
            ..Self::default()
        };
    }

    /// Probes in vain: begin anew from the floor.
    pub(crate) fn on_silence(&mut self) {
        self.threshold = (self.window / 2).max(WINDOW_MIN);
        self.window = WINDOW_MIN;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_window_doubles_when_used_and_halves_once_per_round_trip() {
        let mut congestion = Congestion::default();
        let start = Timestamp::from_millis(10);
        congestion.on_sent(WINDOW_INITIAL);
        assert!(!congestion.is_open(0));
        congestion.on_acked(WINDOW_INITIAL, start);
        assert_eq!(congestion.window, 2 * WINDOW_INITIAL);
        congestion.on_sent(4_000);
        let now = start + Duration::from_millis(50);
        congestion.on_lost(1_000, start, now);
        congestion.on_lost(1_000, start, now);
        assert_eq!(congestion.window, WINDOW_INITIAL);
        congestion.on_lost(
            1_000,
            now + Duration::from_millis(1),
            now + Duration::from_millis(60),
        );
        assert_eq!(congestion.window, WINDOW_INITIAL / 2);
        assert_eq!(congestion.in_flight, 1_000);
    }

    #[test]
    fn an_idle_window_does_not_grow_and_a_bad_link_keeps_the_floor() {
        let mut congestion = Congestion::default();
        for step in 0..100 {
            let now = Timestamp::from_millis(step * 100);
            congestion.on_sent(100);
            congestion.on_acked(100, now);
            assert_eq!(congestion.window, WINDOW_INITIAL);
        }
        for step in 0..100 {
            let sent = Timestamp::from_millis(20_000 + step * 100);
            congestion.on_sent(100);
            congestion.on_lost(100, sent, sent + Duration::from_millis(50));
        }
        assert_eq!(congestion.window, WINDOW_MIN);
        assert!(congestion.is_open(WINDOW_MIN - 1) && !congestion.is_open(WINDOW_MIN));
    }
}
