//! A client whose connection is lost comes back by itself, as far as a test can see that holds the link in its hands.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::handshake::{Bearer, TicketKeys, open_hello};
use rejoin_protocol::limits::{
    DETACH_AFTER, HEARTBEAT_IDLE, HELLO_RETRY_MAX, INPUTS_KEPT_MAX, RESUME_RETRY,
};
use rejoin_protocol::message::{Answer, CallId, ClientMessage, RoomCloseReason, ServerMessage};
use rejoin_protocol::reset;
use rejoin_protocol::{
    CloseReason, ConnectionId, Epoch, Incarnation, Refusal, RefusalCode, Rng, RoomId, SeatId,
};

use super::duet::{Duet, options, reset_key, seated, server_keys};
use crate::entry::TRUSTS_MAX;
use crate::{Ended, Event, Loss, Options, State};

const SEAT: SeatId = SeatId(1);
const ID: ConnectionId = ConnectionId([0, 1, 2, 3]);

/// A client that comes back, with seat 1 in room 7.
fn returning() -> Duet {
    returning_for(Duration::from_secs(60))
}

fn returning_for(resume_for: Duration) -> Duet {
    let mut duet = Duet::new(Options {
        resume_for,
        ..options()
    });
    duet.exchange();
    duet.accept();
    duet.exchange();
    duet.take_events();
    duet.take_seat(seated(SEAT, 7));
    duet
}

fn reset(duet: &mut Duet) {
    let token = reset_key().token(Epoch(1), ID);
    duet.reach_client(reset::encode(ID, token).to_vec());
}

/// It is reset, and has another connection; what it was told meanwhile is passed over.
fn reset_and_return(duet: &mut Duet) {
    reset(duet);
    duet.exchange();
    duet.accept();
    duet.exchange();
    duet.take_events();
}

/// The call of the one request there is, to have the seat back.
fn asked_to_return(duet: &mut Duet) -> CallId {
    let asked = duet.take_requests();
    let [ClientMessage::Return { call, .. }] = asked[..] else {
        panic!("{asked:?}");
    };
    call
}

#[test]
fn a_reset_is_believed_only_with_the_token_of_the_welcome() {
    let mut duet = returning();
    let token = reset_key().token(Epoch(1), ID);
    let good = reset::encode(ID, token);
    for index in 0..good.len() {
        let mut forged = good;
        forged[index] ^= 0x20;
        duet.reach_client(forged.to_vec());
    }
    let other = ConnectionId([0, 1, 2, 4]);
    for (id, of) in [
        (other, (Epoch(1), other)),
        (ID, (Epoch(2), ID)),
        (ID, (Epoch(1), other)),
    ] {
        let token = reset_key().token(of.0, of.1);
        duet.reach_client(reset::encode(id, token).to_vec());
    }
    assert_eq!(duet.take_events(), []);
    duet.reach_client(good.to_vec());
    assert_eq!(duet.take_events(), [Event::Away(Loss::Forgotten)]);
    // Once it is on its way, another one moves nothing.
    duet.reach_client(good.to_vec());
    assert_eq!(
        (duet.take_events(), duet.core.state()),
        (vec![], &State::Away)
    );
}

#[test]
fn nothing_is_lost_while_the_client_is_away_and_inputs_keep_their_bound() {
    let mut duet = returning();
    reset(&mut duet);
    let input = || Bytes::from_static(b"input");
    for number in 1..=u64::try_from(INPUTS_KEPT_MAX).unwrap() {
        assert_eq!(duet.core.send(SEAT, input()), Ok(number));
    }
    assert_eq!(duet.core.send(SEAT, input()), Err(SendError::QueueFull));
    assert_eq!(duet.core.latest(SEAT, input()), Ok(()));
    assert_eq!(duet.core.latest(SeatId(2), input()), Err(SendError::Closed));
    assert_eq!(duet.core.cursor(SEAT), Some(0));
    let call = duet.core.list(None, Vec::new(), 3).unwrap();
    duet.exchange();
    duet.accept();
    duet.exchange();
    let asked = duet.take_requests();
    let [
        ClientMessage::Return { room, seat, .. },
        ClientMessage::List { call: listed, .. },
    ] = &asked[..]
    else {
        panic!("{asked:?}");
    };
    // Seats first: each has its number again before a request may bring another one.
    assert_eq!((*listed, *room, *seat), (call, RoomId([7; 16]), SEAT));
}

