//! Keys that change on the way, one chain per direction (the idea of RFC 9001, section 6).
//!
//! The sender decides when; a bit of each packet's flags, the phase, turns over with the key.
//! Nothing is announced: the receiver tells old from next by the packet number, and believes in
//! a new key only once a packet has opened under it.

use std::time::Duration;

use crate::crypto::{TrafficKey, TrafficSecret};
use crate::limits::{KEY_PACKETS_MAX, OLD_KEY_HELD_MAX, REKEY_AFTER, REKEY_AFTER_PACKETS};
use crate::time::Timestamp;

/// The key of what we send; first what each packet touches.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct SealKeys {
    phase: bool,
    /// Number of the first packet under this key.
    first: u64,
    since: Timestamp,
    key: Made,
    secret: TrafficSecret,
}

impl SealKeys {
    pub(crate) fn new(secret: TrafficSecret, now: Timestamp) -> Self {
        Self {
            key: Made::default(),
            secret,
            phase: false,
            first: 0,
            since: now,
        }
    }

    /// Changes the key before packet `next` if this one is used up. Only once the peer has
    /// acknowledged a packet under it: else it could miss a whole phase, and with it the chain.
    pub(crate) fn change_if_due(&mut self, next: u64, acked: Option<u64>, now: Timestamp) {
        let due = next.saturating_sub(self.first) >= REKEY_AFTER_PACKETS
            || now.since(self.since) >= REKEY_AFTER;
        if due && acked.is_some_and(|acked| acked >= self.first) {
            self.secret = self.secret.next();
            self.key = Made::default();
            self.phase = !self.phase;
            self.first = next;
            self.since = now;
        }
    }

    /// True if the key must not seal packet `next`: it was due for long, but the peer is silent.
    pub(crate) fn is_spent(&self, next: u64) -> bool {
        next.saturating_sub(self.first) >= KEY_PACKETS_MAX
    }

    pub(crate) fn phase(&self) -> bool {
        self.phase
    }

    pub(crate) fn key(&mut self) -> &TrafficKey {
        self.key.of(&self.secret)
    }

    /// The next packet is far off.
    pub(crate) fn rest(&mut self) {
        self.key = Made::default();
    }
}

/// The keys of what we receive: the present one, for a while the one before it, and the one
/// after it once somebody claims to use it. First what each packet touches.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct OpenKeys {
    phase: bool,
    /// The lowest number that opened under the present key.
    first: u64,
    key: Made,
    old: Option<Box<OldKey>>,
    /// Of the present key.
    secret: TrafficSecret,
    /// The one after the present one, derived at most once however often a stranger claims to use it.
    next: Made,
}

#[derive(Debug)]
struct OldKey {
    key: TrafficKey,
    until: Timestamp,
}

/// A key that is made from its secret when it is needed, as it is much larger. No part of the state: it follows from
/// the secret.
#[derive(Default)]
struct Made(Option<TrafficKey>);

impl Made {
    fn of(&mut self, secret: &TrafficSecret) -> &TrafficKey {
        self.0.get_or_insert_with(|| secret.key())
    }
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Made")
    }
}

/// A packet about to be opened.
#[derive(Debug)]
pub(crate) struct Sealed<'a> {
    pub(crate) phase: bool,
    pub(crate) number: u64,
    /// The number after the newest received: an honest sender's next phase begins there or later.
    pub(crate) expected: u64,
    pub(crate) header: &'a [u8],
}

/// Why a packet did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenFailure {
    /// No key that we may try: nothing was tried.
    NoKey,
    /// A key was tried in vain.
    NotAuthentic,
}

impl OpenKeys {
    pub(crate) fn new(secret: TrafficSecret) -> Self {
        Self {
            key: Made::default(),
            secret,
            phase: false,
            first: 0,
            old: None,
            next: Made::default(),
        }
    }

    /// Changes with every change of key.
    pub(crate) fn phase(&self) -> bool {
        self.phase
    }

