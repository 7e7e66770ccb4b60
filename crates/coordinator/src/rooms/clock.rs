//! A room's clock: its own time, and when its ticks are due.

use std::time::Duration;

use rejoin_protocol::{RoomId, Timestamp};

use super::brake::Brake;

const SECOND_NANOS: u64 = 1_000_000_000;

/// Turns moments into room time and back. Room time counts whole microseconds, as the journal
/// does, so that a replay sees the same numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Room time at the origin.
    start: Duration,
    /// When this process began to count it.
    origin: Timestamp,
    /// Since when it stands still.
    stopped: Option<Timestamp>,
    ticks: Option<Ticks>,
    brake: Brake,
}

/// The grid on which ticks fall.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    hz: u64,
    /// When tick 0 is due.
    start: Timestamp,
    /// The next tick's number on the grid.
    next: u64,
}

/// A tick that is due, and how many before it were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueTick {
    /// Grid points that passed unused: they are never caught up.
    pub(crate) skipped: u64,
}

impl Clock {
    /// A clock that stands at `start` and goes on now: no outage counts. Rooms of one kind are spread over the phases
    /// of the tick by their ids, so that not all of them fall into one turn.
    pub(crate) fn new(room: RoomId, tick_hz: u32, start: Duration, now: Timestamp) -> Self {
        let ticks = (tick_hz > 0).then(|| {
            let [a, b, ..] = room.0;
            let period = SECOND_NANOS / u64::from(tick_hz);
            let phase = (period * u64::from(u16::from_be_bytes([a, b]))) >> 16;
            let start = now + Duration::from_nanos(phase);
            Ticks {
                hz: u64::from(tick_hz),
                start,
                next: 0,
            }
        });
        Self {
            start,
            origin: now,
            stopped: None,
            ticks,
            brake: Brake::default(),
        }
    }

    /// Room time at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> Duration {
        let now = self.stopped.map_or(now, |stopped| stopped.min(now));
        let micros = now.since(self.origin).as_nanos() / 1_000;
        let passed = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        self.start.saturating_add(passed)
    }

    /// The first moment at which room time is at least `at`.
    pub(crate) fn moment(&self, at: Duration) -> Timestamp {
        let wait = at.saturating_sub(self.start);
        let micros = u64::try_from(wait.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        self.origin + Duration::from_micros(micros)
    }

    /// Stands still from now on, if it does not yet.
    pub(crate) fn stop(&mut self, now: Timestamp) {
        self.stopped.get_or_insert(now);
    }

    /// Goes on from where it stands: no tick of the time between was missed.
    pub(crate) fn go_on(&mut self, now: Timestamp) {
        let Some(stopped) = self.stopped.take() else {
            return;
        };
        let between = now.since(stopped);
        self.origin += between;
        if let Some(ticks) = &mut self.ticks {
            ticks.start += between;
        }
    }

    /// When the next tick is due.
    pub(crate) fn next_tick(&self) -> Option<Timestamp> {
        let ticks = self.ticks?;
        Some(ticks.moment(ticks.next).max(self.brake.until))
    }

    /// Takes the tick that is due, if any.
    pub(crate) fn take_tick(&mut self, now: Timestamp) -> Option<DueTick> {
        let ticks = self.ticks.as_mut()?;
        if ticks.moment(ticks.next) > now || self.brake.is_on(now) {
            return None;
        }
        let elapsed = now.since(ticks.start).as_nanos();
        let passed = elapsed * u128::from(ticks.hz) / u128::from(SECOND_NANOS);
        // Rounding may put the newest grid point one short.
        let newest = u64::try_from(passed).unwrap_or(u64::MAX).max(ticks.next);
        let skipped = newest - ticks.next;
        ticks.next = newest + 1;
        Some(DueTick { skipped })
    }

    /// Room logic took so long for a part of the tick.
    pub(crate) fn on_worked(&mut self, took: Duration) {
        self.brake.on_worked(took);
    }

    /// The tick is done that a turn made at `began`. True if the next one has to wait for it.
    pub(crate) fn on_ticked(&mut self, budget: Duration, began: Timestamp) -> bool {
        self.brake.on_ticked(budget, began);
        self.brake.is_on(began)
    }
}

impl Ticks {
    fn moment(&self, number: u64) -> Timestamp {
        let nanos = u128::from(number) * u128::from(SECOND_NANOS) / u128::from(self.hz);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId([0; 16]);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn ticks_fall_on_their_grid_without_drift() {
        let mut clock = Clock::new(ROOM, 30, Duration::ZERO, at(1_000));
        let mut ticks = 0;
        let mut now = at(1_000);
        while now < at(11_000) {
            if let Some(due) = clock.take_tick(now) {
                assert_eq!(due.skipped, 0);
                ticks += 1;
            }
            now = clock.next_tick().unwrap();
        }
        assert_eq!(ticks, 300);
    }

    #[test]
    fn missed_ticks_are_skipped_and_counted() {
        let mut clock = Clock::new(ROOM, 10, Duration::ZERO, at(0));
        assert_eq!(clock.take_tick(at(0)), Some(DueTick { skipped: 0 }));
        assert_eq!(clock.take_tick(at(50)), None);
        assert_eq!(clock.take_tick(at(450)), Some(DueTick { skipped: 3 }));
        assert_eq!(clock.next_tick(), Some(at(500)));
    }

    #[test]
    fn rooms_are_spread_over_the_phases() {
        let clock = Clock::new(RoomId([0x80; 16]), 10, Duration::ZERO, at(0));
        let next = clock.next_tick().unwrap();
        assert!(next > at(49) && next < at(51), "{next:?}");
    }

    #[test]
    fn a_moment_is_never_before_its_room_time() {
        let clock = Clock::new(ROOM, 0, Duration::ZERO, Timestamp::from_nanos(333));
        for at in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_nanos(1_001),
        ] {
            assert!(clock.at(clock.moment(at)) >= at);
        }
        assert_eq!(clock.next_tick(), None);
    }

    #[test]
    fn a_clock_that_stood_still_goes_on_where_it_stood() {
        let mut clock = Clock::new(ROOM, 10, Duration::ZERO, at(1_000));
        assert_eq!(clock.take_tick(at(1_000)), Some(DueTick { skipped: 0 }));
        clock.stop(at(1_040));
        clock.stop(at(1_500));
        assert_eq!(clock.at(at(9_000)), Duration::from_millis(40));
        clock.go_on(at(9_040));
        clock.go_on(at(9_050));
        assert_eq!(clock.at(at(9_060)), Duration::from_millis(60));
        assert_eq!(clock.next_tick(), Some(at(9_100)));
        assert_eq!(clock.take_tick(at(9_100)), Some(DueTick { skipped: 0 }));
        assert_eq!(clock.moment(Duration::from_millis(100)), at(9_100));
    }

    #[test]
    fn a_restored_clock_goes_on_where_it_stood() {
        let start = Duration::from_secs(7_200);
        let clock = Clock::new(ROOM, 10, start, at(50));
        assert_eq!(clock.at(at(50)), start);
        assert_eq!(clock.at(at(80)), start + Duration::from_millis(30));
        assert_eq!(clock.moment(start + Duration::from_millis(30)), at(80));
        assert_eq!(clock.moment(Duration::from_secs(1)), at(50), "long due");
    }
}
