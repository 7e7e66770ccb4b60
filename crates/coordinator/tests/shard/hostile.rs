//! Peers who hold keys and break the rules, and datagrams from nowhere.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::limits::{AEAD_FAILURES_MAX, DATAGRAM_MAX, INPUT_MAX};
use rejoin_protocol::message::{ClientMessage, Held};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{CloseReason, Limit, Rng, SeatId, Timestamp};

use crate::raw::{ADDRESS, Raw, handshake, shard};
use crate::rooms::Act;

#[test]
fn a_gap_in_the_numbers_ends_the_connection_and_keeps_the_seat() {
    let mut raw = Raw::join();
    let seat = raw.create().seat;
    raw.input(seat, 1, Act::Add(1).encode());
    assert_eq!((raw.closed(), raw.shard.stats().inputs), (None, 1));
    raw.input(seat, 3, Act::Add(1).encode());
    assert_eq!(raw.closed(), Some(CloseReason::ProtocolViolation));
    let stats = raw.shard.stats();
    assert_eq!((stats.inputs, stats.sessions, stats.rooms), (1, 1, 1));
}

#[test]
fn a_repeated_number_is_dropped_and_harmless() {
    let mut raw = Raw::join();
    let seat = raw.create().seat;
    for number in [1, 1, 2, 1, 2, 3] {
        raw.input(seat, number, Act::Add(1).encode());
    }
    assert_eq!((raw.closed(), raw.shard.stats().inputs), (None, 3));
}

#[test]
fn an_input_for_a_seat_not_held_is_ignored_and_counted() {
    let mut raw = Raw::join();
    raw.input(SeatId(9), 4, Act::Add(1).encode());
    raw.connection
        .send_latest(9, &[], Bytes::from_static(b"x"), None)
        .unwrap();
    raw.run();
    assert_eq!((raw.closed(), raw.shard.stats().inputs_ignored), (None, 2));
}

#[test]
fn an_input_beyond_the_bound_ends_the_connection() {
    let mut raw = Raw::join();
    let seat = raw.create().seat;
    raw.input(seat, 1, vec![0; INPUT_MAX].into());
    assert_eq!(raw.closed(), None);
    raw.input(seat, 2, vec![0; INPUT_MAX + 1].into());
    assert_eq!(raw.closed(), Some(CloseReason::ProtocolViolation));
}

#[test]
fn senseless_messages_end_the_connection() {
    let event = RoomMessage::Event {
        seat: SeatId(0),
        number: 1,
        payload: Bytes::new(),
    };
    for message in [Bytes::from_static(&[77]), Bytes::new(), event.encode()] {
        let mut raw = Raw::join();
        raw.say(message);
        assert_eq!(raw.closed(), Some(CloseReason::ProtocolViolation));
    }
    let mut raw = Raw::join();
    raw.connection
        .send_control(Bytes::from_static(&[0xc1]))
        .unwrap();
    raw.run();
    assert_eq!(raw.closed(), Some(CloseReason::ProtocolViolation));
}

#[test]
fn a_flood_of_requests_ends_the_connection() {
    let mut raw = Raw::join();
    for call in 0..200 {
        raw.ask(&ClientMessage::List {
            call,
            kind: None,
            filters: vec![],
            max: 64,
        });
    }
    raw.run();
    assert_eq!(raw.closed(), Some(CloseReason::OverLimit(Limit::Requests)));
}

#[test]
fn datagrams_from_nowhere_get_no_answer_and_leave_nothing() {
    let mut shard = shard();
    let mut rng = Rng::from_number(9);
    let now = Timestamp::from_millis(1);
    for round in 0..2_000 {
        let len = usize::try_from(rng.below(1_300)).unwrap();
        let mut bytes = vec![0; len];
        rng.fill(&mut bytes);
        if round % 2 == 0 {
            // A hello with the wrong insides.
            let hello = handshake();
            bytes = hello.hello().to_vec();
            let place = usize::try_from(rng.below(u64::try_from(bytes.len()).unwrap())).unwrap();
            bytes[place] ^= 1 << rng.below(8);
        }
        shard.expect(std::iter::once(&bytes[..]));
        shard.handle_datagram(SocketAddr::from(ADDRESS), &mut bytes, now);
        shard.turn(now);
        let mut answer = Vec::new();
        while shard.poll_transmit(&mut answer, now).is_some() {
            assert!(
                answer.len() < DATAGRAM_MAX,
                "only a version is answered, with less"
            );
            answer.clear();
        }
    }
    shard.check_invariants();
    let stats = shard.stats();
    assert_eq!((stats.sessions, stats.joins), (0, 0));
}

