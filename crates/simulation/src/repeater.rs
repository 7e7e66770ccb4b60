//! A peer that sends inputs again which the room may have applied: what a client does that
//! resumes and does not know how far the room got, only far more often.
//!
//! It speaks through a bare connection, because a whole client repeats nothing without need.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::{ConnectionEvent, SendError};
use rejoin_protocol::handshake::{ClientHandshake, HandshakeOptions};
use rejoin_protocol::limits::{HEARTBEAT_SEATED, HELLO_RETRY};
use rejoin_protocol::message::{Answer, ClientMessage, RoomSettings, ServerMessage};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{Connection, PlayerId, RequestId, Rng, RoomId, SeatId, Stay, Timestamp};

use crate::content::Mark;
use crate::coverage::Stage;
use crate::model::{Arrival, Site, Standing};
use crate::options::RoomKind;
use crate::report::{Violation, ensure};
use crate::scene::{MEMBERS_MAX, Phase, Scene};

/// See the module page.
pub(crate) struct Repeater {
    link: Link,
    rng: Rng,
    id: Option<PlayerId>,
    kind: RoomKind,
    seat: Option<(SeatId, RoomId, Stay)>,
    asked: bool,
    /// Number of the newest input in the room, and of the newest in all rooms.
    newest: u64,
    counter: u64,
    /// The last inputs, to be sent again.
    sent: VecDeque<(u64, Bytes)>,
    /// When it is to be woken.
    pub(crate) wake: Option<Timestamp>,
}

enum Link {
    Joining {
        handshake: Box<ClientHandshake>,
        next_hello: Timestamp,
    },
    Open(Box<Connection>),
    Over,
}

/// The request that names the room to play in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) request: RequestId,
    pub(crate) room: RoomId,
}

/// Inputs remembered.
const SENT_MAX: usize = 24;
/// How often some of them are sent again.
const REPEAT_SHARE: f64 = 0.3;

impl Repeater {
    /// A peer that is about to join and will play in rooms of `kind`.
    pub(crate) fn new(options: &HandshakeOptions, kind: RoomKind, mut rng: Rng) -> Self {
        let handshake = ClientHandshake::new(options, &mut rng);
        let handshake = handshake.expect("our own key and name are sound");
        let link = Link::Joining {
            handshake: Box::new(handshake),
            next_hello: Timestamp::ZERO,
        };
        Self {
            link,
            rng,
            id: None,
            kind,
            seat: None,
            asked: false,
            newest: 0,
            counter: 0,
            sent: VecDeque::new(),
            wake: None,
        }
    }

    /// As the server names it; known from the first session on.
    pub(crate) fn id(&self) -> Option<PlayerId> {
        self.id
    }

    /// Where it stands, for the table of what was tried.
    pub(crate) fn stage(&self) -> Option<Stage> {
        match &self.link {
            Link::Joining { .. } => Some(Stage::Joining),
            Link::Open(_) if self.seat.is_none() => Some(Stage::Seatless),
            Link::Open(_) => Some(Stage::Seated),
            Link::Over => None,
        }
    }

    /// The room it sits in.
    pub(crate) fn room(&self) -> Option<RoomId> {
        self.seat.map(|(_, room, _)| room)
    }

    /// Takes a datagram. True if it was taken.
    pub(crate) fn handle_datagram(
        &mut self,
        datagram: &mut [u8],
        scene: &mut Scene,
    ) -> Result<bool, Violation> {
        let taken = match &mut self.link {
            Link::Joining { handshake, .. } => {
                let Ok(established) = handshake.handle_reply(datagram) else {
                    return Ok(false);
                };
                self.id = Some(established.welcome.session.player());
                let mut connection = Connection::new(established.setup, None, scene.now);
                connection.set_heartbeat(HEARTBEAT_SEATED);
                self.link = Link::Open(Box::new(connection));
                true
            }
            Link::Open(connection) => connection.handle_datagram(datagram, scene.now).is_ok(),
            Link::Over => false,
        };
        self.take_events(scene)?;
        Ok(taken)
    }

    /// Lets time pass.
    pub(crate) fn handle_timeout(&mut self, scene: &mut Scene) -> Result<(), Violation> {
        if let Link::Open(connection) = &mut self.link {
            connection.handle_timeout(scene.now);
        }
        self.take_events(scene)
    }

