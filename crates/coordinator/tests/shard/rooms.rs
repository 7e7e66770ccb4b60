//! A room whose players tell it what to do, with and without a clock.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_room::{
    Applicant, Cx, MetadataValue, PlayerId, Receipt, Refusal, RefusalCode, Room, RoomSpec,
    SeatChange,
};
use serde::{Deserialize, Serialize};

/// What players see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Board {
    pub(crate) totals: BTreeMap<PlayerId, u64>,
    pub(crate) adds: u64,
    pub(crate) seats: Vec<(PlayerId, SeatChange)>,
    pub(crate) secret: Option<u32>,
    pub(crate) pad: Vec<u8>,
    pub(crate) resumed: Vec<(bool, bool)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct State {
    board: Board,
    secrets: BTreeMap<PlayerId, u32>,
    armed: Option<Bomb>,
    hoard: String,
}

/// Where logic panics from now on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Bomb {
    Now,
    Tick,
    View,
    Admit,
    Seat,
}

/// What a player wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Act {
    Add(u64),
    Say(u32),
    Swear(u32),
    Arm(Bomb),
    Grow(u32),
    Hoard(usize),
    EndWith(usize),
    Hide(u32),
    Show,
    Kick(PlayerId),
    Label(i64),
    Later(u64),
    End,
}

impl Act {
    pub(crate) fn encode(&self) -> Bytes {
        messagepack::encode(self).unwrap().into()
    }
}

pub(crate) fn board(view: &[u8]) -> Board {
    messagepack::decode(
        view,
        Bounds {
            items: 100_000,
            ..Bounds::PEER
        },
    )
    .unwrap()
}

/// Acts when someone calls.
pub(crate) struct Yard;
/// The same with a clock.
pub(crate) struct Mill;

fn input<R: Room<Event = u32>>(state: &mut State, from: PlayerId, act: Act, cx: &mut Cx<R>) {
    let mix = |index: u32| u8::try_from((index.wrapping_mul(2_654_435_761) >> 9) & 0x7f).unwrap();
    match act {
        Act::Add(number) => {
            *state.board.totals.entry(from).or_default() += number;
            state.board.adds += 1;
        }
        Act::Say(number) => cx.send_all(&number),
        Act::Swear(number) => cx.send_when_durable(from, &number),
        Act::Arm(Bomb::Now) => panic!("armed by a player"),
        Act::Arm(bomb) => state.armed = Some(bomb),
        // Bytes that no delta shortens.
        Act::Grow(len) => state.board.pad = (0..len).map(mix).collect(),
        Act::Hoard(len) => state.hoard = "x".repeat(len),
        Act::EndWith(len) => cx.close("x".repeat(len)),
        Act::Hide(secret) => {
            state.secrets.insert(from, secret);
        }
        Act::Show => {
            state.secrets.remove(&from);
        }
        Act::Kick(player) => cx.remove(player, "kicked"),
        Act::Label(level) => {
            cx.set_metadata([("level".to_owned(), MetadataValue::Int(level))].into());
        }
        Act::Later(token) => cx.after(Duration::from_millis(200), token),
        Act::End => cx.close("over"),
    }
}

fn admit(state: &State, applicant: &Applicant<'_>) -> Result<(), Refusal> {
    assert!(state.armed != Some(Bomb::Admit), "armed by a player");
    if applicant.name == "banned" || applicant.claims == b"banned" {
        return Err(Refusal::new(RefusalCode::NotAdmitted, "not you"));
    }
    Ok(())
}

fn seat(state: &mut State, player: PlayerId, change: SeatChange) {
    assert!(state.armed != Some(Bomb::Seat), "armed by a player");
    state.board.seats.push((player, change));
}

fn view(state: &State) -> Cow<'_, Board> {
    assert!(state.armed != Some(Bomb::View), "armed by a player");
    Cow::Borrowed(&state.board)
}

fn private(state: &State, player: PlayerId) -> Option<Cow<'_, Board>> {
    let secret = Some(*state.secrets.get(&player)?);
    Some(Cow::Owned(Board {
        secret,
        ..state.board.clone()
    }))
}

macro_rules! room {
    ($room:ident, $kind:literal, $hz:literal) => {
        impl Room for $room {
            const KIND: &'static str = $kind;
            const TICK_HZ: u32 = $hz;
            const MEMBERS_MAX: u16 = 4;

            type State = State;
            type Input = Act;
            type View = Board;
            type Event = u32;

            fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> State {
                State::default()
            }

            fn input(state: &mut State, from: PlayerId, act: Act, cx: &mut Cx<Self>) {
                input(state, from, act, cx);
            }

            fn view(state: &State) -> Cow<'_, Board> {
                view(state)
            }

            fn admit(
                state: &mut State,
                applicant: &Applicant<'_>,
                _cx: &mut Cx<Self>,
            ) -> Result<(), Refusal> {
                admit(state, applicant)
            }

            fn seat(state: &mut State, player: PlayerId, change: SeatChange, _cx: &mut Cx<Self>) {
                seat(state, player, change);
            }

            fn resumed(state: &mut State, receipt: Receipt, _cx: &mut Cx<Self>) {
                let told = (receipt.rolled_back, receipt.rebuilt);
                state.board.resumed.push(told);
            }

            fn tick(state: &mut State, _cx: &mut Cx<Self>) {
                assert!(state.armed != Some(Bomb::Tick), "armed by a player");
            }

            fn timer(state: &mut State, token: u64, cx: &mut Cx<Self>) {
                state.board.adds += token;
                cx.send_all(&u32::try_from(token).unwrap());
            }

            fn private(state: &State, player: PlayerId) -> Option<Cow<'_, Board>> {
                private(state, player)
            }
        }
    };
}

room!(Yard, "yard", 0);
room!(Mill, "mill", 20);
