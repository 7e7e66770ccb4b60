//! Goodbyes that may have been lost.
//!
//! A peer that goes on talking to a connection which is no more cannot have heard its close packet. It is
//! sent the same one again, each time after twice as many datagrams as before, so that one who never
//! listens gets few (RFC 9000, section 10.2.1). Only the packet is kept, neither connection nor keys.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use rejoin_protocol::ConnectionId;

use crate::limits::GOODBYES_MAX;

/// The last words of connections; those of longest ago are forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Goodbyes {
    by_id: BTreeMap<ConnectionId, Goodbye>,
    by_age: VecDeque<ConnectionId>,
}

#[derive(Debug)]
struct Goodbye {
    path: SocketAddr,
    packet: Box<[u8]>,
    /// Datagrams that came since.
    heard: u32,
}

impl Goodbyes {
    /// The close packet of a connection has left.
    pub(crate) fn remember(&mut self, id: ConnectionId, path: SocketAddr, packet: &[u8]) {
        let goodbye = Goodbye {
            path,
            packet: packet.into(),
            heard: 0,
        };
        if self.by_id.insert(id, goodbye).is_none() {
            self.by_age.push_back(id);
        }
        if self.by_age.len() > GOODBYES_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }

    /// True if there is a close packet of that connection.
    pub(crate) fn knows(&self, id: ConnectionId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// A datagram of `len` bytes came for a connection that is no more: the packet to send again, if it
    /// is time. Nobody but the old peer's address is answered, and with no more than it sent.
    pub(crate) fn on_heard(
        &mut self,
        id: ConnectionId,
        from: SocketAddr,
        len: usize,
    ) -> Option<Vec<u8>> {
        let goodbye = self.by_id.get_mut(&id)?;
        if goodbye.path != from || len < goodbye.packet.len() {
            return None;
        }
        goodbye.heard = goodbye.heard.saturating_add(1);
        goodbye
            .heard
            .is_power_of_two()
            .then(|| goodbye.packet.to_vec())
    }

    /// Checks that the indexes agree and the bound holds.
    pub(crate) fn check(&self) {
        assert!(
            self.by_id.len() <= GOODBYES_MAX,
            "remembered goodbyes are bounded"
        );
        assert_eq!(self.by_id.len(), self.by_age.len(), "one age per goodbye");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ConnectionId = ConnectionId([0, 1, 2, 3]);

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_peer_that_goes_on_is_told_ever_more_seldom() {
        let mut goodbyes = Goodbyes::default();
        goodbyes.remember(ID, from(1), &[7; 20]);
        let told: Vec<_> = (1..=1_000)
            .filter(|_| goodbyes.on_heard(ID, from(1), 20).is_some())
            .collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    }

    #[test]
    fn nobody_else_is_answered_and_nobody_with_more_than_it_sent() {
        let mut goodbyes = Goodbyes::default();
        goodbyes.remember(ID, from(1), &[7; 20]);
        assert_eq!(goodbyes.on_heard(ID, from(2), 1_200), None);
        assert_eq!(goodbyes.on_heard(ID, from(1), 19), None);
        assert_eq!(
            goodbyes.on_heard(ConnectionId([9; 4]), from(1), 1_200),
            None
        );
        assert_eq!(goodbyes.on_heard(ID, from(1), 20), Some(vec![7; 20]));
    }

    #[test]
    fn the_oldest_is_forgotten_and_a_label_used_again_counts_once() {
        let mut goodbyes = Goodbyes::default();
        let id = |number: usize| ConnectionId(u32::try_from(number).unwrap().to_be_bytes());
        for number in 0..=GOODBYES_MAX {
            for packet in [[7; 20], [8; 20]] {
                goodbyes.remember(id(number), from(1), &packet);
            }
            goodbyes.check();
        }
        assert_eq!(goodbyes.on_heard(id(0), from(1), 20), None);
        assert_eq!(goodbyes.on_heard(id(1), from(1), 20), Some(vec![8; 20]));
    }
}
