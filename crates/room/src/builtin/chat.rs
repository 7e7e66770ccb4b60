//! Chat: members' lines to all, and the last of them for who joins late.
//!
//! Event driven: it has no clock. A line reaches present members as an event, and those who
//! come later by the view.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use rejoin_protocol::PlayerId;
use rejoin_protocol::message::SeatChange;
use serde::{Deserialize, Serialize};

use crate::room::{Cx, Room};
use crate::spec::RoomSpec;

/// The chat's logic.
#[derive(Debug)]
pub struct Chat;

/// Something a member says. The room refuses one whose text is empty or longer than [`TEXT_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Say {
    /// The words, 1 to [`TEXT_MAX`] bytes.
    pub text: String,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Name of the member who said it.
    pub from: String,
    /// The words.
    pub text: String,
    /// Counts the room's lines from 1.
    pub number: u64,
}

/// What members see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// The members' names.
    pub members: BTreeMap<PlayerId, String>,
    /// The last [`LINES_MAX`] lines, oldest first.
    pub lines: VecDeque<Line>,
    /// Lines said in all.
    pub said: u64,
}

/// Longest text of a line, in bytes: a few sentences.
pub const TEXT_MAX: usize = 500;
/// Lines kept for who joins late: a screen full. Older ones are dropped.
pub const LINES_MAX: usize = 20;

impl Room for Chat {
    const KIND: &'static str = "chat";
    const MEMBERS_MAX: u16 = 64;

    type State = Board;
    type Input = Say;
    type View = Board;
    type Event = Line;

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Board {
        Board::default()
    }

    fn seat(state: &mut Board, player: PlayerId, change: SeatChange, cx: &mut Cx<Self>) {
        match change {
            SeatChange::Joined => {
                if let Some(member) = cx.members().get(&player) {
                    state.members.insert(player, member.name.clone());
                }
            }
            SeatChange::Left => {
                state.members.remove(&player);
            }
            SeatChange::Loading
            | SeatChange::Suspect
            | SeatChange::Detached
            | SeatChange::Returned => {}
        }
    }

    fn input(state: &mut Board, from: PlayerId, say: Say, cx: &mut Cx<Self>) {
        let Some(name) = state.members.get(&from) else {
            return;
        };
        state.said += 1;
        let line = Line {
            from: name.clone(),
            text: say.text,
            number: state.said,
        };
        cx.send_all(&line);
        if state.lines.len() >= LINES_MAX {
            state.lines.pop_front();
        }
        state.lines.push_back(line);
    }

    fn view(state: &Board) -> Cow<'_, Board> {
        Cow::Borrowed(state)
    }
}

/// [`Say`] as it comes from a peer.
#[derive(Deserialize)]
struct Unchecked {
    text: String,
}

impl TryFrom<Unchecked> for Say {
    type Error = String;

    fn try_from(said: Unchecked) -> Result<Self, String> {
        match said.text.len() {
            1..=TEXT_MAX => Ok(Self { text: said.text }),
            len => Err(format!("a line has 1 to {TEXT_MAX} bytes, not {len}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RefusalCode, TestRoom};

    fn say(text: impl Into<String>) -> Say {
        Say { text: text.into() }
    }

    #[test]
    fn a_line_reaches_every_member_under_its_speakers_name() {
        let mut room = TestRoom::<Chat>::new();
        room.join_as("ana").join_as("bo").input(1, say("hello"));
        let line = Line {
            from: "bo".into(),
            text: "hello".into(),
            number: 1,
        };
        assert_eq!(room.events(0), std::slice::from_ref(&line));
        assert_eq!(room.events(1), [line]);
        assert_eq!(room.events(1), []);
    }

    #[test]
    fn who_joins_late_sees_the_last_twenty_lines_and_who_is_there() {
        let mut room = TestRoom::<Chat>::new();
        room.join_as("ana").join_as("bo").leave(1);
        for number in 1..=25 {
            room.input(0, say(format!("line {number}")));
        }
        room.join_as("cy").crash_and_recover();
        let board = room.view();
        assert_eq!(board.lines.len(), 20);
        assert_eq!(board.lines.front().map(|line| line.number), Some(6));
        assert_eq!(board.lines.back().map(|line| &*line.text), Some("line 25"));
        assert_eq!(board.members.values().collect::<Vec<_>>(), ["ana", "cy"]);
        assert_eq!(room.events(2), []);
    }

    #[test]
    fn an_empty_or_endless_line_is_refused() {
        let mut room = TestRoom::<Chat>::new();
        room.join(1);
        for (text, refused) in [("", true), ("x", false), (&"x".repeat(500), false)] {
            assert_eq!(room.input(0, say(text)).refusal().is_some(), refused);
        }
        let refusal = room.input(0, say("x".repeat(501))).refusal().unwrap();
        assert_eq!(refusal.code, RefusalCode::BadRequest);
        assert!(
            refusal.text.contains("1 to 500 bytes, not 501"),
            "{refusal}"
        );
        assert_eq!(room.state().said, 2);
    }
}
