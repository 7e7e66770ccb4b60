//! The room that the golden checkpoints are of: its state has a field of each shape, and its context something of
//! everything. It may not change, or the files say nothing any more.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_protocol::message::SeatChange;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::{Incarnation, PlayerId, RoomId, SessionId, Stay};
use rejoin_room::{Cx, MetadataValue, Room, RoomSettings, RoomSpec};
use serde::{Deserialize, Serialize};

use crate::rooms::entry::{Applicant, Entry, Opening};

pub(super) const ROOM: RoomId = RoomId([1; 16]);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Coins {
    pub(super) drawn: u64,
    pub(super) taken: BTreeMap<PlayerId, u32>,
    pub(super) note: Option<String>,
}

/// See the module page.
pub(super) struct Vault;

impl Room for Vault {
    const KIND: &'static str = "vault";
    const TICK_HZ: u32 = 10;

    type State = Coins;
    type Input = u8;
    type View = Coins;
    type Event = String;

    fn open(_spec: &RoomSpec, cx: &mut Cx<Self>) -> Coins {
        cx.after(Duration::from_secs(5), 42);
        cx.after(Duration::from_secs(9), 7);
        Coins {
            drawn: cx.rng().next_u64(),
            taken: BTreeMap::new(),
            note: None,
        }
    }

    fn input(state: &mut Coins, from: PlayerId, coins: u8, cx: &mut Cx<Self>) {
        *state.taken.entry(from).or_default() += u32::from(coins);
        state.drawn ^= cx.rng().next_u64();
        cx.send_all(&format!("took {coins}"));
        if coins > 100 {
            state.note = Some("much".to_owned());
            cx.send(from, &"much".to_owned());
        }
    }

    fn tick(state: &mut Coins, _cx: &mut Cx<Self>) {
        state.drawn = state.drawn.rotate_left(1);
    }

    fn view(state: &Coins) -> Cow<'_, Coins> {
        Cow::Borrowed(state)
    }
}

pub(super) const fn session(number: u8) -> SessionId {
    SessionId([number; 16])
}

pub(super) fn opening(code: Option<&str>) -> Entry {
    let settings = RoomSettings {
        members_max: 5,
        metadata: [("map".to_owned(), MetadataValue::Text("moon".into()))].into(),
        options: vec![7],
        private: code.is_some(),
    };
    Entry::Open(Box::new(Opening {
        kind: Vault::KIND.to_owned(),
        version: 1,
        seed: [9; 32],
        spec: RoomSpec {
            room: ROOM,
            owner: session(1).player(),
            settings,
            code: code.map(|code| code.parse().unwrap()),
        },
    }))
}

pub(super) fn admit(number: u8, name: &str, returns: Option<Stay>) -> Entry {
    let applicant = Applicant {
        session: session(number),
        incarnation: Incarnation(u32::from(number)),
        name: name.to_owned(),
        claims: format!("team={number}").into_bytes(),
        returns,
    };
    Entry::Admit {
        applicant: Box::new(applicant),
        stay: Stay(u64::from(number) << 40),
    }
}

pub(super) fn input(number: u8, nth: Option<u64>, coins: u8) -> Entry {
    Entry::Input {
        player: session(number).player(),
        number: nth,
        payload: messagepack::encode(&coins).unwrap().into(),
    }
}

/// All that happened to the room, with the room time of each.
pub(super) fn calls() -> Vec<(Duration, Entry)> {
    let seat = |number, change| Entry::Seat {
        player: session(number).player(),
        change,
        incarnation: Incarnation(9),
    };
    let second = Duration::from_secs(1);
    vec![
        (Duration::ZERO, opening(None)),
        (Duration::ZERO, admit(1, "ana", None)),
        (Duration::ZERO, admit(2, "bob", None)),
        (Duration::ZERO, admit(3, "cid", None)),
        (Duration::ZERO, admit(4, "dee", None)),
        (second, input(1, Some(300), 5)),
        (second, input(2, None, 200)),
        (second, Entry::Tick),
        (second, seat(2, SeatChange::Suspect)),
        (second, seat(3, SeatChange::Detached)),
        (second, seat(4, SeatChange::Loading)),
    ]
}

/// A view of the room.
pub(super) fn read(view: &[u8]) -> Coins {
    messagepack::decode(view, Bounds::PEER).unwrap()
}
