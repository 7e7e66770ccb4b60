//! Players of a Rejoin server: its client cores, in one thread on few sockets.
//!
//! An input travels on the latest lane, as the raw servers' do. A ping is a reliable input: of the latest
//! ones only the newest of a turn reaches the room. The room answers at once, with an event, the only
//! one-off message that it has. So pings are acknowledged and kept here, and are not on the other
//! servers: what that costs counts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::SystemTime;

use bytes::Bytes;
use rejoin::client::{Core, Event, Options, Permit, Ticket, suites_of_this_processor};
use rejoin::protocol::crypto::StaticKeys;
use rejoin::protocol::handshake::ClientHandshake;
use rejoin::protocol::message::{
    Answer, Comparison, Filter, Metadata, MetadataValue, RoomSettings,
};
use rejoin::protocol::messagepack::{self, Bounds};
use rejoin::protocol::{RequestId, Rng, SeatId, Timestamp};

use crate::net::{Net, Traffic};
use crate::players::{self, Ping, Players, Target};
use crate::subject::Size;
use crate::workload::{Packed, SHAPES, Shape};

/// All players of one Rejoin server.
pub struct RejoinPlayers {
    net: Net,
    target: Target,
    /// `None`: they take no seats.
    shape: Option<usize>,
    players: Vec<Player>,
    /// Those whose hello has no answer.
    newcomers: Vec<usize>,
    timers: BinaryHeap<Reverse<(Timestamp, usize)>>,
    touched: Vec<usize>,
    rng: Rng,
    ready: usize,
    out: Vec<u8>,
}

struct Player {
    core: Core,
    stage: Stage,
    timer: Option<Timestamp>,
    touched: bool,
}

#[derive(Clone, Copy)]
enum Stage {
    Joining,
    Seating,
    Ready(Option<SeatId>),
    Gone,
}

impl RejoinPlayers {
    #[must_use]
    pub fn new(target: Target, size: Size) -> Self {
        Self {
            net: Net::open(target.address, size.players),
            target,
            shape: size.shape,
            players: Vec::new(),
            newcomers: Vec::new(),
            timers: BinaryHeap::new(),
            touched: Vec::new(),
            rng: rejoin::server::entropy().expect("the system has entropy"),
            ready: 0,
            out: Vec::new(),
        }
    }

    /// A client that joins, or takes up the session of `ticket`.
    fn core(&self, index: usize, ticket: Option<Ticket>, now: Timestamp) -> Core {
        let rng = self.rng.fork(&format!("player {index}"));
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut options = Options::new(
            self.target.key.expect("a Rejoin server has a key"),
            StaticKeys::generate(&mut rng.fork("identity")),
            Permit::dev(format!("player-{index}")),
            since.unwrap_or_default().as_micros() as u64,
        );
        options.suites = suites_of_this_processor();
        options.receive_id = Some((index as u32).to_be_bytes());
        let client = if ticket.is_some() { "second" } else { "first" };
        options.ticket = ticket;
        Core::new(options, rng.fork(client), now)
    }

    fn seat(&self, player: usize) -> SeatId {
        match self.players[player].stage {
            Stage::Ready(Some(seat)) => seat,
            Stage::Joining | Stage::Seating | Stage::Ready(None) | Stage::Gone => {
                panic!("player {player} has no seat")
            }
        }
    }

    fn receive(&mut self, now: Timestamp) -> bool {
        let Self {
            net,
            players,
            newcomers,
            touched,
            ..
        } = self;
        net.receive(|socket, datagram| {
            let taker = if ClientHandshake::is_reply(datagram) {
                take_reply(players, newcomers, socket, (datagram, now))
            } else {
                take_packet(players, datagram, now)
            };
            if let Some(index) = taker {
                touch(players, touched, index);
            }
        })
    }

    fn wake(&mut self, now: Timestamp) {
        while let Some(&Reverse((at, index))) = self.timers.peek() {
            if at > now {
                return;
            }
            self.timers.pop();
            let player = &mut self.players[index];
            if player.timer == Some(at) {
                player.timer = None;
                player.core.handle_timeout(now);
                touch(&mut self.players, &mut self.touched, index);
            }
        }
    }

    /// Lets a player take its events and send.
    fn flush(&mut self, index: usize, echoes: &mut Vec<Ping>, now: Timestamp) {
        self.players[index].touched = false;
        while let Some(event) = self.players[index].core.poll_event() {
            self.on_event(index, event, echoes);
        }
        self.transmit(index, now);
    }

    fn transmit(&mut self, index: usize, now: Timestamp) {
        let player = &mut self.players[index];
        self.out.clear();
        while player.core.poll_transmit(&mut self.out, now) {
            self.net.send(index, &self.out);
            self.out.clear();
        }
        if let Some(at) = player.core.poll_timeout()
            && player.timer.is_none_or(|set| at < set)
        {
            player.timer = Some(at);
            self.timers.push(Reverse((at, index)));
        }
    }

