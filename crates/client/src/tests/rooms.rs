//! Requests, seats, events, and what overtakes the answer that names the seat.

use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::{CALLS_MAX, HEARTBEAT_SEATED, SEATS_MAX};
use rejoin_protocol::message::{
    Answer, ClientMessage, Comparison, Filter, MetadataValue, RoomCloseReason, RoomSettings,
    SeatChange, Seated, ServerMessage,
};
use rejoin_protocol::{CloseReason, Refusal, RefusalCode, RequestId, RoomId, SeatId, messagepack};

use super::duet::{Duet, OTHER, head, room_event, seated};
use crate::{Ended, Event};

const SEAT: SeatId = SeatId(1);

fn violation() -> Event {
    Event::Ended(Ended::Closed(CloseReason::ProtocolViolation))
}

#[test]
fn each_request_says_what_was_asked() {
    let mut duet = Duet::seated();
    let request = RequestId([4; 16]);
    let settings = RoomSettings {
        members_max: 3,
        ..RoomSettings::default()
    };
    let filter = Filter {
        key: "map".into(),
        comparison: Comparison::Equal,
        value: MetadataValue::Text("ice".into()),
    };
    let create = duet
        .core
        .create(request, "arena", settings.clone())
        .unwrap();
    let join = duet.core.join(RoomId([1; 16])).unwrap();
    let either = duet
        .core
        .join_or_create(request, "chat", vec![filter.clone()], settings.clone())
        .unwrap();
    let leave = duet.core.leave(SEAT).unwrap();
    let close = duet.core.close_room(SEAT).unwrap();
    let list = duet
        .core
        .list(Some("arena"), vec![filter.clone()], 9)
        .unwrap();
    let filters = vec![filter];
    assert_eq!(
        duet.take_requests(),
        [
            ClientMessage::Create {
                call: create,
                request,
                kind: "arena".into(),
                settings: settings.clone()
            },
            ClientMessage::Join {
                call: join,
                room: RoomId([1; 16]),
                held: None,
            },
            ClientMessage::JoinOrCreate {
                call: either,
                request,
                kind: "chat".into(),
                filters: filters.clone(),
                settings
            },
            ClientMessage::Leave {
                call: leave,
                seat: SEAT
            },
            ClientMessage::Close {
                call: close,
                seat: SEAT
            },
            ClientMessage::List {
                call: list,
                kind: Some("arena".into()),
                filters,
                max: 9
            },
        ]
    );
}

#[test]
fn answers_come_back_under_their_numbers() {
    let mut duet = Duet::connected();
    let first = duet.core.list(None, Vec::new(), 1).unwrap();
    let second = duet.core.join(RoomId([1; 16])).unwrap();
    let refusal = Refusal::new(RefusalCode::UnknownRoom, "no such room");
    duet.answer(second, Err(refusal.clone()));
    duet.answer(first, Ok(Answer::Rooms(Vec::new())));
    // Nobody waits for this one any more.
    duet.answer(first, Ok(Answer::Rooms(Vec::new())));
    duet.exchange();
    assert_eq!(
        duet.take_events(),
        [
            Event::Answer {
                call: second,
                result: Err(refusal)
            },
            Event::Answer {
                call: first,
                result: Ok(Answer::Rooms(Vec::new()))
            },
        ]
    );
}

#[test]
fn requests_without_end_are_refused() {
    let mut duet = Duet::connected();
    for _ in 0..CALLS_MAX {
        duet.core.join(RoomId([1; 16])).unwrap();
    }
    assert_eq!(duet.core.join(RoomId([1; 16])), Err(SendError::QueueFull));
}

#[test]
fn events_arrive_once_and_in_order() {
    let mut duet = Duet::seated();
    for number in [1, 2, 2, 1, 3] {
        duet.emit(SEAT, number);
    }
    duet.exchange();
    assert_eq!(
        duet.take_events(),
        [
            room_event(SEAT, 1),
            room_event(SEAT, 2),
            room_event(SEAT, 3)
        ]
    );
}

#[test]
fn a_missing_event_ends_the_session() {
    let mut duet = Duet::seated();
    duet.emit(SEAT, 1);
    duet.emit(SEAT, 3);
    duet.exchange();
    assert_eq!(duet.take_events(), [room_event(SEAT, 1), violation()]);
}

#[test]
fn events_go_on_where_the_answer_says_the_session_stood() {
    let mut duet = Duet::connected();
    duet.take_seat(Seated {
        event: 6,
        ..seated(SEAT, 7)
    });
    duet.emit(SEAT, 7);
    duet.exchange();
    assert_eq!(duet.take_events(), [room_event(SEAT, 7)]);
}

#[test]
fn what_overtakes_the_answer_waits_for_it() {
    let mut duet = Duet::connected();
    let call = duet.core.join(RoomId([7; 16])).unwrap();
    duet.exchange();
    duet.show(SEAT, &head(1), &b"view"[..]);
    duet.emit(SEAT, 1);
    duet.emit(SEAT, 2);
    duet.exchange();
    assert_eq!(duet.take_events(), []);
    let answer = Answer::Seated(seated(SEAT, 7));
    duet.answer(call, Ok(answer.clone()));
    duet.emit(SEAT, 3);
    duet.exchange();
    let events = duet.take_events();
    assert_eq!(
        events[0],
        Event::Answer {
            call,
            result: Ok(answer)
        }
    );
    assert_eq!(events.len(), 5);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::View { sequence: 1, .. }))
    );
    let of_room: Vec<_> = events
        .into_iter()
        .filter(|e| matches!(e, Event::Room { .. }))
        .collect();
    assert_eq!(
        of_room,
        [
            room_event(SEAT, 1),
            room_event(SEAT, 2),
            room_event(SEAT, 3)
        ]
    );
}

