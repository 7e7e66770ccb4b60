//! Views on their way down: whole, as deltas, lost and found.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::limits::{LATEST_MAX, RESYNC_INTERVAL, VIEW_MAX};
use rejoin_protocol::message::ClientMessage;
use rejoin_protocol::room_message::{RoomMessage, SnapshotHead};
use rejoin_protocol::{CloseReason, SeatId, snapshot};

use super::duet::{Duet, delta_head, head};
use crate::{Ended, Event};

const SEAT: SeatId = SeatId(1);

fn view(fill: u8) -> Bytes {
    let mut view = vec![7; 300];
    view[150] = fill;
    view.into()
}

/// The event of a whole shared view at cursor 0.
fn shown(sequence: u64, fill: u8) -> Event {
    Event::View {
        seat: SEAT,
        sequence,
        tick: sequence,
        cursor: 0,
        view: view(fill),
        private: false,
        full: true,
        bytes: 0,
    }
}

fn patched(sequence: u64, fill: u8) -> Event {
    let mut event = shown(sequence, fill);
    if let Event::View { full, .. } = &mut event {
        *full = false;
    }
    event
}

/// What the client tells. Sizes of snapshots are looked at here, and are 0 in what is compared.
fn told(duet: &mut Duet) -> Vec<Event> {
    let mut events = duet.take_events();
    for event in &mut events {
        if let Event::View {
            full, view, bytes, ..
        } = event
        {
            // A whole one has a head besides; a delta says only what differs.
            assert_eq!(*full, *bytes > view.len(), "{bytes} bytes");
            assert!(*bytes > 0);
            *bytes = 0;
        }
    }
    events
}

fn show_whole(duet: &mut Duet, sequence: u64, fill: u8) {
    duet.show(SEAT, &head(sequence), view(fill));
}

/// A delta against the view of sequence and fill `base`.
fn show_delta(duet: &mut Duet, base: (u64, u8), sequence: u64, fill: u8) {
    let body = snapshot::delta(&view(base.1), &view(fill)).expect("a delta is shorter");
    duet.show(SEAT, &delta_head(base.0, sequence, &view(fill)), body);
}

#[test]
fn deltas_are_patched_onto_the_view_they_name() {
    let mut duet = Duet::seated();
    show_whole(&mut duet, 1, 1);
    duet.exchange();
    show_delta(&mut duet, (1, 1), 2, 2);
    duet.exchange();
    show_delta(&mut duet, (1, 1), 3, 3);
    duet.exchange();
    assert_eq!(told(&mut duet), [shown(1, 1), patched(2, 2), patched(3, 3)]);
    assert_eq!(duet.take_requests(), []);
}

#[test]
fn a_missing_base_asks_for_a_whole_view_and_shows_nothing_until_it_comes() {
    let mut duet = Duet::seated();
    show_whole(&mut duet, 1, 1);
    drop(duet.server_datagrams());
    show_delta(&mut duet, (1, 1), 2, 2);
    duet.exchange();
    assert_eq!(told(&mut duet), []);
    assert_eq!(duet.take_requests(), [ClientMessage::Resync { seat: SEAT }]);
    show_whole(&mut duet, 3, 3);
    duet.exchange();
    assert_eq!(told(&mut duet), [shown(3, 3)]);
    duet.advance(RESYNC_INTERVAL * 3);
    assert_eq!(duet.take_requests(), []);
}

#[test]
fn resyncs_are_rate_limited_and_repeated_until_one_helps() {
    let mut duet = Duet::seated();
    for sequence in 10..30 {
        show_delta(&mut duet, (1, 1), sequence, 2);
        duet.exchange();
    }
    assert_eq!(duet.take_requests().len(), 1);
    duet.advance(RESYNC_INTERVAL - Duration::from_millis(1));
    assert_eq!(duet.take_requests().len(), 0);
    duet.advance(Duration::from_millis(1));
    assert_eq!(duet.take_requests().len(), 1);
    duet.advance(RESYNC_INTERVAL);
    assert_eq!(duet.take_requests().len(), 1);
}

