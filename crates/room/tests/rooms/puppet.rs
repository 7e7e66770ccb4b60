//! A room on strings and a host in miniature, for tests of what a host may rely on.

use std::borrow::Cow;
use std::time::Duration;

use rejoin_protocol::{RequestId, messagepack};
use rejoin_room::{
    Applicant, Call, Cx, Effect, Kind, Metadata, MetadataValue, Outcome, PlayerId, Refusal,
    RefusalCode, Room, RoomFault, RoomId, RoomInstance, RoomSettings, RoomSpec, SeatChange,
};
use serde::{Deserialize, Serialize};

/// A room that does what its inputs say and notes what it was called with.
pub(crate) struct Puppet;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Notes {
    calls: Vec<String>,
    pad: String,
    view_len: usize,
    fail_view: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Order {
    Note(String),
    Say {
        to: Option<PlayerId>,
        durable: bool,
        len: usize,
        count: usize,
    },
    Panic(String),
    After(u64, u64),
    Cancel(u64),
    Remove(PlayerId),
    Kick(String),
    Close(String),
    Grow(usize),
    Facts(usize),
    ViewLen(usize),
    FailView,
}

impl Room for Puppet {
    const KIND: &'static str = "puppet";
    const TICK_HZ: u32 = 10;
    const MEMBERS_MAX: u16 = 3;
    type State = Notes;
    type Input = Order;
    type View = String;
    type Event = String;

    fn open(spec: &RoomSpec, cx: &mut Cx<Self>) -> Notes {
        assert!(spec.settings.options != b"panic", "asked to fail");
        cx.set_metadata(fact("open", 1));
        Notes::default()
    }

    fn admit(
        state: &mut Notes,
        applicant: &Applicant<'_>,
        cx: &mut Cx<Self>,
    ) -> Result<(), Refusal> {
        let Applicant { player, name, .. } = applicant;
        state.calls.push(format!("admit {} {name}", player.0));
        cx.send_all(&format!("knock {}", player.0));
        cx.set_metadata(fact("knocks", 1));
        match *name {
            "bad" => Err(Refusal::new(RefusalCode::NotAdmitted, "x".repeat(300))),
            _ => Ok(()),
        }
    }

    fn seat(state: &mut Notes, player: PlayerId, change: SeatChange, cx: &mut Cx<Self>) {
        let present = cx.members()[&player].present;
        state
            .calls
            .push(format!("{change:?} {} {present}", player.0));
    }

    fn input(state: &mut Notes, from: PlayerId, order: Order, cx: &mut Cx<Self>) {
        match order {
            Order::Note(text) => state.calls.push(format!("{} {text}", from.0)),
            Order::Say {
                to,
                durable,
                len,
                count,
            } => {
                let word = "x".repeat(len);
                for _ in 0..count {
                    match to {
                        None => cx.send_all(&word),
                        Some(player) if durable => cx.send_when_durable(player, &word),
                        Some(player) => cx.send(player, &word),
                    }
                }
            }
            Order::Panic(text) => panic!("{text}"),
            Order::After(millis, token) => cx.after(Duration::from_millis(millis), token),
            Order::Cancel(token) => {
                let was = cx.cancel(token);
                state.calls.push(format!("cancel {token} {was}"));
            }
            Order::Remove(player) => cx.remove(player, "out"),
            Order::Kick(word) => cx.remove(from, word),
            Order::Close(word) => cx.close(word),
            Order::Grow(len) => state.pad = "x".repeat(len),
            Order::Facts(count) => {
                cx.set_metadata(
                    (0..count)
                        .map(|n| (n.to_string(), MetadataValue::Bool(true)))
                        .collect(),
                );
            }
            Order::ViewLen(len) => state.view_len = len,
            Order::FailView => state.fail_view = true,
        }
    }

    fn tick(state: &mut Notes, cx: &mut Cx<Self>) {
        state
            .calls
            .push(format!("tick {} at {:?}", cx.tick(), cx.now()));
    }

