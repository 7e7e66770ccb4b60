//! Turns of a shard with real clients, without sockets and in virtual time. Only the shard is timed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::Criterion;
use rejoin::client::{Core, Event, Options, Permit};
use rejoin_coordinator::{Config, MemoryDirectory, Shard};
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::message::{Answer, RoomSettings};
use rejoin_protocol::{RequestId, Rng, SeatId, Timestamp, messagepack};
use rejoin_room::{Kinds, Room};
use rejoin_store::MemoryStore;

use rejoin_arena::room::Arena;
use rejoin_arena::workload::{INPUT_LEN, Packed, QUARTER, WHOLE};

/// A tick of 30 Hz and a bit, so that each step of the benchmark has one.
const STEP: Duration = Duration::from_millis(34);

/// `turn`: every member's input comes in, the room steps, and each is sent its view. `fan-out`: the room
/// steps and each is sent its view.
pub(crate) fn turns(c: &mut Criterion) {
    let mut group = c.benchmark_group("shard");
    group.sample_size(20);
    let cases = [
        Case::new("turn, 16 members, whole", 16, WHOLE),
        Case::new("turn, 16 members, deltas", 16, QUARTER),
        Case::new("fan-out, 16 members, whole", 16, WHOLE),
        Case::new("fan-out, 100 members, whole", 100, WHOLE),
        Case::new("fan-out, 100 members, deltas", 100, QUARTER),
    ];
    for case in cases {
        // Benchmarks that are filtered out need no hall.
        let mut hall = None;
        let acts = case.name.starts_with("turn");
        group.bench_function(case.name, |b| {
            let hall = hall.get_or_insert_with(|| case.open());
            b.iter_custom(|count| (0..count).map(|_| hall.step(acts)).sum());
        });
    }
    group.finish();
}

/// What is timed.
struct Case {
    name: &'static str,
    members: u16,
    shape: usize,
}

impl Case {
    const fn new(name: &'static str, members: u16, shape: usize) -> Self {
        Self {
            name,
            members,
            shape,
        }
    }

    fn open(&self) -> Hall {
        if self.shape == WHOLE {
            Hall::of::<WHOLE>(self.members)
        } else {
            Hall::of::<QUARTER>(self.members)
        }
    }
}

/// A shard with one room, and all its members.
struct Hall {
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
    fn of<const SHAPE: usize>(members: u16) -> Self {
        let keys = StaticKeys::development();
        let mut rng = Rng::from_number(1);
        let mut config = Config::new(keys.clone(), [7; 32]);
        config.sessions_max = 1_024;
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
        for index in 0..members {
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
        for _ in 0..30 {
            self.step(false);
            for index in 0..self.members.len() {
                self.take_events(index, kind, members);
            }
        }
        assert!(self.members.iter().all(|member| member.seat.is_some()));
    }

    /// Each member must be shown each tick, as a delta where one is shorter.
    fn check(&mut self, shape: usize) {
        let before: Vec<_> = self.members.iter().map(Member::shown).collect();
        self.step(false);
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
                    let request = RequestId([1; 16]);
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

    /// One tick. Gives the time that the shard took.
    fn step(&mut self, acts: bool) -> Duration {
        self.now += STEP;
        let now = self.now;
        for (index, member) in self.members.iter_mut().enumerate() {
            if let (true, Some(seat)) = (acts, member.seat) {
                let input = messagepack::encode(&Packed::Input([index as u8; INPUT_LEN])).unwrap();
                member.core.latest(seat, input.into()).expect("one a tick");
            }
        }
        self.collect();
        let mut start = Instant::now();
        for (from, datagram) in &mut self.up {
            self.shard.handle_datagram(*from, datagram, now);
        }
        if !acts {
            // Their acknowledgements are no part of a fan-out.
            start = Instant::now();
        }
        self.shard.turn(now);
        while let Some(to) = self.shard.poll_transmit(&mut self.down, now) {
            self.parts.push((to, self.down.len()));
        }
        let taken = start.elapsed();
        self.deliver();
        taken
    }

    /// What the members have to send.
    fn collect(&mut self) {
        self.up.clear();
        for (index, member) in self.members.iter_mut().enumerate() {
            member.core.handle_timeout(self.now);
            let mut datagram = Vec::new();
            while member.core.poll_transmit(&mut datagram, self.now) {
                self.up
                    .push((address(index), std::mem::take(&mut datagram)));
            }
        }
    }

    fn deliver(&mut self) {
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
