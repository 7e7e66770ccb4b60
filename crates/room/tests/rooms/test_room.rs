//! `TestRoom` stands where a server would, and finds logic that does not repeat itself.

use std::borrow::Cow;
use std::cell::Cell;
use std::time::Duration;

use rejoin_room::{Cx, PlayerId, RefusalCode, Room, RoomSettings, RoomSpec, SeatChange, TestRoom};
use serde::{Deserialize, Serialize};

/// A countdown per member; who is slow is removed, and the last one wins.
struct Countdown;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Log {
    lines: Vec<String>,
    steps: u64,
}

impl Room for Countdown {
    const KIND: &'static str = "countdown";
    const TICK_HZ: u32 = 4;
    const MEMBERS_MAX: u16 = 3;
    type State = Log;
    type Input = u64;
    type View = Log;
    type Event = String;

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Log {
        Log::default()
    }

    fn seat(state: &mut Log, player: PlayerId, change: SeatChange, cx: &mut Cx<Self>) {
        state.lines.push(format!("{change:?} {}", player.0));
        if change == SeatChange::Joined {
            cx.send(player, &format!("welcome {}", cx.members().len()));
        }
        if change == SeatChange::Left && cx.members().len() == 2 {
            cx.close("one is left");
        }
    }

    fn input(state: &mut Log, from: PlayerId, millis: u64, cx: &mut Cx<Self>) {
        state.lines.push(format!("{} asks for {millis} ms", from.0));
        cx.after(Duration::from_millis(millis), from.0);
    }

    fn tick(state: &mut Log, cx: &mut Cx<Self>) {
        state.steps = cx.tick();
        state.lines.push(format!("tick at {:?}", cx.now()));
    }

    fn timer(state: &mut Log, token: u64, cx: &mut Cx<Self>) {
        state
            .lines
            .push(format!("{token} is out at {:?}", cx.now()));
        cx.send_all(&format!("{token} is out"));
        cx.remove(PlayerId(token), "too slow");
    }

    fn view(state: &Log) -> Cow<'_, Log> {
        Cow::Borrowed(state)
    }

    fn private(state: &Log, player: PlayerId) -> Option<Cow<'_, Log>> {
        (player == PlayerId(2)).then(|| {
            Cow::Owned(Log {
                lines: vec![],
                ..state.clone()
            })
        })
    }
}

#[test]
fn steps_and_timers_come_in_order_of_time() {
    let mut room = TestRoom::<Countdown>::new();
    room.join(1)
        .input(0, 300)
        .input(0, 250)
        .advance(Duration::from_millis(600));
    let expected = [
        "Joined 1",
        "1 asks for 300 ms",
        "1 asks for 250 ms",
        "1 is out at 250ms",
        "tick at 250ms",
        "Left 1",
        "tick at 500ms",
    ];
    let mut lines = room.state().lines.clone();
    // The removal is a call of its own, right after the one that asked for it.
    lines.sort_by_key(|line| expected.iter().position(|wanted| wanted == line));
    assert_eq!(lines, expected);
}

#[test]
fn ticks_step_the_clock_exactly() {
    let mut room = TestRoom::<Countdown>::new();
    room.ticks(3).advance(Duration::from_millis(249));
    assert_eq!(room.state().steps, 3);
    room.advance(Duration::from_millis(1)).crash_and_recover();
    assert_eq!(room.state().steps, 4);
    assert_eq!(room.instance().now(), Duration::from_secs(1));
}

#[test]
fn events_reach_whom_they_are_for() {
    let mut room = TestRoom::<Countdown>::new();
    room.join(3).input(1, 10).advance(Duration::from_millis(20));
    assert_eq!(room.events(0), ["welcome 1", "2 is out"]);
    assert_eq!(room.events(2), ["welcome 3", "2 is out"]);
    assert_eq!(room.events(0), Vec::<String>::new());
    assert!(!room.is_closed());
}

#[test]
fn effects_of_effects_are_carried_out() {
    let mut room = TestRoom::<Countdown>::new();
    room.join(2).input(1, 10).advance(Duration::from_millis(20));
    assert!(
        room.is_closed(),
        "the removal left one member, who closed the room"
    );
    let refusal = room.input(0, 1).refusal().unwrap();
    assert_eq!(refusal.code, RefusalCode::UnknownRoom);
    assert_eq!(refusal.text, "the room is closed: one is left");
    room.crash_and_recover();
}

