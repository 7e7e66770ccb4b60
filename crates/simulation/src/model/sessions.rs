//! What the server may do with sessions: who has one, since when, and where.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rejoin_coordinator::SessionCard;
use rejoin_protocol::{ConnectionId, Incarnation, SessionId};

use crate::report::{Violation, ensure};

/// Every session that there is.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    known: BTreeMap<SessionId, Known>,
}

/// How a session was seen last.
#[derive(Clone, Copy, Debug)]
struct Known {
    incarnation: Incarnation,
    /// The newest connection that carried it.
    connection: Option<ConnectionId>,
    /// True if its client has shown that it receives there.
    path_shown: bool,
    /// True if it was there in the last look.
    there: bool,
}

/// A client has a session that it did not have before, or is known only now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) session: SessionId,
    /// Where it is; `None` if its client is gone already, or has not shown that it receives there.
    pub(crate) at: Option<SocketAddr>,
}

impl Sessions {
    /// The server's process has ended, and with it every session.
    pub(crate) fn on_restart(&mut self) {
        self.known.clear();
    }

    /// Looks at all sessions. Gives those that another client has than before, and once more when it is known which.
    pub(crate) fn look(
        &mut self,
        cards: impl Iterator<Item = SessionCard>,
    ) -> Result<Vec<Taken>, Violation> {
        let mut taken = Vec::new();
        for known in self.known.values_mut() {
            known.there = false;
        }
        for card in cards {
            let connection = card.connection.map(|(id, _)| id);
            let Some(known) = self.known.get_mut(&card.id) else {
                self.known.insert(card.id, Known::of(&card));
                taken.push(Taken::of(&card));
                continue;
            };
            let told = || format!("{}: {card:?} after {known:?}", card.id);
            let grows = card.incarnation >= known.incarnation;
            ensure(grows, "the incarnation of a session only grows", told)?;
            if connection.is_some() && connection != known.connection {
                let grows = card.incarnation > known.incarnation;
                ensure(
                    grows,
                    "each client of a session has its own incarnation",
                    told,
                )?;
            }
            let is_shown = card.path_shown && !known.path_shown;
            if card.incarnation > known.incarnation || is_shown {
                taken.push(Taken::of(&card));
            }
            *known = Known {
                connection: connection.or(known.connection),
                ..Known::of(&card)
            };
        }
        // Nothing of one that is over is known to the server: the next begins anew. Who had it last is not certain.
        let over = self.known.iter().filter(|(_, known)| !known.there);
        taken.extend(over.map(|(session, _)| Taken {
            session: *session,
            at: None,
        }));
        self.known.retain(|_, known| known.there);
        Ok(taken)
    }
}

impl Known {
    fn of(card: &SessionCard) -> Self {
        Self {
            incarnation: card.incarnation,
            connection: card.connection.map(|(id, _)| id),
            path_shown: card.path_shown,
            there: true,
        }
    }
}

impl Taken {
    fn of(card: &SessionCard) -> Self {
        let at = card.connection.filter(|_| card.path_shown);
        Self {
            session: card.id,
            at: at.map(|(_, at)| at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(incarnation: u32, connection: Option<u8>) -> SessionCard {
        let at = SocketAddr::from(([10, 0, 0, 1], 9));
        SessionCard {
            id: SessionId([7; 16]),
            incarnation: Incarnation(incarnation),
            connection: connection.map(|number| (ConnectionId([number; 4]), at)),
            path_shown: true,
        }
    }

    fn look(sessions: &mut Sessions, card: Option<SessionCard>) -> Result<usize, Violation> {
        sessions.look(card.into_iter()).map(|taken| taken.len())
    }

    #[test]
    fn a_session_goes_from_client_to_client_upwards() {
        let mut sessions = Sessions::default();
        assert_eq!(look(&mut sessions, Some(card(1, Some(1)))), Ok(1));
        assert_eq!(look(&mut sessions, Some(card(1, None))), Ok(0));
        assert_eq!(look(&mut sessions, Some(card(2, Some(2)))), Ok(1));
        assert_eq!(look(&mut sessions, Some(card(3, None))), Ok(1), "briefly");
        assert!(look(&mut sessions, Some(card(3, Some(3)))).is_err());
        assert!(look(&mut sessions, Some(card(1, None))).is_err());
        assert_eq!(look(&mut sessions, None), Ok(1), "nobody's");
        assert_eq!(look(&mut sessions, Some(card(1, Some(4)))), Ok(1), "anew");
    }
}
