//! A packet leaves: what is due, filled by acknowledgements and lanes, sealed, remembered.

use super::Connection;
use super::frame::{CloseFrame, FrameWriter, PathChallengeFrame};
use super::outgoing::Occasion;
use super::protection::Started;
use super::sent::SentPacket;
use crate::close::CloseReason;
use crate::time::Timestamp;

impl Connection {
    /// True if something waits that no timer holds back.
    pub(super) fn sends_at_once(&self) -> bool {
        self.recovery.probe_wanted() || self.outgoing.has_pending(&self.recovery.congestion)
    }

    /// When a packet must leave although nothing waits.
    pub(super) fn send_deadline(&self) -> Option<Timestamp> {
        let last = self.recovery.last_eliciting();
        let heartbeat = self.outgoing.heartbeat.deadline(last);
        let probe = self.ladder.probe_deadline(last);
        Timestamp::first_of([self.acks.deadline(), Some(heartbeat), probe])
    }

    pub(super) fn transmit(&mut self, out: &mut Vec<u8>, now: Timestamp) {
        let last = self.recovery.last_eliciting();
        if self
            .ladder
            .probe_deadline(last)
            .is_some_and(|deadline| deadline <= now)
        {
            self.recovery.want_probe();
        }
        let number = self.protection.next();
        let started = self.protection.start(out, self.recovery.largest_acked());
        let mut writer = FrameWriter::new(out);
        let acked_up_to = self.acks.fill(&mut writer, now);
        let ordered_bytes = self.outgoing.fill(
            &mut writer,
            &Occasion {
                number,
                heartbeat_due: self.outgoing.heartbeat.deadline(last) <= now,
                probe: self.recovery.probe_wanted(),
                now,
                congestion: &self.recovery.congestion,
            },
        );
        let eliciting = writer.is_eliciting();
        debug_assert!(
            eliciting || acked_up_to.is_some(),
            "a packet without frames"
        );
        self.seal(out, started);
        let packet = SentPacket {
            sent_at: now,
            eliciting,
            ordered_bytes: u16::try_from(ordered_bytes).expect("a datagram has fewer bytes"),
            acked_up_to,
        };
        self.on_sent(packet);
    }

    /// A session that only is there takes up a third less without what it uses every 15 s. Keys are kept after a
    /// packet that did not open: whoever forges some does not have them made for each.
    pub(super) fn rest_if_slow(&mut self) {
        if self.outgoing.heartbeat.is_slow() {
            self.protection.rest();
            self.recovery.rest();
            self.outgoing.carried = Vec::new();
        }
    }

    fn on_sent(&mut self, packet: SentPacket) {
        let Self {
            recovery,
            outgoing,
            events,
            ..
        } = self;
        let mut carried = std::mem::take(&mut outgoing.carried);
        recovery.on_sent(packet, carried.drain(..), &mut |carried, fate| {
            outgoing.on_settled(carried, fate, events);
        });
        outgoing.carried = carried;
    }

    /// Appends a datagram for another path than the one in use, which asks whether the peer receives
    /// there: `PathAnswered(token)` follows if it does. False if the connection is over. A lost one is not
    /// sent again.
    pub fn challenge(&mut self, token: [u8; 8], out: &mut Vec<u8>, now: Timestamp) -> bool {
        if self.is_over() || self.protection.is_spent() {
            return false;
        }
        let started = self.protection.start(out, self.recovery.largest_acked());
        let mut writer = FrameWriter::new(out);
        PathChallengeFrame(token).write(&mut writer);
        self.seal(out, started);
        self.on_sent(SentPacket {
            sent_at: now,
            eliciting: false,
            ordered_bytes: 0,
            acked_up_to: None,
        });
        true
    }

    pub(super) fn transmit_close(&mut self, reason: CloseReason, out: &mut Vec<u8>) {
        let started = self.protection.start(out, self.recovery.largest_acked());
        CloseFrame(reason).write(&mut FrameWriter::new(out));
        self.seal(out, started);
        self.end(reason);
    }

    fn seal(&mut self, out: &mut Vec<u8>, started: Started) {
        let len = self.protection.finish(out, started);
        self.counters.sent += 1;
        self.counters.sent_bytes += u64::try_from(len).unwrap_or(u64::MAX);
    }
}
