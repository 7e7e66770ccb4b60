//! A client core and a server's connection, joined by a link that the test holds in its hands.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::handshake::{Permit, Welcome, open_hello};
use rejoin_protocol::message::{Answer, CallId, ClientMessage, Seated, ServerMessage};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::reset::ResetKey;
use rejoin_protocol::room_message::{Base, RoomMessage, SnapshotHead};
use rejoin_protocol::{
    Connection, ConnectionEvent, ConnectionId, Epoch, Incarnation, PlayerId, Refusal, Rng, RoomId,
    SeatId, SessionId, Stay, Timestamp, snapshot,
};

use crate::{Core, Event, Options};

/// The session that the server end grants.
pub(super) const SESSION: SessionId = SessionId([0x5e; 16]);

/// Client and server end.
pub(super) struct Duet {
    pub(super) core: Core,
    pub(super) now: Timestamp,
    /// The server's end, once it has accepted.
    pub(super) server: Option<Connection>,
    /// Hellos that left the client.
    pub(super) hellos: Vec<Vec<u8>>,
    /// What the client told.
    pub(super) events: Vec<Event>,
    /// What the server's end told.
    pub(super) heard: Vec<ConnectionEvent>,
    /// Nothing arrives at the server, or at the client.
    pub(super) lose_up: bool,
    pub(super) lose_down: bool,
    rng: Rng,
}

pub(super) fn server_keys() -> StaticKeys {
    StaticKeys::from_secret([9; 32])
}

/// For a client that ends with its connection.
pub(super) fn options() -> Options {
    let identity = StaticKeys::from_secret([3; 32]);
    let mut options = Options::new(server_keys().public(), identity, Permit::dev("ana"), 1);
    options.resume_for = Duration::ZERO;
    options
}

pub(super) fn reset_key() -> ResetKey {
    ResetKey::of(&[6; 32])
}

/// A welcome for the hello that was opened, and the server's end of the connection.
pub(super) fn accept(
    hello: &[u8],
    keys: &StaticKeys,
    rng: &mut Rng,
    now: Timestamp,
) -> (Connection, Vec<u8>) {
    let hello = open_hello(hello, keys, rng).expect("the client's hello is good");
    let welcome = Welcome {
        version: hello.version,
        suite: hello.suite.number(),
        connection: [0, 1, 2, 3],
        session: SESSION,
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        reset_token: reset_key().token(Epoch(1), ConnectionId([0, 1, 2, 3])),
    };
    let mut reply = Vec::new();
    let accepted = hello.accept(&welcome, &mut reply);
    (Connection::new(accepted.setup, None, now), reply)
}

/// The answer that grants a seat.
pub(super) fn seated(seat: SeatId, room: u8) -> Seated {
    Seated {
        seat,
        room: RoomId([room; 16]),
        stay: Stay(1),
        kind: "arena".into(),
        version: 1,
        tick_hz: 30,
        player: SESSION.player(),
        cursor: 0,
        event: 0,
        events_dropped: 0,
        inputs_lost: 0,
        created: true,
        found: false,
        members: Vec::new(),
        code: None,
    }
}

impl Duet {
    /// A client that has not sent anything.
    pub(super) fn new(options: Options) -> Self {
        let now = Timestamp::from_millis(1_000);
        Self {
            core: Core::new(options, Rng::from_number(1), now),
            now,
            server: None,
            hellos: Vec::new(),
            events: Vec::new(),
            heard: Vec::new(),
            lose_up: false,
            lose_down: false,
            rng: Rng::from_number(2),
        }
    }

    /// A client with an open session.
    pub(super) fn connected() -> Self {
        let mut duet = Self::new(options());
        duet.exchange();
        duet.accept();
        duet.exchange();
        assert_eq!(duet.take_events(), [Event::Connected { session: SESSION }]);
        duet
    }

    /// A client with seat 1 in room 7.
    pub(super) fn seated() -> Self {
        let mut duet = Self::connected();
        duet.take_seat(seated(SeatId(1), 7));
        duet
    }

    /// The server's end.
    pub(super) fn server(&mut self) -> &mut Connection {
        self.server.as_mut().expect("the server has accepted")
    }

    /// The server accepts the newest hello.
    pub(super) fn accept(&mut self) {
        let hello = self.hellos.last().expect("a hello came");
        let (server, mut reply) = accept(hello, &server_keys(), &mut self.rng, self.now);
        self.server = Some(server);
        self.core.handle_datagram(&mut reply, self.now);
        self.collect();
    }

    /// Carries datagrams both ways, without delay, until neither side has more.
    pub(super) fn exchange(&mut self) {
        loop {
            self.collect();
            let up = self.client_datagrams();
            let down = self.server_datagrams();
            if up.is_empty() && down.is_empty() {
                return;
            }
            for datagram in up {
                self.reach_server(datagram);
            }
            for datagram in down {
                self.reach_client(datagram);
            }
        }
    }

