//! Finding out which packets arrived: acknowledgements, loss, probes (RFC 9002, section 6).
//!
//! Packets are never sent again. Their fate is told to whoever put something into them,
//! and each decides alone: streams send fragments again, the latest lane does not.

use std::time::Duration;

use super::carried::{Carried, Fate};
use super::congestion::Congestion;
use super::error::Violation;
use super::frame::AckFrame;
use super::loss::LossHistory;
use super::rtt::Rtt;
use super::sent::{SentLog, SentPacket};
use crate::fetch::Fetch;
use crate::limits::SENT_PACKETS_MAX;
use crate::time::Timestamp;

/// A packet is lost once one sent this much later is acknowledged.
const PACKET_THRESHOLD: u64 = 3;
/// Probes in vain after which the congestion window begins anew.
const SILENT_PROBES: u32 = 2;

/// The sent packets of one connection and what their fates teach about the link.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) rtt: Rtt,
    pub(crate) congestion: Congestion,
    log: SentLog,
    history: LossHistory,
    lost: u64,
    largest_acked: Option<u64>,
    /// Packets in the log that ask for an acknowledgement and wait for it.
    waiting: usize,
    last_eliciting: Timestamp,
    /// When the oldest waiting packet becomes lost by age.
    loss_time: Option<Timestamp>,
    probes: u32,
    probe_wanted: bool,
}

impl Recovery {
    pub(crate) fn new(rtt: Option<Duration>, now: Timestamp) -> Self {
        Self {
            rtt: Rtt::new(rtt),
            congestion: Congestion::default(),
            log: SentLog::default(),
            history: LossHistory::default(),
            lost: 0,
            largest_acked: None,
            waiting: 0,
            last_eliciting: now,
            loss_time: None,
            probes: 0,
            probe_wanted: false,
        }
    }

    /// See [`super::fetch`].
    pub(super) fn fetch_parts(&self, fetch: Fetch) {
        self.log.fetch_parts(fetch);
    }

    /// A packet leaves; its number is the next. If the log is full the oldest counts as lost.
    pub(crate) fn on_sent(
        &mut self,
        packet: SentPacket,
        carried: impl Iterator<Item = Carried>,
        tell: &mut impl FnMut(Carried, Fate),
    ) {
        self.log.push(packet, carried);
        if packet.eliciting {
            self.waiting += 1;
            self.last_eliciting = packet.sent_at;
            self.probe_wanted = false;
        }
        self.congestion.on_sent(usize::from(packet.ordered_bytes));
        self.log.trim();
        if self.log.len() > SENT_PACKETS_MAX {
            self.lose(self.log.first(), packet.sent_at, tell);
            self.log.trim();
        }
    }

    /// The peer acknowledges. Gives the largest number up to which it knows our own
    /// acknowledgements.
    pub(crate) fn on_ack(
        &mut self,
        ack: &AckFrame<'_>,
        now: Timestamp,
        tell: &mut impl FnMut(Carried, Fate),
    ) -> Result<Option<u64>, Violation> {
        if ack.largest >= self.log.next() {
            return Err(Violation("ack of a packet never sent"));
        }
        let largest = self.log.waiting(ack.largest);
        let largest = largest.map(|packet| packet.sent_at);
        let mut acked_up_to = None;
        let mut progress = false;
        for range in ack.ranges() {
            for number in self.log.clip(&range) {
                let told = self
                    .log
                    .settle(number, |carried| tell(carried, Fate::Acked));
                let Some(packet) = told else { continue };
                acked_up_to = acked_up_to.max(packet.acked_up_to);
                if packet.eliciting {
                    progress = true;
                    self.waiting -= 1;
                    self.history.push(false);
                    self.congestion
                        .on_acked(usize::from(packet.ordered_bytes), packet.sent_at);
                }
            }
        }
        self.largest_acked = self.largest_acked.max(Some(ack.largest));
        if progress {
            if let Some(sent_at) = largest {
                self.rtt.sample(now.since(sent_at), ack.delay);
            }
            self.probes = 0;
        }
        self.find_lost(now, tell);
        Ok(acked_up_to)
    }