    fn on_event(&mut self, index: usize, event: Event, echoes: &mut Vec<Ping>) {
        match event {
            Event::Connected { .. } => {
                self.newcomers.retain(|newcomer| *newcomer != index);
                match self.shape {
                    Some(shape) => self.ask_for_seat(index, shape),
                    None => self.on_ready(index, None),
                }
            }
            Event::Answer { result, .. } => match result {
                Ok(Answer::Seated(seated)) => self.on_ready(index, Some(seated.seat)),
                other => panic!("no seat: {other:?}"),
            },
            Event::View { full, .. } => {
                self.net.traffic.whole += u64::from(full);
                self.net.traffic.deltas += u64::from(!full);
            }
            Event::Room { payload, .. } => {
                let echo: Packed = messagepack::decode(&payload, Bounds::PEER).unwrap();
                if let Packed::Ping(bytes) = echo {
                    echoes.extend(Ping::read(&bytes));
                }
            }
            Event::Ended(why) => {
                let left = matches!(self.players[index].stage, Stage::Gone);
                assert!(left, "player {index} ended: {why}");
            }
            Event::InputRefused { refusal, .. } => panic!("an input is refused: {refusal}"),
            Event::RoomClosed { reason, .. } => panic!("a room closed: {reason:?}"),
            // Who comes and goes, how the link is, and what a later client may tell.
            Event::Seat { .. } | Event::Link(_) | _ => {}
        }
    }

    fn on_ready(&mut self, index: usize, seat: Option<SeatId>) {
        self.players[index].stage = Stage::Ready(seat);
        self.ready += 1;
    }

    /// Asks for a seat in the room of the player's number.
    fn ask_for_seat(&mut self, index: usize, shape: usize) {
        let Shape { kind, members, .. } = SHAPES[shape];
        let room = index / members;
        let number = MetadataValue::Int(room as i64);
        let settings = RoomSettings {
            members_max: members as u16,
            metadata: Metadata::from([("number".to_owned(), number.clone())]),
            ..RoomSettings::default()
        };
        let filters = vec![Filter {
            key: "number".to_owned(),
            comparison: Comparison::Equal,
            value: number,
        }];
        let request = RequestId(self.rng.fork(&format!("room {room}")).bytes());
        let player = &mut self.players[index];
        let asked = player.core.join_or_create(request, kind, filters, settings);
        asked.expect("a fresh session takes a request");
        player.stage = Stage::Seating;
    }
}

impl Players for RejoinPlayers {
    fn begin(&mut self, index: usize, now: Timestamp) {
        assert_eq!(index, self.players.len(), "players begin in order");
        let core = self.core(index, None, now);
        self.players.push(Player {
            core,
            stage: Stage::Joining,
            timer: None,
            touched: false,
        });
        self.newcomers.push(index);
        self.transmit(index, now);
    }

    fn come_back(&mut self, index: usize, now: Timestamp) {
        let ticket = self.players[index].core.ticket().cloned();
        let ticket = ticket.expect("who has a session has a ticket");
        let core = self.core(index, Some(ticket), now);
        let player = &mut self.players[index];
        (player.core, player.stage, player.timer) = (core, Stage::Joining, None);
        self.ready -= 1;
        self.newcomers.push(index);
        self.transmit(index, now);
    }

    fn ready(&self) -> usize {
        self.ready
    }

    fn input(&mut self, index: usize, now: Timestamp) {
        let input = players::input(now);
        let (seat, payload) = (self.seat(index), encode(Packed::Input(input)));
        let core = &mut self.players[index].core;
        core.latest(seat, payload)
            .expect("it has left before the next");
        self.transmit(index, now);
    }

    fn ping(&mut self, index: usize, ping: Ping, now: Timestamp) {
        let (seat, payload) = (self.seat(index), encode(Packed::Ping(ping.bytes())));
        let core = &mut self.players[index].core;
        core.send(seat, payload).expect("there are few pings");
        self.transmit(index, now);
    }

    fn pump(&mut self, now: Timestamp, echoes: &mut Vec<Ping>) -> bool {
        let any = self.receive(now);
        self.wake(now);
        let mut touched = std::mem::take(&mut self.touched);
        for index in touched.drain(..) {
            self.flush(index, echoes, now);
        }
        self.touched = touched;
        any
    }

    fn leave(&mut self, index: usize, now: Timestamp) {
        self.players[index].stage = Stage::Gone;
        self.players[index].core.disconnect();
        self.flush(index, &mut Vec::new(), now);
    }

    fn traffic(&self) -> Traffic {
        self.net.traffic
    }
}

fn encode(input: Packed) -> Bytes {
    messagepack::encode(&input)
        .expect("bytes can be written")
        .into()
}

fn touch(players: &mut [Player], touched: &mut Vec<usize>, index: usize) {
    if !std::mem::replace(&mut players[index].touched, true) {
        touched.push(index);
    }
}

/// A reply to a hello carries no label: the newcomer who sent that hello knows it.
fn take_reply(
    players: &mut [Player],
    newcomers: &[usize],
    socket: usize,
    (datagram, now): (&mut [u8], Timestamp),
) -> Option<usize> {
    let here = |index: &&usize| Net::socket_of(**index) == socket;
    newcomers.iter().filter(here).copied().find(|index| {
        let core = &mut players[*index].core;
        let dropped = core.link().dropped;
        core.handle_datagram(datagram, now);
        core.link().dropped == dropped
    })
}

/// A packet's bytes 1 to 4 are the label that the player asked for: its index.
fn take_packet(players: &mut [Player], datagram: &mut [u8], now: Timestamp) -> Option<usize> {
    let label = *datagram.get(1..)?.first_chunk()?;
    let index = u32::from_be_bytes(label) as usize;
    players.get_mut(index)?.core.handle_datagram(datagram, now);
    Some(index)
}
