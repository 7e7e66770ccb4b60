//! Open-loop pacing: so many a second, whatever becomes of them.

use std::time::{Duration, Instant};

/// Tells how many are due.
pub(crate) struct Pace {
    start: Instant,
    rate: u64,
    done: u64,
}

impl Pace {
    pub(crate) fn new(rate: u64) -> Self {
        Self {
            start: Instant::now(),
            rate,
            done: 0,
        }
    }

    /// Waits for the next slice of work and gives its size. Falls behind rather than burst: at most
    /// 5 ms of work at once.
    pub(crate) fn due(&mut self) -> u64 {
        loop {
            let planned = (self.start.elapsed().as_micros() as u64) * self.rate / 1_000_000;
            let due = planned.saturating_sub(self.done);
            let most = (self.rate / 200).max(1);
            if due > most {
                // What cannot be made up is left out, so that the rate told is the rate reached.
                self.done = planned - most;
            }
            if due > 0 {
                let now = due.min(most);
                self.done += now;
                return now;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}
