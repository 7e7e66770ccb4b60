//! Kinds by name, their bounds, and the options of a room.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_protocol::messagepack::{self, DecodeError};
use rejoin_room::{Call, Cx, Kind, Kinds, Outcome, PlayerId, Room, RoomSettings, RoomSpec};

use crate::puppet::{Puppet, spec};

/// An event-driven room whose options are typed.
struct Quiet;

impl Room for Quiet {
    const KIND: &'static str = "quiet";
    type State = BTreeMap<String, u32>;
    type Input = ();
    type View = ();
    type Event = ();

    fn open(spec: &RoomSpec, _cx: &mut Cx<Self>) -> Self::State {
        spec.options().unwrap_or_default()
    }

    fn input(_: &mut Self::State, _: PlayerId, (): (), _: &mut Cx<Self>) {}

    fn tick(_: &mut Self::State, _: &mut Cx<Self>) {
        panic!("an event-driven room has no clock");
    }

    fn view(_: &Self::State) -> Cow<'_, ()> {
        Cow::Owned(())
    }
}

#[test]
fn an_event_driven_room_is_never_stepped() {
    let mut room = Kind::of::<Quiet>()
        .open(&spec(RoomSettings::default()), [0; 32], &mut Vec::new())
        .unwrap();
    let mut effects = Vec::new();
    assert_eq!(
        room.apply(Duration::ZERO, &Call::Tick, &mut effects),
        Ok(Outcome::Done)
    );
    assert_eq!(room.tick(), 0);
}

#[test]
fn options_are_read_guarded() {
    let wanted = BTreeMap::from([("laps".to_owned(), 3_u32)]);
    let options = messagepack::encode(&wanted).unwrap();
    let settings = |options| RoomSettings {
        options,
        ..RoomSettings::default()
    };
    assert_eq!(spec(settings(options)).options(), Ok(wanted));
    assert_eq!(spec(settings(vec![])).options::<u32>(), Ok(0));
    let trailing = spec(settings(vec![1, 2])).options::<u32>();
    assert_eq!(trailing, Err(DecodeError::Trailing));
}

#[test]
fn kinds_are_found_by_name() {
    let kinds = Kinds::new().with::<Puppet>().with::<Quiet>();
    assert_eq!(kinds.names().collect::<Vec<_>>(), ["puppet", "quiet"]);
    let kind = kinds.get("puppet").unwrap();
    assert_eq!((kind.version, kind.tick_hz, kind.members_max), (1, 10, 3));
    assert!(kinds.get("duel").is_none());
}

#[test]
#[should_panic(expected = "two rooms are both named quiet")]
fn two_kinds_of_one_name_are_a_defect() {
    drop(Kinds::new().with::<Quiet>().with::<Quiet>());
}

macro_rules! broken_kind {
    ($name:ident: $kind:literal, $hz:literal Hz, $seats:literal seats) => {
        struct $name;
        impl Room for $name {
            const KIND: &'static str = $kind;
            const TICK_HZ: u32 = $hz;
            const MEMBERS_MAX: u16 = $seats;
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
    };
}

broken_kind!(Nameless: "", 0 Hz, 1 seats);
broken_kind!(Hasty: "hasty", 129 Hz, 1 seats);
broken_kind!(Empty: "empty", 0 Hz, 0 seats);

#[test]
#[should_panic(expected = "KIND of a room has 1 to 32 bytes")]
fn a_kind_needs_a_name() {
    let _ = Kind::of::<Nameless>();
}

#[test]
#[should_panic(expected = "TICK_HZ of hasty is at most 128")]
fn a_clock_has_a_top_speed() {
    let _ = Kind::of::<Hasty>();
}

#[test]
#[should_panic(expected = "MEMBERS_MAX of empty is 1 to 1024")]
fn a_room_has_seats() {
    let _ = Kind::of::<Empty>();
}