#[test]
fn a_wrong_check_is_a_lost_view() {
    let mut duet = Duet::seated();
    show_whole(&mut duet, 1, 1);
    duet.exchange();
    told(&mut duet);
    let body = snapshot::delta(&view(1), &view(2)).unwrap();
    duet.show(SEAT, &delta_head(1, 2, &view(3)), body);
    duet.exchange();
    assert_eq!(told(&mut duet), []);
    assert_eq!(duet.take_requests(), [ClientMessage::Resync { seat: SEAT }]);
}

#[test]
fn a_newer_cursor_on_a_known_view_moves_the_cursor_alone() {
    let mut duet = Duet::seated();
    show_whole(&mut duet, 1, 1);
    duet.exchange();
    told(&mut duet);
    let same = SnapshotHead {
        cursor: 5,
        ..head(1)
    };
    duet.show(SEAT, &same, view(1));
    duet.exchange();
    assert_eq!(told(&mut duet), []);
    assert_eq!(duet.core.cursor(SEAT), Some(5));
}

#[test]
fn an_unchanged_view_of_a_newer_name_is_shown() {
    let mut duet = Duet::seated();
    show_whole(&mut duet, 1, 1);
    duet.exchange();
    told(&mut duet);
    show_delta(&mut duet, (1, 1), 2, 1);
    duet.exchange();
    assert_eq!(told(&mut duet), [patched(2, 1)]);
}

#[test]
fn a_view_on_the_ordered_stream_never_steps_behind_a_newer_one() {
    let mut duet = Duet::seated();
    let long = Bytes::from(vec![3; LATEST_MAX + 1]);
    let mut payload = Vec::new();
    head(2).encode(&mut payload);
    payload.extend_from_slice(&long);
    let message = RoomMessage::Snapshot {
        seat: SEAT,
        payload: payload.into(),
    };
    duet.server().send_ordered(message.encode(), None).unwrap();
    show_whole(&mut duet, 3, 3);
    duet.exchange();
    duet.advance(Duration::from_millis(500));
    let newest_last = told(&mut duet);
    let sequences: Vec<u64> = newest_last
        .iter()
        .map(|event| {
            let Event::View { sequence, .. } = event else {
                panic!("{event:?}")
            };
            *sequence
        })
        .collect();
    assert!(
        sequences.is_sorted() && sequences.last() == Some(&3),
        "{sequences:?}"
    );
    // What was not shown still serves as a base.
    let mut next = long.to_vec();
    next[5] = 9;
    let body = snapshot::delta(&long, &next).unwrap();
    duet.show(SEAT, &delta_head(2, 4, &next), body);
    duet.exchange();
    let events = told(&mut duet);
    assert!(
        matches!(&events[..], [Event::View { view, .. }] if *view == next),
        "{events:?}"
    );
}

#[test]
fn the_longest_view_is_shown() {
    let mut duet = Duet::seated();
    let long = Bytes::from(vec![3; VIEW_MAX]);
    let mut payload = Vec::new();
    head(1).encode(&mut payload);
    payload.extend_from_slice(&long);
    let message = RoomMessage::Snapshot {
        seat: SEAT,
        payload: payload.into(),
    };
    duet.server().send_ordered(message.encode(), None).unwrap();
    duet.advance(Duration::from_secs(1));
    let events = told(&mut duet);
    assert!(matches!(&events[..], [Event::View { view, .. }] if *view == long));
}

#[test]
fn a_snapshot_without_a_head_ends_the_session() {
    let mut duet = Duet::seated();
    duet.server()
        .send_latest(SEAT.0, &[], Bytes::from_static(&[1]), None)
        .unwrap();
    duet.exchange();
    let ended = Ended::Closed(CloseReason::ProtocolViolation);
    assert_eq!(told(&mut duet), [Event::Ended(ended)]);
}

#[test]
fn a_view_for_a_seat_given_up_is_passed_over() {
    let mut duet = Duet::seated();
    duet.show(SeatId(9), &head(1), view(1));
    duet.exchange();
    assert_eq!(told(&mut duet), []);
    assert_eq!(duet.take_requests(), []);
}