    /// Lets time pass.
    pub(crate) fn on_timeout(&mut self, now: Timestamp, tell: &mut impl FnMut(Carried, Fate)) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        if self.loss_time.is_some() {
            self.find_lost(now, tell);
            return;
        }
        self.probes = self.probes.saturating_add(1);
        if self.probes == SILENT_PROBES {
            self.congestion.on_silence();
        }
        self.probe_wanted = true;
    }

    /// When [`Recovery::on_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        if self.loss_time.is_some() {
            return self.loss_time;
        }
        let idle = self.waiting == 0 || self.probe_wanted;
        (!idle).then(|| self.last_eliciting + self.rtt.probe_wait(self.probes))
    }

    /// The next packet is far off.
    pub(crate) fn rest(&mut self) {
        self.log.rest();
    }

    /// The next packet must ask for an acknowledgement.
    pub(crate) fn want_probe(&mut self) {
        self.probe_wanted = true;
    }

    pub(crate) fn probe_wanted(&self) -> bool {
        self.probe_wanted
    }

    /// When the last packet left that asked for an acknowledgement.
    pub(crate) fn last_eliciting(&self) -> Timestamp {
        self.last_eliciting
    }

    pub(crate) fn largest_acked(&self) -> Option<u64> {
        self.largest_acked
    }

    /// Packets declared lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Share of recent packets declared lost.
    pub(crate) fn loss_share(&self) -> f32 {
        self.history.share()
    }

    /// Packets that wait for an acknowledgement.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Gives up all that waits for an acknowledgement: it went to where the peer no longer is. That is
    /// no fault of the link, so neither its share of losses nor its window is told.
    pub(crate) fn abandon(&mut self, tell: &mut impl FnMut(Carried, Fate)) {
        for number in self.log.first()..self.log.next() {
            if self
                .log
                .waiting(number)
                .is_none_or(|packet| !packet.eliciting)
            {
                continue;
            }
            let told = self.log.settle(number, |carried| tell(carried, Fate::Lost));
            if let Some(packet) = told {
                self.waiting -= 1;
                self.lost += 1;
                self.congestion
                    .on_abandoned(usize::from(packet.ordered_bytes));
            }
        }
        self.log.trim();
        self.loss_time = None;
        self.probes = 0;
    }

    fn find_lost(&mut self, now: Timestamp, tell: &mut impl FnMut(Carried, Fate)) {
        self.loss_time = None;
        if self.waiting == 0 {
            // What is left asked for nothing, or has met its fate.
            self.log.trim();
            return;
        }
        let Some(largest) = self.largest_acked else {
            return;
        };
        let delay = self.rtt.loss_delay();
        for number in self.log.clip(&(0..=largest)) {
            let Some(packet) = self.log.waiting(number).filter(|packet| packet.eliciting) else {
                continue;
            };
            let due = packet.sent_at + delay;
            if largest - number < PACKET_THRESHOLD && due > now {
                // Later packets are younger and nearer: none of them is lost either.
                self.loss_time = Some(due);
                break;
            }
            self.lose(number, now, tell);
        }
        self.log.trim();
    }

    fn lose(&mut self, number: u64, now: Timestamp, tell: &mut impl FnMut(Carried, Fate)) {
        let told = self.log.settle(number, |carried| tell(carried, Fate::Lost));
        let Some(packet) = told.filter(|packet| packet.eliciting) else {
            return;
        };
        self.waiting -= 1;
        self.lost += 1;
        self.history.push(true);
        self.congestion
            .on_lost(usize::from(packet.ordered_bytes), packet.sent_at, now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Frame, FrameWriter};
    use super::super::ranges::Ranges;
    use super::*;
    use crate::random::Rng;
    use crate::wire::Reader;

    struct Bench {
        recovery: Recovery,
        next: u64,
        told: Vec<(Carried, Fate)>,
    }

    impl Bench {
        fn new() -> Self {
            let recovery = Recovery::new(Some(Duration::from_millis(80)), Timestamp::ZERO);
            Self {
                recovery,
                next: 0,
                told: Vec::new(),
            }
        }

        fn send(&mut self, at_ms: u64) {
            let packet = SentPacket {
                sent_at: Timestamp::from_millis(at_ms),
                eliciting: true,
                ordered_bytes: 0,
                acked_up_to: Some(self.next + 100),
            };
            let carried = std::iter::once(Carried::Latest(self.next));
            let told = &mut self.told;
            self.recovery
                .on_sent(packet, carried, &mut |carried, fate| {
                    told.push((carried, fate))
                });
            self.next += 1;
        }

        fn ack(&mut self, numbers: &[u64], at_ms: u64) -> Result<Option<u64>, Violation> {
            let mut ranges = Ranges::default();
            numbers.iter().for_each(|number| ranges.insert(*number));
            let mut bytes = Vec::new();
            AckFrame::write(&ranges, Duration::ZERO, &mut FrameWriter::new(&mut bytes));
            let Ok(Frame::Ack(ack)) = Frame::read(&mut Reader::new(&bytes)) else {
                panic!("ack")
            };
            let told = &mut self.told;
            self.recovery
                .on_ack(&ack, Timestamp::from_millis(at_ms), &mut |carried, fate| {
                    told.push((carried, fate));
                })
        }

        fn timeout(&mut self, at_ms: u64) {
            let told = &mut self.told;
            self.recovery
                .on_timeout(Timestamp::from_millis(at_ms), &mut |carried, fate| {
                    told.push((carried, fate));
                });
        }

        fn take(&mut self) -> Vec<(u64, Fate)> {
            self.told
                .drain(..)
                .map(|told| match told {
                    (Carried::Latest(tag), fate) => (tag, fate),
                    other => panic!("unexpected {other:?}"),
                })
                .collect()
        }
    }

    #[test]
    fn a_packet_three_behind_an_acknowledged_one_is_lost() {
        let mut bench = Bench::new();
        (0..4).for_each(|_| bench.send(0));
        assert_eq!(bench.ack(&[3], 80), Ok(Some(103)));
        assert_eq!(bench.take(), [(3, Fate::Acked), (0, Fate::Lost)]);
        assert_eq!(bench.ack(&[0, 1, 3], 81), Ok(Some(101)));
        assert_eq!(
            bench.take(),
            [(1, Fate::Acked)],
            "a late ack changes no fate"
        );
    }

    #[test]
    fn a_packet_older_than_nine_eighths_of_a_round_trip_is_lost() {
        let mut bench = Bench::new();
        bench.send(0);
        bench.send(10);
        bench.ack(&[1], 82).unwrap();
        let due = bench.recovery.deadline().unwrap();
        assert_eq!(due, Timestamp::ZERO + bench.recovery.rtt.loss_delay());
        assert_eq!(
            due.as_millis(),
            88,
            "the sample of 72 ms lowers 9/8 of 80 a little"
        );
        bench.take();
        bench.timeout(89);
        assert_eq!(bench.take(), [(0, Fate::Lost)]);
        assert_eq!(bench.recovery.deadline(), None);
        assert_eq!(
            (bench.recovery.lost(), bench.recovery.loss_share()),
            (1, 0.5)
        );
    }

    #[test]
    fn silence_asks_for_probes_that_back_off() {
        let mut bench = Bench::new();
        bench.send(0);
        // 80 + 4 * 40 + 40 ms.
        assert_eq!(bench.recovery.deadline(), Some(Timestamp::from_millis(280)));
        bench.timeout(279);
        assert!(!bench.recovery.probe_wanted());
        bench.timeout(280);
        assert!(bench.recovery.probe_wanted());
        assert_eq!(
            bench.recovery.deadline(),
            None,
            "the probe must leave first"
        );
        bench.send(280);
        assert_eq!(
            bench.recovery.deadline(),
            Some(Timestamp::from_millis(280 + 560))
        );
        assert_eq!(bench.take(), [], "silence alone loses nothing");
    }

    #[test]
    fn an_ack_of_a_packet_never_sent_is_a_violation() {
        let mut bench = Bench::new();
        bench.send(0);
        assert!(bench.ack(&[1], 10).is_err());
        assert!(bench.ack(&[0], 10).is_ok());
    }

    #[test]
    fn a_full_log_loses_its_oldest_packet() {
        let mut bench = Bench::new();
        (0..=SENT_PACKETS_MAX).for_each(|_| bench.send(0));
        assert_eq!(bench.take(), [(0, Fate::Lost)]);
        assert_eq!(bench.recovery.waiting(), SENT_PACKETS_MAX);
        (0..10_000).for_each(|_| bench.send(0));
        assert_eq!(bench.recovery.log.len(), SENT_PACKETS_MAX);
    }

    #[test]
    fn whatever_a_peer_acknowledges_the_log_is_bounded_and_each_fate_told_once() {
        for seed in 0..20 {
            let mut rng = Rng::from_number(seed);
            let mut bench = Bench::new();
            let (mut told, mut overflowed) = (vec![false; 5_000], false);
            let diligence = [0.0, 0.001, 0.2][rng.index(3)];
            for number in 0..5_000 {
                bench.send(number);
                if rng.chance(diligence) {
                    // Never much of what is new.
                    let acked = |_| rng.below(1 + bench.next / 4);
                    let numbers: Vec<_> = (0..8).map(acked).collect();
                    bench.ack(&numbers, number).unwrap();
                }
                if rng.chance(0.05) {
                    bench.timeout(number);
                }
                let recovery = &bench.recovery;
                let len = recovery.log.len();
                assert!(len <= SENT_PACKETS_MAX && recovery.waiting <= len);
                assert_eq!(recovery.log.carried(), len, "one for each packet");
                overflowed |= len == SENT_PACKETS_MAX;
                for (of, fate) in bench.take() {
                    let again = std::mem::replace(&mut told[usize::try_from(of).unwrap()], true);
                    assert!(!again, "the fate of {of} is told again, as {fate:?}");
                }
            }
            let open = told.iter().filter(|told| !**told).count();
            assert!(open <= SENT_PACKETS_MAX, "what is forgotten was told");
            assert!(overflowed, "it was filled");
        }
    }
}