#[test]
fn a_client_without_a_limit_goes_on_until_its_caller_gives_up() {
    let mut duet = returning_for(Duration::MAX);
    duet.lose_up = true;
    reset(&mut duet);
    duet.take_events();
    // An hour, in steps as long as a game might sleep.
    for _ in 0..600 {
        duet.advance(Duration::from_secs(6));
    }
    assert_eq!(
        (duet.take_events(), duet.core.state()),
        (vec![], &State::Away)
    );
    duet.core.disconnect();
    assert_eq!(duet.take_events(), [Event::Ended(Ended::Left)]);
    let sent = duet.hellos.len();
    duet.advance(Duration::from_secs(60));
    assert_eq!(duet.hellos.len(), sent, "nothing is sent any more");
}

#[test]
fn hellos_of_one_who_comes_back_are_spread_and_end_with_the_callers_patience() {
    let mut duet = returning();
    duet.lose_up = true;
    let before = duet.hellos.len();
    reset(&mut duet);
    duet.take_events();
    let mut times = Vec::new();
    let start = duet.now;
    while *duet.core.state() == State::Away {
        let sent = duet.hellos.len();
        duet.advance(Duration::from_millis(5));
        if duet.hellos.len() > sent {
            times.push(duet.now.since(start));
        }
    }
    assert_eq!(duet.now.since(start), Duration::from_secs(60));
    let ended = Ended::Closed(CloseReason::TimedOut);
    assert_eq!(duet.take_events(), [Event::Ended(ended)]);
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(duet.hellos.len() - before > 55, "about one in a second");
    assert!(gaps[0] <= RESUME_RETRY + Duration::from_millis(5));
    let later = &gaps[6..];
    assert!(
        later
            .iter()
            .all(|gap| *gap <= HELLO_RETRY_MAX + Duration::from_millis(5))
    );
    assert!(
        later
            .iter()
            .all(|gap| *gap * 4 >= HELLO_RETRY_MAX * 3 - Duration::from_millis(20))
    );
    let distinct: std::collections::BTreeSet<_> = later.iter().collect();
    assert!(
        distinct.len() > 20,
        "at times of chance: {}",
        distinct.len()
    );
}

#[test]
fn a_seat_that_is_there_no_longer_is_told_and_one_that_is_busy_asked_for_again() {
    let mut duet = returning();
    reset_and_return(&mut duet);
    let call = asked_to_return(&mut duet);
    let busy =
        Refusal::new(RefusalCode::LimitReached, "busy").retry_after(Duration::from_millis(300));
    duet.answer(call, Err(busy));
    duet.exchange();
    assert_eq!((duet.take_events(), duet.take_requests()), (vec![], vec![]));
    duet.advance(Duration::from_millis(301));
    duet.exchange();
    let call = asked_to_return(&mut duet);
    duet.answer(call, Err(Refusal::new(RefusalCode::UnknownSeat, "gone")));
    duet.exchange();
    let reason = RoomCloseReason::Gone;
    assert_eq!(
        duet.take_events(),
        [Event::RoomClosed { seat: SEAT, reason }]
    );
}