#[test]
fn the_same_hello_gets_the_same_bytes() {
    let (mut shard, now) = (shard(), Timestamp::from_millis(1));
    let hello = handshake();
    let mut answers = Vec::new();
    for _ in 0..3 {
        shard.handle_datagram(SocketAddr::from(ADDRESS), &mut hello.hello().to_vec(), now);
        let mut answer = Vec::new();
        shard.poll_transmit(&mut answer, now).unwrap();
        assert!(answer.len() <= hello.hello().len());
        answers.push(answer);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    shard.check_invariants();
}

#[test]
fn a_packet_that_was_overtaken_does_not_move_the_peer() {
    let mut raw = Raw::join();
    let mut packets = Vec::new();
    for call in 0..2 {
        raw.ask(&ClientMessage::List {
            call,
            kind: None,
            filters: vec![],
            max: 1,
        });
        let mut packet = Vec::new();
        assert!(raw.connection.poll_transmit(&mut packet, raw.now));
        packets.push(packet);
    }
    let [new, old] = [10, 11].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    raw.shard.handle_datagram(new, &mut packets[1], raw.now);
    assert!(raw.sent().iter().any(|(to, _)| *to == new), "a challenge");
    raw.now += Duration::from_millis(200);
    raw.shard.handle_datagram(old, &mut packets[0], raw.now);
    assert_eq!(raw.shard.stats().dropped, 0, "it is good");
    assert!(raw.sent().iter().all(|(to, _)| *to != old));
}

#[test]
fn forgeries_from_elsewhere_neither_move_the_peer_nor_end_it() {
    let mut raw = Raw::join();
    raw.ask(&ClientMessage::List {
        call: 0,
        kind: None,
        filters: vec![],
        max: 1,
    });
    let mut genuine = Vec::new();
    assert!(raw.connection.poll_transmit(&mut genuine, raw.now));
    let elsewhere = SocketAddr::from(([127, 0, 0, 1], 10));
    let mut attempt = genuine.clone();
    let bits = u64::try_from(genuine.len() * 8).unwrap();
    for round in 0..AEAD_FAILURES_MAX + 1_000 {
        attempt.copy_from_slice(&genuine);
        // Every bit once, those of the label too; then the tag, as often as would wear the key.
        let bit = usize::try_from(round.min(bits - 1)).unwrap();
        attempt[bit / 8] ^= 1 << (bit % 8);
        raw.shard.handle_datagram(elsewhere, &mut attempt, raw.now);
    }
    let home = SocketAddr::from(ADDRESS);
    raw.shard.turn(raw.now);
    raw.shard.handle_datagram(home, &mut genuine, raw.now);
    raw.shard.turn(raw.now);
    let mut answer = Vec::new();
    assert_eq!(raw.shard.poll_transmit(&mut answer, raw.now), Some(home));
    assert_eq!(raw.shard.stats().sessions, 1);
}

impl Raw {
    /// Everything that the shard sends now, by where it goes.
    fn sent(&mut self) -> Vec<(SocketAddr, usize)> {
        self.shard.turn(self.now);
        self.shard.check_invariants();
        let (mut sent, mut bytes) = (Vec::new(), Vec::new());
        while let Some(to) = self.shard.poll_transmit(&mut bytes, self.now) {
            sent.push((to, bytes.len()));
            let _ = self.connection.handle_datagram(&mut bytes, self.now);
            bytes.clear();
        }
        sent
    }

    /// Sends what the connection has to say from somewhere.
    fn speak(&mut self, from: SocketAddr) {
        let mut bytes = Vec::new();
        self.connection.handle_timeout(self.now);
        while self.connection.poll_transmit(&mut bytes, self.now) {
            self.shard.handle_datagram(from, &mut bytes, self.now);
            bytes.clear();
        }
    }
}

#[test]
fn a_session_moves_only_once_its_client_has_answered_from_the_new_address() {
    let mut raw = Raw::join();
    raw.create();
    let home = SocketAddr::from(ADDRESS);
    let away = SocketAddr::from(([127, 0, 0, 77], 7));
    raw.connection.set_heartbeat(Duration::from_millis(500));
    raw.run();
    raw.now += Duration::from_millis(600);
    raw.speak(away);
    let first = raw.sent();
    let challenges = first.iter().filter(|(to, _)| *to == away);
    assert_eq!(challenges.count(), 1, "{first:?}");
    assert!(first.iter().all(|(to, len)| *to == home || *len <= 40));

    // The answer is on its way; until it arrives everything goes on to the path in use.
    raw.now += Duration::from_millis(600);
    assert!(raw.sent().iter().all(|(to, _)| *to == home));
    raw.speak(away);
    raw.now += Duration::from_millis(600);
    let after = raw.sent();
    assert!(
        !after.is_empty() && after.iter().all(|(to, _)| *to == away),
        "{after:?}"
    );
}

#[test]
fn an_answer_from_elsewhere_than_the_new_address_moves_nothing() {
    let mut raw = Raw::join();
    raw.create();
    let home = SocketAddr::from(ADDRESS);
    let observer = SocketAddr::from(([127, 0, 0, 77], 7));
    raw.connection.set_heartbeat(Duration::from_millis(500));
    raw.run();
    raw.now += Duration::from_millis(600);
    // It is faster than the client with the client's own packet, and passes the challenge on.
    raw.speak(observer);
    assert!(raw.sent().iter().any(|(to, _)| *to == observer));
    for _ in 0..3 {
        raw.now += Duration::from_millis(10);
        raw.speak(home);
        assert!(raw.sent().iter().all(|(to, _)| *to == home));
    }
    raw.now += Duration::from_millis(600);
    let after = raw.sent();
    assert!(!after.is_empty() && after.iter().all(|(to, _)| *to == home));
}

#[test]
fn nothing_is_sent_to_an_address_that_is_no_single_host() {
    let places = [
        "224.0.0.1:9",
        "255.255.255.255:9",
        "0.0.0.0:9",
        "127.0.0.9:0",
        "[ff02::1]:9",
        "[::]:9",
        "[::ffff:224.0.0.1]:9",
    ];
    let mut raw = Raw::join();
    raw.create();
    raw.connection.set_heartbeat(Duration::from_millis(100));
    raw.run();
    for place in places {
        let place: SocketAddr = place.parse().unwrap();
        let mut hello = handshake().hello().to_vec();
        raw.shard.handle_datagram(place, &mut hello, raw.now);
        raw.now += Duration::from_millis(600);
        raw.speak(place);
        let sent = raw.sent();
        assert!(sent.iter().all(|(to, _)| *to != place), "{place}: {sent:?}");
    }
    let stats = raw.shard.stats();
    assert!(stats.dropped >= 2 * 7, "{stats:?}");
}

#[test]
fn a_relay_that_never_answers_makes_the_shard_send_it_little() {
    let mut raw = Raw::join();
    raw.create();
    raw.connection.set_heartbeat(Duration::from_millis(100));
    raw.run();
    let relay = SocketAddr::from(([127, 0, 0, 66], 6));
    let (mut up, mut down, mut at_once) = (0, 0, 0);
    for call in 0..400 {
        raw.now += Duration::from_millis(25);
        let mut bytes = Vec::new();
        raw.ask(&ClientMessage::List {
            call,
            kind: None,
            filters: vec![],
            max: 1,
        });
        raw.connection.handle_timeout(raw.now);
        while raw.connection.poll_transmit(&mut bytes, raw.now) {
            up += 1;
            raw.shard.handle_datagram(relay, &mut bytes, raw.now);
            bytes.clear();
        }
        raw.shard.turn(raw.now);
        while let Some(to) = raw.shard.poll_transmit(&mut bytes, raw.now) {
            // What goes to the relay never reaches the client.
            if to == relay {
                assert!(bytes.len() <= 40);
                down += 1;
                at_once += usize::from(call < 8);
            } else {
                let _ = raw.connection.handle_datagram(&mut bytes, raw.now);
            }
            bytes.clear();
        }
    }
    assert!(up >= 400, "{up}");
    // One in 100 ms, over 10 s, and four at once.
    assert!((95..=104).contains(&down), "{down} challenges");
    assert_eq!(at_once, 5, "within 200 ms");
    assert_eq!(raw.shard.stats().sessions, 1);
}

#[test]
fn a_client_that_claims_more_than_a_record_can_say_is_not_believed_and_harms_nobody() {
    let mut raw = Raw::join();
    let seated = raw.create();
    raw.input(seated.seat, 1, Act::Add(1).encode());
    let mut raw = raw.rejoin_after_a_loss();
    raw.ask(&ClientMessage::Return {
        call: 1,
        room: seated.room,
        seat: seated.seat,
        held: Held {
            stay: seated.stay,
            event: u64::MAX,
            input: u64::MAX,
            snapshot: None,
        },
    });
    raw.run();
    assert_eq!(raw.seated().map(|seated| seated.cursor), Some(1));
    raw.input(seated.seat, 2, Act::Add(1).encode());
    assert_eq!((raw.closed(), raw.shard.stats().inputs), (None, 1));
}
