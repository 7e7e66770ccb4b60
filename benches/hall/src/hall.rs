//! A shard and real clients in one process, without sockets and in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_client::{Core, Event, Options, Permit};
use rejoin_coordinator::{Config, MemoryDirectory, Shard};
use rejoin_datagram::RECEIVE_BATCH_MAX;
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::message::{Answer, RoomSettings};
use rejoin_protocol::{Fetch, RequestId, Rng, SeatId, Timestamp, messagepack};
use rejoin_room::{Kinds, Room};
use rejoin_store::MemoryStore;

use crate::room::Arena;
use crate::workload::{INPUT_HZ, INPUT_LEN, PING_HZ, PING_LEN, Packed, QUARTER, WHOLE};

/// A tick of 30 Hz and a bit, so that each step has one.
const STEP: Duration = Duration::from_millis(34);
/// Between two looks at the socket in play.
const LOOK: Duration = Duration::from_millis(1);

/// Steps in which those who are seated say what a join leaves to be said.
const SETTLED_AFTER: usize = 20;
/// Steps within which all have their seats.
const SEATED_WITHIN: usize = 400;

/// A shard with rooms of one shape, and all their members. A step is [`Hall::act`] or [`Hall::rest`], [`Hall::take`], [`Hall::turn`]
/// and [`Hall::hand_out`], in this order.
pub struct Hall {
    shard: Shard<MemoryStore, MemoryDirectory>,
    members: Vec<Member>,
    now: Timestamp,
    up: Vec<(SocketAddr, Vec<u8>)>,
    down: Vec<u8>,
    /// Where each datagram of `down` goes and ends.
    parts: Vec<(SocketAddr, usize)>,
}

struct Member {
    core: Core,
    seat: Option<SeatId>,
    whole: u64,
    deltas: u64,
}

impl Member {
    fn shown(&self) -> (u64, u64) {
        (self.whole, self.deltas)
    }

    fn note(&mut self, event: &Event) {
        if let Event::View { full, .. } = event {
            self.whole += u64::from(*full);
            self.deltas += u64::from(!*full);
        }
    }
}

impl Hall {
    /// One room of that shape, and all its members have their seats.
    #[must_use]
    pub fn open(members: u16, shape: usize) -> Self {
        Self::open_rooms(1, members, shape)
    }

    /// The same with several rooms, of as many members each.
    #[must_use]
    pub fn open_rooms(rooms: u16, members: u16, shape: usize) -> Self {
        match shape {
            QUARTER => Self::of::<QUARTER>(rooms, members),
            _ => Self::of::<WHOLE>(rooms, members),
        }
    }

    fn of<const SHAPE: usize>(rooms: u16, members: u16) -> Self {
        let keys = StaticKeys::development();
        let mut rng = Rng::from_number(1);
        let mut config = Config::new(keys.clone(), [7; 32]);
        config.sessions_max = 2 * usize::from(rooms * members);
        config.fetch = Fetch::new(rejoin_datagram::fetch);
        let kinds = Kinds::new().with::<Arena<SHAPE>>();
        let now = Timestamp::from_millis(1_000);
        let (store, directory) = (MemoryStore::default(), MemoryDirectory::default());
        let mut hall = Self {
            shard: Shard::new(config, kinds, store, directory, rng.fork("shard"), now),
            members: Vec::new(),
            now,
            up: Vec::new(),
            down: Vec::new(),
            parts: Vec::new(),
        };
        for index in 0..rooms * members {
            let identity = StaticKeys::generate(&mut rng);
            let permit = Permit::dev(format!("player-{index}"));
            let options = Options::new(keys.public(), identity, permit, 1);
            hall.members.push(Member {
                core: Core::new(options, rng.fork(&format!("{index}")), now),
                seat: None,
                whole: 0,
                deltas: 0,
            });
        }
        hall.seat_all(Arena::<SHAPE>::KIND, members);
        hall.check(SHAPE);
        hall
    }

    fn seat_all(&mut self, kind: &str, members: u16) {
        for _ in 0..SEATED_WITHIN {
            self.step();
            for index in 0..self.members.len() {
                self.take_events(index, kind, members);
            }
            if self.members.iter().all(|member| member.seat.is_some()) {
                break;
            }
        }
        assert!(self.members.iter().all(|member| member.seat.is_some()));
        // What a join leaves to be said is said.
        (0..SETTLED_AFTER).for_each(|_| self.step());
    }