    /// Appends the next datagram. False if there is none.
    pub(crate) fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Timestamp) -> bool {
        match &mut self.link {
            Link::Joining {
                handshake,
                next_hello,
            } => {
                if now < *next_hello {
                    return false;
                }
                *next_hello = now + HELLO_RETRY;
                out.extend_from_slice(handshake.hello());
                true
            }
            Link::Open(connection) => connection.poll_transmit(out, now),
            Link::Over => false,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.link {
            Link::Joining { next_hello, .. } => Some(*next_hello),
            Link::Open(connection) => connection.poll_timeout(),
            Link::Over => None,
        }
    }

    /// Its server is gone, and it does not come back.
    pub(crate) fn end(&mut self) {
        self.link = Link::Over;
        self.seat = None;
    }

    /// Its turn: asks for a seat, or sends an input and now and then some older ones again.
    pub(crate) fn play(&mut self, goal: Goal, scene: &mut Scene) -> Result<(), Violation> {
        let Link::Open(connection) = &mut self.link else {
            return Ok(());
        };
        let (Some((seat, room, stay)), Some(id)) = (self.seat, self.id) else {
            if !self.asked {
                scene.rooms.asked(goal.room);
                let message = ClientMessage::Create {
                    call: 0,
                    request: goal.request,
                    kind: self.kind.name().to_owned(),
                    settings: RoomSettings {
                        members_max: MEMBERS_MAX,
                        ..RoomSettings::default()
                    },
                };
                let bytes = messagepack::encode(&message).expect("our own messages can be written");
                self.asked = connection.send_control(bytes.into()).is_ok();
            }
            return Ok(());
        };
        let number = self.newest + 1;
        let mark = Mark {
            counter: self.counter + 1,
            place: number,
        };
        let input = self.kind.input(mark, true);
        let bytes = RoomMessage::Input {
            seat,
            number,
            payload: input.encode(),
        }
        .encode();
        match connection.send_ordered(bytes.clone(), None) {
            Ok(()) => scene.lives.sent((site(room), id, stay), number, &input)?,
            Err(SendError::QueueFull) => return Ok(()),
            Err(error) => {
                return Err(Violation::new(
                    "a seated client can send",
                    format!("repeater: {error}"),
                ));
            }
        }
        self.counter += 1;
        self.newest = number;
        self.sent.push_back((number, bytes));
        if self.sent.len() > SENT_MAX {
            self.sent.pop_front();
        }
        self.repeat()
    }

    fn repeat(&mut self) -> Result<(), Violation> {
        let Link::Open(connection) = &mut self.link else {
            return Ok(());
        };
        if !self.rng.chance(REPEAT_SHARE) {
            return Ok(());
        }
        let len = u64::try_from(self.sent.len()).expect("few are kept");
        let from = self.newest + 1 - self.rng.below(len + 1);
        for (_, bytes) in self.sent.iter().filter(|(number, _)| *number >= from) {
            // A full queue only means that nothing is repeated now.
            if connection.send_ordered(bytes.clone(), None).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn take_events(&mut self, scene: &mut Scene) -> Result<(), Violation> {
        while let Link::Open(connection) = &mut self.link {
            let Some(event) = connection.poll_event() else {
                return Ok(());
            };
            match event {
                ConnectionEvent::Control(message) => self.on_control(&message, scene)?,
                ConnectionEvent::Closed(reason) => {
                    self.link = Link::Over;
                    let fits = scene.phase == Phase::Stopping;
                    ensure(fits, "repeated inputs harm nobody", || {
                        format!("closed: {reason}")
                    })?;
                }
                ConnectionEvent::Confirmed
                | ConnectionEvent::Ordered(_)
                | ConnectionEvent::Latest { .. }
                | ConnectionEvent::Acked(_)
                | ConnectionEvent::Lost(_)
                | ConnectionEvent::Liveness(_)
                | _ => {}
            }
        }
        Ok(())
    }

    fn on_control(&mut self, message: &[u8], scene: &mut Scene) -> Result<(), Violation> {
        let message = messagepack::decode(message, Bounds::CONTROL)
            .map_err(|error| Violation::new("answers can be read", error.to_string()))?;
        match message {
            ServerMessage::Reply {
                result: Ok(Answer::Seated(seated)),
                ..
            } => {
                let id = self.id.unwrap_or(seated.player);
                if seated.created {
                    scene.counters.rooms += 1;
                    scene.rooms.created(seated.room, id);
                }
                let of = (site(seated.room), id, seated.stay);
                let told = Standing {
                    cursor: seated.cursor,
                    lost: seated.inputs_lost,
                    at: scene.now,
                    holds: true,
                };
                scene.lives.seated(of, told, Arrival::New)?;
                self.newest = seated.cursor;
                self.sent.clear();
                self.asked = false;
                self.seat = Some((seated.seat, seated.room, seated.stay));
            }
            ServerMessage::Reply { .. } => self.asked = false,
            ServerMessage::RoomClosed { .. } => {
                if let (Some((_, room, stay)), Some(id)) = (self.seat.take(), self.id) {
                    scene.lives.ended((site(room), id, stay));
                }
            }
            ServerMessage::Seat { .. } | ServerMessage::InputRefused { .. } | _ => {}
        }
        Ok(())
    }
}

/// A room of the first server process: it knows no other.
const fn site(room: RoomId) -> Site {
    Site { era: 1, room }
}

/// The pace of its inputs.
pub(crate) const PERIOD: Duration = Duration::from_millis(100);
