//! Both drivers over loopback, against a server end that the test drives by hand.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::message::{
    Answer, CallId, ClientMessage, Member, RoomCloseReason, ServerMessage,
};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{CloseReason, Connection, ConnectionEvent, Rng, SeatId};
use rejoin_room::builtin::arena::{Arena, Field, Move};

use super::duet::{SESSION, accept, head, seated};
use crate::system::Clock;
use crate::{
    Client, ConnectError, Ended, Event, JoinSpec, Permit, PollClient, RequestError, RoomEvent,
};

const SEAT: SeatId = SeatId(1);

/// Far longer than anything here takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// One client's server on a loopback port.
struct Server {
    socket: UdpSocket,
    clock: Clock,
    peer: Option<(SocketAddr, Connection)>,
    heard: Vec<ConnectionEvent>,
}

impl Server {
    fn open() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            clock: Clock::start(),
            peer: None,
            heard: Vec::new(),
        }
    }

    fn address(&self) -> String {
        format!("rejoin://{}", self.socket.local_addr().unwrap())
    }

    /// Takes and sends what there is.
    fn turn(&mut self) {
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

    fn take(&mut self, datagram: &mut [u8], from: SocketAddr) {
        let now = self.clock.now();
        if rejoin_protocol::handshake::is_hello(datagram) {
            let keys = StaticKeys::development();
            let (connection, reply) = accept(datagram, &keys, &mut Rng::from_number(4), now);
            self.socket.send_to(&reply, from).unwrap();
            self.peer = Some((from, connection));
        } else if let Some((_, connection)) = &mut self.peer {
            // What comes after either side has closed is of no interest.
            let _ = connection.handle_datagram(datagram, now);
        }
    }

    fn connection(&mut self) -> &mut Connection {
        &mut self.peer.as_mut().expect("a client came").1
    }

    fn tell(&mut self, message: &ServerMessage) {
        let message = messagepack::encode(message).unwrap();
        self.connection().send_control(message.into()).unwrap();
    }

    fn show(&mut self, sequence: u64, field: &Field) {
        let view: Bytes = messagepack::encode(field).unwrap().into();
        let mut bytes = Vec::new();
        head(sequence, &view).encode(&mut bytes);
        self.connection()
            .send_latest(SEAT.0, &bytes, view, None)
            .unwrap();
    }

    /// The request of a seat that was heard, if it was.
    fn seat_request(&mut self) -> Option<CallId> {
        self.find(|event| {
            let ClientMessage::JoinOrCreate { call, .. } = request(event)? else {
                return None;
            };
            Some(call)
        })
    }

    fn leave_request(&mut self) -> Option<CallId> {
        self.find(|event| {
            let ClientMessage::Leave { call, seat: SEAT } = request(event)? else {
                return None;
            };
            Some(call)
        })
    }

    fn input(&mut self) -> Option<Move> {
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

    fn was_left(&mut self) -> Option<()> {
        self.find(|event| (*event == ConnectionEvent::Closed(CloseReason::Left)).then_some(()))
    }

    fn find<T>(&mut self, pick: impl Fn(&ConnectionEvent) -> Option<T>) -> Option<T> {
        let index = self.heard.iter().position(|event| pick(event).is_some())?;
        pick(&self.heard.remove(index))
    }

    /// Takes turns until something was heard.
    async fn until<T>(&mut self, mut what: impl FnMut(&mut Self) -> Option<T>) -> T {
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
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
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

fn field(tick: u64) -> Field {
    Field {
        tick,
        ..Field::default()
    }
}

fn grant(call: CallId) -> ServerMessage {
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

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_io()
        .enable_time()
        .build()
        .unwrap()
        .block_on(work)
}

/// A client with a seat in the server's room.
async fn seat(server: &mut Server) -> (Client, crate::RoomHandle<Arena>) {
    let address = server.address();
    let client = server
        .during(Client::connect(&address, Permit::dev("ana")))
        .await
        .unwrap();
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.join_or_create::<Arena>(JoinSpec::any()).await }
    });
    let call = server.until(Server::seat_request).await;
    server.tell(&grant(call));
    let room = server.during(asking).await.unwrap().unwrap();
    (client, room)
}

