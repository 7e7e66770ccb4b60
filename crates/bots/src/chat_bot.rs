//! Bots for the chat: they talk without pause, and listen for lost, doubled and swapped lines.

use std::collections::VecDeque;

use rejoin_protocol::PlayerId;
use rejoin_room::builtin::chat::{Board, Chat, Line, Say};

use crate::behaviour::Behaviour;
use crate::bot_cx::BotCx;
use crate::options::Mode;

/// Own lines that may wait to be heard: two minutes at 30 Hz. Older ones are forgotten, and hearing
/// one of them is as wrong as hearing none.
const UNHEARD_MAX: usize = 4_096;

/// Says one line per step. See the module page.
#[derive(Debug, Default)]
pub struct ChatBot {
    /// How its own lines begin, once it has said one.
    own: Option<String>,
    /// True if a line of its own may be missing.
    lossy: bool,
    /// Its own lines that it has not heard.
    unheard: VecDeque<String>,
    said: u64,
    /// Number of the newest line heard.
    heard: u64,
    /// The same of all its clients: one that was killed may have heard more than it had acknowledged.
    known: u64,
    /// True once a client of its own was killed: lines may have been missed.
    was_killed: bool,
    /// True until the first line heard after that.
    has_gap: bool,
    /// True once it heard a line of its own.
    heard_itself: bool,
}

impl Behaviour for ChatBot {
    type Room = Chat;

    fn step(&mut self, bot: &mut BotCx<'_, Chat>) {
        let own = self
            .own
            .get_or_insert_with(|| format!("{} says ", bot.player()));
        let text = format!("{own}{}", bot.number());
        self.lossy = bot.mode() == Mode::Latest;
        if bot.act(Say { text: text.clone() }) {
            self.said += 1;
            self.unheard.push_back(text);
            if self.unheard.len() > UNHEARD_MAX {
                self.unheard.pop_front();
            }
        }
    }

    fn event(&mut self, line: Line) -> Result<(), String> {
        // The rooms of a run are new, and nobody speaks before all have joined.
        let is_next = line.number == self.heard + 1;
        if !is_next && !self.has_gap {
            return Err(format!(
                "line {} came after line {}",
                line.number, self.heard
            ));
        }
        self.has_gap = false;
        self.heard = line.number;
        if line.number <= self.known {
            return Ok(());
        }
        self.known = line.number;
        let Some(own) = &self.own else { return Ok(()) };
        if !line.text.starts_with(own.as_str()) {
            return Ok(());
        }
        loop {
            let next = self.unheard.pop_front();
            match next {
                Some(next) if next == line.text => {
                    self.heard_itself = true;
                    return Ok(());
                }
                Some(_) if self.lossy || self.was_killed => {}
                Some(next) => {
                    return Err(format!("it heard {:?} where it said {next:?}", line.text));
                }
                None => return Err(format!("it heard {:?} without saying it", line.text)),
            }
        }
    }

    fn relaunched(&mut self, _applied: u64) {
        (self.was_killed, self.has_gap) = (true, true);
    }

    fn check(&self, player: PlayerId, view: &Board) -> Result<(), String> {
        if !view.members.contains_key(&player) {
            return Err("the board does not list it".into());
        }
        if self.heard != view.said && !self.has_gap {
            return Err(format!(
                "it heard {} lines of the {} on the board",
                self.heard, view.said
            ));
        }
        if !self.lossy && !self.was_killed && !self.unheard.is_empty() {
            return Err(format!(
                "{} of its {} lines were never heard",
                self.unheard.len(),
                self.said
            ));
        }
        if self.said > 0 && !self.heard_itself {
            return Err(format!("it heard none of its {} lines", self.said));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64, text: &str) -> Line {
        Line {
            from: "ana".into(),
            text: text.into(),
            number,
        }
    }

    fn bot() -> ChatBot {
        let unheard = ["me says 1", "me says 2", "me says 3"].map(String::from);
        ChatBot {
            own: Some("me says ".into()),
            unheard: unheard.into(),
            ..ChatBot::default()
        }
    }

    #[test]
    fn lost_doubled_and_swapped_lines_are_found() {
        let mut right = bot();
        assert_eq!(right.event(line(1, "me says 1")), Ok(()));
        assert_eq!(right.event(line(2, "you say 1")), Ok(()));
        assert_eq!(right.event(line(3, "me says 2")), Ok(()));
        assert!(
            right.event(line(5, "me says 3")).is_err(),
            "line 4 is missing"
        );
        assert!(
            bot().event(line(1, "me says 2")).is_err(),
            "its first line is missing"
        );
        let mut doubled = bot();
        assert_eq!(doubled.event(line(1, "me says 1")), Ok(()));
        assert!(doubled.event(line(2, "me says 1")).is_err());
    }

    #[test]
    fn what_a_killed_client_heard_may_come_again_to_the_next() {
        let mut bot = bot();
        assert_eq!(bot.event(line(1, "me says 1")), Ok(()));
        assert_eq!(bot.event(line(2, "you say 1")), Ok(()));
        bot.relaunched(1);
        for (number, text) in [(1, "me says 1"), (2, "you say 1"), (3, "me says 2")] {
            assert_eq!(bot.event(line(number, text)), Ok(()));
        }
        assert!(bot.event(line(3, "me says 2")).is_err(), "doubled");
    }

    #[test]
    fn silence_at_the_end_is_found() {
        let board = |said| Board {
            members: [(PlayerId(1), "me".to_owned())].into(),
            said,
            ..Board::default()
        };
        let mut bot = ChatBot { said: 3, ..bot() };
        assert!(bot.check(PlayerId(1), &board(0)).is_err(), "unheard");
        for number in 1..=3 {
            bot.event(line(number, &format!("me says {number}")))
                .unwrap();
        }
        assert_eq!(bot.check(PlayerId(1), &board(3)), Ok(()));
        assert!(bot.check(PlayerId(1), &board(4)).is_err(), "another's line");
        assert!(bot.check(PlayerId(2), &board(3)).is_err(), "not a member");
        let deaf = ChatBot {
            lossy: true,
            said: 3,
            ..ChatBot::default()
        };
        assert!(deaf.check(PlayerId(1), &board(0)).is_err(), "all lost");
    }

    #[test]
    fn latest_lines_may_be_missing_but_never_come_back() {
        let mut lossy = ChatBot {
            lossy: true,
            ..bot()
        };
        assert_eq!(lossy.event(line(1, "me says 2")), Ok(()));
        assert!(lossy.event(line(2, "me says 1")).is_err());
    }
}