#[test]
fn what_goes_out_again_is_counted_though_the_game_had_asked_for_the_seat_itself() {
    let mut duet = returning();
    for _ in 0..3 {
        duet.core.send(SEAT, Bytes::from_static(b"input")).unwrap();
    }
    reset(&mut duet);
    let join = duet.core.join(RoomId([7; 16])).unwrap();
    duet.exchange();
    duet.accept();
    duet.exchange();
    duet.take_events();
    let mut back = None;
    for asked in duet.take_requests() {
        if let ClientMessage::Return { call, .. } = asked {
            back = Some(call);
        }
    }
    let found = |cursor, inputs_lost| {
        let seated = rejoin_protocol::message::Seated {
            found: true,
            cursor,
            inputs_lost,
            ..seated(SEAT, 7)
        };
        Ok(Answer::Seated(seated))
    };
    duet.answer(join, found(0, 0));
    duet.answer(back.unwrap(), found(2, 1));
    duet.exchange();
    let told = duet.take_events();
    let Some(Event::Resumed { receipt, .. }) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!(
        (receipt.cursor, receipt.inputs_resent, receipt.inputs_lost),
        (2, 1, 1)
    );
    // What was told once is not told again.
    reset_and_return(&mut duet);
    let call = asked_to_return(&mut duet);
    duet.answer(call, found(3, 1));
    duet.exchange();
    let told = duet.take_events();
    let Some(Event::Resumed { receipt, .. }) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!((receipt.inputs_resent, receipt.inputs_lost), (0, 0));
}

#[test]
fn a_seat_that_was_being_given_back_is_once_the_room_has_confirmed_it() {
    for is_there in [true, false] {
        let mut duet = returning();
        let leave = duet.core.leave(SEAT).unwrap();
        reset(&mut duet);
        duet.exchange();
        duet.accept();
        duet.exchange();
        duet.take_events();
        // Its number means nothing before the room says so.
        let asked = duet.take_requests();
        let [.., ClientMessage::Return { call, .. }] = asked[..] else {
            panic!("{asked:?}");
        };
        if is_there {
            let again = rejoin_protocol::message::Seated {
                found: true,
                ..seated(SEAT, 7)
            };
            duet.answer(call, Ok(Answer::Seated(again)));
            duet.exchange();
            let (call, seat) = (leave, SEAT);
            assert_eq!(duet.take_requests(), [ClientMessage::Leave { call, seat }]);
            duet.answer(leave, Ok(Answer::Left));
        } else {
            duet.answer(call, Err(Refusal::new(RefusalCode::UnknownSeat, "gone")));
        }
        duet.exchange();
        let told = duet.take_events();
        let Some(Event::Answer { call, result }) = told.last() else {
            panic!("{told:?}");
        };
        assert_eq!((*call, result.is_ok()), (leave, is_there));
        assert_eq!(duet.core.cursor(SEAT), None);
    }
}

#[test]
fn a_room_that_has_applied_less_than_it_said_has_no_seat_for_the_client() {
    let mut duet = returning();
    for _ in 0..3 {
        duet.core.send(SEAT, Bytes::from_static(b"input")).unwrap();
    }
    let view = Bytes::from_static(b"view");
    let head = rejoin_protocol::room_message::SnapshotHead {
        cursor: 2,
        ..super::duet::head(1)
    };
    duet.show(SEAT, &head, view);
    duet.exchange();
    reset_and_return(&mut duet);
    let call = asked_to_return(&mut duet);
    let behind = rejoin_protocol::message::Seated {
        found: true,
        cursor: 1,
        ..seated(SEAT, 7)
    };
    duet.answer(call, Ok(Answer::Seated(behind)));
    duet.exchange();
    let (seat, reason) = (SEAT, RoomCloseReason::Gone);
    assert_eq!(duet.take_events(), [Event::RoomClosed { seat, reason }]);
    assert_eq!(duet.take_requests(), [], "it is for others of the session");
}

#[test]
fn a_client_that_wants_no_resume_ends_as_soon_as_it_is_forgotten() {
    let mut duet = Duet::seated();
    reset(&mut duet);
    let ended = Ended::Closed(CloseReason::TimedOut);
    assert_eq!(duet.take_events(), [Event::Ended(ended)]);
}

#[test]
fn what_the_server_closes_for_good_is_not_tried_again() {
    for (reason, comes_back) in [
        (CloseReason::Replaced, false),
        (CloseReason::Kicked, false),
        (CloseReason::ProtocolViolation, false),
        (CloseReason::ServerStopping, true),
        (CloseReason::Overloaded, true),
    ] {
        let mut duet = returning();
        duet.server.as_mut().unwrap().close(reason);
        duet.exchange();
        assert_eq!(*duet.core.state() == State::Away, comes_back, "{reason:?}");
    }
}

