//! A client that lost its connection has its seats again on the next one: nothing is told twice or lost unsaid.

use bytes::Bytes;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::INPUTS_KEPT_MAX;
use rejoin_protocol::message::{
    Answer, ClientMessage, Held, HeldSnapshot, RoomCloseReason, Seated,
};
use rejoin_protocol::room_message::{RoomMessage, SnapshotHead};
use rejoin_protocol::{ConnectionEvent, RoomId, SeatId, Stay, snapshot};

use super::duet::{Duet, delta_head, head, room_event, seated};
use crate::Event;

const SEAT: SeatId = SeatId(1);
const ROOM: RoomId = RoomId([7; 16]);

fn view(fill: u8) -> Bytes {
    let mut view = vec![7; 300];
    view[150] = fill;
    view.into()
}

fn show(duet: &mut Duet, sequence: u64, fill: u8) {
    duet.show(SEAT, &head(sequence), view(fill));
    duet.exchange();
}

fn input(number: u64) -> Bytes {
    Bytes::from(format!("input {number}"))
}

/// The seat as it is found again.
fn found(seat: SeatId, room: u8) -> Seated {
    Seated {
        created: false,
        found: true,
        ..seated(seat, room)
    }
}

/// A seat taken after that one was given up.
fn anew(seat: SeatId, room: u8) -> Seated {
    Seated {
        stay: Stay(2),
        ..seated(seat, room)
    }
}

/// The client has a new connection, with the seats of the one before.
fn reconnect(duet: &mut Duet) {
    let mut seats = std::mem::take(&mut duet.core.active().unwrap().seats);
    for seat in seats.values_mut() {
        seat.on_connection_lost();
    }
    *duet = Duet::connected();
    duet.core.active().unwrap().seats = seats;
}

/// The client asks for room 7 and is told this; gives what it told the room and what the game is told after.
fn come_back(duet: &mut Duet, answer: Seated) -> (Option<Held>, Vec<Event>) {
    let call = duet.core.join(answer.room).unwrap();
    let asked = duet.take_requests();
    let [ClientMessage::Join { held, .. }] = asked[..] else {
        panic!("{asked:?}");
    };
    let result = Ok(Answer::Seated(answer));
    duet.answer(call, result.clone());
    duet.exchange();
    let mut events = duet.take_events();
    let answer = Event::Answer { call, result };
    let at = events.iter().position(|event| *event == answer);
    events.remove(at.expect("the game has its answer"));
    (held, events)
}

fn missed(count: u64) -> Event {
    Event::EventsMissed { seat: SEAT, count }
}

#[test]
fn who_asks_for_a_seat_it_has_says_what_it_holds_of_it() {
    let mut duet = Duet::seated();
    let held = |event, snapshot| {
        let stay = Stay(1);
        Some(Held {
            stay,
            event,
            input: 0,
            snapshot,
        })
    };
    assert_eq!(come_back(&mut duet, found(SEAT, 7)).0, held(0, None));
    duet.emit(SEAT, 1);
    duet.emit(SEAT, 2);
    show(&mut duet, 5, 5);
    show(&mut duet, 4, 4);
    let private = SnapshotHead {
        private: true,
        ..head(9)
    };
    duet.show(SEAT, &private, view(9));
    duet.exchange();
    let newest = HeldSnapshot {
        sequence: 5,
        check: snapshot::check(&view(5)),
    };
    duet.take_events();
    assert_eq!(
        come_back(&mut duet, found(SEAT, 7)).0,
        held(2, Some(newest))
    );
    reconnect(&mut duet);
    assert_eq!(
        come_back(&mut duet, found(SEAT, 7)).0,
        held(2, Some(newest))
    );
    let other = seated(SeatId(2), 8);
    assert_eq!(come_back(&mut duet, other).0, None);
}

#[test]
fn inputs_that_are_not_covered_go_out_again_with_those_that_waited() {
    let mut duet = Duet::seated();
    for number in 1..=3 {
        assert_eq!(duet.core.send(SEAT, input(number)), Ok(number));
    }
    duet.take_inputs();
    reconnect(&mut duet);
    assert_eq!(duet.core.send(SEAT, input(4)), Ok(4));
    duet.core.latest(SEAT, Bytes::from_static(b"now")).unwrap();
    assert_eq!(duet.take_inputs(), [], "the room has not answered");
    let answer = Seated {
        cursor: 2,
        ..found(SEAT, 7)
    };
    come_back(&mut duet, answer);
    let sent = [3, 4].map(|number| (SEAT, number, input(number)));
    assert_eq!(duet.take_inputs(), sent);
    let latest = |event: &ConnectionEvent| matches!(event, ConnectionEvent::Latest { .. });
    assert!(!duet.heard.iter().any(latest), "a newer one follows");
    duet.core.latest(SEAT, Bytes::from_static(b"now")).unwrap();
    duet.exchange();
    assert!(duet.heard.iter().any(latest));
    assert_eq!(duet.core.send(SEAT, input(5)), Ok(5));
    assert_eq!(duet.take_inputs(), [(SEAT, 5, input(5))]);
}

#[test]
fn inputs_that_wait_are_bounded_as_all_are() {
    let mut duet = Duet::seated();
    reconnect(&mut duet);
    for _ in 0..INPUTS_KEPT_MAX {
        duet.core.send(SEAT, Bytes::new()).unwrap();
    }
    assert_eq!(
        duet.core.send(SEAT, Bytes::new()),
        Err(SendError::QueueFull)
    );
    assert_eq!(
        duet.core.latest(SeatId(2), Bytes::new()),
        Err(SendError::Closed)
    );
}

