//! Strangers who send anything, and peers who hold the keys and mean ill.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use proptest::prelude::*;
use rejoin_protocol::CloseReason;
use rejoin_protocol::connection::{Connection, ConnectionEvent, Origin, PacketError};
use rejoin_protocol::limits::{AEAD_FAILURES_MAX, FRAGMENT_MAX, HELD_BY_SERVER_MAX, STREAM_WINDOW};
use rejoin_protocol::packet::{Header, TruncatedNumber};
use rejoin_protocol::wire::{VARINT_MAX, put_varint};

use crate::world::{Link, Side, World, secret};

/// What two bytes of a packet number can tell.
const LEAP_MAX: u64 = 0x7ffe;

/// A packet to the server, sealed with the client's key. Its number may be a leap ahead.
pub(crate) fn forged(number: u64, frames: &[u8]) -> Vec<u8> {
    let acked = number.checked_sub(LEAP_MAX);
    sealed((number, TruncatedNumber::shortest(number, acked)), frames)
}

/// A packet to the server, sealed with the client's key, and its number in as many bytes as given.
pub(crate) fn sealed((number, truncated): (u64, TruncatedNumber), frames: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let header = Header {
        epoch_bits: 2,
        key_phase: false,
        label: Some([1, 2, 3, 4]),
        number: truncated,
    };
    let header_len = header.encode(&mut packet);
    packet.extend_from_slice(frames);
    secret(Side::Client)
        .key()
        .seal(number, &mut packet, 0, header_len);
    packet
}

/// All that a connection is, but for the counts of what was thrown away.
fn state(connection: &Connection) -> String {
    let text = format!("{connection:?}");
    ["dropped: ", "failures: "]
        .into_iter()
        .fold(text, |text, count| {
            let (before, after) = text.split_once(count).expect("the count is printed");
            before.to_owned() + after.trim_start_matches(|digit: char| digit.is_ascii_digit())
        })
}

/// A server in the middle of play, and the client's next datagram to it.
fn playing() -> (World, Vec<u8>) {
    let mut world = World::settled(1, Link::CLEAN);
    for _ in 0..5 {
        for side in Side::BOTH {
            world
                .connection(side)
                .send_control(Bytes::from_static(b"hello"))
                .unwrap();
            world
                .connection(side)
                .send_latest(1, b"x", Bytes::from_static(b"y"), None)
                .unwrap();
        }
        world.run_for(Duration::from_millis(33));
    }
    let now = world.now;
    world
        .connection(Side::Client)
        .send_control(Bytes::from_static(b"next"))
        .unwrap();
    let mut datagram = Vec::new();
    assert!(
        world
            .connection(Side::Client)
            .poll_transmit(&mut datagram, now)
    );
    // The server's clock has seen this moment, so that only the datagram can change it.
    world.connection(Side::Server).handle_timeout(now);
    world.drain(Side::Server);
    (world, datagram)
}

#[test]
fn a_flipped_bit_anywhere_changes_nothing() {
    let (mut world, datagram) = playing();
    let now = world.now;
    let server = world.connection(Side::Server);
    let before = state(server);
    for bit in 0..datagram.len() * 8 {
        let mut changed = datagram.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let error = server.handle_datagram(&mut changed, now).unwrap_err();
        assert!(
            !matches!(error, PacketError::Violation(_) | PacketError::Closed),
            "{error}"
        );
        assert_eq!(state(server), before, "bit {bit}");
    }
    let dropped = server.stats().dropped;
    assert_eq!(dropped, u64::try_from(datagram.len() * 8).unwrap());
    let mut again = datagram.clone();
    let mut datagram = datagram;
    assert_eq!(server.handle_datagram(&mut datagram, now), Ok(()));
    let after = state(server);
    assert_eq!(
        server.handle_datagram(&mut again, now),
        Err(PacketError::Replayed)
    );
    assert_eq!(state(server), after);
}

