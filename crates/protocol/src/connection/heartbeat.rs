//! Our own promise: how long we may be silent, told to the peer and kept.

use std::time::Duration;

use super::carried::{Carried, Fate};
use super::frame::{FrameWriter, HeartbeatFrame};
use crate::limits::{HEARTBEAT_ANNOUNCED_MAX, HEARTBEAT_IDLE, HEARTBEAT_MIN};
use crate::time::Timestamp;

/// The announced interval and whether the peer knows it.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    interval_ms: u32,
    /// The announcement has to leave now.
    announce: bool,
    /// The peer has acknowledged the present interval.
    known: bool,
}

impl Default for Heartbeat {
    /// Begins with an announcement, so that the first packet confirms a join at once.
    fn default() -> Self {
        Self {
            interval_ms: millis(HEARTBEAT_IDLE),
            announce: true,
            known: false,
        }
    }
}

impl Heartbeat {
    /// Changes the interval; a change is announced at once.
    pub(crate) fn set(&mut self, interval: Duration) {
        let interval_ms = millis(interval.clamp(HEARTBEAT_MIN, HEARTBEAT_ANNOUNCED_MAX));
        if interval_ms != self.interval_ms {
            *self = Self {
                interval_ms,
                announce: true,
                known: false,
            };
        }
    }

    /// True if we have little to say, and the peer as little.
    pub(crate) fn is_slow(&self) -> bool {
        self.interval_ms >= millis(HEARTBEAT_IDLE)
    }

    /// True if an announcement must leave whatever the time.
    pub(crate) fn is_pending(&self) -> bool {
        self.announce
    }

    /// When we have been silent for as long as we may; `last` is when we last sent something
    /// that asks for an acknowledgement.
    pub(crate) fn deadline(&self, last: Timestamp) -> Timestamp {
        last + Duration::from_millis(u64::from(self.interval_ms))
    }

    /// A probe may as well repeat what the peer may not know.
    pub(crate) fn on_probe(&mut self) {
        self.announce |= !self.known;
    }

    /// Writes a heartbeat if one is due.
    pub(crate) fn fill(
        &mut self,
        due: bool,
        writer: &mut FrameWriter<'_>,
        carried: &mut Vec<Carried>,
    ) {
        let wanted = self.announce || due;
        if wanted
            && (HeartbeatFrame {
                interval_ms: self.interval_ms,
            })
            .write(writer)
        {
            self.announce = false;
            carried.push(Carried::Heartbeat(self.interval_ms));
        }
    }

    /// The fate of a heartbeat that announced `interval_ms`.
    pub(crate) fn on_settled(&mut self, interval_ms: u32, fate: Fate) {
        if interval_ms != self.interval_ms {
            return;
        }
        match fate {
            Fate::Acked => {
                self.known = true;
                self.announce = false;
            }
            Fate::Lost => self.announce |= !self.known,
        }
    }
}

fn millis(interval: Duration) -> u32 {
    u32::try_from(interval.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(heartbeat: &mut Heartbeat, due: bool) -> Vec<Carried> {
        let mut carried = Vec::new();
        heartbeat.fill(due, &mut FrameWriter::new(&mut Vec::new()), &mut carried);
        carried
    }

    #[test]
    fn an_announcement_is_repeated_until_known() {
        let mut heartbeat = Heartbeat::default();
        assert_eq!(fill(&mut heartbeat, false), [Carried::Heartbeat(15_000)]);
        assert_eq!(fill(&mut heartbeat, false), []);
        heartbeat.on_settled(15_000, Fate::Lost);
        assert_eq!(fill(&mut heartbeat, false), [Carried::Heartbeat(15_000)]);
        heartbeat.on_probe();
        assert!(heartbeat.is_pending());
        heartbeat.on_settled(15_000, Fate::Acked);
        assert!(!heartbeat.is_pending());
        heartbeat.on_probe();
        heartbeat.on_settled(15_000, Fate::Lost);
        assert!(
            !heartbeat.is_pending(),
            "a lost copy of what is known matters to nobody"
        );
        assert_eq!(fill(&mut heartbeat, true), [Carried::Heartbeat(15_000)]);
    }

    #[test]
    fn a_change_is_announced_and_an_old_fate_ignored() {
        let mut heartbeat = Heartbeat::default();
        fill(&mut heartbeat, false);
        heartbeat.set(HEARTBEAT_IDLE);
        assert!(!heartbeat.is_pending(), "no change");
        heartbeat.set(Duration::ZERO);
        heartbeat.on_settled(15_000, Fate::Acked);
        assert!(heartbeat.is_pending());
        assert_eq!(
            heartbeat.deadline(Timestamp::ZERO),
            Timestamp::ZERO + HEARTBEAT_MIN
        );
    }
}
