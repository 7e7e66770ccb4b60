//! What whoever runs a shard can see of its sessions, and do to their connections.
//!
//! The simulator judges sessions by it and breaks connections with it. No peer can lead here.

use std::net::SocketAddr;

use rejoin_protocol::{CloseReason, ConnectionId, Incarnation, SessionId, Timestamp};

use crate::house::House;

/// A session as whoever runs the shard sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCard {
    /// Which it is.
    pub id: SessionId,
    /// How many clients it has had.
    pub incarnation: Incarnation,
    /// The connection that carries it and where its datagrams go; `None` while the client is away.
    pub connection: Option<(ConnectionId, SocketAddr)>,
    /// False while the client has not shown that it receives there: nothing but challenges is sent.
    pub path_shown: bool,
}

impl House {
    pub(crate) fn session_cards(&self) -> impl Iterator<Item = SessionCard> + '_ {
        self.sessions.iter().map(|(_, session)| {
            let peer = session.connection.and_then(|slot| {
                let id = self.connections.id(slot)?;
                Some((id, self.connections.get(slot)?))
            });
            SessionCard {
                id: session.id,
                incarnation: session.incarnation,
                connection: peer.map(|(id, peer)| (id, peer.path)),
                path_shown: peer.is_some_and(|(_, peer)| peer.path_shown),
            }
        })
    }

    pub(crate) fn lose_connection(
        &mut self,
        id: SessionId,
        word: Option<CloseReason>,
        now: Timestamp,
    ) {
        let known = self
            .sessions
            .find(id)
            .and_then(|key| self.sessions.get(key));
        let Some(slot) = known.and_then(|known| known.connection) else {
            return;
        };
        match word {
            Some(reason) => self.close(slot, reason, now),
            None => self.on_gone(slot, now),
        }
    }
}