proptest! {
    #[test]
    fn garbage_changes_nothing(
        garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1_400), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut world, datagram) = playing();
        let now = world.now;
        let server = world.connection(Side::Server);
        let before = state(server);
        for mut bytes in garbage {
            prop_assert!(server.handle_datagram(&mut bytes, now).is_err());
            // The same behind a header that leads to this connection.
            let mut labelled = datagram[..7].to_vec();
            labelled.extend(bytes);
            prop_assert!(server.handle_datagram(&mut labelled, now).is_err());
        }
        let mut short = datagram[..cut.index(datagram.len())].to_vec();
        prop_assert!(server.handle_datagram(&mut short, now).is_err());
        prop_assert_eq!(state(server), before);
    }

    #[test]
    fn a_peer_with_keys_may_send_any_frames_and_break_only_its_own_connection(
        packets in prop::collection::vec(prop::collection::vec(
            prop_oneof![Just(1_u8), Just(2), Just(3), 0x10..0x24_u8, 0x30..0x38_u8, any::<u8>()],
            0..60,
        ), 1..30),
    ) {
        let mut world = World::settled(1, Link::CLEAN);
        for (number, frames) in (1_000..).zip(packets) {
            world.inject(Side::Client, forged(number, &frames));
            world.run_for(Duration::from_millis(30));
        }
        world.run_for(Duration::from_secs(60));
        let closed = world.connection(Side::Server).is_closed();
        let told = world.picked(Side::Server, |event| {
            if let ConnectionEvent::Closed(reason) = event { Some(*reason) } else { None }
        });
        prop_assert_eq!(closed, told.len() == 1);
    }
}

#[test]
fn a_fragment_that_comes_again_with_other_bytes_closes_the_connection() {
    let fragment = |byte| {
        let mut frames = vec![0x12, 5, 0, 3];
        frames.put_bytes(byte, FRAGMENT_MAX);
        frames
    };
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let server = world.connection(Side::Server);
    for (number, byte, result) in [
        (1_000, 1, Ok(())),
        (1_001, 1, Ok(())),
        (1_002, 2, Err(PacketError::Violation("fragment changed"))),
    ] {
        let taken = server.handle_datagram(&mut forged(number, &fragment(byte)), now);
        assert_eq!(taken, result);
    }
}

#[test]
fn each_violation_closes_the_connection_and_says_so() {
    let mut beyond_window = vec![0x10];
    put_varint(&mut beyond_window, STREAM_WINDOW);
    let mut changed_count = vec![0x13, 5, 0, 3];
    put_varint(&mut changed_count, u64::try_from(FRAGMENT_MAX).unwrap());
    changed_count.resize(changed_count.len() + FRAGMENT_MAX, 0);
    changed_count.extend([0x12, 5, 3, 4, 1]);
    let mut never_sent = vec![0x02];
    put_varint(&mut never_sent, 1 << 40);
    never_sent.extend([0, 0]);
    let mut points_back = vec![0x32, 0x13];
    put_varint(&mut points_back, 1 << 61);
    points_back.put_bytes(0, FRAGMENT_MAX);
    let mut endless = vec![0x11, 0];
    put_varint(&mut endless, VARINT_MAX);
    let mut too_long = vec![0x16, 0, 0, 57];
    too_long.put_bytes(0, FRAGMENT_MAX);
    let cases = [
        (endless, "frame cut short"),
        (vec![0x12, 0, 3, 3, 1], "fragment beyond its message"),
        (vec![0x12, 0, 0, 0, 1], "fragment beyond its message"),
        (vec![0x12, 0, 0, 3, 1], "fragment of wrong size"),
        (vec![0x32, 0x09, 0], "fragment beyond its message"),
        (vec![0x36, 1, 0x22, 0], "fragment beyond its message"),
        (too_long, "message longer than its lane takes"),
        (vec![], "packet without frames"),
        (vec![0x3f], "unknown frame"),
        (vec![0x11, 0, 9, 0], "frame cut short"),
        (beyond_window, "message beyond the stream window"),
        (changed_count, "fragment count changed"),
        (never_sent, "ack of a packet never sent"),
        (
            vec![0x02, 0, 0, 0, 0x08, 0, 0, 0, 0],
            "second ack in a packet",
        ),
        (points_back, "fragment points before the first packet"),
    ];
    for (frames, violation) in cases {
        let mut world = World::settled(1, Link::CLEAN);
        let now = world.now;
        let server = world.connection(Side::Server);
        let result = server.handle_datagram(&mut forged(1_000, &frames), now);
        assert_eq!(result, Err(PacketError::Violation(violation)));
        world.drain(Side::Server);
        world.run_for(Duration::from_secs(1));
        for side in Side::BOTH {
            let (_, event) = world.end(side).events.pop().unwrap();
            assert_eq!(
                event,
                ConnectionEvent::Closed(CloseReason::ProtocolViolation)
            );
        }
    }
}

