//! A client that lost its connection comes back: each event once and in order, and a delta if it still has the base.

use bytes::Bytes;
use rejoin_protocol::limits::VIEW_MAX;
use rejoin_protocol::message::{ClientMessage, Held, HeldSnapshot};
use rejoin_protocol::room_message::{Base, RoomMessage};
use rejoin_protocol::snapshot;

use crate::rooms::{Act, Bomb};
use crate::stage::{Client, Stage, held, numbers, shown, stages};

/// Events that the room keeps for a seat.
const KEPT: u64 = 256;

#[test]
fn what_nobody_acknowledged_comes_again_once_and_in_order() {
    for mut stage in stages("yard") {
        let (mut first, seated) = stage.back(None);
        assert_eq!((seated.found, seated.event), (false, 0));
        stage.say(1..=5, Some(&mut first));
        first.peer.listens = false;
        stage.say(6..=10, Some(&mut first));
        assert_eq!(first.heard(), numbers(1..=5));

        let (mut second, seated) = stage.back(held(5));
        assert!(seated.found && !seated.created);
        assert_eq!((seated.event, seated.events_dropped), (5, 0));
        assert_eq!(second.heard(), numbers(6..=10));
        stage.say(11..=13, Some(&mut second));
        assert_eq!(second.heard(), numbers(6..=13));

        // All is acknowledged: one that says nothing is sent nothing either.
        let (third, seated) = stage.back(None);
        assert_eq!((seated.event, seated.events_dropped), (13, 0));
        assert_eq!((third.heard(), third.missed()), (vec![], vec![]));
    }
}

#[test]
fn what_a_client_has_is_not_sent_again_though_its_acknowledgements_were_lost() {
    for mut stage in stages("mill") {
        let (mut first, _) = stage.back(None);
        stage.say(1..=3, Some(&mut first));
        first.peer.speaks = false;
        stage.say(4..=9, Some(&mut first));
        assert_eq!(first.heard(), numbers(1..=9));
        let (mut knowing, seated) = stage.back(held(7));
        assert_eq!((seated.event, knowing.heard()), (7, numbers(8..=9)));
        knowing.peer.speaks = false;
        // One that says nothing of it is sent all that nobody has said it has.
        let mut relaunched = stage.client();
        stage.say(10..=10, None);
        let seated = relaunched.ask(&mut stage, None);
        assert!((7..=9).contains(&seated.event), "{seated:?}");
        let rest = numbers(u32::try_from(seated.event).unwrap() + 1..=10);
        assert_eq!(relaunched.heard(), rest);
    }
}

#[test]
fn a_member_who_is_away_for_a_thousand_events_is_told_how_many_it_missed() {
    for held in [held(5), held(800), None] {
        for mut stage in stages("yard") {
            let (mut first, _) = stage.back(None);
            stage.say(1..=5, Some(&mut first));
            stage.say(6..=1_005, None);
            let (mut client, seated) = stage.back(held);
            let has = held.map_or(5, |held| held.event);
            let event = has.max(1_005 - KEPT);
            assert_eq!((seated.event, seated.events_dropped), (event, event - has));
            client.run(&mut stage, 300);
            stage.say(1_006..=1_007, Some(&mut client));
            let from = u32::try_from(event).unwrap() + 1;
            assert_eq!(client.heard(), numbers(from..=1_007));
            assert_eq!(client.missed(), []);
        }
    }
}

#[test]
fn a_member_who_is_silent_while_events_go_on_is_not_closed_for_them() {
    for mut stage in stages("yard") {
        let (mut client, _) = stage.back(None);
        stage.say(1..=5, Some(&mut client));
        stage.run(7_000);
        // More than a send queue takes.
        stage.say(6..=4_205, None);
        client.run(&mut stage, 2_000);
        assert_eq!(client.peer.closed(), None);
        assert_eq!(client.missed(), [4_205 - KEPT]);
        let mut expected = numbers(1..=5);
        expected.extend(numbers(3_950..=4_205));
        assert_eq!(client.heard(), expected);
        stage.say(4_206..=4_206, Some(&mut client));
        assert_eq!(client.heard().last(), Some(&(4_206, 4_206)));
    }
}

