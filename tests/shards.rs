//! A real server of two shards: players whose rooms are on the other one, and sessions that come again from
//! elsewhere.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected fails"
)]

#[allow(dead_code, reason = "not every test needs all of it")]
mod in_process;

use std::num::NonZeroU8;

use in_process::InProcess;
use rejoin::client::{Client, Credentials, JoinSpec, Permit, RoomEvent, RoomHandle};
use rejoin::protocol::RequestId;
use rejoin::protocol::crypto::StaticKeys;
use rejoin::room::Kinds;
use rejoin::room::builtin::chat::{Chat, Say};
use rejoin::server::entropy;

fn serve() -> InProcess {
    InProcess::serve_with(Kinds::new().with::<Chat>(), |config| {
        config.shards = NonZeroU8::new(2).expect("two is not zero");
        // One player comes again and again.
        config.limits.budgets.takeovers_burst = 100;
    })
}

/// Takes events of a room until it has heard so many lines, and gives them.
async fn hear(room: &mut RoomHandle<Chat>, count: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < count {
        match room.next().await.expect("the room goes on") {
            RoomEvent::Event(line) => heard.push(line.text),
            RoomEvent::View(_) | RoomEvent::Seat(..) => {}
            other => panic!("{other:?}"),
        }
    }
    heard
}

#[tokio::test]
async fn members_of_both_shards_hear_each_other_in_one_order() {
    // Each has a socket of its own, which the system spreads over both shards: all come to one of them once in
    // eight million times.
    const PLAYERS: usize = 24;
    let server = serve();
    let address = server.address().to_string();
    let spec = || JoinSpec::any().request(RequestId([7; 16]));
    let mut players = Vec::new();
    for number in 0..PLAYERS {
        let name = format!("player {number}");
        let client = Client::connect(&address, Permit::dev(name)).await.unwrap();
        let room = client.create::<Chat>(spec()).await.unwrap();
        players.push((client, room));
    }
    for (number, (_, room)) in players.iter().enumerate() {
        let text = format!("line {number}");
        room.send(Say { text }).unwrap();
    }
    let mut orders = Vec::new();
    for (_, room) in &mut players {
        orders.push(hear(room, PLAYERS).await);
    }
    let mut sorted = orders[0].clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), PLAYERS, "each line is heard once");
    assert!(orders.iter().all(|order| *order == orders[0]));
    drop(players);
    let report = server.stop();
    assert_eq!(report.shard.joins, PLAYERS as u64);
    assert_eq!(report.shard.inputs, PLAYERS as u64);
    assert!(report.shard.letters > PLAYERS as u64, "{report:?}");
}

#[tokio::test]
async fn a_session_has_one_home_wherever_its_clients_come_from() {
    const CLIENTS: u64 = 24;
    let server = serve();
    let address = server.address().to_string();
    let mut rng = entropy().unwrap();
    let identity = StaticKeys::generate(&mut rng);
    // Each client and its seat, which dropping would give back.
    let mut clients: Vec<(Client, RoomHandle<Chat>)> = Vec::new();
    for number in 0..CLIENTS {
        let credentials = Credentials {
            permit: Permit::dev("ana"),
            identity: Some(identity.clone()),
        };
        let newer = Client::connect(&address, credentials).await.unwrap();
        if let Some((older, _)) = clients.last() {
            older.ended().await;
        }
        let spec = JoinSpec::any().request(RequestId([8; 16]));
        let room = newer.create::<Chat>(spec).await.unwrap();
        assert_eq!(room.cursor(), Some(number));
        let text = "again".to_owned();
        room.send(Say { text }).unwrap();
        while room.cursor() != Some(number + 1) {
            tokio::task::yield_now().await;
        }
        clients.push((newer, room));
    }
    drop(clients);
    let report = server.stop();
    assert_eq!(report.shard.joins, CLIENTS);
    assert_eq!(report.shard.inputs, CLIENTS);
    assert!(report.shard.forwarded > 0, "{report:?}");
}