    /// Each member must be shown each tick, as a delta where one is shorter.
    fn check(&mut self, shape: usize) {
        let before: Vec<_> = self.members.iter().map(Member::shown).collect();
        self.step();
        let expected = if shape == WHOLE { (1, 0) } else { (0, 1) };
        for (member, (whole, deltas)) in self.members.iter().zip(before) {
            let shown = (member.whole - whole, member.deltas - deltas);
            assert_eq!(shown, expected, "whole views and deltas");
        }
    }

    fn take_events(&mut self, index: usize, kind: &str, members: u16) {
        let member = &mut self.members[index];
        while let Some(event) = member.core.poll_event() {
            match event {
                Event::Connected { .. } => {
                    let settings = RoomSettings {
                        members_max: members,
                        ..RoomSettings::default()
                    };
                    // A room is named by the request that opens it.
                    let room = index / usize::from(members);
                    let request = RequestId((room as u128).to_be_bytes());
                    let asked = member.core.join_or_create(request, kind, vec![], settings);
                    asked.expect("a fresh session takes a request");
                }
                Event::Answer { result, .. } => match result {
                    Ok(Answer::Seated(seated)) => member.seat = Some(seated.seat),
                    other => panic!("no seat: {other:?}"),
                },
                Event::Ended(why) => panic!("member {index} ended: {why}"),
                // What happens in the room.
                Event::View { .. } | _ => {}
            }
        }
    }

    fn step(&mut self) {
        self.rest();
        self.take();
        self.turn();
        self.hand_out();
    }

    #[must_use]
    pub fn members(&self) -> u64 {
        self.members.len() as u64
    }

    /// A tick passes, and each member sends an input.
    pub fn act(&mut self) {
        for (index, member) in self.members.iter_mut().enumerate() {
            if let Some(seat) = member.seat {
                let input = messagepack::encode(&Packed::Input([index as u8; INPUT_LEN])).unwrap();
                member.core.latest(seat, input.into()).expect("one a tick");
            }
        }
        self.rest();
    }

    /// A tick passes, and members only say what they must.
    pub fn rest(&mut self) {
        self.now += STEP;
        self.up.clear();
        self.send();
    }

    fn send(&mut self) {
        for (index, member) in self.members.iter_mut().enumerate() {
            member.core.handle_timeout(self.now);
            let mut datagram = Vec::new();
            while member.core.poll_transmit(&mut datagram, self.now) {
                self.up
                    .push((address(index), std::mem::take(&mut datagram)));
            }
        }
    }

    /// The shard takes what members sent.
    pub fn take(&mut self) {
        for batch in self.up.chunks_mut(RECEIVE_BATCH_MAX) {
            self.shard
                .expect(batch.iter().map(|(_, datagram)| datagram.as_slice()));
            for (from, datagram) in batch {
                self.shard.handle_datagram(*from, datagram, self.now);
            }
        }
    }

    /// A millisecond of the arena passes, in which some members act: they are spread over the tick as in play.
    pub fn look(&mut self) {
        let millis = self.now.as_nanos() / 1_000_000;
        self.now += LOOK;
        self.up.clear();
        for (index, member) in self.members.iter_mut().enumerate() {
            let Some(seat) = member.seat else { continue };
            let phase = millis + 7 * index as u64;
            if phase.is_multiple_of(1_000 / INPUT_HZ) {
                let input = messagepack::encode(&Packed::Input([index as u8; INPUT_LEN])).unwrap();
                member.core.latest(seat, input.into()).expect("one a tick");
            }
            if phase.is_multiple_of(1_000 / PING_HZ) {
                let ping = messagepack::encode(&Packed::Ping([1; PING_LEN])).unwrap();
                member.core.send(seat, ping.into()).expect("few wait");
            }
        }
        self.send();
    }

    /// The room steps, and each member is sent its view.
    pub fn turn(&mut self) {
        self.shard.turn(self.now);
        while let Some(to) = self.shard.poll_transmit(&mut self.down, self.now) {
            self.parts.push((to, self.down.len()));
        }
    }

    /// Members take what they were sent.
    pub fn hand_out(&mut self) {
        let mut start = 0;
        for (to, end) in self.parts.drain(..) {
            let member = &mut self.members[usize::from(to.port() - FIRST_PORT)];
            member
                .core
                .handle_datagram(&mut self.down[start..end], self.now);
            start = end;
            if member.seat.is_some() {
                while let Some(event) = member.core.poll_event() {
                    member.note(&event);
                }
            }
        }
        self.down.clear();
    }
}

const FIRST_PORT: u16 = 10_000;

fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], FIRST_PORT + index as u16))
}