#[test]
fn refusals_are_those_of_the_last_call() {
    let mut room = TestRoom::<Countdown>::new();
    let full = room.join(4).refusal().unwrap().code;
    assert_eq!(full, RefusalCode::RoomFull);
    assert_eq!(
        room.input(3, 1).refusal().unwrap().code,
        RefusalCode::UnknownSeat
    );
    assert!(room.input(2, 1).refusal().is_none());
    assert_eq!(
        room.leave(3).refusal().unwrap().code,
        RefusalCode::UnknownSeat
    );
}

#[test]
fn settings_views_and_seats_are_as_a_server_would_have_them() {
    let settings = RoomSettings {
        members_max: 2,
        ..RoomSettings::default()
    };
    let mut room = TestRoom::<Countdown>::with_settings(settings);
    room.join_as("ana")
        .join_as("bo")
        .detach(0)
        .suspect(1)
        .returns(0);
    assert_eq!(room.join(1).refusal().unwrap().code, RefusalCode::RoomFull);
    let names: Vec<_> = room
        .instance()
        .members()
        .values()
        .map(|seated| &*seated.name)
        .collect();
    assert_eq!(names, ["ana", "bo"]);
    assert_eq!(room.view().lines.len(), 5);
    assert!(room.private(0).is_none());
    assert!(room.private(1).unwrap().lines.is_empty());
}

#[test]
fn a_timer_that_is_always_due_does_not_stop_time() {
    struct Restless;
    impl Room for Restless {
        const KIND: &'static str = "restless";
        type State = u64;
        type Input = ();
        type View = u64;
        type Event = ();
        fn open(_: &RoomSpec, cx: &mut Cx<Self>) -> u64 {
            cx.after(Duration::ZERO, 1);
            0
        }
        fn input(_: &mut u64, _: PlayerId, (): (), _: &mut Cx<Self>) {}
        fn timer(fired: &mut u64, token: u64, cx: &mut Cx<Self>) {
            *fired += 1;
            cx.after(Duration::ZERO, token);
        }
        fn view(fired: &u64) -> Cow<'_, u64> {
            Cow::Borrowed(fired)
        }
    }
    let mut room = TestRoom::<Restless>::new();
    room.advance(Duration::from_millis(10))
        .ticks(5)
        .crash_and_recover();
    assert_eq!(*room.state(), 11, "once per turn of a millisecond");
}

thread_local! {
    /// What no room may depend on: it is neither state nor in the journal.
    static OUTSIDE: Cell<u64> = const { Cell::new(0) };
}

fn outside() -> u64 {
    OUTSIDE.set(OUTSIDE.get() + 1);
    OUTSIDE.get()
}

/// A room with one way to break its word per input.
struct Liar;

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    number: u64,
    #[serde(skip)]
    forgotten: u64,
    rounded: Rounded,
}

/// Does not survive being written and read.
#[derive(Default, Deserialize)]
#[serde(from = "u64")]
struct Rounded(u64);

impl From<u64> for Rounded {
    fn from(value: u64) -> Self {
        Self(value / 10 * 10)
    }
}

impl Serialize for Rounded {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Room for Liar {
    const KIND: &'static str = "liar";
    const TICK_HZ: u32 = 10;
    type State = Kept;
    type Input = String;
    type View = u64;
    type Event = u64;

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Kept {
        Kept::default()
    }

    fn input(state: &mut Kept, from: PlayerId, how: String, cx: &mut Cx<Self>) {
        match &*how {
            "state" => state.number = outside(),
            "event" => cx.send(from, &outside()),
            "forget" => {
                state.forgotten += 1;
                state.number = state.forgotten;
            }
            "round" => state.rounded = Rounded(17),
            _ => panic!("unknown lie"),
        }
    }

    fn view(state: &Kept) -> Cow<'_, u64> {
        Cow::Owned(state.number)
    }
}

fn lie(how: &str) -> TestRoom<Liar> {
    let mut room = TestRoom::new();
    room.join(1)
        .ticks(3)
        .checkpoint()
        .ticks(2)
        .input(0, how.to_owned());
    room
}

#[test]
#[should_panic(
    expected = "liar is another after a replay: at tick 5, state.number was 1 and became 2"
)]
fn a_state_from_outside_is_found() {
    lie("state").crash_and_recover();
}

#[test]
#[should_panic(expected = "liar is not deterministic: an input at tick 5 of 5 came out otherwise")]
fn an_event_from_outside_is_found() {
    lie("event").crash_and_recover();
}

