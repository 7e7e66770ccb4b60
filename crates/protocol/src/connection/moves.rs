//! One end has another address: what that does to what is under way and to what is known of the link.

use super::Connection;
use super::recovery::Recovery;
use crate::time::Timestamp;

/// What is known of the link after the peer has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimates {
    /// It is most likely the same link: only the port is another, as behind a NAT that forgot.
    Keep,
    /// It is another link (RFC 9000, section 9.4): round trip and congestion window begin anew.
    Reset,
}

impl Connection {
    /// This side's own address has changed, or may have: something leaves at once, so that the peer
    /// learns of it. Round trip and congestion window begin anew, since it may be another link.
    ///
    /// What was sent before is not taken for lost: it arrives, and only the news of that may not.
    pub fn handle_moved(&mut self, now: Timestamp) {
        if self.is_over() {
            return;
        }
        self.clock = self.clock.max(now);
        self.outgoing.path_answers.clear();
        self.recovery.forget_link();
        self.recovery.want_probe();
    }

    /// The peer has shown that it receives at another address, where everything goes from now on. What
    /// is under way to the old one counts as lost at once, since the peer may not be there any more; that
    /// says nothing of congestion. Had it arrived, the peer would take it for a repetition.
    pub fn handle_peer_moved(&mut self, estimates: Estimates, now: Timestamp) {
        if self.is_over() {
            return;
        }
        self.clock = self.clock.max(now);
        let Self {
            recovery,
            outgoing,
            events,
            ..
        } = self;
        recovery.abandon(&mut |carried, fate| outgoing.on_settled(carried, fate, events));
        match estimates {
            Estimates::Keep => {}
            Estimates::Reset => recovery.forget_link(),
        }
    }
}

impl Recovery {
    /// Begins anew with what is known of the link; what is under way stays so.
    fn forget_link(&mut self) {
        self.rtt = super::rtt::Rtt::new(None);
        self.congestion.restart();
    }
}

#[cfg(test)]
mod tests {
    use super::super::carried::{Carried, Fate};
    use super::super::sent::SentPacket;
    use super::*;
    use crate::limits::DATAGRAM_MAX;

    const NOW: Timestamp = Timestamp::from_millis(5);
    /// The largest part of a datagram that a test needs to say.
    const BYTES: u16 = 1_000;

    /// With so many packets of ordered data under way.
    fn under_way(packets: usize) -> Recovery {
        let rtt = std::time::Duration::from_millis(50);
        let mut recovery = Recovery::new(Some(rtt), NOW);
        for tag in 0..packets {
            let packet = SentPacket {
                sent_at: NOW,
                eliciting: true,
                ordered_bytes: BYTES,
                acked_up_to: None,
            };
            let carried = Carried::Latest(u64::try_from(tag).unwrap());
            recovery.on_sent(packet, std::iter::once(carried), &mut |_, _| {});
        }
        recovery
    }

    #[test]
    fn what_went_to_a_peer_that_moved_is_told_as_lost_and_closes_no_window() {
        let mut recovery = under_way(5);
        let fresh = Recovery::new(None, NOW);
        let room = 10 * DATAGRAM_MAX;
        assert!(!recovery.congestion.is_open(room - 1));
        let mut told = Vec::new();
        recovery.abandon(&mut |carried, fate| told.push((carried, fate)));
        let lost = |tag| (Carried::Latest(tag), Fate::Lost);
        assert_eq!(told, [0, 1, 2, 3, 4].map(lost));
        assert_eq!((recovery.waiting(), recovery.lost()), (0, 5));
        assert!(recovery.loss_share() < f32::EPSILON);
        assert_eq!(recovery.deadline(), None);
        for of in [&recovery, &fresh] {
            assert!(of.congestion.is_open(room - 1) && !of.congestion.is_open(room));
        }
    }

    #[test]
    fn another_link_begins_with_the_first_window_and_what_is_under_way() {
        let mut recovery = under_way(5);
        recovery.congestion.on_silence();
        assert!(!recovery.congestion.is_open(0));
        recovery.forget_link();
        let left = 10 * DATAGRAM_MAX - 5 * usize::from(BYTES);
        assert!(recovery.congestion.is_open(left - 1) && !recovery.congestion.is_open(left));
        assert_eq!((recovery.rtt.smoothed(), recovery.waiting()), (None, 5));
    }
}
