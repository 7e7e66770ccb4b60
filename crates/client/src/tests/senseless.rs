//! Authentic nonsense: a broken server may end the session, and nothing worse.

use bytes::Bytes;
use rejoin_protocol::limits::LATEST_MAX;
use rejoin_protocol::message::{Answer, RoomCloseReason, SeatChange, ServerMessage};
use rejoin_protocol::room_message::{RoomMessage, SnapshotHead};
use rejoin_protocol::{Connection, Refusal, RefusalCode, Rng, SeatId, messagepack, snapshot};

use super::duet::{Duet, OTHER, delta_head, head, seated};
use crate::{Event, State};

const SEAT: SeatId = SeatId(1);

/// Damages some bytes, cuts some off, or adds some.
fn damage(message: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.below(4) {
        let len = u64::try_from(message.len()).unwrap();
        let place = usize::try_from(rng.below(len)).unwrap();
        match rng.below(4) {
            0 => message.truncate(place),
            1 => message.insert(place, u8::try_from(rng.below(256)).unwrap()),
            _ => {
                if let Some(byte) = message.get_mut(place) {
                    *byte = u8::try_from(rng.below(256)).unwrap();
                }
            }
        }
    }
}

fn control(rng: &mut Rng) -> Vec<u8> {
    let refusal = Refusal::new(RefusalCode::RoomFull, "full");
    let seat = SeatId(u16::try_from(rng.below(4)).unwrap());
    let call = u32::try_from(rng.below(8)).unwrap();
    let room = u8::try_from(rng.below(4)).unwrap();
    let mut grant = seated(seat, room);
    grant.cursor = rng.next_u64();
    grant.event = rng.next_u64();
    let message = match rng.below(7) {
        0 | 1 => ServerMessage::Reply {
            call,
            result: Ok(Answer::Seated(grant)),
        },
        2 => ServerMessage::Reply {
            call,
            result: Ok(Answer::Left),
        },
        3 => ServerMessage::Reply {
            call,
            result: Err(refusal),
        },
        4 => ServerMessage::InputRefused {
            seat,
            number: rng.next_u64(),
            refusal,
        },
        5 => ServerMessage::RoomClosed {
            seat,
            reason: RoomCloseReason::ClosedByOwner,
        },
        _ => {
            let (player, name, change) = (OTHER, "bo".into(), SeatChange::Joined);
            ServerMessage::Seat {
                seat,
                player,
                name,
                change,
            }
        }
    };
    messagepack::encode(&message).unwrap()
}

fn snapshot_bytes(rng: &mut Rng) -> Vec<u8> {
    let view = vec![u8::try_from(rng.below(4)).unwrap(); 50];
    let sequence = 1 + rng.below(20);
    let base = (sequence > 1 && rng.chance(0.7)).then(|| rng.below(sequence));
    let body = match base {
        None => Bytes::from(view.clone()),
        Some(_) => snapshot::delta(&[1; 50], &view).unwrap_or_default(),
    };
    let cursor = if rng.chance(0.1) {
        rng.below(1 << 62)
    } else {
        rng.below(5)
    };
    let private = rng.chance(0.3);
    let head = SnapshotHead {
        cursor,
        private,
        ..base.map_or(head(sequence), |base| delta_head(base, sequence, &view))
    };
    let mut bytes = Vec::new();
    head.encode(&mut bytes);
    bytes.extend_from_slice(&body);
    bytes
}

fn ordered(rng: &mut Rng) -> Vec<u8> {
    let seat = SeatId(u16::try_from(rng.below(4)).unwrap());
    let message = match rng.below(8) {
        0 => RoomMessage::Input {
            seat,
            number: 1,
            payload: Bytes::new(),
        },
        1..4 => RoomMessage::Snapshot {
            seat,
            payload: snapshot_bytes(rng).into(),
        },
        _ => RoomMessage::Event {
            seat,
            number: rng.below(4),
            payload: Bytes::new(),
        },
    };
    message.encode().to_vec()
}

/// Says one thing; half of the time it is damaged.
fn speak(server: &mut Connection, rng: &mut Rng) {
    let lane = rng.below(3);
    let mut message = match lane {
        0 => control(rng),
        1 => ordered(rng),
        _ => snapshot_bytes(rng),
    };
    if rng.chance(0.5) {
        damage(&mut message, rng);
    }
    message.truncate(LATEST_MAX);
    let message = Bytes::from(message);
    let key = u16::try_from(rng.below(4)).unwrap();
    let said = match lane {
        0 => server.send_control(message),
        1 => server.send_ordered(message, None),
        _ => server.send_latest(key, &[], message, None),
    };
    said.expect("the queues have room");
}

#[test]
fn a_server_that_talks_nonsense_hurts_nobody() {
    let mut ended = 0;
    for seed in 0..300 {
        let mut rng = Rng::from_number(seed);
        let mut duet = Duet::seated();
        for _ in 0..60 {
            if *duet.core.state() != State::Active(rejoin_protocol::Liveness::Live) {
                break;
            }
            // Whether these are taken depends on what the server said before.
            let _ = duet.core.join(rejoin_protocol::RoomId([2; 16]));
            let _ = duet.core.send(SEAT, Bytes::from_static(b"input"));
            let _ = duet.core.leave(SEAT);
            speak(duet.server(), &mut rng);
            duet.exchange();
        }
        let events = duet.take_events();
        let last = events
            .iter()
            .position(|event| matches!(event, Event::Ended(_)));
        assert!(
            last.is_none_or(|last| last + 1 == events.len()),
            "seed {seed}: {events:?}"
        );
        ended += usize::from(last.is_some());
    }
    assert!(
        ended > 100,
        "nonsense is noticed, not only survived: {ended}"
    );
}