#[test]
fn the_async_client_plays_and_leaves() {
    block_on(async {
        let mut server = Server::open();
        let (client, mut room) = seat(&mut server).await;
        assert_eq!(client.player(), SESSION.player());
        assert_eq!(room.player(), SESSION.player());
        assert_eq!(room.members().len(), 1);

        let step = Move(1.0, 0.0, 1, true);
        assert_eq!(room.send(step), Ok(1));
        assert_eq!(server.until(Server::input).await, step);
        server.show(1, &field(5));
        let event = server.during(room.next()).await;
        assert_eq!(event, Some(RoomEvent::View(field(5))));

        let leaving = tokio::spawn(room.leave());
        let call = server.until(Server::leave_request).await;
        server.tell(&ServerMessage::Reply {
            call,
            result: Ok(Answer::Left),
        });
        assert_eq!(server.during(leaving).await.unwrap(), Ok(()));

        client.disconnect().await;
        server.until(Server::was_left).await;
        assert_eq!(client.ended().await, Ended::Left);
        let late = client.list(None, Vec::new()).await;
        assert_eq!(late, Err(RequestError::Ended(Ended::Left)));
    });
}

#[test]
fn a_room_that_closes_is_the_last_event() {
    block_on(async {
        let mut server = Server::open();
        let (_client, mut room) = seat(&mut server).await;
        let reason = RoomCloseReason::ClosedByOwner;
        server.tell(&ServerMessage::RoomClosed {
            seat: SEAT,
            reason: reason.clone(),
        });
        assert_eq!(
            server.during(room.next()).await,
            Some(RoomEvent::Closed(reason))
        );
        assert_eq!(room.next().await, None);
        assert!(room.send(Move(0.0, 0.0, 1, true)).is_err());
        assert_eq!(room.cursor(), None);
    });
}

#[test]
fn a_session_that_ends_tells_every_room() {
    block_on(async {
        let mut server = Server::open();
        let (client, mut room) = seat(&mut server).await;
        server.connection().close(CloseReason::Kicked);
        let ended = Ended::Closed(CloseReason::Kicked);
        let event = server.during(room.next()).await;
        assert_eq!(event, Some(RoomEvent::Ended(ended.clone())));
        assert_eq!(room.next().await, None);
        assert_eq!(client.ended().await, ended);
    });
}

#[test]
fn dropping_a_handle_gives_its_seat_back_and_dropping_all_ends_the_session() {
    block_on(async {
        let mut server = Server::open();
        let (client, room) = seat(&mut server).await;
        drop(room);
        server.until(Server::leave_request).await;
        drop(client);
        server.until(Server::was_left).await;
    });
}

#[test]
fn a_seat_that_nobody_waits_for_any_more_is_given_back() {
    block_on(async {
        let mut server = Server::open();
        let address = server.address();
        let client = server
            .during(Client::connect(&address, Permit::dev("ana")))
            .await
            .unwrap();
        let asking = tokio::spawn({
            let client = client.clone();
            async move {
                client
                    .join_or_create::<Arena>(JoinSpec::any())
                    .await
                    .map(drop)
            }
        });
        let call = server.until(Server::seat_request).await;
        asking.abort();
        assert!(asking.await.is_err());
        server.tell(&grant(call));
        server.until(Server::leave_request).await;
    });
}

#[test]
fn a_seat_whose_answer_nobody_looked_at_is_given_back() {
    block_on(async {
        let mut server = Server::open();
        let address = server.address();
        let client = server
            .during(Client::connect(&address, Permit::dev("ana")))
            .await
            .unwrap();
        let mut asking = Box::pin(client.join_or_create::<Arena>(JoinSpec::any()));
        let asked = tokio::time::timeout(Duration::ZERO, asking.as_mut()).await;
        assert!(asked.is_err(), "nobody has answered yet");
        let call = server.until(Server::seat_request).await;
        server.tell(&grant(call));
        // Once the client has this, it has the answer too: control goes first.
        let event = RoomMessage::Event {
            seat: SEAT,
            number: 1,
            payload: Bytes::new(),
        };
        server
            .connection()
            .send_ordered(event.encode(), Some(1))
            .unwrap();
        server
            .until(|server| {
                server.find(|event| (*event == ConnectionEvent::Acked(1)).then_some(()))
            })
            .await;
        drop(asking);
        server.until(Server::leave_request).await;
    });
}

