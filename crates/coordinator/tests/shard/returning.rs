//! A client that lost its connection comes back: each event once and in order, and a delta if it still has the base.
//!
//! Played by peers that hold their connections in their own hands, in rooms of their own shard and of another.

use bytes::Bytes;
use rejoin_protocol::limits::VIEW_MAX;
use rejoin_protocol::message::{Answer, ClientMessage, Held, HeldSnapshot, Seated, ServerMessage};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::room_message::{RoomMessage, SnapshotHead};
use rejoin_protocol::wire::Reader;
use rejoin_protocol::{ConnectionEvent, RoomId, SeatId, snapshot};
use rejoin_store::MemoryStore;

use crate::intruder::Intruder;
use crate::rooms::{Act, Bomb};
use crate::world::World;

/// Events that the room keeps for a seat.
const KEPT: u64 = 256;

/// A server with a room that ana opened, and where ben comes to: the room's own shard or the other.
struct Stage {
    world: World,
    ana: usize,
    seat: SeatId,
    room: RoomId,
    /// Clients of ben so far.
    clients: u16,
    port: u16,
}

/// Each of the two ways to a room.
fn stages(kind: &str) -> [Stage; 2] {
    [(1, 40_000), (2, 40_001)].map(|(shards, port)| {
        let mut world = World::with_shards(shards, MemoryStore::default(), |_| {});
        let ana = world.player("ana");
        let Seated { seat, room, .. } = world.create(ana, kind, 1);
        Stage {
            world,
            ana,
            seat,
            room,
            clients: 0,
            port,
        }
    })
}

/// A client of ben.
struct Client {
    peer: Intruder,
    calls: u32,
}

impl Stage {
    /// One more client of ben: it takes the session over.
    fn client(&mut self) -> Client {
        let port = self.port + 2 * self.clients;
        self.clients += 1;
        let address = ([127, 0, 0, 9], port).into();
        let peer = Intruder::join(&mut self.world, "ben", address);
        Client { peer, calls: 0 }
    }

    /// One that asks for the seat, and what it is told.
    fn back(&mut self, held: Option<Held>) -> (Client, Seated) {
        let mut client = self.client();
        let seated = client.ask(self, held);
        (client, seated)
    }

    fn act(&mut self, act: Act) {
        self.world.act(self.ana, self.seat, act);
    }

    /// Ana says numbers, one a millisecond.
    fn say(&mut self, numbers: std::ops::RangeInclusive<u32>, client: Option<&mut Client>) {
        let mut client = client;
        for number in numbers {
            self.act(Act::Say(number));
            match &mut client {
                Some(client) => client.peer.step(&mut self.world),
                None => self.world.step(),
            }
        }
        match client {
            Some(client) => client.run(self, 400),
            None => self.run(400),
        }
    }

    fn run(&mut self, millis: u64) {
        self.world.run(std::time::Duration::from_millis(millis));
    }

    /// The room's newest view, as ana sees it.
    fn view(&self) -> Bytes {
        self.world.view_bytes(self.ana, self.seat).unwrap()
    }
}

impl Client {
    fn run(&mut self, stage: &mut Stage, millis: u64) {
        for _ in 0..millis {
            self.peer.step(&mut stage.world);
        }
    }

    fn ask(&mut self, stage: &mut Stage, held: Option<Held>) -> Seated {
        self.calls += 1;
        let (call, room) = (self.calls, stage.room);
        self.peer.ask(&ClientMessage::Join { call, room, held });
        self.run(stage, 100);
        let answer = |message| match message {
            ServerMessage::Reply { call: of, result } if of == call => Some(result),
            _ => None,
        };
        let result = self.peer.told().into_iter().find_map(answer);
        let Some(Ok(Answer::Seated(seated))) = result else {
            panic!("{result:?}");
        };
        seated
    }

    fn ordered(&self) -> impl Iterator<Item = RoomMessage> {
        let events = self.peer.events.iter();
        events.filter_map(|event| match event {
            ConnectionEvent::Ordered(message) => Some(RoomMessage::decode(message).unwrap()),
            _ => None,
        })
    }