#[test]
fn each_event_is_told_once_over_two_connections() {
    let mut duet = Duet::seated();
    for number in 1..=5 {
        duet.emit(SEAT, number);
    }
    duet.exchange();
    assert_eq!(duet.take_events().len(), 5);
    reconnect(&mut duet);
    // Of the acknowledgements only the first two arrived, and the room was not told what the client holds.
    let answer = Seated {
        event: 2,
        ..found(SEAT, 7)
    };
    assert_eq!(come_back(&mut duet, answer).1, []);
    for number in 3..=7 {
        duet.emit(SEAT, number);
    }
    duet.exchange();
    assert_eq!(
        duet.take_events(),
        [room_event(SEAT, 6), room_event(SEAT, 7)]
    );
}

#[test]
fn what_overtakes_the_answer_on_the_next_connection_waits_for_it() {
    let mut duet = Duet::seated();
    duet.emit(SEAT, 1);
    show(&mut duet, 1, 1);
    duet.take_events();
    reconnect(&mut duet);
    let call = duet.core.join(ROOM).unwrap();
    duet.take_requests();
    // What lies between will never come, as the answer says.
    show(&mut duet, 12, 2);
    duet.emit(SEAT, 10);
    duet.exchange();
    assert_eq!(duet.take_events(), []);
    let answer = Seated {
        event: 9,
        events_dropped: 8,
        ..found(SEAT, 7)
    };
    duet.answer(call, Ok(Answer::Seated(answer)));
    duet.exchange();
    let events = duet.take_events();
    assert_eq!(events[1], missed(8));
    assert!(events.contains(&room_event(SEAT, 10)), "{events:?}");
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::View { sequence: 12, .. }))
    );
    assert_eq!(events.len(), 4);
}

#[test]
fn what_never_comes_is_told_to_a_relaunched_client_too_and_in_the_midst() {
    let mut duet = Duet::connected();
    let answer = Seated {
        event: 20,
        events_dropped: 3,
        ..found(SEAT, 7)
    };
    assert_eq!(come_back(&mut duet, answer).1, [missed(3)]);
    duet.emit(SEAT, 21);
    for number in [25, 25, 23] {
        let message = RoomMessage::Missed { seat: SEAT, number };
        duet.server().send_ordered(message.encode(), None).unwrap();
    }
    duet.emit(SEAT, 26);
    duet.exchange();
    let expected = [room_event(SEAT, 21), missed(4), room_event(SEAT, 26)];
    assert_eq!(duet.take_events(), expected);
}

#[test]
fn the_next_view_builds_on_one_of_the_connection_before() {
    let mut duet = Duet::seated();
    show(&mut duet, 5, 5);
    // One that cannot be used: a whole one is asked for, and the connection is lost.
    let body = snapshot::delta(&view(6), &view(7)).unwrap();
    duet.show(SEAT, &delta_head(6, 7, &view(7)), body);
    duet.lose_up = true;
    duet.exchange();
    reconnect(&mut duet);
    duet.advance(std::time::Duration::from_secs(1));
    assert_eq!(duet.take_requests(), [], "there is nobody to ask yet");
    come_back(&mut duet, found(SEAT, 7));
    duet.advance(std::time::Duration::from_secs(1));
    assert_eq!(duet.take_requests(), [], "it builds on what is held");
    let body = snapshot::delta(&view(5), &view(8)).unwrap();
    duet.show(SEAT, &delta_head(5, 8, &view(8)), body);
    duet.exchange();
    let events = duet.take_events();
    let [
        Event::View {
            sequence: 8,
            view: shown,
            full: false,
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(*shown, view(8));
}

/// A seat has another name only if it is another stay: the session gave it back and took it anew.
#[test]
fn a_seat_that_comes_under_another_name_is_not_the_one_that_was_lost() {
    let mut duet = Duet::seated();
    duet.core.send(SEAT, input(1)).unwrap();
    duet.exchange();
    duet.take_events();
    reconnect(&mut duet);
    let call = duet.core.join(ROOM).unwrap();
    duet.take_requests();
    let result = Ok(Answer::Seated(found(SeatId(2), 7)));
    duet.answer(call, result.clone());
    duet.exchange();
    let (seat, reason) = (SEAT, RoomCloseReason::Gone);
    let gone = Event::RoomClosed { seat, reason };
    assert_eq!(duet.take_events(), [gone, Event::Answer { call, result }]);
    assert_eq!(duet.take_inputs(), [], "they were for another stay");
    assert_eq!(duet.core.send(SeatId(2), input(2)), Ok(1));
}

#[test]
fn a_seat_that_was_lost_meanwhile_begins_anew() {
    let mut duet = Duet::seated();
    duet.core.send(SEAT, input(1)).unwrap();
    duet.emit(SEAT, 1);
    duet.exchange();
    duet.take_events();
    duet.take_inputs();
    reconnect(&mut duet);
    duet.core.send(SEAT, input(2)).unwrap();
    let (seat, reason) = (SEAT, RoomCloseReason::Gone);
    let gone = Event::RoomClosed { seat, reason };
    assert_eq!(come_back(&mut duet, anew(SEAT, 7)).1, [gone]);
    assert_eq!(duet.take_inputs(), [], "they were for another stay");
    assert_eq!(duet.core.send(SEAT, input(3)), Ok(1));
    duet.emit(SEAT, 1);
    duet.exchange();
    assert_eq!(duet.take_events(), [room_event(SEAT, 1)]);
}