#[test]
fn one_that_catches_up_is_sent_a_few_at_a_time_and_passes_over_what_is_kept_no_longer() {
    for mut stage in stages("yard") {
        let (mut first, _) = stage.back(None);
        stage.say(1..=5, Some(&mut first));
        stage.say(6..=105, None);
        let mut client = stage.client();
        client.peer.speaks = false;
        client.calls += 1;
        let (call, room, held) = (client.calls, stage.room, held(5));
        client.peer.ask(&ClientMessage::Join { call, room, held });
        client.peer.speaks = true;
        client.peer.flush(&mut stage.world);
        // From here on it says nothing, its acknowledgements neither.
        client.peer.speaks = false;
        client.run(&mut stage, 300);
        assert_eq!(client.heard(), numbers(6..=37));
        stage.say(106..=1_005, Some(&mut client));
        assert_eq!(client.heard(), numbers(6..=37), "none overtakes");
        client.peer.speaks = true;
        client.run(&mut stage, 1_000);
        assert_eq!(client.missed(), [1_005 - KEPT]);
        let mut expected = numbers(6..=37);
        expected.extend(numbers(750..=1_005));
        assert_eq!(client.heard(), expected);
    }
}

#[test]
fn another_client_of_the_session_takes_over_the_events_and_the_first_is_told_that_they_are_gone() {
    for mut stage in stages("mill") {
        let (mut first, _) = stage.back(None);
        stage.say(1..=4, Some(&mut first));
        let (mut other, seated) = stage.back(None);
        assert_eq!((seated.event, other.heard()), (4, vec![]));
        stage.say(5..=9, Some(&mut other));
        assert_eq!(other.heard(), numbers(5..=9));
        let (mut again, seated) = stage.back(held(4));
        assert_eq!((seated.event, seated.events_dropped), (9, 5));
        stage.say(10..=10, Some(&mut again));
        assert_eq!(again.heard(), numbers(10..=10));
    }
}

#[test]
fn who_asks_twice_on_one_connection_is_sent_nothing_twice() {
    for mut stage in stages("yard") {
        let (mut first, _) = stage.back(None);
        first.peer.listens = false;
        stage.say(1..=3, Some(&mut first));
        let mut client = stage.client();
        for call in [7, 8, 9] {
            let stay = stage.stay;
            let (room, held) = (stage.room, held(1).map(|held| Held { stay, ..held }));
            client.peer.ask(&ClientMessage::Join { call, room, held });
        }
        client.run(&mut stage, 100);
        let seated = client.ask(&mut stage, held(1));
        assert_eq!((seated.event, seated.events_dropped), (3, 0));
        stage.say(4..=4, Some(&mut client));
        assert_eq!(client.heard(), numbers(2..=4));
    }
}

#[test]
fn senseless_claims_of_events_hurt_nobody() {
    for mut stage in stages("yard") {
        let (mut first, _) = stage.back(None);
        first.peer.listens = false;
        stage.say(1..=3, Some(&mut first));
        let (mut client, seated) = stage.back(held(u64::MAX));
        assert_eq!((seated.event, seated.events_dropped), (3, 0));
        stage.say(4..=4, Some(&mut client));
        assert_eq!(client.heard(), numbers(4..=4));
    }
}

#[test]
fn a_call_that_is_taken_out_forgets_no_acknowledgement() {
    for mut stage in stages("mill") {
        let (mut first, _) = stage.back(None);
        stage.say(1..=5, Some(&mut first));
        stage.act(Act::Arm(Bomb::Now));
        first.run(&mut stage, 100);
        assert_eq!(stage.world.shard.stats().voids, 1);
        first.peer.listens = false;
        stage.say(6..=6, Some(&mut first));
        let (client, seated) = stage.back(None);
        assert_eq!((seated.event, client.heard()), (5, numbers(6..=6)));
    }
}

