//! What a peer may claim about packets: numbers, acknowledgements, delays, closes.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::PacketError;
use rejoin_protocol::crypto::{Suite, TrafficSecret};
use rejoin_protocol::limits::{ACK_DELAY_MAX, ACK_RANGES_MAX, REPLAY_WINDOW, TAG_LEN};
use rejoin_protocol::packet::{Header, TruncatedNumber};
use rejoin_protocol::wire::{VARINT_MAX, put_varint};

use crate::hostile::{forged, sealed};
use crate::world::{Link, Side, World};

/// An acknowledgement: the newest number, the delay in units of 160 us, and how many packets below
/// the newest the first range holds; then further ranges as given.
fn ack(largest: u64, delay: u8, first: u64, more: &[(u64, u64)]) -> Vec<u8> {
    let mut frame = vec![if more.is_empty() { 0x02 } else { 0x08 }];
    put_varint(&mut frame, largest);
    frame.push(delay);
    if !more.is_empty() {
        put_varint(&mut frame, u64::try_from(more.len()).unwrap());
    }
    put_varint(&mut frame, first);
    for (missing, received) in more {
        put_varint(&mut frame, *missing);
        put_varint(&mut frame, *received);
    }
    frame
}

/// Sends `count` packets of the server that never arrive; gives the number after the last.
fn unheard(world: &mut World, count: u64) -> u64 {
    let now = world.now;
    let server = world.connection(Side::Server);
    for _ in 0..count {
        server.send_control(Bytes::from_static(b"x")).unwrap();
        assert!(server.poll_transmit(&mut Vec::new(), now));
    }
    server.stats().sent
}

#[test]
fn an_ack_names_packets_that_were_sent_and_no_others() {
    /// Makes the frame from the number after the last one sent.
    type Make = fn(u64) -> Vec<u8>;
    let cases: [(&str, Make); 7] = [
        ("", |next| ack(next - 1, 0, next - 1, &[])),
        ("ack of a packet never sent", |next| ack(next, 0, 0, &[])),
        ("ack of a packet never sent", |_| {
            ack(VARINT_MAX, 0, VARINT_MAX, &[])
        }),
        ("malformed ack ranges", |next| ack(next - 1, 0, next, &[])),
        ("malformed ack ranges", |next| {
            ack(next - 1, 0, 1 << 61, &[])
        }),
        ("malformed ack ranges", |next| {
            ack(next - 1, 0, 0, &[(VARINT_MAX, 0)])
        }),
        ("too many ack ranges", |next| {
            ack(next - 1, 0, 0, &[(0, 0); ACK_RANGES_MAX])
        }),
    ];
    for (violation, frame) in cases {
        let mut world = World::settled(1, Link::CLEAN);
        let next = unheard(&mut world, 100);
        let now = world.now;
        let server = world.connection(Side::Server);
        let taken = server.handle_datagram(&mut forged(1_000, &frame(next)), now);
        if violation.is_empty() {
            assert_eq!(taken, Ok(()));
        } else {
            assert_eq!(taken, Err(PacketError::Violation(violation)));
        }
    }
}

#[test]
fn a_lie_about_delay_makes_no_round_trip_negative_or_longer_than_time() {
    for (delay, after) in [
        (0, Duration::ZERO),
        (u8::MAX, Duration::ZERO),
        (u8::MAX, Duration::from_millis(5)),
        (u8::MAX, Duration::from_millis(300)),
        // The acknowledgement itself may come years late.
        (0, Duration::from_secs(3_600 * 24 * 365)),
        (u8::MAX, Duration::from_secs(3_600 * 24 * 365)),
    ] {
        let mut world = World::settled(1, Link::CLEAN);
        let before = world.connection(Side::Server).stats().rtt.unwrap();
        let next = unheard(&mut world, 1);
        let now = world.now + after;
        let server = world.connection(Side::Server);
        let mut packet = forged(1_000, &ack(next - 1, delay, 0, &[]));
        assert_eq!(server.handle_datagram(&mut packet, now), Ok(()));
        let stats = server.stats();
        let told =
            after.saturating_sub(ACK_DELAY_MAX.min(Duration::from_micros(160) * u32::from(delay)));
        assert_eq!(
            stats.rtt,
            Some((before * 7 + told) / 8),
            "{delay} {after:?}"
        );
        assert!(stats.rtt_min.unwrap() <= before && stats.jitter <= after.max(before));
        // Timers of such a round trip are still moments, and the ladder is as patient as ever.
        assert!(server.poll_timeout().is_some());
        server.handle_timeout(now);
        assert!(!server.is_closed());
    }
}