/// The `step`th frame with which a hostile client fills a lane of kind `kind`: the front message of
/// a stream never comes, and a latest message lacks its last fragment.
fn filler(kind: u8, step: u64, (index, count, len): (u8, u8, usize)) -> Vec<u8> {
    let mut frames = vec![kind | if count > 1 { 2 } else { 0 }];
    if kind == 0x30 {
        let key = u8::try_from(step % 60).unwrap();
        frames = vec![0x36, key, 0x04, 0];
    } else {
        put_varint(&mut frames, 1 + step);
        if count > 1 {
            frames.extend([index, count]);
        }
    }
    let len = if kind == 0x30 { FRAGMENT_MAX } else { len };
    frames.put_bytes(0, len);
    frames
}

/// How many such frames a fresh server takes before it closes, of at most 300.
fn capacity(kind: u8, shape: (u8, u8, usize)) -> u64 {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let server = world.connection(Side::Server);
    (0..300)
        .find(|step| {
            let mut packet = forged(1_000 + step, &filler(kind, *step, shape));
            server.handle_datagram(&mut packet, now).is_err()
        })
        .unwrap_or(300)
}

#[test]
fn no_peer_makes_a_server_hold_more_than_the_formula_says() {
    let mut worst = 0;
    for shape in [
        (0, 1, 1),
        (0, 1, FRAGMENT_MAX),
        (0, 4, FRAGMENT_MAX),
        (1, 2, 1),
    ] {
        let mut world = World::settled(1, Link::CLEAN);
        let now = world.now;
        let server = world.connection(Side::Server);
        let mut number = 1_000;
        for kind in [0x10, 0x14, 0x18, 0x1c, 0x20, 0x30] {
            for step in 0..capacity(kind, shape) {
                let mut packet = forged(number, &filler(kind, step, shape));
                assert_eq!(server.handle_datagram(&mut packet, now), Ok(()));
                assert!(server.held_bytes() <= HELD_BY_SERVER_MAX);
                number += 1;
            }
        }
        worst = worst.max(server.held_bytes());
    }
    // All lanes are full but for the rest that no further message fits.
    assert!(worst > HELD_BY_SERVER_MAX * 8 / 10, "{worst} bytes");
}

#[test]
fn a_replayed_or_ancient_packet_is_dropped() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let server = world.connection(Side::Server);
    assert_eq!(
        server.handle_datagram(&mut forged(5_000, &[1]), now),
        Ok(())
    );
    assert_eq!(
        server.handle_datagram(&mut forged(5_000, &[1]), now),
        Err(PacketError::Replayed)
    );
    assert_eq!(
        server.handle_datagram(&mut forged(3_977, &[1]), now),
        Ok(())
    );
    assert_eq!(
        server.handle_datagram(&mut forged(3_976, &[1]), now),
        Err(PacketError::Replayed)
    );
    assert_eq!(server.stats().dropped, 2);
}

#[test]
fn a_key_tried_too_often_ends_the_connection() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let server = world.connection(Side::Server);
    let mut genuine = forged(1_000, &[1]);
    let mut forgery = genuine.clone();
    forgery[7] ^= 1;
    let mut attempt = forgery.clone();
    for _ in 0..2 * AEAD_FAILURES_MAX {
        attempt.copy_from_slice(&forgery);
        assert_eq!(
            server.handle_datagram_from(Origin::Elsewhere, &mut attempt, now),
            Err(PacketError::NotAuthentic)
        );
    }
    assert!(!server.is_closed(), "a stranger elsewhere ends nothing");
    for _ in 1..AEAD_FAILURES_MAX {
        attempt.copy_from_slice(&forgery);
        assert_eq!(
            server.handle_datagram(&mut attempt, now),
            Err(PacketError::NotAuthentic)
        );
    }
    assert_eq!(
        server.handle_datagram(&mut genuine, now),
        Ok(()),
        "one short of the bound"
    );
    let mut last = forged(1_001, &[1]);
    last[7] ^= 1;
    assert_eq!(
        server.handle_datagram(&mut last, now),
        Err(PacketError::NotAuthentic)
    );
    assert!(server.is_closed());
    let closed = std::iter::from_fn(|| server.poll_event()).last();
    assert_eq!(
        closed,
        Some(ConnectionEvent::Closed(CloseReason::ProtocolViolation))
    );
    assert!(
        !server.poll_transmit(&mut Vec::new(), now),
        "a forger gets no answer"
    );
}
