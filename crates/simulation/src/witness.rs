//! A room that makes defects visible: numbered lines to all, whispers to one, private
//! views, timers and chance. It has no clock of its own, so that a quiet room stays quiet.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_protocol::message::SeatChange;
use rejoin_protocol::{PlayerId, Refusal};
use rejoin_room::{Applicant, Cx, Room, RoomSpec};
use serde::{Deserialize, Serialize};

/// The room's logic.
pub(crate) struct Witness;

/// A player's word: a number of the player's own that grows, and whether it travelled reliably.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Word(pub(crate) u64, pub(crate) bool);

/// What was heard of one player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) chain: u64,
    pub(crate) latest: u64,
}

/// What members see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) rows: BTreeMap<PlayerId, Tally>,
    /// Lines told to all.
    pub(crate) lines: u64,
    /// A number drawn with each line, so that a replay that differs shows.
    pub(crate) luck: u64,
}

/// What the room says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    /// To all: the number of the line, who caused it, with what word (0: nobody, a timer).
    Line(u64, PlayerId, u64),
    /// To one: the word heard.
    Whisper(u64),
    /// The same, once it is on the medium, and how many words of the player had been heard.
    Promise(u64, u64),
}

/// Every so many words of a player are answered by a line to all: with 16 players at 30 Hz
/// that is 60 a second to each, which the ordered stream of a bad link still carries.
const LINE_EVERY: u64 = 8;
/// The others are answered by a whisper as often.
const WHISPER_EVERY: u64 = 7;
/// And of whispers as many wait until they are durable.
const PROMISE_EVERY: u64 = 2 * WHISPER_EVERY;
const BEAT: Duration = Duration::from_secs(3);

/// The chain after one more word (the finaliser of SplitMix64).
pub(crate) fn chain(before: u64, word: u64) -> u64 {
    let mixed = (before ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// True if `player` sees only its own row.
pub(crate) fn sees_alone(player: PlayerId) -> bool {
    player.0.is_multiple_of(2)
}

impl Witness {
    fn say(book: &mut Book, from: PlayerId, word: u64, cx: &mut Cx<Self>) {
        book.lines += 1;
        book.luck = cx.rng().next_u64();
        cx.send_all(&Said::Line(book.lines, from, word));
    }
}

impl Room for Witness {
    const KIND: &'static str = "witness";

    type State = Book;
    type Input = Word;
    type View = Book;
    type Event = Said;

    fn open(_spec: &RoomSpec, cx: &mut Cx<Self>) -> Book {
        cx.after(BEAT, 1);
        Book::default()
    }

    fn admit(
        book: &mut Book,
        applicant: &Applicant<'_>,
        _cx: &mut Cx<Self>,
    ) -> Result<(), Refusal> {
        book.rows.insert(applicant.player, Tally::default());
        Ok(())
    }

    fn seat(book: &mut Book, player: PlayerId, change: SeatChange, _cx: &mut Cx<Self>) {
        match change {
            SeatChange::Left => {
                book.rows.remove(&player);
            }
            SeatChange::Joined
            | SeatChange::Loading
            | SeatChange::Suspect
            | SeatChange::Detached
            | SeatChange::Returned => {}
        }
    }

    fn input(book: &mut Book, from: PlayerId, Word(word, reliable): Word, cx: &mut Cx<Self>) {
        let Some(row) = book.rows.get_mut(&from) else {
            return;
        };
        if !reliable {
            row.latest = word;
            return;
        }
        row.count += 1;
        row.chain = chain(row.chain, word);
        let count = row.count;
        if count.is_multiple_of(LINE_EVERY) {
            Self::say(book, from, word, cx);
        } else if count.is_multiple_of(PROMISE_EVERY) {
            cx.send_when_durable(from, &Said::Promise(word, count));
        } else if count.is_multiple_of(WHISPER_EVERY) {
            cx.send(from, &Said::Whisper(word));
        }
    }

    fn timer(book: &mut Book, token: u64, cx: &mut Cx<Self>) {
        Self::say(book, PlayerId(0), 0, cx);
        cx.after(BEAT, token);
    }

    fn view(book: &Book) -> Cow<'_, Book> {
        Cow::Borrowed(book)
    }

    fn private(book: &Book, player: PlayerId) -> Option<Cow<'_, Book>> {
        sees_alone(player).then(|| {
            let rows = book
                .rows
                .get(&player)
                .map(|row| (player, *row))
                .into_iter()
                .collect();
            Cow::Owned(Book {
                rows,
                lines: book.lines,
                luck: book.luck,
            })
        })
    }
}