    /// Events as they came: their numbers, and what they say.
    fn heard(&self) -> Vec<(u64, u32)> {
        let events = self.ordered().filter_map(|message| match message {
            RoomMessage::Event {
                number, payload, ..
            } => Some((number, messagepack::decode(&payload, Bounds::PEER).unwrap())),
            _ => None,
        });
        events.collect()
    }

    fn missed(&self) -> Vec<u64> {
        let missed = self.ordered().filter_map(|message| match message {
            RoomMessage::Missed { number, .. } => Some(number),
            _ => None,
        });
        missed.collect()
    }

    /// Snapshots as they came.
    fn shown(&self) -> Vec<(SnapshotHead, Bytes)> {
        let events = self.peer.events.iter();
        let messages = events.filter_map(|event| match event {
            ConnectionEvent::Latest { message, .. } => Some(message.clone()),
            ConnectionEvent::Ordered(message) => match RoomMessage::decode(message) {
                Ok(RoomMessage::Snapshot { payload, .. }) => Some(payload),
                _ => None,
            },
            _ => None,
        });
        let read = messages.map(|message| {
            let mut reader = Reader::new(&message);
            let head = SnapshotHead::decode(&mut reader).unwrap();
            (head, message.slice_ref(reader.rest()))
        });
        read.collect()
    }
}

fn held(event: u64) -> Option<Held> {
    let snapshot = None;
    Some(Held { event, snapshot })
}

fn numbers(of: std::ops::RangeInclusive<u32>) -> Vec<(u64, u32)> {
    of.map(|number| (number.into(), number)).collect()
}

#[test]
fn what_nobody_acknowledged_comes_again_once_and_in_order() {
    for mut stage in stages("yard") {
        let (mut first, seated) = stage.back(None);
        assert_eq!((seated.found, seated.event), (false, 0));
        stage.say(1..=5, Some(&mut first));
        first.peer.listens = false;
        stage.say(6..=10, Some(&mut first));
        assert_eq!(first.heard(), numbers(1..=5));

        let (mut second, seated) = stage.back(held(5));
        assert!(seated.found && !seated.created);
        assert_eq!((seated.event, seated.events_dropped), (5, 0));
        assert_eq!(second.heard(), numbers(6..=10));
        stage.say(11..=13, Some(&mut second));
        assert_eq!(second.heard(), numbers(6..=13));

        // All is acknowledged: one that says nothing is sent nothing either.
        let (third, seated) = stage.back(None);
        assert_eq!((seated.event, seated.events_dropped), (13, 0));
        assert_eq!((third.heard(), third.missed()), (vec![], vec![]));
    }
}

#[test]
fn what_a_client_has_is_not_sent_again_though_its_acknowledgements_were_lost() {
    for mut stage in stages("mill") {
        let (mut first, _) = stage.back(None);
        stage.say(1..=3, Some(&mut first));
        first.peer.speaks = false;
        stage.say(4..=9, Some(&mut first));
        assert_eq!(first.heard(), numbers(1..=9));
        let (mut knowing, seated) = stage.back(held(7));
        assert_eq!((seated.event, knowing.heard()), (7, numbers(8..=9)));
        knowing.peer.speaks = false;
        // One that says nothing of it is sent all that nobody has said it has.
        let mut relaunched = stage.client();
        stage.say(10..=10, None);
        let seated = relaunched.ask(&mut stage, None);
        assert!((7..=9).contains(&seated.event), "{seated:?}");
        let rest = numbers(u32::try_from(seated.event).unwrap() + 1..=10);
        assert_eq!(relaunched.heard(), rest);
    }
}

#[test]
fn a_member_who_is_away_for_a_thousand_events_is_told_how_many_it_missed() {
    for held in [held(5), held(800), None] {
        for mut stage in stages("yard") {
            let (mut first, _) = stage.back(None);
            stage.say(1..=5, Some(&mut first));
            stage.say(6..=1_005, None);
            let (mut client, seated) = stage.back(held);
            let has = held.map_or(5, |held| held.event);
            let event = has.max(1_005 - KEPT);
            assert_eq!((seated.event, seated.events_dropped), (event, event - has));
            client.run(&mut stage, 300);
            stage.say(1_006..=1_007, Some(&mut client));
            let from = u32::try_from(event).unwrap() + 1;
            assert_eq!(client.heard(), numbers(from..=1_007));
            assert_eq!(client.missed(), []);
        }
    }
}

