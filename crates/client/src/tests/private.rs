//! Private rooms: the code goes from the server to the creator, by word of mouth to another player,
//! and back to the server; what does not open one is a typed refusal.

use std::time::Duration;

use rejoin_protocol::message::{Answer, ClientMessage, RoomSettings, Seated};
use rejoin_protocol::{Limit, Refusal, RefusalCode, RequestId, RoomCode, SeatId};

use super::duet::{Duet, seated};
use crate::Event;

const SEAT: SeatId = SeatId(1);

fn code(spoken: &str) -> RoomCode {
    spoken.parse().unwrap()
}

fn private() -> RoomSettings {
    RoomSettings {
        private: true,
        ..RoomSettings::default()
    }
}

/// The seat in the private room.
fn place(created: bool) -> Seated {
    Seated {
        created,
        code: Some(code("QK7W2M")),
        ..seated(SEAT, 7)
    }
}

/// The server refuses what the client asks; gives what the client is told.
fn refused(duet: &mut Duet, spoken: &str, refusal: &Refusal) -> Event {
    let call = duet.core.join_by_code(code(spoken)).unwrap();
    let code = code(spoken);
    let asked = ClientMessage::JoinByCode { call, code };
    assert_eq!(duet.take_requests(), [asked]);
    duet.answer(call, Err(refusal.clone()));
    duet.exchange();
    let mut events = duet.take_events();
    assert_eq!(events.len(), 1, "{events:?}");
    let result = Err(refusal.clone());
    assert_eq!(events[0], Event::Answer { call, result });
    events.remove(0)
}

#[test]
fn the_code_of_a_private_room_goes_from_its_creator_to_who_joins_by_it() {
    let (mut ana, mut ben) = (Duet::connected(), Duet::connected());
    let request = RequestId([4; 16]);
    let call = ana.core.create(request, "arena", private()).unwrap();
    let asked = ClientMessage::Create {
        call,
        request,
        kind: "arena".into(),
        settings: private(),
    };
    assert_eq!(ana.take_requests(), [asked]);
    ana.answer(call, Ok(Answer::Seated(place(true))));
    ana.exchange();
    let told = ana.take_events();
    let [
        Event::Answer {
            result: Ok(Answer::Seated(Seated {
                code: Some(told), ..
            })),
            ..
        },
    ] = &told[..]
    else {
        panic!("no code: {told:?}");
    };

    // Spoken in small letters and with a space.
    let spoken = told.to_string().to_lowercase();
    let spoken = format!("{} {}", &spoken[..3], &spoken[3..]);
    let call = ben.core.join_by_code(code(&spoken)).unwrap();
    let asked = ClientMessage::JoinByCode { call, code: *told };
    assert_eq!(ben.take_requests(), [asked]);
    ben.answer(call, Ok(Answer::Seated(place(false))));
    ben.exchange();
    let result = Ok(Answer::Seated(place(false)));
    assert_eq!(ben.take_events(), [Event::Answer { call, result }]);
    ben.core.send(SEAT, b"here".to_vec().into()).unwrap();
    assert_eq!(ben.take_inputs().len(), 1, "the seat is ben's");
}

#[test]
fn a_wrong_code_is_a_typed_refusal_and_too_many_name_their_limit_and_the_wait() {
    let mut ben = Duet::connected();
    let unknown = Refusal::new(RefusalCode::UnknownRoom, "no such room is open");
    refused(&mut ben, "AAAAAA", &unknown);
    let wait = Duration::from_secs(3);
    let many = Refusal::over(Limit::RoomGuesses, "20 wrong codes a minute", wait);
    let Event::Answer {
        result: Err(told), ..
    } = refused(&mut ben, "BBBBBB", &many)
    else {
        panic!("no refusal");
    };
    assert_eq!(told.code, RefusalCode::LimitReached);
    assert_eq!(told.limit, Some(Limit::RoomGuesses));
    assert_eq!(told.retry_after_ms, Some(3_000));
    // Nothing is left of it: the right one is asked for and opens.
    ben.take_seat(place(false));
}