#[test]
fn what_came_for_a_seat_that_was_refused_is_forgotten() {
    let mut duet = Duet::connected();
    let call = duet.core.join(RoomId([7; 16])).unwrap();
    duet.exchange();
    duet.emit(SEAT, 5);
    duet.exchange();
    duet.answer(call, Err(Refusal::new(RefusalCode::RoomFull, "full")));
    duet.exchange();
    duet.take_events();
    duet.take_requests();
    duet.take_seat(seated(SEAT, 7));
    duet.emit(SEAT, 1);
    duet.exchange();
    assert_eq!(duet.take_events(), [room_event(SEAT, 1)]);
}

#[test]
fn changes_of_seats_are_told_to_those_who_share_the_room() {
    let mut duet = Duet::seated();
    let change = SeatChange::Suspect;
    let tell = |seat| ServerMessage::Seat {
        seat,
        player: OTHER,
        name: "bo".into(),
        change,
    };
    duet.tell(&tell(SEAT));
    duet.tell(&tell(SeatId(9)));
    duet.exchange();
    let event = Event::Seat {
        seat: SEAT,
        player: OTHER,
        name: "bo".into(),
        change,
    };
    assert_eq!(duet.take_events(), [event]);
}

#[test]
fn a_closed_room_takes_its_seat_with_it() {
    let mut duet = Duet::seated();
    let reason = RoomCloseReason::Ended("good game".into());
    duet.tell(&ServerMessage::RoomClosed {
        seat: SEAT,
        reason: reason.clone(),
    });
    duet.exchange();
    duet.emit(SEAT, 9);
    duet.exchange();
    assert_eq!(
        duet.take_events(),
        [Event::RoomClosed { seat: SEAT, reason }]
    );
    assert_eq!(duet.core.cursor(SEAT), None);
}

#[test]
fn a_seat_given_back_is_gone_once_the_server_agrees() {
    let mut duet = Duet::seated();
    let refused = duet.core.leave(SEAT).unwrap();
    duet.answer(refused, Err(Refusal::new(RefusalCode::Stopping, "not now")));
    duet.exchange();
    assert_eq!(duet.core.cursor(SEAT), Some(0));
    let call = duet.core.leave(SEAT).unwrap();
    duet.answer(call, Ok(Answer::Left));
    duet.exchange();
    assert_eq!(duet.core.cursor(SEAT), None);
    duet.take_requests();
    duet.take_events();
    duet.take_seat(seated(SEAT, 8));
    duet.emit(SEAT, 1);
    duet.exchange();
    assert_eq!(duet.take_events(), [room_event(SEAT, 1)]);
}

#[test]
fn a_client_with_a_seat_is_never_silent_for_long() {
    let mut duet = Duet::seated();
    duet.advance(HEARTBEAT_SEATED * 2);
    let before = duet.core.link().sent;
    duet.advance(HEARTBEAT_SEATED * 4);
    let seated = duet.core.link().sent - before;
    assert!(seated >= 4, "{seated} packets with a seat");

    let call = duet.core.leave(SEAT).unwrap();
    duet.answer(call, Ok(Answer::Left));
    duet.advance(HEARTBEAT_SEATED * 2);
    let before = duet.core.link().sent;
    duet.advance(HEARTBEAT_SEATED * 4);
    let idle = duet.core.link().sent - before;
    assert!(idle < seated, "{idle} packets without a seat");
}

#[test]
fn control_messages_that_cannot_be_read_end_the_session() {
    for garbage in [
        &[0xc1_u8][..],
        &[],
        &[0x81, 0xa5, b'R', b'e', b'p', b'l', b'y', 7],
    ] {
        let mut duet = Duet::connected();
        duet.server().send_control(garbage.to_vec().into()).unwrap();
        duet.exchange();
        assert_eq!(duet.take_events(), [violation()], "{garbage:?}");
    }
}

#[test]
fn a_control_message_of_a_newer_server_is_passed_over() {
    let mut duet = Duet::connected();
    let newer = messagepack::encode("SomethingNew").unwrap();
    duet.server().send_control(newer.into()).unwrap();
    duet.exchange();
    assert_eq!(duet.take_events(), []);
}

#[test]
fn a_server_that_grants_what_was_not_asked_ends_the_session() {
    let mut duet = Duet::connected();
    let call = duet.core.list(None, Vec::new(), 1).unwrap();
    duet.answer(call, Ok(Answer::Seated(seated(SEAT, 7))));
    duet.exchange();
    assert_eq!(duet.take_events(), [violation()]);
}

#[test]
fn a_server_that_names_one_seat_twice_ends_the_session() {
    let mut duet = Duet::seated();
    let call = duet.core.join(RoomId([8; 16])).unwrap();
    duet.answer(call, Ok(Answer::Seated(seated(SEAT, 8))));
    duet.exchange();
    assert_eq!(duet.take_events(), [violation()]);
}

#[test]
fn seats_are_bounded() {
    let mut duet = Duet::connected();
    let number = |index: usize| u16::try_from(index).unwrap();
    for index in 0..SEATS_MAX {
        duet.take_seat(seated(SeatId(number(index)), u8::try_from(index).unwrap()));
    }
    let call = duet.core.join(RoomId([99; 16])).unwrap();
    duet.answer(
        call,
        Ok(Answer::Seated(seated(SeatId(number(SEATS_MAX)), 99))),
    );
    duet.exchange();
    assert_eq!(duet.take_events(), [violation()]);
}