    /// Lets time pass on both sides, each waking when it asked to.
    pub(super) fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        self.exchange();
        loop {
            let timeouts = [
                self.core.poll_timeout(),
                self.server.as_ref().and_then(Connection::poll_timeout),
            ];
            let next = timeouts.into_iter().flatten().min().unwrap_or(end);
            self.now = next.max(self.now).min(end);
            self.core.handle_timeout(self.now);
            if let Some(server) = &mut self.server {
                server.handle_timeout(self.now);
            }
            self.exchange();
            if self.now == end {
                return;
            }
        }
    }

    /// What the client wants to send now.
    pub(super) fn client_datagrams(&mut self) -> Vec<Vec<u8>> {
        let now = self.now;
        drain(|out| self.core.poll_transmit(out, now))
    }

    /// What the server wants to send now.
    pub(super) fn server_datagrams(&mut self) -> Vec<Vec<u8>> {
        let now = self.now;
        let Some(server) = &mut self.server else {
            return Vec::new();
        };
        drain(|out| server.poll_transmit(out, now))
    }

    pub(super) fn reach_server(&mut self, mut datagram: Vec<u8>) {
        if rejoin_protocol::handshake::is_hello(&datagram) {
            self.hellos.push(datagram);
        } else if !self.lose_up
            && let Some(server) = &mut self.server
        {
            server
                .handle_datagram(&mut datagram, self.now)
                .expect("the client speaks well");
        }
    }

    pub(super) fn reach_client(&mut self, mut datagram: Vec<u8>) {
        if !self.lose_down {
            self.core.handle_datagram(&mut datagram, self.now);
        }
    }

    /// What the client told since the last time.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        self.collect();
        std::mem::take(&mut self.events)
    }

    /// The control messages that the server heard since the last time.
    pub(super) fn take_requests(&mut self) -> Vec<ClientMessage> {
        self.exchange();
        self.take_heard(|event| {
            let ConnectionEvent::Control(message) = event else {
                return None;
            };
            Some(messagepack::decode(message, Bounds::PEER).unwrap())
        })
    }

    /// Numbers and payloads of the reliable inputs that the server heard since the last time.
    pub(super) fn take_inputs(&mut self) -> Vec<(SeatId, u64, Bytes)> {
        self.exchange();
        self.take_heard(|event| {
            let ConnectionEvent::Ordered(message) = event else {
                return None;
            };
            let message = RoomMessage::decode(message);
            let Ok(RoomMessage::Input {
                seat,
                number,
                payload,
            }) = message
            else {
                panic!("the client sent {message:?}");
            };
            Some((seat, number, payload))
        })
    }

    /// The server says something on the control lane.
    pub(super) fn tell(&mut self, message: &ServerMessage) {
        let message = messagepack::encode(message).unwrap().into();
        self.server().send_control(message).unwrap();
    }

    pub(super) fn answer(&mut self, call: CallId, result: Result<Answer, Refusal>) {
        self.tell(&ServerMessage::Reply { call, result });
    }

    /// The client asks for a seat and is granted this one.
    pub(super) fn take_seat(&mut self, seated: Seated) {
        let call = self.core.join(seated.room).unwrap();
        let answer = Answer::Seated(seated);
        self.answer(call, Ok(answer.clone()));
        self.exchange();
        assert_eq!(
            self.take_events(),
            [Event::Answer {
                call,
                result: Ok(answer)
            }]
        );
        assert_eq!(self.take_requests().len(), 1);
    }

    /// The server sends a snapshot on the latest lane.
    pub(super) fn show(&mut self, seat: SeatId, head: &SnapshotHead, body: impl Into<Bytes>) {
        let mut bytes = Vec::new();
        head.encode(&mut bytes);
        self.server()
            .send_latest(seat.0, &bytes, body.into(), None)
            .unwrap();
    }

    /// The server sends an event.
    pub(super) fn emit(&mut self, seat: SeatId, number: u64) {
        let payload = Bytes::from(number.to_string());
        let message = RoomMessage::Event {
            seat,
            number,
            payload,
        }
        .encode();
        self.server().send_ordered(message, None).unwrap();
    }

    fn take_heard<T>(&mut self, mut pick: impl FnMut(&ConnectionEvent) -> Option<T>) -> Vec<T> {
        let mut taken = Vec::new();
        self.heard.retain(|event| {
            let picked = pick(event);
            let keep = picked.is_none();
            taken.extend(picked);
            keep
        });
        taken
    }

    fn collect(&mut self) {
        self.events
            .extend(std::iter::from_fn(|| self.core.poll_event()));
        if let Some(server) = &mut self.server {
            self.heard
                .extend(std::iter::from_fn(|| server.poll_event()));
        }
    }
}

/// Head of a whole view, at cursor 0.
pub(super) fn head(sequence: u64) -> SnapshotHead {
    SnapshotHead {
        sequence,
        base: None,
        tick: sequence,
        cursor: 0,
        private: false,
    }
}

/// Head of a delta against snapshot `base` that makes `view`.
pub(super) fn delta_head(base: u64, sequence: u64, view: &[u8]) -> SnapshotHead {
    let base = Base {
        sequence: base,
        check: snapshot::check(view),
    };
    SnapshotHead {
        base: Some(base),
        ..head(sequence)
    }
}

/// The event that a number of [`Duet::emit`] becomes.
pub(super) fn room_event(seat: SeatId, number: u64) -> Event {
    Event::Room {
        seat,
        number,
        payload: Bytes::from(number.to_string()),
    }
}

/// Another player.
pub(super) const OTHER: PlayerId = PlayerId(77);

fn drain(mut transmit: impl FnMut(&mut Vec<u8>) -> bool) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut datagram = Vec::new();
        if !transmit(&mut datagram) {
            return all;
        }
        all.push(datagram);
    }
}
