//! When to look at the socket: at once while little comes, on a timer while much does.
//!
//! Each look costs a wake-up, two system calls and a turn, whatever it finds. While datagrams are few
//! nobody should wait for the next look; while they are many it finds several at a time, and the player
//! who waits a millisecond for it saves the server half of its time.

use std::time::Duration;

use rejoin_protocol::Timestamp;

/// Over this long the datagrams are counted.
const WINDOW: Duration = Duration::from_millis(10);
/// As many in a window are many: 4,000 a second, some 130 players at 30 Hz.
const MANY: u64 = 40;
/// Shortest time between two looks then.
const INTERVAL: Duration = Duration::from_millis(1);

/// Counts what comes and says when to look next.
#[derive(Debug, Default)]
pub(crate) struct Drains {
    last: Timestamp,
    window: Timestamp,
    counted: u64,
    many: bool,
    drained: bool,
}

impl Drains {
    /// The socket was looked at, and `received` datagrams came; `drained` if no more were there.
    pub(crate) fn on_look(&mut self, received: u64, drained: bool, now: Timestamp) {
        self.drained = drained;
        self.last = now;
        if now.since(self.window) >= WINDOW {
            self.many = self.counted >= MANY && now.since(self.window) < 2 * WINDOW;
            self.window = now;
            self.counted = 0;
        }
        self.counted += received;
    }

    /// When to look next; `None` is as soon as something is there.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        (self.many && self.drained).then(|| self.last + INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks once each `step`, `received` datagrams each time; true if the end is on the timer.
    fn is_timed(drains: &mut Drains, from_ms: u64, step: Duration, received: u64) -> bool {
        let mut now = Timestamp::from_millis(from_ms);
        for _ in 0..100 {
            drains.on_look(received, true, now);
            now += step;
        }
        drains.next().is_some()
    }

    #[test]
    fn few_datagrams_are_looked_at_at_once_and_many_once_a_millisecond() {
        let mut drains = Drains::default();
        assert_eq!(drains.next(), None);
        assert!(!is_timed(&mut drains, 10, Duration::from_micros(300), 1));
        assert!(is_timed(&mut drains, 1_000, Duration::from_micros(200), 1));
        assert!(is_timed(&mut drains, 2_000, Duration::from_millis(1), 5));
        let now = Timestamp::from_millis(2_100);
        drains.on_look(5, true, now);
        assert_eq!(drains.next(), Some(now + INTERVAL));
        drains.on_look(512, false, now);
        assert_eq!(drains.next(), None, "more is there");
        assert!(!is_timed(&mut drains, 3_000, Duration::from_millis(1), 3));
    }

    #[test]
    fn a_burst_long_ago_is_forgotten() {
        let mut drains = Drains::default();
        for micros in 0..30 {
            let at = Timestamp::from_millis(50) + Duration::from_millis(micros);
            drains.on_look(10, true, at);
        }
        assert!(drains.next().is_some());
        drains.on_look(1, true, Timestamp::from_millis(5_000));
        assert_eq!(drains.next(), None);
    }
}
