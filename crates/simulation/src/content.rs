//! What travels inside rooms of each kind: makes inputs, reads views and events.

use bytes::Bytes;
use rejoin_protocol::PlayerId;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_room::Room;
use rejoin_room::builtin::arena::{self, Arena, Field, Move};

use crate::options::RoomKind;
use crate::report::Violation;
use crate::witness::{self, Book, Said, Witness, Word};

/// An input, before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input {
    Move(Move),
    Word(Word),
}

/// One player in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) player: PlayerId,
    pub(crate) count: u64,
    pub(crate) chain: u64,
    pub(crate) latest: u64,
}

impl RoomKind {
    /// The kind's name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arena => Arena::KIND,
            Self::Witness => Witness::KIND,
        }
    }

    /// True if a view follows each step of the room's clock.
    pub(crate) fn ticks(self) -> bool {
        match self {
            Self::Arena => true,
            Self::Witness => false,
        }
    }

    /// An input that carries `number`.
    pub(crate) fn input(self, number: u64, reliable: bool) -> Input {
        match self {
            Self::Arena => {
                // Eight directions in turn: a player keeps moving and stays on the field.
                let side = |turn: u64| match turn % 4 {
                    0 => 1.0,
                    2 => -1.0,
                    _ => 0.0,
                };
                let turn = number / 16;
                Input::Move(Move(side(turn), side(turn + 1), number, reliable))
            }
            Self::Witness => Input::Word(Word(number, reliable)),
        }
    }

    /// The players in a view, and its number of lines told (0 where there are none).
    pub(crate) fn rows(self, view: &[u8]) -> Result<Vec<Row>, Violation> {
        let unreadable = |error| Violation::new("views can be read", format!("{self:?}: {error}"));
        match self {
            Self::Arena => {
                let field: Field = messagepack::decode(view, Bounds::PEER).map_err(unreadable)?;
                let rows = field.players.iter().map(|runner| Row {
                    player: runner.player,
                    count: runner.count,
                    chain: runner.chain,
                    latest: runner.latest,
                });
                Ok(rows.collect())
            }
            Self::Witness => {
                let book: Book = messagepack::decode(view, Bounds::PEER).map_err(unreadable)?;
                let rows = book.rows.iter().map(|(player, tally)| Row {
                    player: *player,
                    count: tally.count,
                    chain: tally.chain,
                    latest: tally.latest,
                });
                Ok(rows.collect())
            }
        }
    }

    /// What a room says, or `None` if rooms of this kind say nothing.
    pub(crate) fn said(self, event: &[u8]) -> Result<Option<Said>, Violation> {
        match self {
            Self::Arena => Ok(None),
            Self::Witness => messagepack::decode(event, Bounds::PEER)
                .map(Some)
                .map_err(|error| Violation::new("events can be read", error.to_string())),
        }
    }

    /// True if `player` sees only its own row.
    pub(crate) fn is_private_to(self, player: PlayerId) -> bool {
        match self {
            Self::Arena => false,
            Self::Witness => witness::sees_alone(player),
        }
    }
}

impl Input {
    /// The bytes that travel.
    pub(crate) fn encode(&self) -> Bytes {
        let encoded = match self {
            Self::Move(step) => messagepack::encode(step),
            Self::Word(word) => messagepack::encode(word),
        };
        encoded.expect("plain tuples can be written").into()
    }

    /// The chain of a player's reliable inputs after this one.
    pub(crate) fn chain(&self, before: u64) -> u64 {
        match self {
            Self::Move(step) => arena::chain(before, step),
            Self::Word(Word(word, _)) => witness::chain(before, *word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_of_one_player_all_differ() {
        for kind in [RoomKind::Arena, RoomKind::Witness] {
            let chains = (1..200).map(|number| kind.input(number, true).chain(0));
            let distinct: std::collections::BTreeSet<_> = chains.collect();
            assert_eq!(distinct.len(), 199);
        }
    }

    #[test]
    fn a_view_that_is_not_one_is_a_violation() {
        assert!(RoomKind::Arena.rows(b"\xc1").is_err());
        assert!(RoomKind::Witness.said(b"\xc1").is_err());
        assert_eq!(RoomKind::Arena.said(b"anything").unwrap(), None);
    }
}
