//! What one bot has sent: counts, and the planned times by which latency is measured.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::Timestamp;

/// Latest inputs whose planned times are remembered: 4 s at 64 Hz. Older ones are lost or unseen.
const LATEST_REMEMBERED: usize = 256;

/// An input on its way. Latency counts from the planned time, so that a late bot or a full queue
/// shows as latency and not as silence.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    number: u64,
    planned: Timestamp,
}

/// One bot's sent inputs.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    reliable: VecDeque<InFlight>,
    latest: VecDeque<InFlight>,
    /// The newest latest input, until the end: it is repeated after play until the room shows it.
    newest_latest: Option<(u64, Bytes)>,
    /// The room's number of the newest reliable input.
    pub(crate) newest: u64,
    /// Reliable inputs taken by the client.
    pub(crate) reliable_sent: u64,
    /// Latest inputs taken by the client.
    pub(crate) latest_sent: u64,
    /// Inputs that the client did not take.
    pub(crate) refused: u64,
    /// Reliable inputs that the room's cursor covers.
    pub(crate) acknowledged: u64,
    /// Reliable inputs that the room counts beyond those that its cursor covers, or its cursor beyond
    /// those that were sent.
    pub(crate) duplicated: u64,
    /// Reliable inputs that the cursor covers and the room did not apply.
    pub(crate) passed_over: u64,
}

impl Sends {
    pub(crate) fn on_reliable(&mut self, number: u64, planned: Timestamp) {
        self.newest = number;
        self.reliable_sent += 1;
        self.reliable.push_back(InFlight { number, planned });
    }

    pub(crate) fn on_latest(&mut self, number: u64, planned: Timestamp, payload: Bytes) {
        self.latest_sent += 1;
        self.newest_latest = Some((number, payload));
        if self.latest.len() >= LATEST_REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back(InFlight { number, planned });
    }

    pub(crate) const fn on_refused(&mut self) {
        self.refused += 1;
    }

    /// The room's cursor is at `cursor`: tells the latency of each input that it newly covers.
    pub(crate) fn covered(&mut self, cursor: u64, now: Timestamp, mut tell: impl FnMut(Duration)) {
        while let Some(input) = pop_up_to(&mut self.reliable, cursor) {
            self.acknowledged += 1;
            tell(now.since(input.planned));
        }
    }

    /// The client is dead, and the room has applied everything up to `cursor`: what is beyond died with it,
    /// and others get those numbers. Gives how many that were.
    pub(crate) fn on_killed(&mut self, cursor: u64) -> u64 {
        self.newest = cursor;
        let died = self.reliable.len();
        self.reliable.clear();
        u64::try_from(died).unwrap_or(u64::MAX)
    }

    /// The room's cursor covers inputs up to `cursor`, which were never sent.
    pub(crate) const fn on_unsent(&mut self, cursor: u64) {
        self.duplicated += cursor.saturating_sub(self.newest);
    }

    /// The newest view shows that the room has applied so many reliable inputs.
    pub(crate) const fn on_applied(&mut self, applied: u64) {
        self.duplicated += applied.saturating_sub(self.acknowledged);
        self.passed_over += self.acknowledged.saturating_sub(applied);
    }

    /// Reliable inputs that were not applied.
    pub(crate) fn lost(&self) -> u64 {
        let uncovered = u64::try_from(self.reliable.len()).unwrap_or(u64::MAX);
        uncovered + self.passed_over
    }

    /// A view shows the latest input `number`: tells its latency. Skipped ones were lost.
    pub(crate) fn shown(&mut self, number: u64, now: Timestamp, mut tell: impl FnMut(Duration)) {
        while let Some(input) = pop_up_to(&mut self.latest, number) {
            if input.number == number {
                tell(now.since(input.planned));
            }
        }
    }

    /// Tells of each reliable input that is not covered how long it has waited. They stay uncovered.
    pub(crate) fn give_up(&self, now: Timestamp, mut tell: impl FnMut(Duration)) {
        for input in &self.reliable {
            tell(now.since(input.planned));
        }
    }

    /// Number of the newest latest input, 0 before the first.
    pub(crate) fn newest_latest(&self) -> u64 {
        self.newest_latest.as_ref().map_or(0, |(number, _)| *number)
    }

    /// The newest latest input, as it was sent.
    pub(crate) fn newest_latest_payload(&self) -> Option<Bytes> {
        let (_, payload) = self.newest_latest.as_ref()?;
        Some(payload.clone())
    }

    /// True once the room has applied every reliable input.
    pub(crate) fn all_covered(&self) -> bool {
        self.reliable.is_empty()
    }

    /// Reliable inputs not covered yet.
    pub(crate) fn uncovered(&self) -> usize {
        self.reliable.len()
    }
}

fn pop_up_to(queue: &mut VecDeque<InFlight>, number: u64) -> Option<InFlight> {
    if queue.front()?.number > number {
        return None;
    }
    queue.pop_front()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_covers_all_inputs_up_to_it_once() {
        let mut sends = Sends::default();
        for number in 1..=3 {
            sends.on_reliable(number, Timestamp::from_millis(number));
        }
        let mut latencies = Vec::new();
        sends.covered(2, Timestamp::from_millis(10), |latency| {
            latencies.push(latency.as_millis())
        });
        sends.covered(2, Timestamp::from_millis(20), |latency| {
            latencies.push(latency.as_millis())
        });
        assert_eq!(latencies, [9, 8]);
        assert_eq!((sends.acknowledged, sends.uncovered()), (2, 1));
        sends.give_up(Timestamp::from_millis(30), |latency| {
            latencies.push(latency.as_millis())
        });
        assert_eq!(latencies, [9, 8, 27]);
        assert_eq!(sends.uncovered(), 1);
    }

    #[test]
    fn what_a_room_applied_is_held_against_what_was_sent() {
        let sent = |covered| {
            let mut sends = Sends::default();
            for number in 1..=10 {
                sends.on_reliable(number, Timestamp::ZERO);
            }
            sends.covered(covered, Timestamp::ZERO, drop);
            sends
        };
        for (covered, applied, lost, duplicated) in
            [(10, 10, 0, 0), (8, 8, 2, 0), (10, 7, 3, 0), (8, 11, 2, 3)]
        {
            let mut sends = sent(covered);
            sends.on_applied(applied);
            assert_eq!((sends.lost(), sends.duplicated), (lost, duplicated));
        }
        let mut sends = sent(10);
        sends.on_unsent(12);
        assert_eq!((sends.lost(), sends.duplicated), (0, 2));
    }

    #[test]
    fn only_the_shown_latest_input_is_measured() {
        let mut sends = Sends::default();
        for number in 1..=300 {
            sends.on_latest(number, Timestamp::from_millis(number), Bytes::new());
        }
        let mut latencies = Vec::new();
        sends.shown(299, Timestamp::from_millis(300), |latency| {
            latencies.push(latency.as_millis())
        });
        assert_eq!(latencies, [1]);
        assert_eq!(sends.latest.len(), 1);
        assert_eq!(sends.newest_latest(), 300);
    }
}
