//! How clients come back: the tickets they are given, and the word that it is time to use them.

use std::net::SocketAddr;

use rejoin_protocol::bucket::Rate;
use rejoin_protocol::handshake::Bearer;
use rejoin_protocol::message::ServerMessage;
use rejoin_protocol::packet::{Header, TruncatedNumber};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::reset::{self, RESET_LEN};
use rejoin_protocol::{ConnectionId, Epoch, Timestamp};
use tracing::trace;

use crate::answers::Answer;
use crate::house::House;
use crate::keys::SessionKey;
use crate::limits::{
    RESET_OLDER_AFTER, RESET_OLDER_ROUNDS, RESETS_BURST, RESETS_PER_S, TICKET_LIFE,
};
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
        let Ok((header, _)) = Header::decode(datagram) else {
            return;
        };
        let own = self.config.epoch;
        let is_past = self.connections.is_past(id) || planted::is(Bug::LivingReset);
        let may = |epoch: &Epoch| *epoch < own || is_past;
        let meant = |round| reset::epoch_meant(header.epoch_bits, own, round).filter(may);
        let is_young = now < self.began + RESET_OLDER_AFTER;
        let places = datagram.len().saturating_sub(1) / RESET_LEN;
        let older = (1..=RESET_OLDER_ROUNDS).take_while(|round| meant(*round).is_some());
        let older = u8::try_from(older.count()).unwrap_or(0);
        let rounds = match (meant(0).is_some(), is_young) {
            (true, true) => [Some(0), None],
            (has_last, _) => rounds(header.number, (has_last, older), places > 1),
        };
        let epochs = rounds.into_iter().flatten().filter_map(meant);
        for epoch in epochs.take(places) {
            let rate = Rate::per_second(RESETS_PER_S, RESETS_BURST);
            if self.resets.take(rate, now).is_err() {
                return;
            }
            trace!(%from, ?epoch, "datagram of a connection that is no more: reset");
            let reset = reset::encode(id, self.reset_key.token(epoch, id));
            self.stats.resets += 1;
            self.answers.push(from, Answer::Demand(reset.to_vec()));
        }
    }
}

/// The rounds of epochs that a packet is answered for. Its number tells, so that a client that goes on is answered for each
/// in turn, and the server remembers nothing.
fn rounds(
    number: TruncatedNumber,
    (has_last, older): (bool, u8),
    fits_two: bool,
) -> [Option<u8>; 2] {
    let number = number.low_byte();
    let next = number.checked_rem(older).map(|round| 1 + round);
    match (has_last, fits_two) {
        (false, _) => [next, None],
        (true, true) => [Some(0), next],
        (true, false) => [Some(number % (1 + older)), None],
    }
}
