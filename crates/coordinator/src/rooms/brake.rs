//! A room whose ticks take too long gets fewer of them.

use std::time::Duration;

use rejoin_protocol::Timestamp;

use crate::limits::TICKS_OVER_BUDGET;

/// Slows a room's clock.
///
/// A tick is as long as room logic takes for it and for the view after it. One or two over the budget, as a
/// busy machine makes them, change nothing. From the third in succession on, the next tick waits after its end as
/// long as the last one took: the room has at most half of its shard's time. The first within the budget ends
/// that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Brake {
    /// What the tick of this turn has taken so far.
    took: Duration,
    /// Ticks over the budget in succession.
    over: u32,
    /// The next tick is not before.
    pub(crate) until: Timestamp,
}

impl Brake {
    /// A part of the tick came back.
    pub(crate) fn on_worked(&mut self, took: Duration) {
        self.took += took;
    }

    /// The tick of the turn that began at `began` is done.
    pub(crate) fn on_ticked(&mut self, budget: Duration, began: Timestamp) {
        let took = std::mem::take(&mut self.took);
        if took <= budget {
            self.over = 0;
            return;
        }
        self.over = self.over.saturating_add(1);
        if self.over >= TICKS_OVER_BUDGET {
            self.until = began + took * 2;
        }
    }

    /// True if the next tick has to wait.
    pub(crate) fn is_on(&self, now: Timestamp) -> bool {
        self.until > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_millis(10);
    const SLOW: Duration = Duration::from_millis(30);

    /// Runs ticks at `now`, each of which takes so long. True if the next has to wait.
    fn ticks(brake: &mut Brake, times: &[Duration], now: Timestamp) -> bool {
        for took in times {
            brake.on_worked(*took);
            brake.on_ticked(BUDGET, now);
        }
        brake.is_on(now)
    }

    #[test]
    fn the_third_slow_tick_in_succession_is_the_first_that_is_waited_after() {
        let now = Timestamp::from_millis(500);
        let mut brake = Brake::default();
        assert!(!ticks(&mut brake, &[SLOW, SLOW, BUDGET, SLOW, SLOW], now));
        assert!(ticks(&mut brake, &[SLOW], now));
        assert_eq!(
            brake.until,
            now + SLOW * 2,
            "it took one, and one is waited"
        );
        let later = now + SLOW * 2;
        assert!(!brake.is_on(later));
        assert!(ticks(&mut brake, &[SLOW * 2], later), "still");
        assert_eq!(brake.until, later + SLOW * 4);
    }

    #[test]
    fn a_tick_within_the_budget_ends_it() {
        let mut now = Timestamp::from_millis(500);
        let mut brake = Brake::default();
        assert!(ticks(&mut brake, &[SLOW; 3], now));
        now += SLOW * 2;
        assert!(!ticks(&mut brake, &[BUDGET, SLOW, SLOW], now));
    }

    #[test]
    fn the_view_after_a_tick_is_a_part_of_it() {
        let now = Timestamp::from_millis(500);
        let mut brake = Brake::default();
        for _ in 0..3 {
            brake.on_worked(BUDGET);
            brake.on_worked(Duration::from_millis(1));
            brake.on_ticked(BUDGET, now);
        }
        assert_eq!(brake.until, now + Duration::from_millis(22));
    }
}