#[test]
fn silence_leads_away_and_back() {
    let mut duet = returning();
    duet.lose_up = true;
    duet.lose_down = true;
    // The server end announces nothing, so that much is expected of it.
    duet.advance(HEARTBEAT_IDLE + DETACH_AFTER * 2);
    assert_eq!(*duet.core.state(), State::Away);
    let told = duet.take_events();
    assert_eq!(told.last(), Some(&Event::Away(Loss::Silence)));
}

#[test]
fn a_ticket_that_makes_no_sense_ends_the_session() {
    let mut duet = returning();
    let ticket = vec![1; 40];
    duet.tell(&ServerMessage::Ticket { ticket, life_s: 5 });
    duet.exchange();
    let ended = Event::Ended(Ended::Closed(CloseReason::ProtocolViolation));
    assert_eq!(duet.take_events(), [ended]);
}

/// The seat is back.
fn come_back(duet: &mut Duet) -> Duration {
    duet.exchange();
    duet.accept();
    duet.exchange();
    let call = asked_to_return(duet);
    let again = rejoin_protocol::message::Seated {
        found: true,
        ..seated(SEAT, 7)
    };
    duet.answer(call, Ok(Answer::Seated(again)));
    duet.exchange();
    let told = duet.take_events();
    let Some(Event::Resumed { receipt, .. }) = told.last() else {
        panic!("{told:?}");
    };
    receipt.away
}

#[test]
fn each_loss_is_counted_by_itself() {
    let mut duet = returning();
    for _ in 0..2 {
        reset(&mut duet);
        duet.advance(Duration::from_millis(1_500));
        assert_eq!(come_back(&mut duet), Duration::from_millis(1_500));
        duet.advance(Duration::from_secs(30));
        duet.take_events();
    }
}

#[test]
fn a_version_refusal_that_anybody_may_have_written_ends_no_way_back() {
    let mut duet = returning();
    reset(&mut duet);
    duet.exchange();
    let mac1 = &duet.hellos.last().unwrap()[8..24];
    let forged = [&[0x43], mac1, &[7, 9]].concat();
    duet.reach_client(forged);
    assert_eq!(*duet.core.state(), State::Away);
    assert_eq!(come_back(&mut duet), Duration::ZERO);
}

#[test]
fn a_ticket_that_was_refused_by_who_knows_whom_is_tried_again_if_the_permit_is_no_good() {
    let mut duet = returning();
    let sealed = TicketKeys::of(&[5; 32]).seal(&Bearer {
        session: super::duet::SESSION,
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        psk: [0; 32],
        expires_unix_s: 1,
        name: "ana".into(),
        claims: Vec::new(),
    });
    let ticket = sealed.as_bytes().to_vec();
    duet.tell(&ServerMessage::Ticket { ticket, life_s: 5 });
    duet.exchange();
    reset(&mut duet);
    duet.exchange();
    for round in 0..=TRUSTS_MAX {
        let resume = duet.hellos.last().unwrap().clone();
        assert_eq!(resume[0], 0x41, "round {round}");
        duet.reach_client([&[0x45], &resume[8..24]].concat());
        duet.exchange();
        let join = duet.hellos.last().unwrap().clone();
        assert_eq!(join[0], 0x40, "round {round}");
        let hello = open_hello(&join, &server_keys(), &mut Rng::from_number(5)).unwrap();
        let mut reply = Vec::new();
        let refusal = Refusal::new(RefusalCode::PermitRefused, "expired");
        hello.refuse(&refusal, &mut reply);
        duet.reach_client(reply);
        let is_last = round == TRUSTS_MAX;
        let state = duet.core.state();
        assert_eq!(*state == State::Away, !is_last, "round {round}: {state:?}");
        duet.advance(HELLO_RETRY_MAX * 2);
    }
    let told = duet.take_events();
    let Some(Event::Ended(Ended::Refused(refusal))) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!(refusal.code, RefusalCode::PermitRefused);
}