#[test]
fn a_room_of_another_kind_is_given_back() {
    block_on(async {
        let mut server = Server::open();
        let address = server.address();
        let client = server
            .during(Client::connect(&address, Permit::dev("ana")))
            .await
            .unwrap();
        let asking = tokio::spawn({
            let client = client.clone();
            async move {
                client
                    .join_or_create::<Arena>(JoinSpec::any())
                    .await
                    .map(drop)
            }
        });
        let call = server.until(Server::seat_request).await;
        let chat = rejoin_protocol::message::Seated {
            kind: "chat".into(),
            ..seated(SEAT, 7)
        };
        server.tell(&ServerMessage::Reply {
            call,
            result: Ok(Answer::Seated(chat)),
        });
        let wrong = RequestError::WrongKind {
            expected: "arena",
            found: "chat".into(),
        };
        assert_eq!(server.during(asking).await.unwrap(), Err(wrong));
        server.until(Server::leave_request).await;
    });
}

/// A loopback address of this process alone, with a port that the system gives to nobody, so that
/// no other test can take it in between. Where loopback is one address, only the port protects.
fn lonely_place() -> SocketAddr {
    let [_, b, c, d] = std::process::id().to_be_bytes();
    let place = SocketAddr::from(([127, b | 0x40, c, d | 1], 20_777));
    match UdpSocket::bind(place) {
        Ok(_) => place,
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 20_777)),
    }
}

#[test]
fn a_port_that_nobody_listens_on_at_first_ends_nothing() {
    block_on(async {
        let place = lonely_place();
        let address = format!("rejoin://{place}");
        let connecting =
            tokio::spawn(async move { Client::connect(&address, Permit::dev("ana")).await });
        // Long enough for a hello and the report that it reached nobody.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let socket = UdpSocket::bind(place).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut server = Server {
            socket,
            ..Server::open()
        };
        assert!(server.during(connecting).await.unwrap().is_ok());
    });
}

#[test]
fn what_is_wrong_with_an_address_or_permit_is_said_before_anything_is_sent() {
    block_on(async {
        let error = Client::connect("http://localhost", Permit::dev("ana"))
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::Address(_)), "{error}");
        let error = Client::connect("localhost:1", Permit::dev(""))
            .await
            .unwrap_err();
        assert!(
            matches!(error, ConnectError::Ended(Ended::Start(_))),
            "{error}"
        );
    });
}

#[test]
fn the_poll_client_plays_and_leaves() {
    block_on(async {
        let mut server = Server::open();
        let mut client = PollClient::connect(&server.address(), Permit::dev("ana")).unwrap();
        let event = next(&mut server, &mut client).await;
        assert_eq!(event, Event::Connected { session: SESSION });

        let asked = client.join_or_create::<Arena>(JoinSpec::any()).unwrap();
        client.poll();
        let call = server.until(Server::seat_request).await;
        assert_eq!(call, asked);
        server.tell(&grant(call));
        let event = next(&mut server, &mut client).await;
        assert!(matches!(
            event,
            Event::Answer {
                result: Ok(Answer::Seated(_)),
                ..
            }
        ));

        let step = Move(1.0, 0.0, 1, true);
        assert_eq!(client.send::<Arena>(SEAT, &step), Ok(1));
        client.poll();
        assert_eq!(server.until(Server::input).await, step);
        server.show(1, &field(5));
        let Event::View { view, .. } = next(&mut server, &mut client).await else {
            panic!()
        };
        assert_eq!(crate::payload::decode(&view), Ok(field(5)));

        drop(client);
        server.until(Server::was_left).await;
    });
}

/// Frames until something happens.
async fn next(server: &mut Server, client: &mut PollClient) -> Event {
    server
        .until(|_| {
            client.poll();
            client.next_event()
        })
        .await
}
