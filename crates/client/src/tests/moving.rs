//! A client whose machine has another address: both drivers go on with a fresh socket at once.

use std::net::SocketAddr;
use std::time::Duration;

use super::driving::{block_on, connect};
use super::duet::Duet;
use super::loopback::Server;
use crate::{Event, Permit, PollClient};

/// By then all is acknowledged, and an idle client has nothing to say for longer than a test waits.
const SETTLED: Duration = Duration::from_millis(500);

/// Somebody who speaks from elsewhere than before.
fn elsewhere(before: SocketAddr) -> impl Fn(&mut Server) -> Option<SocketAddr> {
    move |server| server.speaker().filter(|speaker| *speaker != before)
}

#[test]
fn the_async_client_goes_on_with_a_fresh_socket_at_once() {
    block_on(async {
        let mut server = Server::open();
        let client = connect(&mut server).await;
        let before = server.until(Server::speaker).await;
        server.during(tokio::time::sleep(SETTLED)).await;
        client.moved();
        server.until(elsewhere(before)).await;
        server.follow();
        server.during(client.disconnect()).await;
        server.until(Server::was_left).await;
    });
}

#[test]
fn the_poll_client_goes_on_with_a_fresh_socket_at_once() {
    block_on(async {
        let mut server = Server::open();
        let mut client = PollClient::connect(&server.address(), Permit::dev("ana")).unwrap();
        let opened = |client: &mut PollClient| {
            client.poll();
            matches!(client.next_event(), Some(Event::Connected { .. })).then_some(())
        };
        server.until(|_| opened(&mut client)).await;
        let before = server.until(Server::speaker).await;
        let settled = tokio::time::Instant::now() + SETTLED;
        let poll = |client: &mut PollClient| {
            client.poll();
            (tokio::time::Instant::now() > settled).then_some(())
        };
        server.until(|_| poll(&mut client)).await;
        client.moved().unwrap();
        server.until(elsewhere(before)).await;
        server.follow();
        drop(client);
        server.until(Server::was_left).await;
    });
}

#[test]
fn a_client_that_moved_speaks_at_once_and_one_that_is_not_in_has_nothing_to_say() {
    let mut duet = Duet::connected();
    duet.advance(Duration::from_secs(1));
    assert!(duet.client_datagrams().is_empty());
    let now = duet.now;
    duet.core.handle_moved(now);
    assert_eq!(duet.core.poll_timeout(), Some(now));
    assert_eq!(duet.client_datagrams().len(), 1);
    assert_eq!(duet.core.link().rtt, None);
    duet.core.disconnect();
    assert_eq!(duet.client_datagrams().len(), 1, "the farewell");
    duet.core.handle_moved(now);
    assert!(duet.client_datagrams().is_empty());
}
