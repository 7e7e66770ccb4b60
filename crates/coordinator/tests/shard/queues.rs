//! What peers make a shard hold between two turns. Every bound is checked after every datagram, by
//! `Shard::check_invariants`.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_client::Event;
use rejoin_protocol::connection::OrderedStream;
use rejoin_protocol::limits::LOADING_MAX;
use rejoin_protocol::message::{ClientMessage, RoomSettings, Seated, ServerMessage};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{CloseReason, Limit, RefusalCode, RequestId, Rng, RoomId, SeatId};

use crate::intruder::Intruder;
use crate::rooms::Act;
use crate::world::{World, seated};

fn outside(number: usize) -> SocketAddr {
    let [.., a, b] = u32::try_from(number).unwrap().to_be_bytes();
    SocketAddr::from(([198, 51, a, b], 9))
}

/// Sends something that a member may send, in a datagram of its own, on any stream.
fn send(peer: &mut Intruder, seated: &Seated, numbers: &mut u64, rng: &mut Rng) {
    let (seat, room) = (seated.seat, seated.room);
    match rng.below(20) {
        0 => peer.ask(&ClientMessage::Join {
            call: 9,
            room,
            held: None,
        }),
        1 => peer.ask(&ClientMessage::Resync { seat }),
        2 => peer.ask(&ClientMessage::Leave {
            call: 9,
            seat: SeatId(60),
        }),
        3 => peer.connection.loading(LOADING_MAX),
        4 => peer.connection.loaded(),
        5 | 6 => {
            let body = Act::Add(1).encode();
            let _ = peer.connection.send_latest(seat.0, &[], body, None);
        }
        _ => {
            let stream = OrderedStream::ALL[rng.index(4)];
            let (number, payload) = (*numbers + 1, Act::Add(1).encode());
            let message = RoomMessage::Input {
                seat,
                number,
                payload,
            };
            let sent = peer
                .connection
                .send_ordered_on(stream, message.encode(), None);
            *numbers += u64::from(sent.is_ok());
        }
    }
}

#[test]
fn whatever_a_member_sends_between_two_turns_is_bounded_or_ends_it() {
    let mut reasons = Vec::new();
    for seed in 0..12 {
        let mut rng = Rng::from_number(seed);
        let mut world = World::new();
        let ana = world.player("ana");
        let room = world.create(ana, "mill", 1);
        let mut peer = Intruder::join(&mut world, "mallory", outside(1));
        let seated = peer.enter(&mut world, room.room);
        let mut numbers = 0;
        while peer.closed().is_none() {
            for _ in 0..rng.below(1_500) {
                send(&mut peer, &seated, &mut numbers, &mut rng);
                peer.flush(&mut world);
                world.shard.check_invariants();
            }
            peer.step(&mut world);
            assert!(world.now.as_millis() < 60_000, "it goes on for ever");
        }
        reasons.extend(peer.closed());
        world.run(Duration::from_secs(1));
        assert!(world.players[ana].core.cursor(room.seat).is_some());
        let ended = |event: &Event| matches!(event, Event::Ended(_));
        assert!(!world.events(ana).iter().any(ended), "nobody else pays");
    }
    for limit in [Limit::Inputs, Limit::Requests] {
        assert!(
            reasons.contains(&CloseReason::OverLimit(limit)),
            "{reasons:?}"
        );
    }
}

/// Milliseconds of the world with all of them.
fn step_all(peers: &mut [Intruder], world: &mut World, steps: u32) {
    for _ in 0..steps {
        for peer in &mut *peers {
            peer.connection.handle_timeout(world.now);
            peer.flush(world);
        }
        world.step();
        for (to, bytes) in &mut world.strays {
            if let Some(peer) = peers.iter_mut().find(|peer| peer.address == *to) {
                let _ = peer.connection.handle_datagram(bytes, world.now);
            }
        }
        for peer in &mut *peers {
            peer.events
                .extend(std::iter::from_fn(|| peer.connection.poll_event()));
        }
    }
}

