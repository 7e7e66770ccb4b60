//! Round-trip time and its deviation (RFC 9002, section 5).
//!
//! One departure: the peer's delay is taken off every sample, the first and the smallest too.
//! Here any acknowledgement may be held back for a tick, so the smallest sample would
//! otherwise carry a delay for ever and forbid to take it off the rest.

use std::time::Duration;

use crate::limits::{ACK_DELAY_MAX, HELLO_RETRY, HELLO_RETRY_MAX};
use crate::time::nanos;

/// Assumed before the first sample.
const INITIAL: u64 = nanos(Duration::from_millis(333));
/// The smallest step a timer is trusted with.
const GRANULARITY: u64 = nanos(Duration::from_millis(1));
/// No probe waits longer, so that a link that comes back is used soon.
const PROBE_WAIT_MAX: Duration = Duration::from_secs(2);
/// An hour-long first sample is a stopped clock.
const FIRST_MAX: Duration = Duration::from_secs(3_600);
/// 36 years: sixteen times as much is a number yet.
const SAMPLE_MAX: u64 = u64::MAX / 16;
/// Doublings after which every wait is beyond the longest.
const DOUBLINGS_MAX: u32 = 16;

/// The estimates of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    estimate: Option<Estimate>,
}

/// In nanoseconds: each packet asks for sums and shares of them, which spans of two parts make slow.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    latest: u64,
    smoothed: u64,
    variation: u64,
    min: u64,
}

impl Rtt {
    /// Begins with the handshake's own measurement, if there is one.
    pub(crate) fn new(handshake: Option<Duration>) -> Self {
        Self {
            estimate: handshake.map(|sample| Estimate::first(nanos(sample))),
        }
    }

    /// Takes a sample: from sending a packet to its acknowledgement, which the peer held back
    /// for `delay`. The delay is the peer's word, so it is bounded; loss by age goes by the
    /// whole sample, and probes wait for the longest delay anyway.
    pub(crate) fn sample(&mut self, sample: Duration, delay: Duration) {
        let sample = nanos(sample).min(SAMPLE_MAX);
        let adjusted = sample.saturating_sub(nanos(delay.min(ACK_DELAY_MAX)));
        let Some(estimate) = &mut self.estimate else {
            self.estimate = Some(Estimate::first(adjusted));
            return;
        };
        estimate.latest = sample;
        estimate.min = estimate.min.min(adjusted);
        let deviation = estimate.smoothed.abs_diff(adjusted);
        estimate.variation = (estimate.variation * 3 + deviation) / 4;
        estimate.smoothed = (estimate.smoothed * 7 + adjusted) / 8;
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.estimate
            .map(|estimate| Duration::from_nanos(estimate.smoothed))
    }

    pub(crate) fn min(&self) -> Option<Duration> {
        self.estimate
            .map(|estimate| Duration::from_nanos(estimate.min))
    }

    /// Mean deviation, zero before the first sample.
    pub(crate) fn jitter(&self) -> Duration {
        let variation = self.estimate.map_or(0, |estimate| estimate.variation);
        Duration::from_nanos(variation)
    }

    /// How late a peer may answer on this link without being suspect.
    pub(crate) fn patience(&self) -> Duration {
        let patience = match self.estimate {
            Some(estimate) => estimate.smoothed * 3 + estimate.variation * 4,
            None => INITIAL * 3,
        };
        Duration::from_nanos(patience)
    }

    /// Age at which a packet is lost if a newer one was acknowledged: 9/8 of a round trip.
    pub(crate) fn loss_delay(&self) -> Duration {
        let base = self
            .estimate
            .map_or(INITIAL, |estimate| estimate.smoothed.max(estimate.latest));
        Duration::from_nanos((base + base / 8).max(GRANULARITY))
    }

    /// Silence after which a probe goes out, doubling with each probe in vain.
    ///
    /// Before the first sample a client waits as for the answer to its hello: the server keeps the
    /// keys of a join for [`PENDING_JOIN_LIFE`](crate::limits::PENDING_JOIN_LIFE) only, and the
    /// 1 s of RFC 9002 gives three tries in that time where these are seven.
    pub(crate) fn probe_wait(&self, probes: u32) -> Duration {
        let doublings = 1 << probes.min(DOUBLINGS_MAX);
        let Some(Estimate {
            smoothed,
            variation,
            ..
        }) = self.estimate
        else {
            return HELLO_RETRY.saturating_mul(doublings).min(HELLO_RETRY_MAX);
        };
        let base = smoothed + (variation * 4).max(GRANULARITY) + nanos(ACK_DELAY_MAX);
        let longest = base.max(nanos(PROBE_WAIT_MAX));
        Duration::from_nanos(base.saturating_mul(u64::from(doublings)).min(longest))
    }
}

impl Estimate {
    fn first(sample: u64) -> Self {
        let sample = sample.min(nanos(FIRST_MAX));
        Self {
            latest: sample,
            smoothed: sample,
            variation: sample / 2,
            min: sample,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn estimates_follow_rfc_9002() {
        let mut rtt = Rtt::new(None);
        assert_eq!(rtt.smoothed(), None);
        assert_eq!(rtt.probe_wait(0), HELLO_RETRY);
        rtt.sample(ms(80), ms(0));
        assert_eq!((rtt.smoothed(), rtt.jitter()), (Some(ms(80)), ms(40)));
        rtt.sample(ms(160), ms(24));
        // 160 - 24 = 136; 80 * 7/8 + 136 / 8 = 87; 40 * 3/4 + 56 / 4 = 44.
        assert_eq!((rtt.smoothed(), rtt.jitter()), (Some(ms(87)), ms(44)));
        assert_eq!(rtt.min(), Some(ms(80)));
        assert_eq!(rtt.loss_delay(), ms(180));
        assert_eq!(rtt.probe_wait(0), ms(87 + 176 + 40));
    }

    #[test]
    fn held_back_acknowledgements_do_not_lengthen_the_estimate() {
        let mut rtt = Rtt::new(Some(ms(60)));
        (0..50).for_each(|_| rtt.sample(ms(50 + 40), ms(40)));
        assert_eq!(rtt.min(), Some(ms(50)));
        assert!(rtt.smoothed().unwrap() < ms(51));
    }

    #[test]
    fn a_lying_delay_is_bounded() {
        let mut rtt = Rtt::new(Some(ms(100)));
        (0..100).for_each(|_| rtt.sample(ms(110), Duration::MAX));
        assert!(rtt.smoothed().unwrap() >= ms(110) - ACK_DELAY_MAX);
        assert!(
            rtt.loss_delay() > ms(110),
            "no packet is lost before its time"
        );
    }

    #[test]
    fn probes_back_off_to_a_bound() {
        let rtt = Rtt::new(Some(ms(20)));
        assert_eq!(rtt.probe_wait(0), ms(100));
        assert_eq!(rtt.probe_wait(2), ms(400));
        assert_eq!(rtt.probe_wait(9), PROBE_WAIT_MAX);
        assert_eq!(rtt.probe_wait(u32::MAX), PROBE_WAIT_MAX);
        assert_eq!(Rtt::new(None).probe_wait(u32::MAX), HELLO_RETRY_MAX);
        let slow = Rtt::new(Some(ms(3_000)));
        assert_eq!(
            slow.probe_wait(7),
            slow.probe_wait(0),
            "never below the round trip"
        );
    }
}