/// What the client has, of the newest view it was shown.
fn newest(client: &Client, view: &[u8]) -> HeldSnapshot {
    HeldSnapshot {
        sequence: client.shown().last().unwrap().0.sequence,
        check: snapshot::check(view),
    }
}

/// A stage whose room shows something long, with a client that has it; and the view it has.
fn watched(mut stage: Stage) -> (Stage, Client, Bytes) {
    let (mut client, _) = stage.back(None);
    stage.act(Act::Add(1));
    stage.act(Act::Grow(400));
    client.run(&mut stage, 300);
    let view = stage.view();
    (stage, client, view)
}

#[test]
fn the_first_view_back_is_a_delta_from_the_one_that_the_client_has() {
    for kind in ["yard", "mill"] {
        for stage in stages(kind) {
            let (mut stage, first, before) = watched(stage);
            let view = newest(&first, &before);
            for adds in 0..8 {
                stage.act(Act::Add(adds));
                stage.run(50);
            }
            let (mut client, _) = stage.back(shown(view));
            client.run(&mut stage, 200);
            let (head, delta) = client.shown().remove(0);
            let patched = snapshot::apply(&before, &delta, VIEW_MAX).unwrap();
            let base = Base {
                sequence: view.sequence,
                check: snapshot::check(&patched),
            };
            assert_eq!(head.base, Some(base), "{kind}");
            assert_eq!(Bytes::from(patched), stage.view());
            // And goes on from there.
            stage.act(Act::Add(9));
            client.run(&mut stage, 200);
            let next = client.shown()[1].0.base;
            assert_eq!(next.map(|base| base.sequence), Some(head.sequence));
        }
    }
}

#[test]
fn the_first_view_back_is_whole_if_the_client_has_none_of_the_room() {
    type Wrong = fn(HeldSnapshot) -> HeldSnapshot;
    let wrong: [Wrong; 5] = [
        |view| HeldSnapshot {
            check: !view.check,
            ..view
        },
        |view| HeldSnapshot {
            sequence: view.sequence + 1_000,
            ..view
        },
        |view| HeldSnapshot {
            sequence: u64::MAX,
            ..view
        },
        |view| HeldSnapshot {
            sequence: 0,
            ..view
        },
        |view| HeldSnapshot {
            sequence: view.sequence - 1,
            ..view
        },
    ];
    for (number, wrong) in wrong.into_iter().enumerate() {
        for stage in stages("mill") {
            let (mut stage, first, before) = watched(stage);
            let view = wrong(newest(&first, &before));
            let (mut client, _) = stage.back(shown(view));
            client.run(&mut stage, 200);
            let (head, body) = client.shown().remove(0);
            assert_eq!((head.base, body), (None, stage.view()), "{number}");
        }
    }
}

#[test]
fn a_private_view_starts_whole_whatever_the_client_has() {
    for stage in stages("mill") {
        let (mut stage, mut first, _) = watched(stage);
        let (seat, number) = (first.ask(&mut stage, None).seat, 1);
        let payload = Act::Hide(7).encode();
        let input = RoomMessage::Input {
            seat,
            number,
            payload,
        };
        first
            .peer
            .connection
            .send_ordered(input.encode(), None)
            .unwrap();
        first.run(&mut stage, 300);
        assert!(first.shown().last().unwrap().0.private);
        // What the others see under that name: the room keeps it, and the own view of that name too.
        let view = newest(&first, &stage.view());
        let (mut client, _) = stage.back(shown(view));
        client.run(&mut stage, 300);
        let shown = client.shown();
        assert!(shown.iter().all(|(head, _)| head.private));
        assert_eq!(shown[0].0.base, None);
    }
}
