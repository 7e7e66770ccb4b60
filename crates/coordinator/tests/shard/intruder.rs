//! A peer with keys of its own and no manners, beside players in a world. Its network takes no time.

use std::net::SocketAddr;

use bytes::Bytes;
use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::handshake::{ClientHandshake, HandshakeOptions, Permit};
use rejoin_protocol::message::{Answer, ClientMessage, RoomSettings, Seated, ServerMessage};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::{CloseReason, Connection, ConnectionEvent, RequestId, Rng, RoomId};

use crate::world::World;

pub(crate) struct Intruder {
    pub(crate) connection: Connection,
    pub(crate) address: SocketAddr,
    pub(crate) events: Vec<ConnectionEvent>,
    /// False: what the shard sends is thrown away, so nothing is ever acknowledged.
    pub(crate) listens: bool,
    /// False: what it sends is thrown away.
    pub(crate) speaks: bool,
}

impl Intruder {
    pub(crate) fn join(world: &mut World, name: &str, address: SocketAddr) -> Self {
        let mut rng = Rng::from_number(77).fork(name);
        let options = HandshakeOptions {
            server: StaticKeys::development().public(),
            identity: StaticKeys::generate(&mut rng),
            permit: Permit::dev(name),
            receive_id: None,
            suites: Suite::ALL.to_vec(),
            moment: world.now.as_micros(),
        };
        let mut handshake = ClientHandshake::new(&options, &mut rng).unwrap();
        let mut hello = handshake.hello().to_vec();
        world.shard.handle_datagram(address, &mut hello, world.now);
        world.step();
        let reply = world.strays.iter().find(|(to, _)| *to == address).unwrap();
        let setup = handshake.handle_reply(&reply.1).unwrap().setup;
        let mut intruder = Self {
            connection: Connection::new(setup, None, world.now),
            address,
            events: Vec::new(),
            listens: true,
            speaks: true,
        };
        for _ in 0..50 {
            intruder.step(world);
        }
        intruder
    }

    /// Sends what waits now.
    pub(crate) fn flush(&mut self, world: &mut World) {
        let mut bytes = Vec::new();
        while self.connection.poll_transmit(&mut bytes, world.now) {
            if self.speaks {
                world
                    .shard
                    .handle_datagram(self.address, &mut bytes, world.now);
            }
            bytes.clear();
        }
    }

    /// A millisecond, of the whole world.
    pub(crate) fn step(&mut self, world: &mut World) {
        self.connection.handle_timeout(world.now);
        self.flush(world);
        world.step();
        for (to, bytes) in &mut world.strays {
            if *to == self.address && self.listens {
                let _ = self.connection.handle_datagram(bytes, world.now);
            }
        }
        while let Some(event) = self.connection.poll_event() {
            self.events.push(event);
        }
    }

    /// Asks for something.
    pub(crate) fn ask(&mut self, message: &ClientMessage) {
        let bytes = messagepack::encode(message).unwrap();
        self.connection.send_control(bytes.into()).unwrap();
    }

    pub(crate) fn create(&mut self, world: &mut World, kind: &str) -> Seated {
        self.ask(&ClientMessage::Create {
            call: 1,
            request: RequestId([99; 16]),
            kind: kind.to_owned(),
            settings: RoomSettings::default(),
        });
        self.seat(world)
    }

    pub(crate) fn enter(&mut self, world: &mut World, room: RoomId) -> Seated {
        self.ask(&ClientMessage::Join {
            call: 1,
            room,
            held: None,
        });
        self.seat(world)
    }

    fn seat(&mut self, world: &mut World) -> Seated {
        for _ in 0..50 {
            self.step(world);
        }
        let seated = self.told().into_iter().find_map(|message| match message {
            ServerMessage::Reply {
                result: Ok(Answer::Seated(seated)),
                ..
            } => Some(seated),
            _ => None,
        });
        seated.unwrap()
    }

    /// All control messages so far, but for its tickets.
    pub(crate) fn told(&self) -> Vec<ServerMessage> {
        let events = self.events.iter();
        let messages = events.filter_map(|event| match event {
            ConnectionEvent::Control(bytes) => {
                Some(messagepack::decode(bytes, Bounds::PEER).unwrap())
            }
            _ => None,
        });
        messages
            .filter(|message| !matches!(message, ServerMessage::Ticket { .. }))
            .collect()
    }

    /// One datagram of its own with a payload on the latest lane.
    pub(crate) fn spray(&mut self, world: &mut World, len: usize) {
        let body = Bytes::from(vec![0xc1; len]);
        if self.connection.send_latest(0, &[], body, None).is_ok() {
            self.flush(world);
        }
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.events.iter().find_map(|event| match event {
            ConnectionEvent::Closed(reason) => Some(*reason),
            _ => None,
        })
    }
}
