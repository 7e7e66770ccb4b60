//! The ends of a session.

use std::time::Duration;

use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::{DETACH_AFTER, HEARTBEAT_SEATED};
use rejoin_protocol::{CloseReason, ConnectionEvent, Liveness, RoomId, SeatId};

use super::duet::Duet;
use crate::{Ended, Event, State};

#[test]
fn leaving_tells_the_server_once_and_is_over_at_once() {
    let mut duet = Duet::seated();
    duet.core.disconnect();
    assert_eq!(*duet.core.state(), State::Ended(Ended::Left));
    assert!(duet.core.poll_timeout().is_some());
    duet.exchange();
    assert_eq!(duet.take_events(), [Event::Ended(Ended::Left)]);
    assert!(
        duet.heard
            .contains(&ConnectionEvent::Closed(CloseReason::Left))
    );
    assert_eq!(duet.core.poll_timeout(), None);
    assert!(duet.client_datagrams().is_empty());
    assert_eq!(duet.core.join(RoomId([1; 16])), Err(SendError::Closed));
    assert_eq!(duet.core.cursor(SeatId(1)), None);
}

#[test]
fn a_server_that_closes_says_why() {
    let mut duet = Duet::seated();
    duet.server().close(CloseReason::ServerStopping);
    duet.exchange();
    let ended = Ended::Closed(CloseReason::ServerStopping);
    assert_eq!(duet.take_events(), [Event::Ended(ended)]);
    assert!(duet.client_datagrams().is_empty());
    assert_eq!(duet.core.poll_timeout(), None);
}

#[test]
fn a_client_that_must_close_tells_the_server_why() {
    let mut duet = Duet::seated();
    duet.emit(SeatId(1), 1);
    duet.emit(SeatId(1), 9);
    duet.exchange();
    assert!(
        duet.heard
            .contains(&ConnectionEvent::Closed(CloseReason::ProtocolViolation))
    );
}

#[test]
fn a_silent_server_is_suspected_then_given_up() {
    let mut duet = Duet::seated();
    duet.server().set_heartbeat(HEARTBEAT_SEATED);
    duet.advance(Duration::from_secs(3));
    assert_eq!(duet.take_events(), []);
    duet.lose_down = true;
    duet.advance(Duration::from_secs(3));
    assert_eq!(duet.take_events(), [Event::Link(Liveness::Suspect)]);
    assert_eq!(*duet.core.state(), State::Active(Liveness::Suspect));
    duet.advance(DETACH_AFTER);
    let ended = Ended::Closed(CloseReason::TimedOut);
    assert_eq!(
        duet.take_events(),
        [Event::Link(Liveness::Detached), Event::Ended(ended.clone())]
    );
    assert_eq!(*duet.core.state(), State::Ended(ended));
    assert_eq!(duet.core.poll_timeout(), None);
}

#[test]
fn a_server_that_speaks_again_is_believed() {
    let mut duet = Duet::seated();
    duet.server().set_heartbeat(HEARTBEAT_SEATED);
    duet.advance(Duration::from_secs(1));
    duet.lose_down = true;
    duet.advance(Duration::from_secs(3));
    duet.lose_down = false;
    duet.advance(Duration::from_secs(1));
    assert_eq!(
        duet.take_events(),
        [Event::Link(Liveness::Suspect), Event::Link(Liveness::Live)]
    );
    assert_eq!(*duet.core.state(), State::Active(Liveness::Live));
}

#[test]
fn a_client_that_loads_says_so_and_says_when_it_is_done() {
    let mut duet = Duet::seated();
    duet.core.loading(Duration::from_secs(9)).unwrap();
    duet.exchange();
    assert_eq!(duet.server().liveness(), Liveness::Loading);
    duet.core.loaded().unwrap();
    duet.exchange();
    assert_eq!(duet.server().liveness(), Liveness::Live);
    duet.core.disconnect();
    let late = duet.core.loading(Duration::from_secs(9));
    assert_eq!(late, Err(SendError::Closed));
}

#[test]
fn the_link_is_still_told_after_the_end() {
    let mut duet = Duet::seated();
    duet.advance(Duration::from_secs(1));
    let before = duet.core.link();
    assert!(before.sent > 0 && before.received > 0);
    duet.core.disconnect();
    assert_eq!(duet.core.link(), before);
}