#[test]
fn numbers_wrap_in_their_low_bytes_and_nowhere_else() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let server = world.connection(Side::Server);
    // Up to the wrap of two bytes, and of three, in steps that two bytes can tell.
    let steps = (30_000..0x0102_f000).step_by(30_000);
    for number in steps.chain([0x0102_f000]) {
        assert_eq!(
            server.handle_datagram(&mut forged(number, &[1]), now),
            Ok(())
        );
        assert_eq!(server.next_expected(), number + 1);
    }
    // Around a wrap: ahead, back across it, twice, and out of the window.
    let wrap = 0x0103_0000;
    for (number, result) in [
        (wrap - 2, Ok(())),
        (wrap + 3, Ok(())),
        (wrap - 1, Ok(())),
        (wrap, Ok(())),
        (wrap - 1, Err(PacketError::Replayed)),
        (wrap + 3, Err(PacketError::Replayed)),
        (wrap + 4 - REPLAY_WINDOW, Ok(())),
        (wrap + 3 - REPLAY_WINDOW, Err(PacketError::Replayed)),
    ] {
        let taken = server.handle_datagram(&mut forged(number, &[1]), now);
        assert_eq!(taken, result, "{number:#x}");
    }
    assert_eq!(server.next_expected(), wrap + 4);
}

#[test]
fn one_byte_tells_the_numbers_around_the_expected_one() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let server = world.connection(Side::Server);
    let mut one_byte = |number: u64| {
        let truncated = TruncatedNumber::shortest(number, number.checked_sub(1));
        assert_eq!(truncated.len(), 1);
        server.handle_datagram(&mut sealed((number, truncated), &[1]), now)
    };
    for number in (100..1_000).step_by(100) {
        assert_eq!(one_byte(number), Ok(()));
    }
    for number in [901 + 128, 1_030 - 127, 1_030 + 128] {
        assert_eq!(one_byte(number), Ok(()), "{number}");
    }
    // Another number is taken for it: the cipher notices.
    for number in [1_159 + 129, 1_159 - 128] {
        assert_eq!(one_byte(number), Err(PacketError::NotAuthentic), "{number}");
    }
}

#[test]
fn a_close_that_does_not_authenticate_is_no_close() {
    let mut world = World::settled(1, Link::CLEAN);
    let now = world.now;
    let header = Header {
        epoch_bits: 2,
        key_phase: false,
        label: Some([1, 2, 3, 4]),
        number: TruncatedNumber::shortest(1_000, Some(999)),
    };
    let mut in_clear = Vec::new();
    let header_len = header.encode(&mut in_clear);
    in_clear.extend([0x04, 0]);
    let mut of_another_key = in_clear.clone();
    TrafficSecret::new(Suite::Aes128Gcm, [99; 32]).key().seal(
        1_000,
        &mut of_another_key,
        0,
        header_len,
    );
    in_clear.resize(in_clear.len() + TAG_LEN, 0);
    let server = world.connection(Side::Server);
    for mut close in [in_clear, of_another_key] {
        let taken = server.handle_datagram(&mut close, now);
        assert_eq!(taken, Err(PacketError::NotAuthentic));
    }
    assert!(!server.is_closed() && server.poll_event().is_none());
    let mut genuine = forged(1_000, &[0x04, 0]);
    assert_eq!(server.handle_datagram(&mut genuine, now), Ok(()));
    assert!(server.is_closed());
}