/// How many requests were granted, and how many refused as too many.
fn answers(peers: &[Intruder]) -> (usize, usize) {
    let (mut granted, mut refused) = (0, 0);
    for message in peers.iter().flat_map(Intruder::told) {
        let ServerMessage::Reply { result, .. } = message else {
            continue;
        };
        match result {
            Ok(_) => granted += 1,
            Err(refusal) => {
                assert_eq!(refusal.code, RefusalCode::LimitReached);
                refused += 1;
            }
        }
    }
    (granted, refused)
}

#[test]
fn of_all_who_ask_for_their_seats_at_once_a_room_hears_only_so_many() {
    const CALLS_MAX: usize = 4_096;
    let mut rng = Rng::from_number(1);
    let mut world = World::new();
    let ana = world.player("ana");
    let settings = RoomSettings {
        members_max: 100,
        ..RoomSettings::default()
    };
    let request = RequestId([1; 16]);
    let room = seated(world.ask(ana, |core| core.create(request, "yard", settings))).room;
    let join = |number| Intruder::join(&mut world, &format!("p{number}"), outside(number));
    let mut peers: Vec<_> = (0..80).map(join).collect();
    let ask = |peer: &mut Intruder, times: usize| {
        for _ in 0..times {
            peer.ask(&ClientMessage::Join {
                call: 1,
                room,
                held: None,
            });
        }
        times
    };
    for peer in &mut peers {
        ask(peer, 1);
    }
    step_all(&mut peers, &mut world, 100);
    assert_eq!(answers(&peers), (80, 0));
    let asked = peers.iter_mut().map(|peer| ask(peer, 58 + rng.index(7)));
    let asked: usize = asked.sum();
    step_all(&mut peers, &mut world, 2_000);
    let (granted, refused) = answers(&peers);
    let again = granted - 80;
    assert_eq!((again, again + refused), (CALLS_MAX, asked));
}

/// Players of one address, and a room of theirs that a player who hears nothing for a while is in.
fn crowd(world: &mut World) -> (usize, RoomId, Vec<Intruder>) {
    let ana = world.player("ana");
    let settings = RoomSettings {
        members_max: 100,
        ..RoomSettings::default()
    };
    let request = RequestId([1; 16]);
    let room = seated(world.ask(ana, |core| core.create(request, "mill", settings))).room;
    let address = |number| SocketAddr::from(([198, 51, 100, 1], number));
    let join = |number| Intruder::join(world, &format!("p{number}"), address(number));
    let peers = (1..=64).map(join).collect();
    // A hiccup of the radio, in which nothing reaches her.
    world.players[ana].deaf = true;
    (ana, room, peers)
}

/// How many changes of seats she was told once she hears again. She is still there.
fn told_of_seats(world: &mut World, ana: usize, peers: &mut [Intruder]) -> usize {
    world.players[ana].deaf = false;
    step_all(peers, world, 3_000);
    let ended = |event: &Event| matches!(event, Event::Ended(_));
    assert!(!world.events(ana).iter().any(ended), "nobody else pays");
    let told = world.events(ana).iter();
    told.filter(|event| matches!(event, Event::Seat { .. }))
        .count()
}

#[test]
fn a_crowd_of_one_address_that_comes_and_goes_costs_no_member_its_connection() {
    let mut world = World::new();
    let (ana, room, mut peers) = crowd(&mut world);
    for seat in (0..40).map(SeatId) {
        for message in [
            ClientMessage::Join {
                call: 1,
                room,
                held: None,
            },
            ClientMessage::Leave { call: 1, seat },
        ] {
            peers.iter_mut().for_each(|peer| peer.ask(&message));
            step_all(&mut peers, &mut world, 10);
        }
    }
    let told = told_of_seats(&mut world, ana, &mut peers);
    assert!((2_000..2_300).contains(&told), "told {told} times");
}

#[test]
fn a_crowd_that_loads_and_asks_for_its_seats_again_and_again_is_told_of_once() {
    let mut world = World::new();
    let (ana, room, mut peers) = crowd(&mut world);
    for round in 0..60 {
        for peer in &mut peers {
            if round == 1 {
                peer.connection.loading(LOADING_MAX);
            }
            peer.ask(&ClientMessage::Join {
                call: 1,
                room,
                held: None,
            });
        }
        step_all(&mut peers, &mut world, 10);
    }
    let told = told_of_seats(&mut world, ana, &mut peers);
    assert_eq!(told, 2 * peers.len(), "that they came, and that they load");
}