    /// Opens `body` in place under the one key that fits phase and number. If that is the next
    /// key and the packet is authentic, the key is changed, and the old one kept for `hold`.
    pub(crate) fn open<'a>(
        &mut self,
        packet: &Sealed<'_>,
        body: &'a mut [u8],
        hold: impl FnOnce() -> Duration,
        now: Timestamp,
    ) -> Result<&'a mut [u8], OpenFailure> {
        self.forget_old(now);
        let Sealed { number, header, .. } = *packet;
        if packet.phase == self.phase {
            let text = try_key(self.key.of(&self.secret), number, header, body)?;
            self.first = self.first.min(number);
            return Ok(text);
        }
        // One phase at a time: while the old key lives the flipped bit means it, and a peer that
        // turns over faster than that is not followed.
        if let Some(old) = &self.old {
            return if number < self.first {
                try_key(&old.key, number, header, body)
            } else {
                Err(OpenFailure::NoKey)
            };
        }
        if number < packet.expected {
            return Err(OpenFailure::NoKey);
        }
        let secret = &self.secret;
        let next = self.next.0.get_or_insert_with(|| secret.next().key());
        let text = try_key(next, number, header, body)?;
        self.change(number, now + hold().min(OLD_KEY_HELD_MAX));
        Ok(text)
    }

    /// Forgets the old key if its time is over.
    pub(crate) fn forget_old(&mut self, now: Timestamp) {
        if self.old.as_ref().is_some_and(|old| old.until <= now) {
            self.old = None;
        }
    }

    /// The next packet is far off.
    pub(crate) fn rest(&mut self) {
        self.key = Made::default();
    }

    fn change(&mut self, first: u64, until: Timestamp) {
        let key = self.key.0.take().unwrap_or_else(|| self.secret.key());
        self.secret = self.secret.next();
        self.key = std::mem::take(&mut self.next);
        self.old = Some(Box::new(OldKey { key, until }));
        self.phase = !self.phase;
        self.first = first;
    }
}

