//! Inputs on their way up, and what the room's cursor does to them.

use bytes::Bytes;
use rejoin_protocol::SizeError;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::{INPUT_MAX, INPUTS_KEPT_BYTES_MAX, INPUTS_KEPT_MAX};
use rejoin_protocol::message::{Answer, Seated, ServerMessage};
use rejoin_protocol::room_message::SnapshotHead;
use rejoin_protocol::{ConnectionEvent, Refusal, RefusalCode, RoomId, SeatId};

use super::duet::{Duet, head, seated};
use crate::Event;

const SEAT: SeatId = SeatId(1);

fn input(number: u64) -> (SeatId, u64, Bytes) {
    (SEAT, number, Bytes::from(format!("input {number}")))
}

/// Sends inputs until `last`.
fn send_to(duet: &mut Duet, last: u64) {
    loop {
        let number = duet.core.cursor(SEAT).unwrap();
        let (seat, next, payload) = input(number + 1);
        if next > last {
            return;
        }
        assert_eq!(duet.core.send(seat, payload), Ok(next));
        cover(duet, next);
    }
}

/// The room says that it has applied inputs.
fn cover(duet: &mut Duet, cursor: u64) {
    let head = SnapshotHead {
        cursor,
        ..head(cursor)
    };
    duet.show(SEAT, &head, Bytes::from_static(b"view"));
    duet.exchange();
}

#[test]
fn reliable_inputs_count_from_one_and_arrive_in_order() {
    let mut duet = Duet::seated();
    for number in 1..=3 {
        let (seat, number, payload) = input(number);
        assert_eq!(duet.core.send(seat, payload), Ok(number));
    }
    assert_eq!(duet.take_inputs(), [input(1), input(2), input(3)]);
    assert_eq!(duet.core.cursor(SEAT), Some(0));
    cover(&mut duet, 2);
    assert_eq!(duet.core.cursor(SEAT), Some(2));
}

#[test]
fn inputs_go_on_where_the_room_says_the_session_stood() {
    let mut duet = Duet::connected();
    duet.take_seat(Seated {
        cursor: 41,
        ..seated(SEAT, 7)
    });
    assert_eq!(duet.core.cursor(SEAT), Some(41));
    let (seat, number, payload) = input(42);
    assert_eq!(duet.core.send(seat, payload), Ok(number));
    assert_eq!(duet.take_inputs(), [input(42)]);
}

#[test]
fn lost_packets_do_not_lose_inputs() {
    let mut duet = Duet::seated();
    let (seat, _, payload) = input(1);
    duet.core.send(seat, payload).unwrap();
    drop(duet.client_datagrams());
    duet.advance(std::time::Duration::from_secs(2));
    assert_eq!(duet.take_inputs(), [input(1)]);
}

#[test]
fn inputs_are_kept_until_the_room_covers_them_and_not_only_until_they_arrive() {
    let mut duet = Duet::seated();
    for _ in 0..INPUTS_KEPT_MAX {
        duet.core.send(SEAT, Bytes::from_static(b"x")).unwrap();
        duet.exchange();
    }
    duet.advance(std::time::Duration::from_secs(1));
    assert_eq!(duet.take_inputs().len(), INPUTS_KEPT_MAX);
    assert_eq!(
        duet.core.send(SEAT, Bytes::new()),
        Err(SendError::QueueFull)
    );
    cover(&mut duet, 1);
    assert!(duet.core.send(SEAT, Bytes::new()).is_ok());
}

#[test]
fn kept_bytes_are_bounded() {
    let mut duet = Duet::seated();
    let largest = Bytes::from(vec![0; INPUT_MAX]);
    for _ in 0..INPUTS_KEPT_BYTES_MAX / INPUT_MAX {
        duet.core.send(SEAT, largest.clone()).unwrap();
    }
    assert_eq!(
        duet.core.send(SEAT, Bytes::from_static(b"x")),
        Err(SendError::QueueFull)
    );
}

