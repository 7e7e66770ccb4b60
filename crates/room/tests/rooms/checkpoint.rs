//! A checkpoint is the room: reading one gives it again, byte for byte, and bad bytes an error.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rejoin_protocol::{RequestId, messagepack};
use rejoin_room::{
    Call, Cx, Effect, Kind, Metadata, MetadataValue, PlayerId, Room, RoomFault, RoomId,
    RoomInstance, RoomSettings, RoomSpec, SeatChange,
};
use serde::{Deserialize, Serialize};

/// Uses everything that a checkpoint must hold: chance, timers, facts, time, members.
struct Busy;

#[derive(Default, Serialize, Deserialize)]
struct Ledger {
    draws: Vec<u64>,
    fired: BTreeMap<u64, u32>,
    filler: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Act {
    Draw,
    Timer { millis: u64, token: u64 },
    Fact(i64),
    Fill(usize),
}

impl Room for Busy {
    const KIND: &'static str = "busy";
    const TICK_HZ: u32 = 20;
    type State = Ledger;
    type Input = Act;
    type View = u64;
    type Event = u64;

    fn open(_spec: &RoomSpec, cx: &mut Cx<Self>) -> Ledger {
        Ledger {
            draws: vec![cx.rng().next_u64()],
            ..Ledger::default()
        }
    }

    fn input(state: &mut Ledger, from: PlayerId, act: Act, cx: &mut Cx<Self>) {
        match act {
            Act::Draw => {
                let [odd] = cx.rng().bytes::<1>();
                state.draws.push(u64::from(odd));
                cx.send(from, &cx.now().as_millis().try_into().unwrap());
            }
            Act::Timer { millis, token } => cx.after(Duration::from_millis(millis), token),
            Act::Fact(value) => {
                cx.set_metadata(Metadata::from([("fact".into(), MetadataValue::Int(value))]));
            }
            Act::Fill(len) => state.filler = "x".repeat(len),
        }
    }

    fn tick(state: &mut Ledger, cx: &mut Cx<Self>) {
        if cx.tick().is_multiple_of(3) {
            state.draws.push(cx.rng().below(6));
        }
    }

    fn timer(state: &mut Ledger, token: u64, cx: &mut Cx<Self>) {
        *state.fired.entry(token).or_default() += 1;
        cx.send_all(&token);
    }

    fn view(state: &Ledger) -> Cow<'_, u64> {
        Cow::Owned(state.draws.iter().fold(0, |sum, draw| sum ^ draw))
    }
}

/// The next version of [`Busy`], which keeps only how often chance was asked.
struct BusyTwo;

impl Room for BusyTwo {
    const KIND: &'static str = "busy";
    const VERSION: u32 = 2;
    type State = usize;
    type Input = Act;
    type View = ();
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> usize {
        0
    }

    fn input(_state: &mut usize, _from: PlayerId, _act: Act, _cx: &mut Cx<Self>) {}

    fn view(_state: &usize) -> Cow<'_, ()> {
        Cow::Owned(())
    }

    fn migrate(version: u32, state: &[u8]) -> Result<usize, String> {
        assert_ne!(version, 7, "never released");
        let old: Ledger = messagepack::decode(state, messagepack::Bounds::PEER)
            .map_err(|error| error.to_string())?;
        Ok(old.draws.len())
    }
}

fn open() -> Box<dyn RoomInstance> {
    let metadata = Metadata::from([("map".into(), MetadataValue::Text("north".into()))]);
    let settings = RoomSettings {
        metadata,
        members_max: 5,
        options: vec![1, 2, 3],
        private: true,
    };
    let room = RoomId::of("busy", RequestId([9; 16]));
    let spec = RoomSpec {
        room,
        owner: PlayerId(4),
        settings,
        code: "K7QZ4M".parse().ok(),
    };
    Kind::of::<Busy>()
        .open(&spec, [5; 32], &mut Vec::new())
        .unwrap()
}

fn checkpoint(room: &dyn RoomInstance) -> Vec<u8> {
    let mut out = Vec::new();
    room.checkpoint(&mut out).unwrap();
    out
}

fn admit(player: u64) -> Call {
    Call::Admit {
        player: PlayerId(player),
        name: format!("player {player}"),
        claims: Vec::new(),
    }
}

fn act(player: u64, act: &Act) -> Call {
    let payload = messagepack::encode(act).unwrap().into();
    Call::Input {
        player: PlayerId(player),
        payload,
    }
}

