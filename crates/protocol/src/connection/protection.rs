//! Packet numbers and keys: sealing what leaves, admitting what comes.

use super::error::PacketError;
use super::keys::{OpenFailure, OpenKeys, SealKeys, Sealed};
use super::origin::Origin;
use super::rtt::Rtt;
use super::setup::Setup;
use crate::limits::AEAD_FAILURES_MAX;
use crate::packet::{Header, NUMBER_MAX, ReplayWindow, TruncatedNumber};
use crate::planted::{self, Bug};
use crate::time::Timestamp;

/// Probe timeouts for which the old key outlives a change: packets under way still open.
const OLD_KEY_PROBES: u32 = 3;

/// Both directions of a connection's packets.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Protection {
    send_id: Option<[u8; 4]>,
    labelled: bool,
    epoch_bits: u8,
    next: u64,
    /// Forgeries that came over the path in use since the peer last changed its key. Some were tried
    /// under the key before or the one after: no key has seen more than three times as many.
    failures: u64,
    replay: ReplayWindow,
    seal: SealKeys,
    open: OpenKeys,
}

/// What a datagram does not say about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) origin: Origin,
    /// Tells the probe timeout, if the key changes.
    pub(crate) rtt: Rtt,
    pub(crate) now: Timestamp,
}

/// A packet under construction at the end of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    start: usize,
    header_len: usize,
}

impl Protection {
    pub(crate) const fn send_id(&self) -> Option<[u8; 4]> {
        self.send_id
    }

    pub(crate) fn new(setup: Setup, now: Timestamp) -> Self {
        let Setup {
            seal,
            open,
            send_id,
            labelled,
            epoch,
            role: _,
        } = setup;
        let replay = ReplayWindow::default();
        Self {
            seal: SealKeys::new(seal, now),
            open: OpenKeys::new(open),
            send_id,
            labelled,
            epoch_bits: epoch.bits(),
            next: 0,
            replay,
            failures: 0,
        }
    }

    /// The next packets, both ways, are far off.
    pub(crate) fn rest(&mut self) {
        self.seal.rest();
        self.open.rest();
    }

    /// Number of the next packet.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Changes our key if it is due; `acked` is the largest of our packets that the peer has.
    pub(crate) fn change_key_if_due(&mut self, acked: Option<u64>, now: Timestamp) {
        self.seal.change_if_due(self.next, acked, now);
    }

    /// Forgets the peer's old key if its time is over.
    pub(crate) fn on_timeout(&mut self, now: Timestamp) {
        self.open.forget_old(now);
    }

    /// True if no packet number is left, since none may be used twice, or none under our key.
    pub(crate) fn is_spent(&self) -> bool {
        self.next > NUMBER_MAX || self.seal.is_spent(self.next)
    }

    /// True if the peer's key was tried so often that a forgery may soon succeed.
    pub(crate) fn is_worn(&self) -> bool {
        self.failures >= AEAD_FAILURES_MAX
    }

    /// Appends the header of the next packet.
    pub(crate) fn start(&self, out: &mut Vec<u8>, acked: Option<u64>) -> Started {
        let number = TruncatedNumber::shortest(self.next, acked);
        let label = self.send_id;
        let header = Header {
            epoch_bits: self.epoch_bits,
            key_phase: self.seal.phase(),
            label,
            number,
        };
        let start = out.len();
        let header_len = header.encode(out);
        Started { start, header_len }
    }