#[test]
fn inputs_that_are_too_long_or_for_no_seat_are_refused() {
    let mut duet = Duet::seated();
    let len = INPUT_MAX + 1;
    let too_long = SendError::Size(SizeError {
        what: "bytes of an input",
        given: len,
        least: 0,
        most: INPUT_MAX,
    });
    assert_eq!(duet.core.send(SEAT, vec![0; len].into()), Err(too_long));
    assert_eq!(duet.core.latest(SEAT, vec![0; len].into()), Err(too_long));
    assert_eq!(
        duet.core.send(SeatId(2), Bytes::new()),
        Err(SendError::Closed)
    );
    assert_eq!(
        duet.core.latest(SeatId(2), Bytes::new()),
        Err(SendError::Closed)
    );
    assert_eq!(duet.take_inputs(), []);
}

#[test]
fn latest_inputs_travel_under_the_seats_key_and_the_newest_wins() {
    let mut duet = Duet::seated();
    duet.core.latest(SEAT, Bytes::from_static(b"left")).unwrap();
    duet.core
        .latest(SEAT, Bytes::from_static(b"right"))
        .unwrap();
    duet.exchange();
    let latest: Vec<_> = duet
        .heard
        .iter()
        .filter(|event| matches!(event, ConnectionEvent::Latest { .. }))
        .cloned()
        .collect();
    let message = Bytes::from_static(b"right");
    assert_eq!(
        latest,
        [ConnectionEvent::Latest {
            key: SEAT.0,
            message
        }]
    );
}

#[test]
fn a_seat_found_again_under_its_name_sends_nothing_twice() {
    let mut duet = Duet::seated();
    send_to(&mut duet, 2);
    let (seat, _, payload) = input(3);
    duet.core.send(seat, payload).unwrap();
    duet.take_inputs();
    duet.take_events();
    duet.take_seat(Seated {
        cursor: 2,
        found: true,
        ..seated(SEAT, 7)
    });
    assert_eq!(duet.take_inputs(), []);
    let (seat, number, payload) = input(4);
    assert_eq!(duet.core.send(seat, payload), Ok(number));
}

#[test]
fn a_seat_found_again_under_another_name_sends_what_is_not_covered() {
    let mut duet = Duet::seated();
    for number in 1..=4 {
        let (seat, _, payload) = input(number);
        duet.core.send(seat, payload).unwrap();
    }
    duet.take_inputs();
    let renamed = Seated {
        cursor: 2,
        found: true,
        ..seated(SeatId(5), 7)
    };
    duet.take_seat(renamed);
    let again = |number| (SeatId(5), number, input(number).2);
    assert_eq!(duet.take_inputs(), [again(3), again(4)]);
    assert_eq!(duet.core.cursor(SEAT), None);
    assert_eq!(duet.core.send(SeatId(5), again(5).2), Ok(5));
    assert_eq!(duet.take_inputs(), [again(5)]);
}

#[test]
fn a_refused_input_is_told_with_its_number() {
    let mut duet = Duet::seated();
    let refusal = Refusal::new(RefusalCode::RoomFailed, "logic failed");
    let refused = |seat| ServerMessage::InputRefused {
        seat,
        number: 1,
        refusal: refusal.clone(),
    };
    duet.tell(&refused(SEAT));
    // News of a seat that is not ours is passed over.
    duet.tell(&refused(SeatId(9)));
    duet.exchange();
    let event = Event::InputRefused {
        seat: SEAT,
        number: 1,
        refusal,
    };
    assert_eq!(duet.take_events(), [event]);
}

#[test]
fn numbers_of_one_seat_do_not_touch_those_of_another() {
    let mut duet = Duet::seated();
    duet.take_seat(seated(SeatId(2), 8));
    assert_eq!(duet.core.send(SEAT, Bytes::new()), Ok(1));
    assert_eq!(duet.core.send(SeatId(2), Bytes::new()), Ok(1));
    assert_eq!(duet.core.send(SEAT, Bytes::new()), Ok(2));
    let call = duet.core.join(RoomId([9; 16])).unwrap();
    duet.answer(call, Ok(Answer::Seated(seated(SeatId(3), 9))));
    duet.exchange();
    assert_eq!(duet.core.send(SeatId(3), Bytes::new()), Ok(1));
}
