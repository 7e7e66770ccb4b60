//! A player who joined, holds keys, and sends whatever a script says.
//!
//! It has no connection of its own making: it writes frames by hand, so that nothing keeps it
//! from nonsense.

use std::net::SocketAddr;

use rejoin_protocol::connection::Setup;
use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::handshake::{ClientHandshake, HandshakeOptions, Permit};
use rejoin_protocol::message::{
    ClientMessage, Comparison, Filter, Held, HeldSnapshot, MetadataValue, RoomSettings,
};
use rejoin_protocol::messagepack;
use rejoin_protocol::packet::{Header, TruncatedNumber};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::wire::put_varint;
use rejoin_protocol::{RequestId, Rng, RoomId, SeatId, Stay};

use crate::script::Script;

const CONTROL: u8 = 0x11;
const ORDERED: u8 = 0x15;
const LATEST: u8 = 0x35;
const ACK: u8 = 0x02;

/// See the module page.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) address: SocketAddr,
    keys: Setup,
    next: u64,
    /// The newest packet of the server.
    heard: Option<u64>,
    control: u64,
    ordered: u64,
    inputs: u64,
}

/// A hello from `name`, who may join.
pub(crate) fn handshake(name: &str, moment: u64) -> ClientHandshake {
    let mut rng = Rng::from_number(moment).fork(name);
    let options = HandshakeOptions {
        server: StaticKeys::development().public(),
        identity: StaticKeys::generate(&mut Rng::from_number(1).fork(name)),
        permit: Permit::dev(name),
        receive_id: None,
        moment,
        suites: Suite::ALL.to_vec(),
    };
    ClientHandshake::new(&options, &mut rng).expect("the name is sound")
}

impl Stranger {
    pub(crate) fn new(address: SocketAddr, keys: Setup) -> Self {
        Self {
            address,
            keys,
            next: 0,
            heard: None,
            control: 0,
            ordered: 0,
            inputs: 0,
        }
    }

    /// Seals frames into the next packet.
    pub(crate) fn packet(&mut self, frames: &[u8]) -> Vec<u8> {
        let number = self.next;
        self.next += 1;
        let header = Header {
            epoch_bits: self.keys.epoch.bits(),
            key_phase: false,
            label: self.keys.send_id,
            // It may have left a gap of any length.
            number: TruncatedNumber::shortest(number, None),
        };
        let mut packet = Vec::new();
        let len = header.encode(&mut packet);
        packet.extend_from_slice(frames);
        self.keys.seal.key().seal(number, &mut packet, 0, len);
        packet
    }

    /// Leaves a gap in its packet numbers.
    pub(crate) fn skip(&mut self, packets: u64) {
        self.next += packets;
    }

    /// Reads a packet of the server, to have something true to acknowledge.
    pub(crate) fn hear(&mut self, datagram: &mut [u8]) {
        let Ok((header, len)) = Header::decode(datagram) else {
            return;
        };
        let expected = self.heard.map_or(0, |heard| heard + 1);
        let (clear, body) = datagram.split_at_mut(len);
        if let Some(number) = header.number.expand(expected)
            && self.keys.open.key().open(number, clear, body).is_ok()
        {
            self.heard = self.heard.max(Some(number));
        }
    }

    /// An acknowledgement of the newest packet heard, or of one that never was.
    pub(crate) fn ack(&self, script: &mut Script<'_>) -> Vec<u8> {
        let mut frames = vec![ACK];
        let ahead = script.pick(&[0, 0, 0, 0, 1, 1 << 40]);
        put_varint(&mut frames, self.heard.unwrap_or(0) + ahead);
        frames.extend([script.pick(&[0, 10, u8::MAX]), 0]);
        frames
    }

    /// A request, sound or changed.
    pub(crate) fn request(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        let message = request(script);
        let mut bytes = messagepack::encode(&message).expect("a request can be written");
        if script.byte() < 128 {
            script.edit(&mut bytes);
        }
        let id = self.control;
        self.control += 1;
        data(CONTROL, id, &bytes)
    }

    /// A message to a room, sound or changed.
    pub(crate) fn say(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        let seat = SeatId(u16::from(script.byte() % 3));
        let payload = script.bytes().to_vec().into();
        self.inputs += 1;
        let number = script.pick(&[self.inputs, self.inputs, 1, 0, 1 << 61]);
        let message = match script.byte() % 8 {
            0 => RoomMessage::Event {
                seat,
                number,
                payload,
            },
            1 => RoomMessage::Snapshot { seat, payload },
            _ => RoomMessage::Input {
                seat,
                number,
                payload,
            },
        };
        let mut bytes = message.encode().to_vec();
        if script.byte() < 64 {
            script.edit(&mut bytes);
        }
        let id = self.ordered;
        self.ordered += 1;
        data(ORDERED, id, &bytes)
    }

    /// A latest input.
    pub(crate) fn latest(script: &mut Script<'_>) -> Vec<u8> {
        let key = u64::from(script.byte() % 80);
        data(LATEST, key, script.bytes())
    }
}

fn data(kind: u8, id: u64, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    put_varint(&mut frame, id);
    put_varint(
        &mut frame,
        u64::try_from(bytes.len()).expect("a length in memory fits 64 bits"),
    );
    frame.extend_from_slice(bytes);
    frame
}

/// What a client may say it has of a seat, right or wrong.
fn held(script: &mut Script<'_>) -> Option<Held> {
    let said = script.byte();
    let number = |said: u8| match said % 5 {
        0 => u64::MAX,
        _ => u64::from(said),
    };
    let sequence = number(script.byte());
    let snapshot = (!said.is_multiple_of(4)).then_some(HeldSnapshot {
        sequence,
        check: u32::from(said),
    });
    (!said.is_multiple_of(3)).then_some(Held {
        stay: Stay(number(script.byte())),
        event: number(said),
        input: number(said.rotate_left(3)),
        snapshot,
    })
}

fn request(script: &mut Script<'_>) -> ClientMessage {
    let call = u32::from(script.byte());
    let request = RequestId([script.byte() % 4; 16]);
    let kind = script.pick(&["arena", "chat", "none"]).to_owned();
    let room = RoomId::of(&kind, request);
    let seat = SeatId(u16::from(script.byte() % 3));
    let fact = ("level".to_owned(), MetadataValue::Int(1));
    let settings = RoomSettings {
        members_max: script.pick(&[0, 1, 2, u16::MAX]),
        metadata: [fact.clone()].into(),
        options: script.bytes().to_vec(),
        private: script.byte().is_multiple_of(4),
    };
    let filters = vec![Filter {
        key: fact.0,
        comparison: Comparison::AtLeast,
        value: fact.1,
    }];
    match script.byte() % 10 {
        0 => ClientMessage::Create {
            call,
            request,
            kind,
            settings,
        },
        1 | 2 => ClientMessage::Join {
            call,
            room,
            held: held(script),
        },
        3 => ClientMessage::JoinOrCreate {
            call,
            request,
            kind,
            filters,
            settings,
        },
        4 => ClientMessage::Leave { call, seat },
        5 => ClientMessage::List {
            call,
            kind: None,
            filters,
            max: u16::MAX,
        },
        6 => ClientMessage::Close { call, seat },
        7 => ClientMessage::JoinByCode {
            call,
            code: script
                .pick(&["ABCDEF", "ZZZZZZ"])
                .parse()
                .expect("letters of the alphabet"),
        },
        8 => ClientMessage::Resync { seat },
        _ => ClientMessage::Return {
            seat,
            call,
            room,
            held: held(script).unwrap_or_default(),
        },
    }
}
