//! `raw2`: the least that a UDP game server can be, and the same with AES-128-GCM.
//!
//! One thread, recvmmsg and sendmmsg, a look at the socket each millisecond, an array of players. It has no
//! sessions, acknowledgements, replay window, liveness, journal or limits: what those cost is what
//! this server is there to show.

use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::LessSafeKey;
use rejoin_datagram::{ReceiveBatch, SendBatch};

use crate::raw_wire::{self, Head, Kind, Way};
use crate::server;
use crate::workload::{Field, INPUT_LEN, PING_LEN, SHAPES, Shape};

/// Time between two looks at the socket.
const DRAIN: Duration = Duration::from_millis(1);

/// Serves until standard input closes: `raw SHAPE ROOMS plain|aes`.
pub(crate) fn run(told: &[&str]) -> ExitCode {
    let [shape, rooms, cipher] = told else {
        panic!("raw SHAPE ROOMS plain|aes, not {told:?}");
    };
    let shape = &SHAPES[shape.parse::<usize>().unwrap()];
    let rooms: u32 = rooms.parse().unwrap();
    let socket = rejoin_datagram::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    server::announce(socket.local_addr().unwrap());
    let mut world = World::new(shape, rooms, *cipher == "aes");
    let (mut receive, mut send) = (ReceiveBatch::new(), SendBatch::new());
    loop {
        let start = Instant::now();
        let taken = |batch: &mut ReceiveBatch, world: &mut World| {
            let take = |from, datagram: &mut [u8]| world.take(from, datagram);
            batch.receive(&socket, take).expect("the socket lives")
        };
        while !taken(&mut receive, &mut world).drained {}
        world.release(&socket, &mut send);
        let now = Instant::now();
        for room in 0..rooms as usize {
            if world.rooms[room].take_tick(shape, now) {
                world.show(room);
                world.release(&socket, &mut send);
            }
        }
        std::thread::sleep(DRAIN.saturating_sub(start.elapsed()));
    }
}

struct World {
    sealed: bool,
    players: Vec<Option<Player>>,
    rooms: Vec<Room>,
    waiting: Vec<(u32, Message)>,
    shape: &'static Shape,
}

struct Player {
    address: SocketAddr,
    key: Option<LessSafeKey>,
    sent: u32,
}

struct Room {
    field: Field,
    next_tick: Instant,
}

#[derive(Clone, Copy)]
enum Message {
    Welcome,
    Echo([u8; PING_LEN]),
    State,
}

impl World {
    /// Rooms are spread over the phases of the tick.
    fn new(shape: &'static Shape, rooms: u32, sealed: bool) -> Self {
        let (now, period) = (Instant::now(), period(shape));
        let room = |number| Room {
            field: Field::new(shape),
            next_tick: now + period * number / rooms,
        };
        Self {
            sealed,
            players: Vec::new(),
            rooms: (0..rooms).map(room).collect(),
            waiting: Vec::new(),
            shape,
        }
    }

    fn take(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        let Some(head) = Head::read(datagram) else {
            return;
        };
        let index = head.player as usize;
        let Some(Some(player)) = self.players.get_mut(index) else {
            return self.welcome(from, head, datagram);
        };
        match raw_wire::read(datagram, (player.key.as_ref(), Way::Up)) {
            Some((Kind::Input, payload)) => {
                let Ok(input) = <&[u8; INPUT_LEN]>::try_from(payload) else {
                    return;
                };
                let (room, member) = (index / self.shape.members, index % self.shape.members);
                self.rooms[room].field.input(self.shape, member, input);
            }
            Some((Kind::Ping, payload)) => {
                if let Ok(ping) = payload.try_into() {
                    self.waiting.push((head.player, Message::Echo(ping)));
                }
            }
            // A hello that came twice opens with no key, or asks for what it has.
            _ => {}
        }
    }

    fn welcome(&mut self, from: SocketAddr, head: Head, datagram: &mut [u8]) {
        let index = head.player as usize;
        let Some((Kind::Hello, payload)) = raw_wire::read(datagram, (None, Way::Up)) else {
            return;
        };
        if index >= self.rooms.len() * self.shape.members {
            return;
        }
        let Ok(key) = payload.try_into() else { return };
        if index >= self.players.len() {
            self.players.resize_with(index + 1, || None);
        }
        self.players[index] = Some(Player {
            address: from,
            key: self.sealed.then(|| raw_wire::key(key)),
            sent: 0,
        });
        self.waiting.push((head.player, Message::Welcome));
    }

    /// Every member of a room is to have its state.
    fn show(&mut self, room: usize) {
        let members = room * self.shape.members..(room + 1) * self.shape.members;
        let here = |index: &usize| matches!(self.players.get(*index), Some(Some(_)));
        let states = members
            .filter(here)
            .map(|index| (index as u32, Message::State));
        self.waiting.extend(states);
    }

    fn release(&mut self, socket: &UdpSocket, batch: &mut SendBatch) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut next = waiting.drain(..);
        let mut more = true;
        while more {
            more = batch.gather(|out| {
                let (index, message) = next.next()?;
                self.write(index, message, out)
            });
            batch.send(socket);
        }
        drop(next);
        self.waiting = waiting;
    }

    fn write(&mut self, index: u32, message: Message, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let player = self.players[index as usize].as_mut()?;
        let head = Head {
            player: index,
            number: player.sent,
        };
        player.sent += 1;
        let body: (_, &[u8]) = match &message {
            Message::Welcome => (Kind::Welcome, &[]),
            Message::Echo(ping) => (Kind::Echo, ping),
            Message::State => {
                let room = &self.rooms[index as usize / self.shape.members];
                (Kind::State, room.field.bytes())
            }
        };
        raw_wire::write(out, head, body, (player.key.as_ref(), Way::Down));
        Some(player.address)
    }
}

impl Room {
    /// Steps if it is time. Missed ticks are skipped.
    fn take_tick(&mut self, shape: &Shape, now: Instant) -> bool {
        if now < self.next_tick {
            return false;
        }
        while self.next_tick <= now {
            self.next_tick += period(shape);
        }
        self.field.tick(shape);
        true
    }
}

fn period(shape: &Shape) -> Duration {
    Duration::from_secs(1) / shape.hz
}
