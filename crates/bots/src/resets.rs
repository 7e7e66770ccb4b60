//! Resets of connections that share a socket.

use rejoin_protocol::{ConnectionId, Timestamp};

use crate::behaviour::Behaviour;
use crate::bot::Bot;

/// A reset names a connection as its client's packets do, and carries no label either.
pub(crate) fn take_reset<B: Behaviour>(
    bots: &mut [Bot<B>],
    connection: ConnectionId,
    datagram: &mut [u8],
    now: Timestamp,
) -> Option<usize> {
    let is_meant = |bot: &Bot<B>| bot.core.connection_id() == Some(connection);
    let index = bots.iter().position(is_meant)?;
    bots.get_mut(index)?.core.handle_datagram(datagram, now);
    Some(index)
}

#[cfg(test)]
mod tests {
    use rejoin_client::{Core, Options, Permit, State};
    use rejoin_protocol::crypto::StaticKeys;
    use rejoin_protocol::handshake::{Welcome, open_hello};
    use rejoin_protocol::reset::{self, ResetKey};
    use rejoin_protocol::{Epoch, Incarnation, Rng, SessionId};

    use super::*;
    use crate::arena_bot::ArenaBot;
    use crate::bot::Place;

    /// A bot whose client has a connection of that name.
    fn connected(index: usize, connection: ConnectionId) -> Bot<ArenaBot> {
        let server = StaticKeys::development();
        let mut rng = Rng::from_number(7).fork(&format!("bot {index}"));
        let identity = StaticKeys::generate(&mut rng);
        let options = Options::new(server.public(), identity, Permit::dev("ana"), 1);
        let mut core = Core::new(options, rng.fork("core"), Timestamp::ZERO);
        let (mut hello, mut reply) = (Vec::new(), Vec::new());
        assert!(core.poll_transmit(&mut hello, Timestamp::ZERO));
        let hello = open_hello(&hello, &server, &mut rng).unwrap();
        let welcome = Welcome {
            version: hello.version,
            suite: hello.suite.number(),
            connection: connection.0,
            session: SessionId([9; 16]),
            incarnation: Incarnation(1),
            epoch: Epoch(1),
            reset_token: ResetKey::of(&[6; 32]).token(Epoch(1), connection),
        };
        drop(hello.accept(&welcome, &mut reply));
        core.handle_datagram(&mut reply, Timestamp::ZERO);
        let place = Place {
            bot: index,
            index,
            room: 0,
            socket: 0,
        };
        Bot::new(core, place, rng, Timestamp::ZERO)
    }

    #[test]
    fn a_reset_goes_to_the_bot_whose_connection_it_names() {
        let id = |number| ConnectionId([0, 0, 0, number]);
        let mut bots = [0, 1, 2].map(|index| connected(usize::from(index), id(index + 10)));
        let key = ResetKey::of(&[6; 32]);
        let mut take = |number: u8, named: u8| {
            let token = key.token(Epoch(1), id(named));
            let mut datagram = reset::encode(id(number), token);
            let taker = take_reset(&mut bots, id(number), &mut datagram, Timestamp::ZERO);
            let away = bots.iter().map(|bot| *bot.core.state() == State::Away);
            (taker, away.collect::<Vec<_>>())
        };
        assert_eq!(take(9, 9), (None, vec![false; 3]), "nobody's");
        assert_eq!(take(11, 12), (Some(1), vec![false; 3]), "not its token");
        assert_eq!(take(11, 11), (Some(1), vec![false, true, false]));
        assert_eq!(take(12, 12), (Some(2), vec![false, true, true]));
    }
}
