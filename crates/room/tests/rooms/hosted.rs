//! What a host may rely on: outcomes and effects of calls.

use std::time::Duration;

use rejoin_protocol::messagepack;
use rejoin_room::{Audience, Call, Effect, PlayerId, RefusalCode, RoomSettings, SeatChange};

use crate::puppet::{Host, Order, fact, refusal_code};

#[test]
fn opening_has_effects_and_fills_in_the_seats() {
    let host = Host::new();
    assert_eq!(host.effects, [Effect::Metadata(fact("open", 1))]);
    assert_eq!(host.room.metadata(), &fact("open", 1));
    assert_eq!(host.room.spec().settings.members_max, 3);
    let greedy = Host::with(RoomSettings {
        members_max: u16::MAX,
        ..RoomSettings::default()
    });
    assert_eq!(greedy.room.spec().settings.members_max, 1024);
}

#[test]
fn an_admitted_player_is_seated_at_once() {
    let mut host = Host::new();
    assert_eq!(host.admit(1), None);
    assert_eq!(host.calls(), ["admit 1 someone", "Joined 1 true"]);
    let member = &host.room.members()[&PlayerId(1)];
    assert_eq!((member.name.as_str(), member.present), ("someone", true));
    assert!(matches!(
        &host.effects[..],
        [Effect::Event { .. }, Effect::Metadata(_)]
    ));
}

#[test]
fn a_refused_admission_leaves_no_effects() {
    let mut host = Host::new();
    let refusal = host.admit_as(1, "bad").unwrap();
    assert_eq!(
        (refusal.code, refusal.text.len()),
        (RefusalCode::NotAdmitted, 256)
    );
    assert_eq!(host.effects, []);
    assert_eq!(host.room.metadata(), &fact("open", 1));
    assert!(host.room.members().is_empty());
    assert_eq!(host.calls(), ["admit 1 bad"]);
}

#[test]
fn a_seat_is_given_once_and_only_while_there_is_one() {
    let mut host = Host::new();
    assert_eq!([1, 2, 3].map(|player| host.admit(player)), [None; 3]);
    assert_eq!(host.admit(3), Some(RefusalCode::AlreadySeated));
    assert_eq!(host.admit(4), Some(RefusalCode::RoomFull));
    let asked = host
        .calls()
        .iter()
        .filter(|call| call.starts_with("admit"))
        .count();
    assert_eq!(asked, 3, "logic is not asked in vain");
    assert_eq!(host.seat(2, SeatChange::Left), None);
    assert_eq!(host.admit(4), None);
}

#[test]
fn seats_follow_the_ladder() {
    let mut host = Host::new();
    host.admit(1);
    for change in [
        SeatChange::Suspect,
        SeatChange::Detached,
        SeatChange::Returned,
        SeatChange::Left,
    ] {
        assert_eq!(host.seat(1, change), None);
    }
    let expected = [
        "Suspect 1 true",
        "Detached 1 false",
        "Returned 1 true",
        "Left 1 false",
    ];
    assert_eq!(host.calls()[2..], expected);
    let refusal = host.seat(1, SeatChange::Returned).unwrap();
    assert_eq!(refusal.code, RefusalCode::UnknownSeat);
    assert_eq!(
        host.order(&Order::Note("hi".into())).map(refusal_code),
        Ok(Some(RefusalCode::UnknownSeat))
    );
}

#[test]
fn events_carry_their_audience_and_promise() {
    let mut host = Host::new();
    host.admit(1);
    let payload = bytes::Bytes::from(messagepack::encode("xx").unwrap());
    for (to, durable, audience) in [
        (None, false, Audience::All),
        (Some(PlayerId(1)), false, Audience::Player(PlayerId(1))),
        (Some(PlayerId(1)), true, Audience::Player(PlayerId(1))),
    ] {
        host.order(&Order::Say {
            to,
            durable,
            len: 2,
            count: 1,
        })
        .unwrap();
        let payload = payload.clone();
        assert_eq!(
            host.effects,
            [Effect::Event {
                to: audience,
                payload,
                when_durable: durable
            }]
        );
    }
    host.order(&Order::Say {
        to: Some(PlayerId(9)),
        durable: false,
        len: 2,
        count: 1,
    })
    .unwrap();
    assert_eq!(host.effects, [], "no seat, no event");
}

#[test]
fn wishes_are_told_once_and_within_bounds() {
    let mut host = Host::new();
    host.admit(1);
    host.order(&Order::Remove(PlayerId(1))).unwrap();
    let word = "out".to_owned();
    assert_eq!(
        host.effects,
        [Effect::Remove {
            player: PlayerId(1),
            word
        }]
    );
    host.order(&Order::Remove(PlayerId(5))).unwrap();
    assert_eq!(host.effects, []);
    host.order(&Order::Close("x".repeat(256))).unwrap();
    assert_eq!(
        host.effects,
        [Effect::Close {
            word: "x".repeat(256)
        }]
    );
    host.order(&Order::Facts(16)).unwrap();
    assert_eq!(host.room.metadata().len(), 16);
}

#[test]
fn room_time_never_goes_back() {
    let mut host = Host::new();
    host.now = Duration::from_millis(200);
    host.call(&Call::Tick).unwrap();
    host.now = Duration::from_millis(100);
    host.call(&Call::Tick).unwrap();
    assert_eq!(host.calls(), ["tick 1 at 200ms", "tick 2 at 200ms"]);
    assert_eq!(
        (host.room.tick(), host.room.now()),
        (2, Duration::from_millis(200))
    );
}

#[test]
fn due_timers_fire_in_order_and_new_ones_wait() {
    let mut host = Host::new();
    host.admit(1);
    for (millis, token) in [(20, 7), (10, 100), (10, 101), (10, 102), (30, 9), (20, 6)] {
        host.order(&Order::After(millis, token)).unwrap();
    }
    assert_eq!(host.room.next_timer(), Some(Duration::from_millis(10)));
    host.now = Duration::from_millis(20);
    host.call(&Call::Timers).unwrap();
    let fired = [
        "timer 100 at 20ms",
        "timer 101 at 20ms",
        "timer 6 at 20ms",
        "timer 7 at 20ms",
    ];
    assert_eq!(
        host.calls()[2..],
        fired,
        "101 took 102 back, 100 waits for the next call"
    );
    assert_eq!(host.room.next_timer(), Some(Duration::from_millis(20)));
    host.order(&Order::Cancel(100)).unwrap();
    host.order(&Order::Cancel(100)).unwrap();
    assert_eq!(host.calls()[6..], ["cancel 100 true", "cancel 100 false"]);
    assert_eq!(host.room.next_timer(), Some(Duration::from_millis(30)));
}