    fn timer(state: &mut Notes, token: u64, cx: &mut Cx<Self>) {
        state.calls.push(format!("timer {token} at {:?}", cx.now()));
        match token {
            // Sets itself again, due at once.
            100 => cx.after(Duration::ZERO, 100),
            101 => {
                cx.cancel(102);
            }
            _ => {}
        }
    }

    fn view(state: &Notes) -> Cow<'_, String> {
        assert!(!state.fail_view, "cannot look");
        Cow::Owned("v".repeat(state.view_len))
    }

    fn private(state: &Notes, player: PlayerId) -> Option<Cow<'_, String>> {
        (player == PlayerId(1)).then(|| Cow::Owned(format!("calls: {}", state.calls.len())))
    }
}

pub(crate) fn fact(key: &str, value: i64) -> Metadata {
    Metadata::from([(key.to_owned(), MetadataValue::Int(value))])
}

pub(crate) fn spec(settings: RoomSettings) -> RoomSpec {
    RoomSpec {
        room: RoomId::of("puppet", RequestId([1; 16])),
        owner: PlayerId(1),
        settings,
        code: None,
    }
}

/// A host in miniature: one room, its effects so far, its clock.
pub(crate) struct Host {
    pub(crate) room: Box<dyn RoomInstance>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) now: Duration,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(RoomSettings::default())
    }

    pub(crate) fn with(settings: RoomSettings) -> Self {
        let mut effects = Vec::new();
        let room = Kind::of::<Puppet>()
            .open(&spec(settings), [3; 32], &mut effects)
            .unwrap();
        Self {
            room,
            effects,
            now: Duration::ZERO,
        }
    }

    pub(crate) fn call(&mut self, call: &Call) -> Result<Outcome, RoomFault> {
        self.effects.clear();
        self.room.apply(self.now, call, &mut self.effects)
    }

    pub(crate) fn admit(&mut self, player: u64) -> Option<RefusalCode> {
        self.admit_as(player, "someone").map(|refusal| refusal.code)
    }

    pub(crate) fn admit_as(&mut self, player: u64, name: &str) -> Option<Refusal> {
        let call = Call::Admit {
            player: PlayerId(player),
            name: name.into(),
            claims: Vec::new(),
        };
        refusal(self.call(&call).unwrap())
    }

    pub(crate) fn seat(&mut self, player: u64, change: SeatChange) -> Option<Refusal> {
        refusal(
            self.call(&Call::Seat {
                player: PlayerId(player),
                change,
            })
            .unwrap(),
        )
    }

    pub(crate) fn order(&mut self, order: &Order) -> Result<Outcome, RoomFault> {
        let payload = messagepack::encode(order).unwrap().into();
        self.call(&Call::Input {
            player: PlayerId(1),
            payload,
        })
    }

    /// The encoded state, out of a checkpoint.
    pub(crate) fn state(&self) -> Result<Vec<u8>, RoomFault> {
        #[derive(Deserialize)]
        struct Part {
            #[serde(with = "serde_bytes")]
            state: Vec<u8>,
        }
        let mut out = Vec::new();
        self.room.checkpoint(&mut out)?;
        let part: Part = messagepack::decode(&out, messagepack::Bounds::PEER).unwrap();
        Ok(part.state)
    }

    /// What logic noted since the last asking.
    pub(crate) fn calls(&self) -> Vec<String> {
        let state = self.state().unwrap();
        let notes: Notes = messagepack::decode(&state, messagepack::Bounds::PEER).unwrap();
        notes.calls
    }
}

pub(crate) fn refusal(outcome: Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Done => None,
        Outcome::Refused(refusal) => Some(refusal),
    }
}

pub(crate) fn refusal_code(outcome: Outcome) -> Option<RefusalCode> {
    refusal(outcome).map(|refusal| refusal.code)
}
