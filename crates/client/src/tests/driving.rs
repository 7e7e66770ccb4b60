//! Both drivers over loopback, against a server end that the test drives by hand.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::CALLS_MAX;
use rejoin_protocol::message::{Answer, RoomCloseReason, ServerMessage};
use rejoin_protocol::room_message::RoomMessage;
use rejoin_protocol::{CloseReason, ConnectionEvent};
use rejoin_room::builtin::arena::{Arena, Move};

use super::duet::{SESSION, seated};
use super::loopback::{SEAT, Server, field, grant};
use crate::{
    Client, ConnectError, Ended, Event, JoinSpec, Permit, PollClient, RequestError, RoomEvent,
};

pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_io()
        .enable_time()
        .build()
        .unwrap()
        .block_on(work)
}

/// A client that the server has welcomed.
pub(super) async fn connect(server: &mut Server) -> Client {
    let address = server.address();
    server
        .during(Client::connect(&address, Permit::dev("ana")))
        .await
        .unwrap()
}

/// A client with a seat in the server's room.
async fn seat(server: &mut Server) -> (Client, crate::RoomHandle<Arena>) {
    let client = connect(server).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.join_or_create::<Arena>(JoinSpec::any()).await }
    });
    let call = server.until(Server::seat_request).await;
    server.tell(&grant(call));
    let room = server.during(asking).await.unwrap().unwrap();
    (client, room)
}

#[test]
fn the_async_client_plays_and_leaves() {
    block_on(async {
        let mut server = Server::open();
        let (client, mut room) = seat(&mut server).await;
        assert_eq!(client.player(), SESSION.player());
        assert_eq!(room.player(), SESSION.player());
        assert_eq!(room.members().len(), 1);

        let step = Move(1.0, 0.0, 1, true);
        assert_eq!(room.send(step), Ok(1));
        assert_eq!(server.until(Server::input).await, step);
        server.show(1, &field(5));
        let event = server.during(room.next()).await;
        assert_eq!(event, Some(RoomEvent::View(field(5))));

        let leaving = tokio::spawn(room.leave());
        let call = server.until(Server::leave_request).await;
        server.tell(&ServerMessage::Reply {
            call,
            result: Ok(Answer::Left),
        });
        assert_eq!(server.during(leaving).await.unwrap(), Ok(()));

        client.disconnect().await;
        server.until(Server::was_left).await;
        assert_eq!(client.ended().await, Ended::Left);
        let late = client.list(None, Vec::new()).await;
        assert_eq!(late, Err(RequestError::Ended(Ended::Left)));
    });
}

#[test]
fn a_room_that_closes_is_the_last_event() {
    block_on(async {
        let mut server = Server::open();
        let (_client, mut room) = seat(&mut server).await;
        let reason = RoomCloseReason::ClosedByOwner;
        server.tell(&ServerMessage::RoomClosed {
            seat: SEAT,
            reason: reason.clone(),
        });
        assert_eq!(
            server.during(room.next()).await,
            Some(RoomEvent::Closed(reason))
        );
        assert_eq!(room.next().await, None);
        assert!(room.send(Move(0.0, 0.0, 1, true)).is_err());
        assert_eq!(room.cursor(), None);
    });
}

#[test]
fn a_session_that_ends_tells_every_room() {
    block_on(async {
        let mut server = Server::open();
        let (client, mut room) = seat(&mut server).await;
        server.connection().close(CloseReason::Kicked);
        let ended = Ended::Closed(CloseReason::Kicked);
        let event = server.during(room.next()).await;
        assert_eq!(event, Some(RoomEvent::Ended(ended.clone())));
        assert_eq!(room.next().await, None);
        assert_eq!(client.ended().await, ended);
    });
}

#[test]
fn dropping_a_handle_gives_its_seat_back_and_dropping_all_ends_the_session() {
    block_on(async {
        let mut server = Server::open();
        let (client, room) = seat(&mut server).await;
        drop(room);
        server.until(Server::leave_request).await;
        drop(client);
        server.until(Server::was_left).await;
    });
}

#[test]
fn a_seat_dropped_while_every_request_is_open_is_given_back_later() {
    block_on(async {
        let mut server = Server::open();
        let (client, room) = seat(&mut server).await;
        let asking: Vec<_> = (0..CALLS_MAX)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.list(None, Vec::new()).await })
            })
            .collect();
        let call = server.until(Server::list_request).await;
        assert_eq!(
            server.during(room.leave()).await,
            Err(RequestError::Send(SendError::QueueFull))
        );
        server.tell(&ServerMessage::Reply {
            call,
            result: Ok(Answer::Rooms(Vec::new())),
        });
        server.until(Server::leave_request).await;
        asking.iter().for_each(tokio::task::JoinHandle::abort);
    });
}