    /// Seals the packet; its number is spent. Gives its length.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>, started: Started) -> usize {
        let number = self.next;
        assert!(
            number <= NUMBER_MAX,
            "a connection closes before its numbers run out"
        );
        let odd = !(out.len() - started.start).is_multiple_of(2);
        let again = planted::is(Bug::NumberUsedTwice) && number % 200 == 199 && odd;
        self.next += u64::from(!again);
        self.seal
            .key()
            .seal(number, out, started.start, started.header_len);
        out.len() - started.start
    }

    /// The number after the newest one received.
    pub(crate) fn expected(&self) -> u64 {
        self.replay.expected()
    }

    /// Opens a datagram in place; gives its number and frames. Changes nothing unless the
    /// packet is authentic, except the count of failures.
    pub(crate) fn open<'a>(
        &mut self,
        datagram: &'a mut [u8],
        arrival: &Arrival,
    ) -> Result<(u64, &'a [u8]), PacketError> {
        let (header, header_len) = Header::decode(datagram).map_err(|_| PacketError::Header)?;
        if header.label.is_some() != self.labelled {
            return Err(PacketError::Header);
        }
        if header.epoch_bits != self.epoch_bits {
            return Err(PacketError::NotAuthentic);
        }
        let (phase, expected) = (header.key_phase, self.replay.expected());
        let number = header.number.expand(expected).ok_or(PacketError::Header)?;
        if !self.replay.admits(number) {
            return Err(PacketError::Replayed);
        }
        let (header, body) = datagram.split_at_mut(header_len);
        let sealed = Sealed {
            phase,
            number,
            expected,
            header,
        };
        let hold = || arrival.rtt.probe_wait(0).saturating_mul(OLD_KEY_PROBES);
        let before = self.open.phase();
        match self.open.open(&sealed, body, hold, arrival.now) {
            Ok(frames) => {
                self.replay.insert(number);
                if self.open.phase() != before {
                    self.failures = 0;
                }
                Ok((number, frames))
            }
            Err(failure) => {
                let tried = failure == OpenFailure::NotAuthentic;
                self.failures += u64::from(tried && arrival.origin == Origin::Path);
                Err(PacketError::NotAuthentic)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::setup::Role;
    use super::*;
    use crate::crypto::{Suite, TrafficSecret};
    use crate::ids::Epoch;
    use crate::limits::REKEY_AFTER_PACKETS;

    const NOW: Timestamp = Timestamp::from_millis(5);

    fn secret() -> TrafficSecret {
        TrafficSecret::new(Suite::Aes128Gcm, [7; 32])
    }

    fn open(protection: &mut Protection, datagram: &mut [u8]) -> Result<u64, PacketError> {
        open_from(Origin::Path, protection, datagram)
    }

    fn open_from(
        origin: Origin,
        protection: &mut Protection,
        datagram: &mut [u8],
    ) -> Result<u64, PacketError> {
        let arrival = Arrival {
            origin,
            rtt: Rtt::new(Some(Duration::from_millis(100))),
            now: NOW,
        };
        let (number, frames) = protection.open(datagram, &arrival)?;
        assert_eq!(frames, b"frames");
        Ok(number)
    }

    fn looped(epoch: u64) -> Protection {
        let (send_id, labelled) = (Some([1, 2, 3, 4]), true);
        let setup = Setup {
            role: Role::Server,
            seal: secret(),
            open: secret(),
            send_id,
            labelled,
            epoch: Epoch(epoch),
        };
        Protection::new(setup, NOW)
    }

    fn packet(protection: &mut Protection) -> Vec<u8> {
        let mut out = Vec::new();
        let started = protection.start(&mut out, None);
        out.extend_from_slice(b"frames");
        protection.finish(&mut out, started);
        out
    }

    #[test]
    fn a_packet_opens_once() {
        let mut protection = looped(5);
        let mut sealed = packet(&mut protection);
        let mut again = sealed.clone();
        assert_eq!(open(&mut protection, &mut sealed), Ok(0));
        assert_eq!(
            open(&mut protection, &mut again),
            Err(PacketError::Replayed)
        );
    }

    #[test]
    fn every_flipped_bit_is_an_error_and_changes_nothing() {
        let mut protection = looped(5);
        let mut sealed = packet(&mut protection);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&mut protection, &mut changed).is_err(), "bit {bit}");
            assert_eq!(protection.replay.expected(), 0);
        }
        assert!(open(&mut protection, &mut sealed).is_ok());
    }

    #[test]
    fn packets_of_other_processes_are_foreign() {
        let mut sealed = packet(&mut looped(5));
        let result = open(&mut looped(6), &mut sealed);
        assert_eq!(result, Err(PacketError::NotAuthentic));
        assert!(
            open(&mut looped(9), &mut sealed).is_ok(),
            "two bits tell four epochs apart"
        );
    }

    #[test]
    fn too_many_failures_wear_the_key_out() {
        let mut protection = looped(0);
        protection.failures = AEAD_FAILURES_MAX - 1;
        assert!(!protection.is_worn());
        let mut sealed = packet(&mut protection);
        sealed[9] ^= 1;
        for (origin, worn) in [(Origin::Elsewhere, false), (Origin::Path, true)] {
            let result = open_from(origin, &mut protection, &mut sealed.clone());
            assert_eq!(result, Err(PacketError::NotAuthentic));
            assert_eq!(protection.is_worn(), worn, "{origin:?}");
        }
    }

    #[test]
    fn a_new_key_is_not_worn_by_what_the_one_before_it_bore() {
        let mut protection = looped(5);
        let acked = Some(REKEY_AFTER_PACKETS - 2);
        let mut failures = Vec::new();
        for _ in 0..2 {
            // The last packet under the first key, and the first under the next.
            protection.failures = AEAD_FAILURES_MAX - 1;
            if failures.is_empty() {
                protection.next = REKEY_AFTER_PACKETS - 1;
                protection.replay.insert(REKEY_AFTER_PACKETS - 2);
            }
            protection.change_key_if_due(acked, NOW);
            let mut sealed = packet(&mut protection);
            assert!(open(&mut protection, &mut sealed).is_ok());
            failures.push(protection.failures);
        }
        assert_eq!(failures, [AEAD_FAILURES_MAX - 1, 0]);
        let mut sealed = packet(&mut protection);
        sealed[9] ^= 1;
        assert!(open(&mut protection, &mut sealed).is_err());
        assert!(!protection.is_worn());
    }

    #[test]
    fn a_change_of_key_shows_in_the_header_and_opens_by_number() {
        let mut protection = looped(5);
        // Both ends have come to the last packet under the first key.
        protection.next = REKEY_AFTER_PACKETS - 1;
        protection.replay.insert(REKEY_AFTER_PACKETS - 2);
        let acked = Some(REKEY_AFTER_PACKETS - 2);
        let mut packets = Vec::new();
        for _ in 0..3 {
            protection.change_key_if_due(acked, NOW);
            let mut out = Vec::new();
            let started = protection.start(&mut out, acked);
            out.extend_from_slice(b"frames");
            protection.finish(&mut out, started);
            packets.push(out);
        }
        let phases: Vec<_> = packets
            .iter()
            .map(|packet| Header::decode(packet).unwrap().0.key_phase)
            .collect();
        assert_eq!(phases, [false, true, true]);
        for (packet, number) in [(2, 1), (0, -1), (1, 0)] {
            let number = REKEY_AFTER_PACKETS.checked_add_signed(number).unwrap();
            assert_eq!(open(&mut protection, &mut packets[packet]), Ok(number));
        }
        assert_eq!(protection.failures, 0);
    }

    #[test]
    fn numbers_at_the_very_end_open_once_and_nothing_lies_beyond() {
        let mut protection = looped(5);
        protection.next = NUMBER_MAX - 2;
        protection.replay.insert(NUMBER_MAX - 3);
        protection.change_key_if_due(Some(NUMBER_MAX - 3), NOW);
        let mut packets = Vec::new();
        for _ in 0..3 {
            let mut out = Vec::new();
            let started = protection.start(&mut out, Some(NUMBER_MAX - 3));
            out.extend_from_slice(b"frames");
            protection.finish(&mut out, started);
            packets.push(out);
        }
        for index in [2, 0, 1] {
            let number = NUMBER_MAX - 2 + u64::try_from(index).unwrap();
            let mut again = packets[index].clone();
            assert_eq!(open(&mut protection, &mut packets[index]), Ok(number));
            let replayed = open(&mut protection, &mut again);
            assert_eq!(replayed, Err(PacketError::Replayed));
        }
        // Low bytes that would mean a number past the end.
        for low in [0, 1, 0x7f] {
            let mut beyond = packets[2].clone();
            beyond[5] = low;
            let refused = open(&mut protection, &mut beyond);
            assert_eq!(refused, Err(PacketError::Header), "{low}");
        }
        assert_eq!(protection.expected(), NUMBER_MAX + 1);
        assert!(protection.is_spent());
    }

    #[test]
    fn the_last_number_is_the_last_packet() {
        let mut protection = looped(0);
        protection.next = NUMBER_MAX;
        protection.change_key_if_due(Some(NUMBER_MAX - 1), NOW);
        assert!(!protection.is_spent());
        packet(&mut protection);
        assert!(protection.is_spent());
    }
}
