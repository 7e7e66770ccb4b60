//! Packet numbers and keys: sealing what leaves, admitting what comes.

use super::error::PacketError;
use super::setup::Setup;
use crate::crypto::TrafficKey;
use crate::limits::AEAD_FAILURES_MAX;
use crate::packet::{Header, NUMBER_MAX, ReplayWindow, TruncatedNumber};

/// Both directions of a connection's packets.
#[derive(Debug)]
pub(crate) struct Protection {
    seal: TrafficKey,
    open: TrafficKey,
    send_id: Option<[u8; 4]>,
    labelled: bool,
    epoch_bits: u8,
    next: u64,
    replay: ReplayWindow,
    failures: u64,
}

/// A packet under construction at the end of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    start: usize,
    header_len: usize,
}

impl Protection {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup {
            seal,
            open,
            send_id,
            labelled,
            epoch,
        } = setup;
        let replay = ReplayWindow::default();
        Self {
            seal,
            open,
            send_id,
            labelled,
            epoch_bits: epoch.bits(),
            next: 0,
            replay,
            failures: 0,
        }
    }

    /// Number of the next packet.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// True if no packet number is left: none may be used twice.
    pub(crate) fn is_spent(&self) -> bool {
        self.next > NUMBER_MAX
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
            key_phase: false,
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
        self.next += 1;
        self.seal
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
    ) -> Result<(u64, &'a [u8]), PacketError> {
        let (header, header_len) = Header::decode(datagram).map_err(|_| PacketError::Header)?;
        if header.label.is_some() != self.labelled {
            return Err(PacketError::Header);
        }
        if header.epoch_bits != self.epoch_bits || header.key_phase {
            return Err(PacketError::NotAuthentic);
        }
        let number = header
            .number
            .expand(self.replay.expected())
            .ok_or(PacketError::Header)?;
        if !self.replay.admits(number) {
            return Err(PacketError::Replayed);
        }
        let (header, body) = datagram.split_at_mut(header_len);
        let Ok(frames) = self.open.open(number, header, body) else {
            self.failures += 1;
            return Err(PacketError::NotAuthentic);
        };
        self.replay.insert(number);
        Ok((number, frames))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Suite;
    use crate::ids::Epoch;

    fn key() -> TrafficKey {
        TrafficKey::new(Suite::Aes128Gcm, &[7; 32], [1; 12])
    }

    fn looped(epoch: u64) -> Protection {
        let (send_id, labelled) = (Some([1, 2, 3, 4]), true);
        Protection::new(Setup {
            seal: key(),
            open: key(),
            send_id,
            labelled,
            epoch: Epoch(epoch),
        })
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
        assert_eq!(protection.open(&mut sealed), Ok((0, b"frames".as_slice())));
        assert_eq!(protection.open(&mut again), Err(PacketError::Replayed));
    }

    #[test]
    fn every_flipped_bit_is_an_error_and_changes_nothing() {
        let mut protection = looped(5);
        let mut sealed = packet(&mut protection);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(protection.open(&mut changed).is_err(), "bit {bit}");
            assert_eq!(protection.replay.expected(), 0);
        }
        assert!(protection.open(&mut sealed).is_ok());
    }

    #[test]
    fn packets_of_other_processes_are_foreign() {
        let mut sealed = packet(&mut looped(5));
        let result = looped(6).open(&mut sealed).map(|_| ());
        assert_eq!(result, Err(PacketError::NotAuthentic));
        assert!(
            looped(9).open(&mut sealed).is_ok(),
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
        assert_eq!(protection.open(&mut sealed), Err(PacketError::NotAuthentic));
        assert!(protection.is_worn());
    }

    #[test]
    fn the_last_number_is_the_last_packet() {
        let mut protection = looped(0);
        protection.next = NUMBER_MAX;
        assert!(!protection.is_spent());
        packet(&mut protection);
        assert!(protection.is_spent());
    }
}