#[test]
fn a_seat_that_nobody_waits_for_any_more_is_given_back() {
    block_on(async {
        let mut server = Server::open();
        let client = connect(&mut server).await;
        let asking = tokio::spawn({
            let client = client.clone();
            async move {
                client
                    .join_or_create::<Arena>(JoinSpec::any())
                    .await
                    .map(drop)
            }
        });
        let call = server.until(Server::seat_request).await;
        asking.abort();
        assert!(asking.await.is_err());
        server.tell(&grant(call));
        server.until(Server::leave_request).await;
    });
}

#[test]
fn a_seat_whose_answer_nobody_looked_at_is_given_back() {
    block_on(async {
        let mut server = Server::open();
        let client = connect(&mut server).await;
        let mut asking = Box::pin(client.join_or_create::<Arena>(JoinSpec::any()));
        let asked = tokio::time::timeout(Duration::ZERO, asking.as_mut()).await;
        assert!(asked.is_err(), "nobody has answered yet");
        let call = server.until(Server::seat_request).await;
        server.tell(&grant(call));
        // Once the client has this, it has the answer too: control goes first.
        let event = RoomMessage::Event {
            seat: SEAT,
            number: 1,
            payload: Bytes::new(),
        };
        server
            .connection()
            .send_ordered(event.encode(), Some(1))
            .unwrap();
        server
            .until(|server| {
                server.find(|event| (*event == ConnectionEvent::Acked(1)).then_some(()))
            })
            .await;
        drop(asking);
        server.until(Server::leave_request).await;
    });
}

#[test]
fn a_room_of_another_kind_is_given_back() {
    block_on(async {
        let mut server = Server::open();
        let client = connect(&mut server).await;
        let asking = tokio::spawn({
            let client = client.clone();
            async move {
                client
                    .join_or_create::<Arena>(JoinSpec::any())
                    .await
                    .map(drop)
            }
        });
        let call = server.until(Server::seat_request).await;
        let chat = rejoin_protocol::message::Seated {
            kind: "chat".into(),
            ..seated(SEAT, 7)
        };
        server.tell(&ServerMessage::Reply {
            call,
            result: Ok(Answer::Seated(chat)),
        });
        let wrong = RequestError::WrongKind {
            expected: "arena",
            found: "chat".into(),
        };
        assert_eq!(server.during(asking).await.unwrap(), Err(wrong));
        server.until(Server::leave_request).await;
    });
}

/// A loopback address of this process alone, with a port that the system gives to nobody, so that
/// no other test can take it in between. Where loopback is one address, only the port protects.
fn lonely_place() -> SocketAddr {
    let [_, b, c, d] = std::process::id().to_be_bytes();
    let place = SocketAddr::from(([127, b | 0x40, c, d], 20_777));
    match UdpSocket::bind(place) {
        Ok(_) => place,
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 20_777)),
    }
}

#[test]
fn a_port_that_nobody_listens_on_at_first_ends_nothing() {
    block_on(async {
        let place = lonely_place();
        let address = format!("rejoin://{place}");
        let connecting =
            tokio::spawn(async move { Client::connect(&address, Permit::dev("ana")).await });
        // Long enough for a hello and the report that it reached nobody.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut server = Server::at(place);
        assert!(server.during(connecting).await.unwrap().is_ok());
    });
}

#[test]
fn what_is_wrong_with_an_address_or_permit_is_said_before_anything_is_sent() {
    block_on(async {
        let error = Client::connect("http://localhost", Permit::dev("ana"))
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::Address(_)), "{error}");
        let error = Client::connect("localhost:1", Permit::dev(""))
            .await
            .unwrap_err();
        assert!(
            matches!(error, ConnectError::Ended(Ended::Start(_))),
            "{error}"
        );
    });
}

#[test]
fn the_poll_client_plays_and_leaves() {
    block_on(async {
        let mut server = Server::open();
        let mut client = PollClient::connect(&server.address(), Permit::dev("ana")).unwrap();
        let event = next(&mut server, &mut client).await;
        assert_eq!(event, Event::Connected { session: SESSION });

        let asked = client.join_or_create::<Arena>(JoinSpec::any()).unwrap();
        client.poll();
        let call = server.until(Server::seat_request).await;
        assert_eq!(call, asked);
        server.tell(&grant(call));
        let event = next(&mut server, &mut client).await;
        assert!(matches!(
            event,
            Event::Answer {
                result: Ok(Answer::Seated(_)),
                ..
            }
        ));

        let step = Move(1.0, 0.0, 1, true);
        assert_eq!(client.send::<Arena>(SEAT, &step), Ok(1));
        client.poll();
        assert_eq!(server.until(Server::input).await, step);
        server.show(1, &field(5));
        let Event::View { view, .. } = next(&mut server, &mut client).await else {
            panic!()
        };
        assert_eq!(crate::payload::decode(&view), Ok(field(5)));

        drop(client);
        server.until(Server::was_left).await;
    });
}

/// Frames until something happens.
async fn next(server: &mut Server, client: &mut PollClient) -> Event {
    server
        .until(|_| {
            client.poll();
            client.next_event()
        })
        .await
}
