//! What is too large is told to whoever made it so, and nobody else loses a connection over it.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_client::{Event, State};
use rejoin_protocol::message::{
    ClientMessage, Comparison, Filter, MetadataValue, RoomCloseReason, RoomSettings, ServerMessage,
};
use rejoin_protocol::{Liveness, RefusalCode, RequestId, SeatId};

use crate::intruder::Intruder;
use crate::lines::lines_of;
use crate::rooms::Act;
use crate::world::World;

fn request(call: u32, kind: &str, settings: RoomSettings) -> ClientMessage {
    ClientMessage::Create {
        call,
        request: RequestId([9; 16]),
        kind: kind.to_owned(),
        settings,
    }
}

fn changed(change: impl FnOnce(&mut RoomSettings)) -> RoomSettings {
    let mut settings = RoomSettings::default();
    change(&mut settings);
    settings
}

/// Requests beyond a bound, and how they are refused.
fn too_large() -> [(ClientMessage, &'static str); 5] {
    let filter = Filter {
        key: "k".into(),
        comparison: Comparison::Equal,
        value: MetadataValue::Bool(true),
    };
    let facts = (0..400).map(|n| (format!("{n}"), MetadataValue::Int(n)));
    let list = ClientMessage::List {
        call: 5,
        kind: None,
        filters: vec![filter; 200],
        max: 1,
    };
    [
        (
            request(1, &"k".repeat(10_000), RoomSettings::default()),
            "10000 bytes of a kind, 1 to 32 allowed",
        ),
        (
            request(2, "yard", changed(|it| it.members_max = 2_000)),
            "2000 members, at most 1024 allowed",
        ),
        (
            request(3, "yard", changed(|it| it.options = vec![0; 4_097])),
            "4097 bytes of options, at most 4096 allowed",
        ),
        // Of lists one more than is taken is read, to see that it is too many.
        (
            request(4, "yard", changed(|it| it.metadata = facts.collect())),
            "17 metadata entries, at most 16 allowed",
        ),
        (list, "17 filters, at most 16 allowed"),
    ]
}

#[test]
fn requests_that_no_client_sends_are_refused_by_name_and_the_session_goes_on() {
    let mut world = World::new();
    let address = SocketAddr::from(([192, 0, 2, 1], 7_000));
    let mut intruder = Intruder::join(&mut world, "mallory", address);
    let table = too_large();
    for (message, _) in &table {
        intruder.ask(message);
    }
    for _ in 0..100 {
        intruder.step(&mut world);
    }
    let told = intruder.told();
    assert_eq!(told.len(), table.len());
    for (answer, (message, text)) in told.into_iter().zip(table) {
        let ServerMessage::Reply {
            call,
            result: Err(refusal),
        } = answer
        else {
            panic!("no refusal: {answer:?}");
        };
        assert_eq!(Some(call), message.call());
        let expected = (RefusalCode::LimitReached, text);
        assert_eq!((refusal.code, &*refusal.text), expected);
    }
    assert_eq!(intruder.closed(), None);
    intruder.create(&mut world, "yard");
}

/// Two members in a room, and someone in the room next to it.
struct Scene {
    world: World,
    ana: usize,
    ben: usize,
    room: SeatId,
    /// Ben's seat.
    seat: SeatId,
    cy: usize,
    other: SeatId,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new();
        let [ana, ben, cy] = ["ana", "ben", "cy"].map(|name| world.player(name));
        let room = world.create(ana, "mill", 1);
        let seat = world.join(ben, room.room).seat;
        let other = world.create(cy, "mill", 2).seat;
        world.run(Duration::from_millis(200));
        Self {
            world,
            ana,
            ben,
            room: room.seat,
            seat,
            cy,
            other,
        }
    }

    /// Everybody's session is open, and the room next to it plays on.
    fn check(&mut self) {
        for player in [self.ana, self.ben, self.cy] {
            let state = self.world.players[player].core.state().clone();
            assert_eq!(state, State::Active(Liveness::Live));
        }
        self.world.act(self.cy, self.other, Act::Add(1));
        let (cy, other) = (self.cy, self.other);
        self.world.expect_view(cy, other, |board| board.adds == 1);
    }

    fn is_failed(&self, player: usize) -> bool {
        let failed = "the logic of this mill room failed".to_owned();
        let reason = RoomCloseReason::Failed(failed);
        self.world
            .events(player)
            .iter()
            .any(|event| matches!(event, Event::RoomClosed { reason: told, .. } if *told == reason))
    }
}

#[test]
fn a_view_or_state_too_large_ends_its_room_with_one_line_that_says_how_much() {
    let table = [
        (
            Act::Grow(70_000),
            "in view: 70",
            "bytes of a view, at most 65472 allowed",
        ),
        (
            Act::Hoard(1 << 20),
            "in checkpoint: 1048",
            "bytes of state, at most 1048576 allowed",
        ),
    ];
    for (act, call, size) in table {
        let mut scene = Scene::new();
        let lines = lines_of(|| {
            scene.world.act(scene.ben, scene.seat, act);
            scene.world.run(Duration::from_secs(6));
        });
        assert!(scene.is_failed(scene.ana) && scene.is_failed(scene.ben));
        let [line] = &lines[..] else {
            panic!("not one line: {lines:?}");
        };
        for part in [
            "WARN",
            "room failed",
            "mill went beyond a limit",
            call,
            size,
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        scene.check();
    }
}

#[test]
fn a_word_too_long_costs_the_call_that_asked_for_it() {
    let mut scene = Scene::new();
    let lines = lines_of(|| {
        scene.world.act(scene.ben, scene.seat, Act::EndWith(300));
        scene.world.run(Duration::from_millis(300));
    });
    let refused = scene.world.events(scene.ben).iter().any(|event| {
        matches!(event, Event::InputRefused { refusal, .. } if refusal.code == RefusalCode::RoomFailed)
    });
    assert!(refused && !scene.is_failed(scene.ben));
    let [line] = &lines[..] else {
        panic!("not one line: {lines:?}");
    };
    assert!(line.contains("mill went beyond a limit in input: 300 bytes of a word, at most 256"));
    scene.check();
    scene.world.act(scene.ana, scene.room, Act::Add(1));
    let (ana, room) = (scene.ana, scene.room);
    scene.world.expect_view(ana, room, |board| board.adds == 1);
}
