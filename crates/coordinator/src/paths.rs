//! Where a connection's datagrams go: to the address that its client has shown to receive at.
//!
//! A packet from elsewhere that is the newest and authentic only makes its address a candidate: it is
//! sent one small challenge, and everything else goes on to the path in use until the client answers.
//! So nobody can turn a server on others by relaying packets, or by writing their address on its own.
//!
//! The path of a fresh connection is where its first hello came from, or the newest with a good cookie,
//! since whoever confirms the join has received the reply. If the confirmation comes from elsewhere that
//! says nothing, and the client is asked before anything else is sent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rejoin_protocol::Timestamp;
use rejoin_protocol::connection::Estimates;
use tracing::debug;

use crate::connections::{Candidate, Stage};
use crate::house::House;
use crate::keys::Slot;
use crate::limits::{CANDIDATE_LIFE, CHALLENGE_RATE};

/// True if a datagram can have come from there and an answer can go back to one host. Groups, everyone,
/// nobody and port zero are what a liar writes.
pub(crate) fn is_answerable(from: SocketAddr) -> bool {
    let ip = from.ip().to_canonical();
    from.port() != 0
        && !ip.is_unspecified()
        && !ip.is_multicast()
        && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// A NAT that forgot a client gives it another port on the same host; a client in another network has
/// another address.
fn estimates_after(from: SocketAddr, to: SocketAddr) -> Estimates {
    if from.ip().to_canonical() == to.ip().to_canonical() {
        Estimates::Keep
    } else {
        Estimates::Reset
    }
}

impl House {
    /// The newest packet of a connection came from there. If that is not the path that it has shown, it
    /// may have moved.
    pub(crate) fn on_newest(&mut self, slot: Slot, from: SocketAddr, now: Timestamp) {
        let Some(peer) = self.connections.get_mut(slot) else {
            return;
        };
        let shown = peer.path_shown && peer.path == from;
        if shown || !matches!(peer.stage, Stage::Active(_)) {
            return;
        }
        let since = match peer.candidate.as_deref().copied() {
            Some(candidate) if candidate.address == from => {
                if candidate.owed {
                    return;
                }
                candidate.since
            }
            // Who copies packets and is faster does not keep out the place that the connection began at.
            Some(other) if now.since(other.since) < CANDIDATE_LIFE && from != peer.path => return,
            Some(_) | None => now,
        };
        // Until an answer comes each packet from there may be the one whose challenge arrives.
        if peer.challenges.take(CHALLENGE_RATE, now).is_err() {
            return;
        }
        peer.candidate = Some(Box::new(Candidate {
            address: from,
            since,
            owed: true,
        }));
        self.connections.mark_ready(slot);
    }

    /// Appends the challenge that a connection's candidate is owed. Tells where it goes.
    pub(crate) fn challenge(
        &mut self,
        slot: Slot,
        out: &mut Vec<u8>,
        now: Timestamp,
    ) -> Option<SocketAddr> {
        let peer = self.connections.get_mut(slot)?;
        let candidate = peer.candidate.as_mut().filter(|it| it.owed)?;
        candidate.owed = false;
        let address = candidate.address;
        let token = self.gate.path_token(address, now);
        peer.connection
            .challenge(token, out, now)
            .then_some(address)
    }

    /// The client received a challenge, and answers it from there: its datagrams go there from now on.
    pub(crate) fn on_path_answered(&mut self, slot: Slot, token: [u8; 8], now: Timestamp) {
        let Some(peer) = self.connections.get_mut(slot) else {
            return;
        };
        if let Some(Candidate { address, .. }) = peer.candidate.as_deref().copied()
            && address == peer.heard_from
            && self.gate.proves_path(address, token, now)
        {
            debug!(?slot, from = %peer.path, to = %address, "client has moved");
            // What is first shown was never sent to from elsewhere.
            if peer.path_shown {
                let estimates = estimates_after(peer.path, address);
                peer.connection.handle_peer_moved(estimates, now);
                self.stats.moves += 1;
            }
            peer.path = address;
            peer.candidate = None;
            let first = !std::mem::replace(&mut peer.path_shown, true);
            if let (true, Stage::Active(session)) = (first, &peer.stage) {
                let session = *session;
                self.on_path_shown(slot, session, now);
            }
        }
    }
}
