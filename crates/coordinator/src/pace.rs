//! How often lines of one sort go to the log: what a peer can bring about must not fill a disk.

use rejoin_protocol::Timestamp;

use crate::limits::LINE_INTERVAL;

/// Lines of one sort: one a [`LINE_INTERVAL`], which tells how many were left out before it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    next: Timestamp,
    left_out: u64,
}

impl Pace {
    /// Whether a line is written now: `Some` with the number of those left out since the last one.
    pub(crate) fn line(&mut self, now: Timestamp) -> Option<u64> {
        if now < self.next {
            self.left_out += 1;
            return None;
        }
        self.next = now + LINE_INTERVAL;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_line_in_a_second_tells_of_those_left_out() {
        let mut pace = Pace::default();
        let start = Timestamp::from_millis(5);
        assert_eq!(pace.line(start), Some(0));
        for millis in 0..1_000 {
            assert_eq!(pace.line(start + Duration::from_millis(millis)), None);
        }
        assert_eq!(pace.line(start + LINE_INTERVAL), Some(1_000));
        assert_eq!(pace.line(start + LINE_INTERVAL * 9), Some(0));
    }
}