fn any_call() -> impl Strategy<Value = Call> {
    let players = 1..7_u64;
    let changes = prop::sample::select(vec![
        SeatChange::Suspect,
        SeatChange::Detached,
        SeatChange::Returned,
        SeatChange::Left,
    ]);
    let acts = prop_oneof![
        Just(Act::Draw),
        (0..500_u64, 0..9_u64).prop_map(|(millis, token)| Act::Timer { millis, token }),
        any::<i64>().prop_map(Act::Fact),
    ];
    prop_oneof![
        players.clone().prop_map(admit),
        (players.clone(), changes).prop_map(|(player, change)| Call::Seat {
            player: PlayerId(player),
            change
        }),
        (players, acts).prop_map(|(player, what)| act(player, &what)),
        Just(Call::Tick),
        Just(Call::Timers),
    ]
}

proptest! {
    /// What a crash at any moment must not change: the bytes, and all that follows from them.
    #[test]
    fn a_restored_room_is_the_room(
        calls in prop::collection::vec((0..100_u64, any_call()), 0..120),
        crash_at in 0..120_usize,
    ) {
        let mut live = open();
        let mut restored: Option<Box<dyn RoomInstance>> = None;
        let mut now = Duration::ZERO;
        for (index, (millis, call)) in calls.iter().enumerate() {
            if index == crash_at {
                let bytes = checkpoint(&*live);
                let room = Kind::of::<Busy>().restore(&bytes).unwrap();
                prop_assert_eq!(&checkpoint(&*room), &bytes);
                restored = Some(room);
            }
            now += Duration::from_millis(*millis);
            let mut effects: [Vec<Effect>; 2] = Default::default();
            let outcome = live.apply(now, call, &mut effects[0]).unwrap();
            if let Some(room) = &mut restored {
                prop_assert_eq!(room.apply(now, call, &mut effects[1]).unwrap(), outcome);
                prop_assert_eq!(&effects[0], &effects[1]);
                prop_assert_eq!(room.next_timer(), live.next_timer());
                prop_assert_eq!(room.members(), live.members());
                prop_assert_eq!(room.metadata(), live.metadata());
                prop_assert_eq!(checkpoint(&**room), checkpoint(&*live));
            }
        }
    }

    #[test]
    fn damaged_checkpoints_are_errors_or_rooms_but_never_panics(
        place in any::<prop::sample::Index>(),
        byte: u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut room = open();
        for call in [admit(1), act(1, &Act::Timer { millis: 5, token: 1 }), Call::Tick] {
            room.apply(Duration::ZERO, &call, &mut Vec::new()).unwrap();
        }
        let whole = checkpoint(&*room);
        let mut damaged = whole.clone();
        damaged[place.index(whole.len())] = byte;
        if let Err(fault) = Kind::of::<Busy>().restore(&damaged) {
            prop_assert!(matches!(fault, RoomFault::Decode { .. } | RoomFault::State { .. }), "{}", fault);
        }
        let short = &whole[..cut.index(whole.len())];
        let fault = Kind::of::<Busy>().restore(short).unwrap_err();
        prop_assert!(matches!(fault, RoomFault::Decode { .. } | RoomFault::State { .. }), "{}", fault);
    }
}

#[test]
fn a_checkpoint_names_its_fields() {
    let bytes = checkpoint(&*open());
    for name in [
        "format", "kind", "version", "spec", "tick", "timers", "members", "draws",
    ] {
        let found = bytes
            .windows(name.len())
            .any(|window| window == name.as_bytes());
        assert!(found, "{name} stands in a checkpoint");
    }
}

#[test]
fn another_version_is_migrated() {
    let mut room = open();
    room.apply(Duration::from_secs(1), &admit(1), &mut Vec::new())
        .unwrap();
    room.apply(Duration::from_secs(1), &act(1, &Act::Draw), &mut Vec::new())
        .unwrap();
    let two = Kind::of::<BusyTwo>().restore(&checkpoint(&*room)).unwrap();
    assert_eq!(two.members(), room.members());
    let bytes = checkpoint(&*two);
    assert_eq!(
        checkpoint(&*Kind::of::<BusyTwo>().restore(&bytes).unwrap()),
        bytes
    );

    let back = Kind::of::<Busy>().restore(&bytes).unwrap_err();
    let text = back.to_string();
    let begin = "busy of version 1 cannot read a state that version 2 wrote: busy cannot read a state of version 2; three";
    assert!(text.starts_with(begin), "{text}");
}

/// The same name and version as [`Busy`], but a developer has edited the state.
struct Edited;

#[derive(Serialize, Deserialize)]
struct EditedLedger {
    draws: Vec<u64>,
    owner: String,
}

/// The same, and the type of a field is another.
struct Retyped;

#[derive(Serialize, Deserialize)]
struct RetypedLedger {
    draws: String,
}