#[test]
#[should_panic(expected = "at tick 5, state.number was 1 and became 2")]
fn a_field_that_is_not_written_is_found_by_the_second_crash() {
    lie("forget")
        .crash_and_recover()
        .input(0, "forget".to_owned())
        .crash_and_recover();
}

#[test]
#[should_panic(
    expected = "liar is another after being written and read: at tick 5, state.rounded was 17 and became 10"
)]
fn a_state_that_is_read_otherwise_than_written_is_found() {
    lie("round").crash_and_recover();
}

#[test]
#[should_panic(expected = "liar panicked in input: unknown lie")]
fn a_panic_in_logic_fails_the_test_with_its_words() {
    lie("nonsense");
}

/// Whoever acts puts the second player out of the door.
struct Door;

impl Room for Door {
    const KIND: &'static str = "door";
    type State = u64;
    type Input = u64;
    type View = u64;
    type Event = String;

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> u64 {
        0
    }

    fn seat(_: &mut u64, player: PlayerId, change: SeatChange, cx: &mut Cx<Self>) {
        if change == SeatChange::Left {
            cx.send_all(&format!("{} left", player.0));
        }
    }

    fn input(_: &mut u64, _: PlayerId, _: u64, cx: &mut Cx<Self>) {
        cx.remove(PlayerId(2), "out");
        cx.send_all(&"out".to_owned());
    }

    fn view(state: &u64) -> Cow<'_, u64> {
        Cow::Borrowed(state)
    }
}

#[test]
fn effects_of_effects_come_after_those_that_were_asked_for_first() {
    let mut room = TestRoom::<Door>::new();
    room.join(2).input(0, 0);
    assert_eq!(room.events(0), ["out", "2 left"]);
    assert!(room.events(1).is_empty(), "the second is out already");
}

/// Grows by what it is told: its view, its state, or an event.
struct Heap;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Sizes {
    shown: String,
    hidden: String,
}

#[derive(Serialize, Deserialize)]
enum Grow {
    View(usize),
    State(usize),
    Event(usize),
    StateBySteps(usize),
}

impl Room for Heap {
    const KIND: &'static str = "heap";
    const TICK_HZ: u32 = 1;
    type State = (Sizes, usize);
    type Input = Grow;
    type View = String;
    type Event = String;

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Self::State {
        Self::State::default()
    }

    fn input((sizes, by): &mut Self::State, from: PlayerId, grow: Grow, cx: &mut Cx<Self>) {
        match grow {
            Grow::View(len) => sizes.shown = "x".repeat(len),
            Grow::State(len) => sizes.hidden = "x".repeat(len),
            Grow::Event(len) => cx.send(from, &"x".repeat(len)),
            Grow::StateBySteps(step) => *by = step,
        }
    }

    fn tick((sizes, by): &mut Self::State, _cx: &mut Cx<Self>) {
        sizes.hidden.push_str(&"x".repeat(*by));
    }

    fn view((sizes, _): &Self::State) -> Cow<'_, String> {
        Cow::Borrowed(&sizes.shown)
    }
}

fn heap() -> TestRoom<Heap> {
    let mut room = TestRoom::new();
    room.join(1);
    room
}

#[test]
fn a_room_at_its_bounds_passes() {
    // A text of up to 2^16 bytes has a head of 3 bytes.
    let mut room = heap();
    room.input(0, Grow::View(65_472 - 3));
    room.input(0, Grow::Event(65_504 - 3));
    room.input(0, Grow::State(900_000));
    assert_eq!(room.events(0).len(), 1);
}

#[test]
#[should_panic(
    expected = "heap went beyond a limit in view: 65473 bytes of a view, at most 65472 allowed"
)]
fn a_view_that_no_server_would_show_fails_the_test_that_made_it() {
    heap().input(0, Grow::View(65_472 - 2));
}

#[test]
#[should_panic(
    expected = "heap went beyond a limit in input: 65505 bytes of an event, at most 65504 allowed"
)]
fn an_event_that_no_server_would_send_fails_the_test_that_made_it() {
    heap().input(0, Grow::Event(65_504 - 2));
}

#[test]
#[should_panic(expected = "bytes of state, at most 1048576 allowed")]
fn a_state_that_no_server_would_keep_fails_the_test_that_made_it() {
    heap().input(0, Grow::State(1 << 20));
}

#[test]
#[should_panic(expected = "bytes of state, at most 1048576 allowed")]
fn a_state_that_grows_with_time_fails_the_test_too() {
    heap().input(0, Grow::StateBySteps(100_000)).ticks(11);
}