fn try_key<'a>(
    key: &TrafficKey,
    number: u64,
    header: &[u8],
    body: &'a mut [u8],
) -> Result<&'a mut [u8], OpenFailure> {
    key.open(number, header, body)
        .map_err(|_| OpenFailure::NotAuthentic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Suite;

    const HOLD: Duration = Duration::from_millis(300);

    /// Both ends of one direction.
    struct Pair {
        seal: SealKeys,
        open: OpenKeys,
        /// The next number to send, and the one after the newest received.
        next: u64,
        expected: u64,
        now: Timestamp,
    }

    /// A packet on its way: phase, number, sealed bytes.
    #[derive(Clone)]
    struct Flying(bool, u64, Vec<u8>);

    impl Pair {
        fn new() -> Self {
            let secret = TrafficSecret::new(Suite::Aes128Gcm, [7; 32]);
            let now = Timestamp::from_millis(5_000);
            Self {
                seal: SealKeys::new(secret.clone(), now),
                open: OpenKeys::new(secret),
                next: 0,
                expected: 0,
                now,
            }
        }

        fn send(&mut self, acked: Option<u64>) -> Flying {
            self.seal.change_if_due(self.next, acked, self.now);
            let mut packet = b"frames".to_vec();
            self.seal.key().seal(self.next, &mut packet, 0, 0);
            self.next += 1;
            Flying(self.seal.phase(), self.next - 1, packet)
        }

        fn take(&mut self, packet: &Flying) -> Result<(), OpenFailure> {
            let Flying(phase, number, bytes) = packet;
            let mut body = bytes.clone();
            let sealed = Sealed {
                phase: *phase,
                number: *number,
                expected: self.expected,
                header: &[],
            };
            let text = self.open.open(&sealed, &mut body, || HOLD, self.now)?;
            assert_eq!(text, b"frames");
            self.expected = self.expected.max(number + 1);
            Ok(())
        }

        /// Goes to just before the packet limit of the present key.
        fn wear(&mut self) {
            self.next = self.seal.first + REKEY_AFTER_PACKETS - 1;
        }

        fn wait(&mut self, span: Duration) {
            self.now += span;
        }
    }

    #[test]
    fn the_key_changes_at_the_packet_limit_and_not_before() {
        let mut pair = Pair::new();
        pair.wear();
        let last = pair.send(Some(5));
        let first = pair.send(Some(5));
        assert_eq!((last.0, first.0), (false, true));
        assert_eq!(first.1, REKEY_AFTER_PACKETS);
        assert_eq!(pair.take(&last), Ok(()));
        assert_eq!(pair.take(&first), Ok(()));
        let second = pair.send(Some(5));
        assert_eq!(pair.take(&second), Ok(()));
    }

    #[test]
    fn the_key_changes_at_the_age_limit_and_not_before() {
        let mut pair = Pair::new();
        pair.wait(REKEY_AFTER - Duration::from_nanos(1));
        assert!(!pair.send(Some(0)).0);
        pair.wait(Duration::from_nanos(1));
        let first = pair.send(Some(0));
        assert!(first.0);
        assert_eq!(pair.take(&first), Ok(()));
    }

    #[test]
    fn a_key_that_nobody_acknowledged_is_not_left_but_ends_one_day() {
        let mut pair = Pair::new();
        pair.wear();
        pair.next += 10;
        assert!(!pair.send(None).0, "never heard");
        let first = pair.send(Some(0));
        assert!(first.0);
        pair.wear();
        pair.next += 10;
        assert!(pair.send(Some(first.1 - 1)).0, "only older phases heard");
        assert!(!pair.send(Some(first.1)).0, "heard in this phase");
        let end = pair.seal.first + KEY_PACKETS_MAX;
        assert!(!pair.seal.is_spent(end - 1));
        assert!(pair.seal.is_spent(end));
    }

    #[test]
    fn packets_overtake_each_other_across_a_change() {
        let mut pair = Pair::new();
        pair.wear();
        let packets: Vec<_> = [pair.send(Some(0)), pair.send(Some(0)), pair.send(Some(0))].into();
        // The second of the new phase, the last of the old, the first of the new.
        for index in [2, 0, 1] {
            assert_eq!(pair.take(&packets[index]), Ok(()), "packet {index}");
        }
    }

    #[test]
    fn a_new_phase_begins_even_if_its_first_packets_are_lost() {
        let mut pair = Pair::new();
        pair.wear();
        let last = pair.send(Some(0));
        let _lost = (pair.send(Some(0)), pair.send(Some(0)));
        let third = pair.send(Some(0));
        assert_eq!(pair.take(&third), Ok(()));
        assert_eq!(pair.take(&last), Ok(()), "the old key is still held");
    }

    #[test]
    fn the_old_key_is_held_for_its_time_and_no_longer() {
        let mut pair = Pair::new();
        pair.wear();
        let old = [pair.send(Some(0)), {
            pair.next -= 5;
            pair.send(Some(0))
        }];
        pair.next += 4;
        let new = pair.send(Some(0));
        assert_eq!(pair.take(&new), Ok(()));
        pair.wait(HOLD - Duration::from_nanos(1));
        assert_eq!(pair.take(&old[0]), Ok(()));
        pair.wait(Duration::from_nanos(1));
        assert_eq!(pair.take(&old[1]), Err(OpenFailure::NoKey));
        assert!(pair.open.old.is_none());
    }

    #[test]
    fn a_forged_phase_bit_changes_nothing() {
        let mut pair = Pair::new();
        let genuine = pair.send(None);
        let before = format!("{:?}", pair.open);
        let forged = Flying(true, genuine.1, genuine.2.clone());
        for _ in 0..3 {
            assert_eq!(pair.take(&forged), Err(OpenFailure::NotAuthentic));
        }
        assert_eq!(format!("{:?}", pair.open), before);
        assert_eq!(pair.take(&genuine), Ok(()));
    }

    #[test]
    fn two_changes_bring_the_first_phase_back_under_a_third_key() {
        let mut pair = Pair::new();
        let start = pair.send(None);
        assert_eq!(pair.take(&start), Ok(()));
        for phase in [true, false, true] {
            let before = pair.next - 1;
            pair.wear();
            let mut packet = pair.send(Some(before));
            while packet.0 != phase {
                assert_eq!(pair.take(&packet), Ok(()));
                packet = pair.send(Some(before));
            }
            assert_eq!(pair.take(&packet), Ok(()));
            pair.wait(HOLD);
        }
        let stale = Flying(start.0, pair.expected + 5, start.2);
        assert_eq!(pair.take(&stale), Err(OpenFailure::NotAuthentic));
    }

    #[test]
    fn a_peer_that_turns_over_at_every_packet_is_not_followed() {
        let mut pair = Pair::new();
        let mut followed = 0;
        for _ in 0..100 {
            // The peer means ill: it changes whenever it likes.
            pair.seal.since = Timestamp::ZERO;
            pair.wait(REKEY_AFTER + HOLD / 4 - pair.now.since(Timestamp::ZERO).min(REKEY_AFTER));
            let packet = pair.send(Some(u64::MAX));
            followed += u32::from(pair.take(&packet).is_ok());
        }
        assert!((1..=26).contains(&followed), "{followed} derivations");
    }

    #[test]
    fn an_update_whose_numbers_do_not_progress_is_refused_untried() {
        let mut pair = Pair::new();
        pair.next = 100;
        let newest = pair.send(Some(0));
        assert_eq!(pair.take(&newest), Ok(()));
        pair.next = 50;
        pair.wait(REKEY_AFTER);
        let back = pair.send(Some(0));
        assert!(back.0);
        assert_eq!(pair.take(&back), Err(OpenFailure::NoKey));
    }
}
