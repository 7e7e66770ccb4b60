//! Acknowledging what we receive: which packets, and when at the latest.

use std::time::Duration;

use super::frame::{AckFrame, FrameWriter};
use super::ranges::Ranges;
use crate::limits::{ACK_DELAY_MAX, ACK_EVERY};
use crate::time::Timestamp;

/// Received packets that the peer may not know to have arrived.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    received: Ranges,
    /// When the largest of them came.
    largest_at: Timestamp,
    /// Packets that asked for an acknowledgement since the last one left.
    waiting: u32,
    deadline: Option<Timestamp>,
}

impl Acks {
    /// An authentic packet came.
    pub(crate) fn on_received(&mut self, number: u64, eliciting: bool, now: Timestamp) {
        if self
            .received
            .largest()
            .is_none_or(|largest| number > largest)
        {
            self.largest_at = now;
        }
        self.received.insert(number);
        if eliciting {
            self.waiting = self.waiting.saturating_add(1);
            let latest = if self.waiting >= ACK_EVERY {
                now
            } else {
                now + ACK_DELAY_MAX
            };
            self.deadline = Some(
                self.deadline
                    .map_or(latest, |deadline| deadline.min(latest)),
            );
        }
    }

    /// The peer has an acknowledgement of ours that named nothing newer than `largest`:
    /// what it told need not be told again.
    pub(crate) fn on_acked(&mut self, largest: u64) {
        self.received.remove_up_to(largest);
        if self.received.is_empty() {
            self.waiting = 0;
            self.deadline = None;
        }
    }

    /// When an acknowledgement must leave even if nothing else does.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Writes an acknowledgement if one is owed; gives the largest number in it.
    pub(crate) fn fill(&mut self, writer: &mut FrameWriter<'_>, now: Timestamp) -> Option<u64> {
        if self.waiting == 0 {
            return None;
        }
        let delay: Duration = now.since(self.largest_at);
        if !AckFrame::write(&self.received, delay, writer) {
            return None;
        }
        self.waiting = 0;
        self.deadline = None;
        self.received.largest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(acks: &mut Acks, now: Timestamp) -> Option<u64> {
        acks.fill(&mut FrameWriter::new(&mut Vec::new()), now)
    }

    #[test]
    fn an_acknowledgement_is_owed_once_and_within_the_delay() {
        let mut acks = Acks::default();
        let start = Timestamp::from_millis(5);
        acks.on_received(0, false, start);
        assert_eq!(acks.deadline(), None, "acks are not acknowledged");
        assert_eq!(fill(&mut acks, start), None);
        acks.on_received(1, true, start);
        acks.on_received(2, true, start + Duration::from_millis(9));
        assert_eq!(acks.deadline(), Some(start + ACK_DELAY_MAX));
        assert_eq!(fill(&mut acks, start), Some(2));
        assert_eq!(acks.deadline(), None);
        assert_eq!(fill(&mut acks, start), None);
    }

    #[test]
    fn a_burst_is_acknowledged_at_once() {
        let mut acks = Acks::default();
        let now = Timestamp::from_millis(5);
        (0..u64::from(ACK_EVERY)).for_each(|number| acks.on_received(number, true, now));
        assert_eq!(acks.deadline(), Some(now));
    }

    #[test]
    fn nothing_is_owed_once_all_ranges_are_forgotten() {
        let mut acks = Acks::default();
        acks.on_received(3, true, Timestamp::ZERO);
        acks.on_acked(3);
        assert_eq!(acks.deadline(), None);
        assert_eq!(fill(&mut acks, Timestamp::ZERO), None);
    }
}