#[test]
fn a_member_who_is_silent_while_events_go_on_is_not_closed_for_them() {
    for mut stage in stages("yard") {
        let (mut client, _) = stage.back(None);
        stage.say(1..=5, Some(&mut client));
        stage.run(7_000);
        // More than a send queue takes.
        stage.say(6..=4_205, None);
        client.run(&mut stage, 2_000);
        assert_eq!(client.peer.closed(), None);
        assert_eq!(client.missed(), [4_205 - KEPT]);
        let mut expected = numbers(1..=5);
        expected.extend(numbers(3_950..=4_205));
        assert_eq!(client.heard(), expected);
        stage.say(4_206..=4_206, Some(&mut client));
        assert_eq!(client.heard().last(), Some(&(4_206, 4_206)));
    }
}

#[test]
fn one_that_catches_up_is_sent_a_few_at_a_time_and_passes_over_what_is_kept_no_longer() {
    for mut stage in stages("yard") {
        let (mut first, _) = stage.back(None);
        stage.say(1..=5, Some(&mut first));
        stage.say(6..=105, None);
        let mut client = stage.client();
        client.peer.speaks = false;
        client.calls += 1;
        let (call, room, held) = (client.calls, stage.room, held(5));
        client.peer.ask(&ClientMessage::Join { call, room, held });
        client.peer.speaks = true;
        client.peer.flush(&mut stage.world);
        // From here on it says nothing, its acknowledgements neither.
        client.peer.speaks = false;
        client.run(&mut stage, 300);
        assert_eq!(client.heard(), numbers(6..=37));
        stage.say(106..=1_005, Some(&mut client));
        assert_eq!(client.heard(), numbers(6..=37), "none overtakes");
        client.peer.speaks = true;
        client.run(&mut stage, 1_000);
        assert_eq!(client.missed(), [1_005 - KEPT]);
        let mut expected = numbers(6..=37);
        expected.extend(numbers(750..=1_005));
        assert_eq!(client.heard(), expected);
    }
}

#[test]
fn another_client_of_the_session_takes_over_the_events_and_the_first_is_told_that_they_are_gone() {
    for mut stage in stages("mill") {
        let (mut first, _) = stage.back(None);
        stage.say(1..=4, Some(&mut first));
        let (mut other, seated) = stage.back(None);
        assert_eq!((seated.event, other.heard()), (4, vec![]));
        stage.say(5..=9, Some(&mut other));
        assert_eq!(other.heard(), numbers(5..=9));
        let (mut again, seated) = stage.back(held(4));
        assert_eq!((seated.event, seated.events_dropped), (9, 5));
        stage.say(10..=10, Some(&mut again));
        assert_eq!(again.heard(), numbers(10..=10));
    }
}

#[test]
fn who_asks_twice_on_one_connection_is_sent_nothing_twice() {
    for mut stage in stages("yard") {
        let (mut first, _) = stage.back(None);
        first.peer.listens = false;
        stage.say(1..=3, Some(&mut first));
        let mut client = stage.client();
        for call in [7, 8, 9] {
            let (room, held) = (stage.room, held(1));
            client.peer.ask(&ClientMessage::Join { call, room, held });
        }
        client.run(&mut stage, 100);
        let seated = client.ask(&mut stage, held(1));
        assert_eq!((seated.event, seated.events_dropped), (3, 0));
        stage.say(4..=4, Some(&mut client));
        assert_eq!(client.heard(), numbers(2..=4));
    }
}

#[test]
fn senseless_claims_of_events_hurt_nobody() {
    for mut stage in stages("yard") {
        let (mut first, _) = stage.back(None);
        first.peer.listens = false;
        stage.say(1..=3, Some(&mut first));
        let (mut client, seated) = stage.back(held(u64::MAX));
        assert_eq!((seated.event, seated.events_dropped), (3, 0));
        stage.say(4..=4, Some(&mut client));
        assert_eq!(client.heard(), numbers(4..=4));
    }
}