impl Room for Retyped {
    const KIND: &'static str = "busy";
    type State = RetypedLedger;
    type Input = ();
    type View = ();
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> RetypedLedger {
        RetypedLedger {
            draws: String::new(),
        }
    }

    fn input(_state: &mut RetypedLedger, _from: PlayerId, (): (), _cx: &mut Cx<Self>) {}

    fn view(_state: &RetypedLedger) -> Cow<'_, ()> {
        Cow::Owned(())
    }
}

impl Room for Edited {
    const KIND: &'static str = "busy";
    type State = EditedLedger;
    type Input = ();
    type View = ();
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> EditedLedger {
        EditedLedger {
            draws: vec![],
            owner: String::new(),
        }
    }

    fn input(_state: &mut EditedLedger, _from: PlayerId, (): (), _cx: &mut Cx<Self>) {}

    fn view(_state: &EditedLedger) -> Cow<'_, ()> {
        Cow::Owned(())
    }
}

#[test]
fn an_edited_state_is_an_error_that_names_kind_and_field() {
    let told = |kind: Kind| kind.restore(&checkpoint(&*open())).unwrap_err().to_string();
    let missing = told(Kind::of::<Edited>());
    let begin = "busy of version 1 cannot read a state that version 1 wrote: ";
    let fields = [
        (missing, "missing field `owner`; "),
        (told(Kind::of::<Retyped>()), "draws: invalid type: "),
    ];
    for (text, field) in fields {
        assert!(text.starts_with(&format!("{begin}{field}")), "{text}");
        for way in [
            "`Room::migrate`",
            "`rejoin store drop`",
            "`rejoin serve --fresh`",
        ] {
            assert!(text.contains(way), "{text}");
        }
    }
}

#[test]
fn a_room_of_another_kind_is_an_error() {
    struct Other;
    impl Room for Other {
        const KIND: &'static str = "other";
        type State = ();
        type Input = ();
        type View = ();
        type Event = ();
        fn open(_: &RoomSpec, _: &mut Cx<Self>) {}
        fn input((): &mut (), _: PlayerId, (): (), _: &mut Cx<Self>) {}
        fn view((): &()) -> Cow<'_, ()> {
            Cow::Owned(())
        }
    }
    let fault = Kind::of::<Other>()
        .restore(&checkpoint(&*open()))
        .unwrap_err();
    let text = "other cannot read its checkpoint: it was written by a room of kind busy";
    assert_eq!(fault.to_string(), text);
}

#[test]
fn a_state_too_long_to_keep_is_an_error_and_leaves_no_bytes() {
    let mut room = open();
    room.apply(Duration::ZERO, &admit(1), &mut Vec::new())
        .unwrap();
    room.apply(
        Duration::ZERO,
        &act(1, &Act::Fill(1024 * 1024)),
        &mut Vec::new(),
    )
    .unwrap();
    let mut out = vec![1];
    let fault = room.checkpoint(&mut out).unwrap_err();
    assert!(
        fault
            .to_string()
            .contains("bytes of state, at most 1048576 allowed"),
        "{fault}"
    );
    assert_eq!(out, [1]);
}

/// A state that can be written deeper than it could be read.
struct Deep;

#[derive(Serialize, Deserialize)]
struct Nest(Option<Box<[Self; 1]>>);

impl Room for Deep {
    const KIND: &'static str = "deep";
    type State = Nest;
    type Input = ();
    type View = ();
    type Event = ();

    fn open(spec: &RoomSpec, _cx: &mut Cx<Self>) -> Nest {
        (0..spec.settings.members_max).fold(Nest(None), |nest, _| Nest(Some(Box::new([nest]))))
    }

    fn input(_state: &mut Nest, _from: PlayerId, (): (), _cx: &mut Cx<Self>) {}

    fn view(_state: &Nest) -> Cow<'_, ()> {
        Cow::Owned(())
    }
}

#[test]
fn a_state_too_deep_to_read_is_an_error_before_it_is_needed() {
    let written = |depth| {
        let settings = RoomSettings {
            members_max: depth,
            ..RoomSettings::default()
        };
        let room = RoomId::of("deep", RequestId([1; 16]));
        let spec = RoomSpec {
            room,
            owner: PlayerId(1),
            settings,
            code: None,
        };
        let room = Kind::of::<Deep>()
            .open(&spec, [0; 32], &mut Vec::new())
            .unwrap();
        let mut out = Vec::new();
        room.checkpoint(&mut out).map(|()| out)
    };
    let readable = written(64).unwrap();
    assert!(Kind::of::<Deep>().restore(&readable).is_ok());
    let text = "deep cannot encode its state: nested deeper than 64";
    assert_eq!(written(65).unwrap_err().to_string(), text);
}
