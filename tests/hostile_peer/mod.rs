//! A peer that holds good keys and keeps to no rule: it seals whatever it is told to.
//!
//! It speaks by hand what [`rejoin::protocol::Connection`] would refuse to say, so it has no connection.

#![allow(clippy::indexing_slicing, reason = "lengths are what the system told")]

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rejoin::protocol::crypto::{PublicKey, StaticKeys, Suite, TrafficKey};
use rejoin::protocol::handshake::{ClientHandshake, HandshakeError, HandshakeOptions, Permit};
use rejoin::protocol::message::{ClientMessage, RoomSettings};
use rejoin::protocol::packet::{Header, TruncatedNumber};
use rejoin::protocol::room_message::RoomMessage;
use rejoin::protocol::wire::put_varint;
use rejoin::protocol::{RequestId, Rng, SeatId, messagepack};

/// First byte of a close frame.
const CLOSE: u8 = 0x04;
/// First byte of a whole message on the control stream, and on the ordered one.
const CONTROL: u8 = 0x10;
const ORDERED: u8 = 0x14;

/// See the module page.
pub(crate) struct Peer {
    pub(crate) socket: UdpSocket,
    pub(crate) label: [u8; 4],
    seal: TrafficKey,
    open: TrafficKey,
    epoch_bits: u8,
    /// Number of the next packet.
    next: u64,
    controls: u64,
    messages: u64,
    inputs: u64,
    /// What the server's close frame held after its first byte, once one came.
    pub(crate) closed: Option<Vec<u8>>,
    /// Datagrams from the server.
    pub(crate) heard: u64,
}

/// Who a peer says it is. One that joins again comes back to its session.
pub(crate) struct Identity {
    keys: StaticKeys,
    name: String,
    joins: u64,
}

impl Identity {
    pub(crate) fn generate(rng: &mut Rng) -> Self {
        Self {
            keys: StaticKeys::generate(rng),
            name: format!("peer {}", rng.below(u64::MAX)),
            joins: 0,
        }
    }
}

impl Peer {
    /// Joins as nobody known from `from`, within five seconds.
    pub(crate) fn join(
        server: SocketAddr,
        key: PublicKey,
        from: SocketAddr,
        rng: &mut Rng,
    ) -> Option<Self> {
        Self::join_as(&mut Identity::generate(rng), server, key, from, rng)
    }

    /// Joins from `from`, within five seconds.
    pub(crate) fn join_as(
        who: &mut Identity,
        server: SocketAddr,
        key: PublicKey,
        from: SocketAddr,
        rng: &mut Rng,
    ) -> Option<Self> {
        who.joins += 1;
        let socket = UdpSocket::bind(from).expect("a loopback address can be bound");
        socket.connect(server).expect("and connected");
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("with a patience");
        let options = HandshakeOptions {
            server: key,
            identity: who.keys.clone(),
            permit: Permit::dev(who.name.clone()),
            suites: Suite::ALL.to_vec(),
            receive_id: None,
            moment: who.joins,
        };
        let mut handshake = ClientHandshake::new(&options, rng).expect("the options are good");
        let end = Instant::now() + Duration::from_secs(5);
        let mut buffer = [0; 2048];
        while Instant::now() < end {
            socket.send(handshake.hello()).ok();
            let Ok(len) = socket.recv(&mut buffer) else {
                continue;
            };
            match handshake.handle_reply(&buffer[..len]) {
                Ok(established) => {
                    socket.set_nonblocking(true).expect("a socket can be");
                    let setup = established.setup;
                    return Some(Self {
                        socket,
                        label: setup.send_id.expect("the server labels"),
                        seal: setup.seal.key(),
                        open: setup.open.key(),
                        epoch_bits: setup.epoch.bits(),
                        next: 0,
                        controls: 0,
                        messages: 0,
                        inputs: 0,
                        closed: None,
                        heard: 0,
                    });
                }
                Err(HandshakeError::Cookie | HandshakeError::NotForUs) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Seals frames into the next packet.
    pub(crate) fn seal(&mut self, frames: &[u8]) -> Vec<u8> {
        let header = Header {
            epoch_bits: self.epoch_bits,
            key_phase: false,
            label: Some(self.label),
            number: TruncatedNumber::shortest(self.next, None),
        };
        let mut packet = Vec::with_capacity(frames.len() + 32);
        let header_len = header.encode(&mut packet);
        packet.extend_from_slice(frames);
        self.seal.seal(self.next, &mut packet, 0, header_len);
        self.next += 1;
        packet
    }

    /// Sends frames in one packet. False if the system did not take it.
    pub(crate) fn send(&mut self, frames: &[u8]) -> bool {
        let packet = self.seal(frames);
        self.socket.send(&packet).is_ok()
    }

    /// A control message as a frame.
    pub(crate) fn control(&mut self, message: &ClientMessage) -> Vec<u8> {
        let mut frame = vec![CONTROL];
        put_varint(&mut frame, self.controls);
        self.controls += 1;
        frame.extend(messagepack::encode(message).expect("our own messages can be written"));
        frame
    }

    /// Opens a room of its own and takes its first seat, which every session calls 0.
    pub(crate) fn take_seat(&mut self, kind: &str, rng: &mut Rng) -> SeatId {
        let frame = self.control(&ClientMessage::Create {
            call: 1,
            request: RequestId(rng.bytes()),
            kind: kind.to_owned(),
            settings: RoomSettings::default(),
        });
        self.send(&frame);
        SeatId(0)
    }

    /// The next reliable input as a frame.
    pub(crate) fn input(&mut self, seat: SeatId, payload: &[u8]) -> Vec<u8> {
        self.inputs += 1;
        let mut frame = vec![ORDERED];
        put_varint(&mut frame, self.messages);
        self.messages += 1;
        let payload = payload.to_vec().into();
        let number = self.inputs;
        let message = RoomMessage::Input {
            seat,
            number,
            payload,
        };
        frame.extend_from_slice(&message.encode());
        frame
    }

    /// Takes in what the server says; only its goodbye matters.
    pub(crate) fn listen(&mut self) {
        let mut buffer = [0; 2048];
        loop {
            let len = match self.socket.recv(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => continue,
            };
            self.heard += 1;
            let datagram = &mut buffer[..len];
            let Ok((header, header_len)) = Header::decode(datagram) else {
                continue;
            };
            // Early packets, and those near the newest: enough to find a close frame.
            let Some(number) = header.number.expand(self.heard) else {
                continue;
            };
            let (head, body) = datagram.split_at_mut(header_len);
            if let Ok(frames) = self.open.open(number, head, body)
                && frames.first() == Some(&CLOSE)
            {
                self.closed = Some(frames[1..].to_vec());
            }
        }
    }
}