#[cfg(feature = "driver")]
mod driven {
    use std::sync::Arc;

    use rejoin_protocol::SizeError;
    use rejoin_protocol::connection::SendError;
    use rejoin_protocol::message::ServerMessage;
    use rejoin_room::builtin::arena::Arena;

    use super::super::driving::{block_on, connect};
    use super::super::loopback::Server;
    use super::*;
    use crate::{Client, JoinSpec, RequestError, RoomHandle};

    type Asked = Result<RoomHandle<Arena>, RequestError>;

    /// The client asks, and the server answers the request that it hears.
    async fn answered(
        server: &mut Server,
        asking: impl Future<Output = Asked> + Send + 'static,
        result: Result<Answer, Refusal>,
    ) -> (ClientMessage, Asked) {
        let asking = tokio::spawn(asking);
        let asked = server.until(Server::any_request).await;
        let call = asked.call().unwrap();
        server.tell(&ServerMessage::Reply { call, result });
        (asked, server.during(asking).await.unwrap())
    }

    fn join(client: &Arc<Client>, spoken: RoomCode) -> impl Future<Output = Asked> + use<> {
        let client = Arc::clone(client);
        async move { client.join_by_code::<Arena>(spoken).await }
    }

    #[test]
    fn the_async_client_opens_a_private_room_and_another_joins_by_its_code() {
        block_on(async {
            let mut server = Server::open();
            let ana = connect(&mut server).await;
            let spec = JoinSpec::any().settings(private());
            let creating = async move { ana.create::<Arena>(spec).await };
            let granted = Ok(Answer::Seated(place(true)));
            let (asked, room) = answered(&mut server, creating, granted).await;
            let ClientMessage::Create { settings, .. } = asked else {
                panic!("{asked:?}");
            };
            assert!(settings.private);
            let told = room.unwrap().code().unwrap();

            let mut server = Server::open();
            let ben = Arc::new(connect(&mut server).await);
            let unknown = Refusal::new(RefusalCode::UnknownRoom, "no such room is open");
            let asking = join(&ben, code("AAAAAA"));
            let (_, wrong) = answered(&mut server, asking, Err(unknown.clone())).await;
            assert_eq!(wrong.unwrap_err(), RequestError::Refused(unknown));
            let wait = Duration::from_secs(3);
            let many = Refusal::over(Limit::RoomGuesses, "20 wrong codes a minute", wait);
            let asking = join(&ben, code("BBBBBB"));
            let (_, over) = answered(&mut server, asking, Err(many)).await;
            let RequestError::Refused(over) = over.unwrap_err() else {
                panic!("not refused");
            };
            assert_eq!(over.limit, Some(Limit::RoomGuesses));
            assert_eq!(over.retry_after_ms, Some(3_000));
            let granted = Ok(Answer::Seated(place(false)));
            let (asked, room) = answered(&mut server, join(&ben, told), granted).await;
            assert!(matches!(asked, ClientMessage::JoinByCode { code, .. } if code == told));
            let room = room.unwrap();
            assert_eq!((room.code(), room.created()), (Some(told), false));
        });
    }

    #[test]
    fn the_async_client_is_told_at_the_call_what_is_too_large() {
        block_on(async {
            let mut server = Server::open();
            let client = connect(&mut server).await;
            let spec = JoinSpec::any().settings(RoomSettings {
                options: vec![0; 4_097],
                ..RoomSettings::default()
            });
            let error = client.create::<Arena>(spec).await.unwrap_err();
            let size = SizeError {
                what: "bytes of options",
                given: 4_097,
                least: 0,
                most: 4_096,
            };
            assert_eq!(error, RequestError::Send(SendError::Size(size)));
            let text = "4097 bytes of options, at most 4096 allowed";
            assert_eq!(error.to_string(), text);
        });
    }
}
