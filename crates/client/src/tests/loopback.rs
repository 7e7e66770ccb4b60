//! One client's server end on a real socket, driven by the test.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::message::{Answer, CallId, ClientMessage, Member, ServerMessage};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{CloseReason, Connection, ConnectionEvent, Rng, SeatId};
use rejoin_room::builtin::arena::{Field, Move};

use super::duet::{SESSION, accept, head, seated};
use crate::system::Clock;

/// The seat that every answer here names.
pub(super) const SEAT: SeatId = SeatId(1);

/// Far longer than anything here takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// One client's server on a loopback port.
pub(super) struct Server {
    socket: UdpSocket,
    clock: Clock,
    peer: Option<(SocketAddr, Connection)>,
    /// Where the newest authentic packet came from.
    speaker: Option<SocketAddr>,
    heard: Vec<ConnectionEvent>,
}

impl Server {
    pub(super) fn open() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub(super) fn at(place: SocketAddr) -> Self {
        let socket = UdpSocket::bind(place).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            clock: Clock::start(),
            peer: None,
            speaker: None,
            heard: Vec::new(),
        }
    }

    pub(super) fn address(&self) -> String {
        format!("rejoin://{}", self.socket.local_addr().unwrap())
    }

    /// Takes and sends what there is.
    pub(super) fn turn(&mut self) {
        let mut buffer = [0; 2048];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((len, from)) => self.take(&mut buffer[..len], from),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        let Some((to, connection)) = &mut self.peer else {
            return;
        };
        connection.handle_timeout(self.clock.now());
        self.heard
            .extend(std::iter::from_fn(|| connection.poll_event()));
        let mut out = Vec::new();
        while connection.poll_transmit(&mut out, self.clock.now()) {
            self.socket.send_to(&out, *to).unwrap();
            out.clear();
        }
    }

    pub(super) fn take(&mut self, datagram: &mut [u8], from: SocketAddr) {
        let now = self.clock.now();
        if rejoin_protocol::handshake::is_hello(datagram) {
            let keys = StaticKeys::development();
            let (connection, reply) = accept(datagram, &keys, &mut Rng::from_number(4), now);
            self.socket.send_to(&reply, from).unwrap();
            self.peer = Some((from, connection));
        } else if let Some((_, connection)) = &mut self.peer {
            // What comes after either side has closed is of no interest.
            if connection.handle_datagram(datagram, now).is_ok() {
                self.speaker = Some(from);
            }
        }
    }

    pub(super) fn speaker(&mut self) -> Option<SocketAddr> {
        self.speaker
    }

    /// Sends to where the client was heard last, from now on.
    pub(super) fn follow(&mut self) {
        if let (Some((to, _)), Some(speaker)) = (&mut self.peer, self.speaker) {
            *to = speaker;
        }
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.peer.as_mut().expect("a client came").1
    }

    pub(super) fn tell(&mut self, message: &ServerMessage) {
        let message = messagepack::encode(message).unwrap();
        self.connection().send_control(message.into()).unwrap();
    }

    pub(super) fn show(&mut self, sequence: u64, field: &Field) {
        let view: Bytes = messagepack::encode(field).unwrap().into();
        let mut bytes = Vec::new();
        head(sequence).encode(&mut bytes);
        self.connection()
            .send_latest(SEAT.0, &bytes, view, None)
            .unwrap();
    }

    /// The request of a seat that was heard, if it was.
    pub(super) fn seat_request(&mut self) -> Option<CallId> {
        self.find(|event| {
            let ClientMessage::JoinOrCreate { call, .. } = request(event)? else {
                return None;
            };
            Some(call)
        })
    }

    /// The oldest request that was heard and not taken.
    pub(super) fn any_request(&mut self) -> Option<ClientMessage> {
        self.find(request)
    }

    pub(super) fn leave_request(&mut self) -> Option<CallId> {
        self.find(|event| {
            let ClientMessage::Leave { call, seat: SEAT } = request(event)? else {
                return None;
            };
            Some(call)
        })
    }

    pub(super) fn list_request(&mut self) -> Option<CallId> {
        self.find(|event| {
            let ClientMessage::List { call, .. } = request(event)? else {
                return None;
            };
            Some(call)
        })
    }

    pub(super) fn input(&mut self) -> Option<Move> {
        self.find(|event| {
            let ConnectionEvent::Ordered(message) = event else {
                return None;
            };
            let Ok(RoomMessage::Input { payload, .. }) = RoomMessage::decode(message) else {
                return None;
            };
            messagepack::decode(&payload, Bounds::PEER).ok()
        })
    }

    pub(super) fn was_left(&mut self) -> Option<()> {
        self.find(|event| (*event == ConnectionEvent::Closed(CloseReason::Left)).then_some(()))
    }

    pub(super) fn find<T>(&mut self, pick: impl Fn(&ConnectionEvent) -> Option<T>) -> Option<T> {
        let index = self.heard.iter().position(|event| pick(event).is_some())?;
        pick(&self.heard.remove(index))
    }

    /// Takes turns until something was heard.
    pub(super) async fn until<T>(&mut self, mut what: impl FnMut(&mut Self) -> Option<T>) -> T {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                self.turn();
                if let Some(found) = what(self) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        waited.await.expect("the client does its part in time")
    }

    /// Takes turns while something else goes on.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                self.turn();
                if let Ok(done) =
                    tokio::time::timeout(Duration::from_millis(1), work.as_mut()).await
                {
                    return done;
                }
            }
        });
        waited.await.expect("the client does its part in time")
    }
}

fn request(event: &ConnectionEvent) -> Option<ClientMessage> {
    let ConnectionEvent::Control(message) = event else {
        return None;
    };
    messagepack::decode(message, Bounds::PEER).ok()
}

pub(super) fn field(tick: u64) -> Field {
    Field {
        tick,
        ..Field::default()
    }
}

pub(super) fn grant(call: CallId) -> ServerMessage {
    let members = vec![Member {
        player: SESSION.player(),
        name: "ana".into(),
    }];
    let seated = rejoin_protocol::message::Seated {
        members,
        ..seated(SEAT, 7)
    };
    ServerMessage::Reply {
        call,
        result: Ok(Answer::Seated(seated)),
    }
}
