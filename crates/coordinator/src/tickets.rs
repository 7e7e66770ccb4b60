//! How clients come back: the tickets they are given, and the word that it is time to use them.

use std::net::SocketAddr;

use rejoin_protocol::bucket::Rate;
use rejoin_protocol::handshake::Bearer;
use rejoin_protocol::message::ServerMessage;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::reset::{self, RESET_LEN};
use rejoin_protocol::{ConnectionId, Epoch, Timestamp, packet};
use tracing::trace;

use crate::answers::Answer;
use crate::house::House;
use crate::keys::SessionKey;
use crate::limits::{RESETS_BURST, RESETS_PER_S, TICKET_LIFE};
use crate::schedule::Due;

impl House {
    /// Gives the client of a session what it needs to resume it, and another before that one's time is over.
    pub(crate) fn issue_ticket(&mut self, key: SessionKey, now: Timestamp) {
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let life_s = TICKET_LIFE.as_secs();
        let bearer = Bearer {
            session: session.id,
            incarnation: session.incarnation,
            epoch: self.config.epoch,
            psk: session.psk,
            expires_unix_s: self.config.unix_s(now) + life_s,
            name: session.name.clone(),
            claims: session.claims.clone(),
        };
        let ticket = self.config.ticket_keys.seal(&bearer).as_bytes().to_vec();
        let life_s = u32::try_from(life_s).unwrap_or(u32::MAX);
        self.tell(key, &ServerMessage::Ticket { ticket, life_s });
        self.schedule.set(Due::Ticket(key), now + TICKET_LIFE / 2);
    }

    /// A data packet came for a connection that is not here: its client is told, so that it need not find out
    /// by silence. A token tells nobody anything of a connection that is there.
    pub(crate) fn reset(
        &mut self,
        id: ConnectionId,
        (from, datagram): (SocketAddr, &[u8]),
        now: Timestamp,
    ) {
        let own = self.config.epoch;
        let meant = packet::epoch_bits(datagram).and_then(|bits| reset::epoch_meant(bits, own));
        let may = |epoch: &Epoch| *epoch < own || self.connections.is_past(id);
        let Some(epoch) = meant.filter(|epoch| may(epoch) || planted::is(Bug::LivingReset)) else {
            return;
        };
        let rate = Rate::per_second(RESETS_PER_S, RESETS_BURST);
        if datagram.len() <= RESET_LEN || self.resets.take(rate, now).is_err() {
            return;
        }
        trace!(%from, ?epoch, "datagram of a connection that is no more: reset");
        let reset = reset::encode(id, self.reset_key.token(epoch, id));
        self.stats.resets += 1;
        self.answers.push(from, Answer::Demand(reset.to_vec()));
    }
}
