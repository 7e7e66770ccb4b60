//! What travels inside rooms of each kind: makes inputs, reads views and events.

use bytes::Bytes;
use rejoin_protocol::PlayerId;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_room::Room;
use rejoin_room::builtin::arena::{self, Arena, Field, Move};
use rejoin_room::builtin::chat::{Board, Chat, Line, Say};
use serde::de::DeserializeOwned;

use crate::options::RoomKind;
use crate::report::Violation;
use crate::witness::{self, Book, Said, Witness, Word};

/// An input, before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input {
    Move(Move),
    Word(Word),
    /// A line of chat: its place among the player's inputs to the room.
    Say(u64),
}

/// What makes an input distinct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Grows with each input of the player, in whatever room.
    pub(crate) counter: u64,
    /// Its place among the player's reliable inputs to the room, from 1.
    pub(crate) place: u64,
}

/// One player in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) player: PlayerId,
    pub(crate) count: u64,
    pub(crate) chain: u64,
    pub(crate) latest: u64,
}

/// A message of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// To all: its number in the room, and for chat who said it and the place among what that
    /// player said.
    Line {
        number: u64,
        speaker: Option<(String, u64)>,
    },
    /// To one: the counter of the word heard. If it waited for the medium, how many words of that player were heard then.
    Whisper(u64, Option<u64>),
}

impl RoomKind {
    /// The kind's name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arena => Arena::KIND,
            Self::Chat => Chat::KIND,
            Self::Witness => Witness::KIND,
        }
    }

    /// True if a view follows each step of the room's clock.
    pub(crate) fn ticks(self) -> bool {
        match self {
            Self::Arena => true,
            Self::Chat | Self::Witness => false,
        }
    }

    /// True if views count each player's inputs.
    pub(crate) fn counts(self) -> bool {
        match self {
            Self::Arena | Self::Witness => true,
            Self::Chat => false,
        }
    }

    /// Share of turns in which a player sends an input: people chat less than they run.
    pub(crate) fn eagerness(self) -> f64 {
        match self {
            Self::Arena | Self::Witness => 1.0,
            Self::Chat => 0.1,
        }
    }

    /// True if inputs may also travel on the latest lane.
    pub(crate) fn takes_latest(self) -> bool {
        self.counts()
    }

    /// An input of that mark.
    pub(crate) fn input(self, mark: Mark, reliable: bool) -> Input {
        let Mark { counter, place } = mark;
        match self {
            Self::Arena => {
                // Eight directions in turn: a player keeps moving and stays on the field.
                let side = |turn: u64| match turn % 4 {
                    0 => 1.0,
                    2 => -1.0,
                    _ => 0.0,
                };
                let turn = counter / 16;
                Input::Move(Move(side(turn), side(turn + 1), counter, reliable))
            }
            Self::Chat => Input::Say(place),
            Self::Witness => Input::Word(Word(counter, reliable)),
        }
    }

    /// The players in a view, as far as it counts their inputs.
    pub(crate) fn rows(self, view: &[u8]) -> Result<Vec<Row>, Violation> {
        match self {
            Self::Arena => {
                let field: Field = read("views can be read", view)?;
                let rows = field.players.iter().map(|runner| Row {
                    player: runner.player,
                    count: runner.count,
                    chain: runner.chain,
                    latest: runner.latest,
                });
                Ok(rows.collect())
            }
            Self::Chat => {
                let _board: Board = read("views can be read", view)?;
                Ok(Vec::new())
            }
            Self::Witness => {
                let book: Book = read("views can be read", view)?;
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

    /// How many lines the room told to all, if it tells any.
    pub(crate) fn lines(self, view: &[u8]) -> Result<Option<u64>, Violation> {
        match self {
            Self::Arena => Ok(None),
            Self::Chat => Ok(Some(read::<Board>("views can be read", view)?.said)),
            Self::Witness => Ok(Some(read::<Book>("views can be read", view)?.lines)),
        }
    }

    /// What a room says; `None` if rooms of this kind say nothing.
    pub(crate) fn heard(self, event: &[u8]) -> Result<Option<Heard>, Violation> {
        match self {
            Self::Arena => Ok(None),
            Self::Chat => {
                let Line { from, text, number } = read("events can be read", event)?;
                let place = text.parse().map_err(|_| {
                    Violation::new("chat repeats what was said", format!("{from}: {text}"))
                })?;
                Ok(Some(Heard::Line {
                    number,
                    speaker: Some((from, place)),
                }))
            }
            Self::Witness => Ok(Some(match read("events can be read", event)? {
                Said::Line(number, ..) => Heard::Line {
                    number,
                    speaker: None,
                },
                Said::Whisper(word) => Heard::Whisper(word, None),
                Said::Promise(word, count) => Heard::Whisper(word, Some(count)),
            })),
        }
    }

    /// True if `player` sees only its own row.
    pub(crate) fn is_private_to(self, player: PlayerId) -> bool {
        match self {
            Self::Arena | Self::Chat => false,
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
            Self::Say(place) => messagepack::encode(&Say {
                text: place.to_string(),
            }),
        };
        encoded.expect("plain values can be written").into()
    }

    /// The chain of a player's reliable inputs after this one.
    pub(crate) fn chain(&self, before: u64) -> u64 {
        match self {
            Self::Move(step) => arena::chain(before, step),
            Self::Word(Word(word, _)) | Self::Say(word) => witness::chain(before, *word),
        }
    }
}

fn read<T: DeserializeOwned>(property: &'static str, bytes: &[u8]) -> Result<T, Violation> {
    messagepack::decode(bytes, Bounds::PEER)
        .map_err(|error| Violation::new(property, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [RoomKind; 3] = [RoomKind::Arena, RoomKind::Chat, RoomKind::Witness];

    #[test]
    fn inputs_of_one_player_all_differ() {
        for kind in KINDS {
            let marks = (1..200).map(|number| Mark {
                counter: number,
                place: number,
            });
            let inputs = marks.map(|mark| kind.input(mark, true));
            let distinct: std::collections::BTreeSet<_> = inputs
                .map(|input| (input.encode(), input.chain(0)))
                .collect();
            assert_eq!(distinct.len(), 199, "{kind:?}");
        }
    }

    #[test]
    fn a_view_or_event_that_is_not_one_is_a_violation() {
        for kind in KINDS {
            assert!(kind.rows(b"\xc1").is_err(), "{kind:?}");
        }
        assert!(RoomKind::Witness.heard(b"\xc1").is_err());
        let line = Line {
            from: "ana".into(),
            text: "hello".into(),
            number: 1,
        };
        assert!(
            RoomKind::Chat
                .heard(&messagepack::encode(&line).unwrap())
                .is_err()
        );
        assert_eq!(RoomKind::Arena.heard(b"anything"), Ok(None));
    }
}