#[test]
fn a_call_that_is_taken_out_forgets_no_acknowledgement() {
    for mut stage in stages("mill") {
        let (mut first, _) = stage.back(None);
        stage.say(1..=5, Some(&mut first));
        stage.act(Act::Arm(Bomb::Now));
        first.run(&mut stage, 100);
        assert_eq!(stage.world.shard.stats().voids, 1);
        first.peer.listens = false;
        stage.say(6..=6, Some(&mut first));
        let (client, seated) = stage.back(None);
        assert_eq!((seated.event, client.heard()), (5, numbers(6..=6)));
    }
}

/// What the client has, of the newest view it was shown.
fn newest(client: &Client, view: &[u8]) -> HeldSnapshot {
    HeldSnapshot {
        sequence: client.shown().last().unwrap().0.sequence,
        check: snapshot::check(view),
    }
}

/// A stage whose room shows something long, with a client that has it; and the view it has.
fn watched(mut stage: Stage) -> (Stage, Client, Bytes) {
    let (mut client, _) = stage.back(None);
    stage.act(Act::Add(1));
    stage.act(Act::Grow(400));
    client.run(&mut stage, 300);
    let view = stage.view();
    (stage, client, view)
}

#[test]
fn the_first_view_back_is_a_delta_from_the_one_that_the_client_has() {
    for kind in ["yard", "mill"] {
        for stage in stages(kind) {
            let (mut stage, first, before) = watched(stage);
            let view = newest(&first, &before);
            for adds in 0..8 {
                stage.act(Act::Add(adds));
                stage.run(50);
            }
            let snapshot = Some(view);
            let (mut client, _) = stage.back(Some(Held { event: 0, snapshot }));
            client.run(&mut stage, 200);
            let (head, delta) = client.shown().remove(0);
            assert_eq!(head.base, Some(view.sequence), "{kind}");
            let patched = snapshot::apply(&before, &delta, VIEW_MAX).unwrap();
            assert_eq!(Bytes::from(patched), stage.view());
            // And goes on from there.
            stage.act(Act::Add(9));
            client.run(&mut stage, 200);
            assert_eq!(client.shown()[1].0.base, Some(head.sequence));
        }
    }
}

#[test]
fn the_first_view_back_is_whole_if_the_client_has_none_of_the_room() {
    type Wrong = fn(HeldSnapshot) -> HeldSnapshot;
    let wrong: [Wrong; 5] = [
        |view| HeldSnapshot {
            check: !view.check,
            ..view
        },
        |view| HeldSnapshot {
            sequence: view.sequence + 1_000,
            ..view
        },
        |view| HeldSnapshot {
            sequence: u64::MAX,
            ..view
        },
        |view| HeldSnapshot {
            sequence: 0,
            ..view
        },
        |view| HeldSnapshot {
            sequence: view.sequence - 1,
            ..view
        },
    ];
    for (number, wrong) in wrong.into_iter().enumerate() {
        for stage in stages("mill") {
            let (mut stage, first, before) = watched(stage);
            let snapshot = Some(wrong(newest(&first, &before)));
            let (mut client, _) = stage.back(Some(Held { event: 0, snapshot }));
            client.run(&mut stage, 200);
            let (head, body) = client.shown().remove(0);
            assert_eq!((head.base, body), (None, stage.view()), "{number}");
        }
    }
}

#[test]
fn a_private_view_starts_whole_whatever_the_client_has() {
    for stage in stages("mill") {
        let (mut stage, mut first, _) = watched(stage);
        let (seat, number) = (first.ask(&mut stage, None).seat, 1);
        let payload = Act::Hide(7).encode();
        let input = RoomMessage::Input {
            seat,
            number,
            payload,
        };
        first
            .peer
            .connection
            .send_ordered(input.encode(), None)
            .unwrap();
        first.run(&mut stage, 300);
        assert!(first.shown().last().unwrap().0.private);
        // What the others see under that name: the room keeps it, and the own view of that name too.
        let snapshot = Some(newest(&first, &stage.view()));
        let (mut client, _) = stage.back(Some(Held { event: 0, snapshot }));
        client.run(&mut stage, 300);
        let shown = client.shown();
        assert!(shown.iter().all(|(head, _)| head.private));
        assert_eq!(shown[0].0.base, None);
    }
}
