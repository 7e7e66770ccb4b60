//! A room, and the clients of one player that come to it one after another.
//!
//! Played by peers that hold their connections in their own hands, in rooms of their own shard and of another.

use bytes::Bytes;
use rejoin_protocol::message::{Answer, ClientMessage, Held, HeldSnapshot, Seated, ServerMessage};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::room_message::{RoomMessage, SnapshotHead};
use rejoin_protocol::wire::Reader;
use rejoin_protocol::{ConnectionEvent, Refusal, RoomId, SeatId, Stay};
use rejoin_store::MemoryStore;

use crate::intruder::Intruder;
use crate::rooms::Act;
use crate::world::World;

/// A server with a room that ana opened, and where ben comes to: the room's own shard or the other.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) ana: usize,
    pub(crate) seat: SeatId,
    pub(crate) room: RoomId,
    /// Of ben, as the newest answer named it.
    pub(crate) stay: Stay,
    /// Clients of ben so far.
    pub(crate) clients: u16,
    pub(crate) port: u16,
}

/// Each of the two ways to a room.
pub(crate) fn stages(kind: &str) -> [Stage; 2] {
    [(1, 40_000), (2, 40_001)].map(|(shards, port)| {
        let mut world = World::with_shards(shards, MemoryStore::default(), |_| {});
        let ana = world.player("ana");
        let Seated { seat, room, .. } = world.create(ana, kind, 1);
        Stage {
            world,
            ana,
            seat,
            room,
            stay: Stay::default(),
            clients: 0,
            port,
        }
    })
}

/// A client of ben.
pub(crate) struct Client {
    pub(crate) peer: Intruder,
    pub(crate) calls: u32,
}

impl Stage {
    /// One more client of ben: it takes the session over.
    pub(crate) fn client(&mut self) -> Client {
        let port = self.port + 2 * self.clients;
        self.clients += 1;
        let address = ([127, 0, 0, 9], port).into();
        let peer = Intruder::join(&mut self.world, "ben", address);
        Client { peer, calls: 0 }
    }

    /// One that asks for the seat, and what it is told.
    pub(crate) fn back(&mut self, held: Option<Held>) -> (Client, Seated) {
        let mut client = self.client();
        let seated = client.ask(self, held);
        (client, seated)
    }

    pub(crate) fn act(&mut self, act: Act) {
        self.world.act(self.ana, self.seat, act);
    }

    /// Ana says numbers, one a millisecond.
    pub(crate) fn say(
        &mut self,
        numbers: std::ops::RangeInclusive<u32>,
        client: Option<&mut Client>,
    ) {
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

    pub(crate) fn run(&mut self, millis: u64) {
        self.world.run(std::time::Duration::from_millis(millis));
    }

    /// The room's newest view, as ana sees it.
    pub(crate) fn view(&self) -> Bytes {
        self.world.view_bytes(self.ana, self.seat).unwrap()
    }
}

impl Client {
    pub(crate) fn run(&mut self, stage: &mut Stage, millis: u64) {
        for _ in 0..millis {
            self.peer.step(&mut stage.world);
        }
    }

    pub(crate) fn ask(&mut self, stage: &mut Stage, held: Option<Held>) -> Seated {
        let (room, stay) = (stage.room, stage.stay);
        let held = held.map(|held| Held { stay, ..held });
        let result = self.request(stage, |call| ClientMessage::Join { call, room, held });
        let Ok(Answer::Seated(seated)) = result else {
            panic!("{result:?}");
        };
        stage.stay = seated.stay;
        seated
    }

    /// Asks for the seat of a stay, and for no other.
    pub(crate) fn return_to(&mut self, stage: &mut Stage, stay: Stay) -> Result<Answer, Refusal> {
        let room = stage.room;
        let (event, snapshot) = (0, None);
        let held = Held {
            stay,
            event,
            input: 0,
            snapshot,
        };
        let seat = SeatId(0);
        self.request(stage, |call| ClientMessage::Return {
            call,
            room,
            seat,
            held,
        })
    }

    pub(crate) fn request(
        &mut self,
        stage: &mut Stage,
        message: impl Fn(u32) -> ClientMessage,
    ) -> Result<Answer, Refusal> {
        self.calls += 1;
        let call = self.calls;
        self.peer.ask(&message(call));
        self.run(stage, 100);
        let answer = |message| match message {
            ServerMessage::Reply { call: of, result } if of == call => Some(result),
            _ => None,
        };
        let result = self.peer.told().into_iter().find_map(answer);
        result.expect("each request is answered")
    }

    pub(crate) fn ordered(&self) -> impl Iterator<Item = RoomMessage> {
        let events = self.peer.events.iter();
        events.filter_map(|event| match event {
            ConnectionEvent::Ordered(message) => Some(RoomMessage::decode(message).unwrap()),
            _ => None,
        })
    }

    /// Events as they came: their numbers, and what they say.
    pub(crate) fn heard(&self) -> Vec<(u64, u32)> {
        let events = self.ordered().filter_map(|message| match message {
            RoomMessage::Event {
                number, payload, ..
            } => Some((number, messagepack::decode(&payload, Bounds::PEER).unwrap())),
            _ => None,
        });
        events.collect()
    }

    pub(crate) fn missed(&self) -> Vec<u64> {
        let missed = self.ordered().filter_map(|message| match message {
            RoomMessage::Missed { number, .. } => Some(number),
            _ => None,
        });
        missed.collect()
    }

    /// Snapshots as they came.
    pub(crate) fn shown(&self) -> Vec<(SnapshotHead, Bytes)> {
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

/// The stay is filled in as it is sent.
pub(crate) fn held(event: u64) -> Option<Held> {
    let held = Held::default();
    Some(Held { event, ..held })
}

pub(crate) fn shown(snapshot: HeldSnapshot) -> Option<Held> {
    let snapshot = Some(snapshot);
    let held = Held::default();
    Some(Held { snapshot, ..held })
}

pub(crate) fn numbers(of: std::ops::RangeInclusive<u32>) -> Vec<(u64, u32)> {
    of.map(|number| (number.into(), number)).collect()
}
