//! A peer that says what it likes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rejoin_coordinator::{Config, MemoryDirectory, Shard};
use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::handshake::{ClientHandshake, HandshakeOptions, Permit};
use rejoin_protocol::message::{Answer, ClientMessage, RoomSettings, Seated, ServerMessage};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{
    CloseReason, Connection, ConnectionEvent, Epoch, RequestId, Rng, SeatId, Timestamp,
};
use rejoin_room::Kinds;
use rejoin_store::MemoryStore;

use crate::rooms::Yard;

/// One bare connection to a shard; the network takes no time.
pub(crate) struct Raw {
    pub(crate) shard: Shard<MemoryStore, MemoryDirectory>,
    pub(crate) connection: Connection,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<ConnectionEvent>,
}

pub(crate) const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 9);

pub(crate) fn shard() -> Shard<MemoryStore, MemoryDirectory> {
    let config = Config::new(StaticKeys::development(), [7; 32]);
    shard_of(config, MemoryStore::default(), Timestamp::ZERO)
}

fn shard_of(
    config: Config,
    store: MemoryStore,
    now: Timestamp,
) -> Shard<MemoryStore, MemoryDirectory> {
    let (kinds, directory) = (Kinds::new().with::<Yard>(), MemoryDirectory::default());
    let rng = Rng::from_number(1);
    Shard::new(config, kinds, store, directory, rng, now)
}

pub(crate) fn handshake() -> ClientHandshake {
    let mut rng = Rng::from_number(5);
    let options = HandshakeOptions {
        server: StaticKeys::development().public(),
        identity: StaticKeys::generate(&mut rng),
        permit: Permit::dev("raw"),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment: 1,
    };
    ClientHandshake::new(&options, &mut rng).unwrap()
}

impl Raw {
    pub(crate) fn join() -> Self {
        Self::join_at(shard(), Timestamp::from_millis(1))
    }

    /// The next process takes the rooms up, and cannot say that it lacks nothing. The peer joins anew.
    pub(crate) fn rejoin_after_a_loss(self) -> Self {
        let now = self.now;
        let config = Config {
            epoch: Epoch(2),
            store_may_lack: true,
            ..Config::new(StaticKeys::development(), [7; 32])
        };
        Self::join_at(shard_of(config, self.shard.into_store(), now), now)
    }

    fn join_at(mut shard: Shard<MemoryStore, MemoryDirectory>, now: Timestamp) -> Self {
        let mut handshake = handshake();
        let mut hello = handshake.hello().to_vec();
        shard.handle_datagram(SocketAddr::from(ADDRESS), &mut hello, now);
        let mut reply = Vec::new();
        shard.poll_transmit(&mut reply, now).unwrap();
        let setup = handshake.handle_reply(&reply).unwrap().setup;
        let connection = Connection::new(setup, None, now);
        let mut raw = Self {
            shard,
            connection,
            now,
            events: Vec::new(),
        };
        raw.run();
        raw
    }

    /// Lets a second pass.
    pub(crate) fn run(&mut self) {
        for _ in 0..200 {
            self.now += Duration::from_millis(5);
            let mut bytes = Vec::new();
            self.connection.handle_timeout(self.now);
            while self.connection.poll_transmit(&mut bytes, self.now) {
                self.shard
                    .handle_datagram(SocketAddr::from(ADDRESS), &mut bytes, self.now);
                bytes.clear();
            }
            self.shard.turn(self.now);
            self.shard.check_invariants();
            while self.shard.poll_transmit(&mut bytes, self.now).is_some() {
                let _ = self.connection.handle_datagram(&mut bytes, self.now);
                bytes.clear();
            }
            while let Some(event) = self.connection.poll_event() {
                self.events.push(event);
            }
        }
    }

    pub(crate) fn ask(&mut self, message: &ClientMessage) {
        let bytes = messagepack::encode(message).unwrap();
        self.connection.send_control(bytes.into()).unwrap();
    }

    /// Sends on the ordered stream and waits.
    pub(crate) fn say(&mut self, message: Bytes) {
        self.connection.send_ordered(message, None).unwrap();
        self.run();
    }

    pub(crate) fn input(&mut self, seat: SeatId, number: u64, payload: Bytes) {
        self.say(
            RoomMessage::Input {
                seat,
                number,
                payload,
            }
            .encode(),
        );
    }

    pub(crate) fn create(&mut self) -> Seated {
        let (request, kind) = (RequestId([1; 16]), "yard".to_owned());
        let settings = RoomSettings::default();
        self.ask(&ClientMessage::Create {
            call: 1,
            request,
            kind,
            settings,
        });
        self.run();
        self.seated().unwrap()
    }

    /// The first seat that was given.
    pub(crate) fn seated(&self) -> Option<Seated> {
        self.events.iter().find_map(|event| {
            let ConnectionEvent::Control(bytes) = event else {
                return None;
            };
            match messagepack::decode(bytes, Bounds::PEER).unwrap() {
                ServerMessage::Reply {
                    result: Ok(Answer::Seated(seated)),
                    ..
                } => Some(seated),
                _ => None,
            }
        })
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.events.iter().find_map(|event| match event {
            ConnectionEvent::Closed(reason) => Some(*reason),
            _ => None,
        })
    }
}
