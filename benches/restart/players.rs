//! Players that open rooms and are killed in them, and one that wakes rooms.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rejoin::client::{Client, JoinSpec, Permit};
use rejoin::protocol::RequestId;
use rejoin::room::builtin::chat::Chat;
use rejoin::room::{RoomId, RoomSettings};

use crate::server::Server;
use crate::{Options, PATIENCE};

/// Says that this process plays.
pub(crate) const WORD: &str = "play";
/// Rooms that one session opens: all its seats.
const SEATS: usize = 16;
/// Rooms of one process of players.
const WAVE: usize = 4_000;
/// Rooms that are woken.
const WAKES: usize = 500;

/// Opens the rooms and kills those in them. Gives the rooms.
pub(crate) fn fill(server: &Server, options: &Options) -> Vec<RoomId> {
    let own = std::env::current_exe().unwrap();
    let mut begun = 0;
    while begun < options.rooms {
        let count = WAVE.min(options.rooms - begun);
        let numbers = [begun, count, options.members].map(|number| number.to_string());
        let mut child = Command::new(&own)
            .args([WORD, &server.address])
            .args(&numbers)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "seated");
        child.kill().unwrap();
        child.wait().unwrap();
        begun += count;
        if options.asleep {
            server.wait(PATIENCE, |figures| figures.asleep >= begun);
        }
    }
    let rooms = (0..options.rooms).map(|number| RoomId::of("chat", request(number)));
    rooms.collect()
}

fn request(number: usize) -> RequestId {
    let mut id = [9; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    RequestId(id)
}

/// Takes seats until this process is killed.
pub(crate) fn play(told: &[String]) {
    let [address, numbers @ ..] = told else {
        panic!("told too little")
    };
    let numbers: Vec<usize> = numbers.iter().map(|it| it.parse().unwrap()).collect();
    let (first, count, members) = (numbers[0], numbers[1], numbers[2]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut held = Vec::new();
        for member in 0..members {
            let rooms: Vec<usize> = (first..first + count).collect();
            for (session, some) in rooms.chunks(SEATS).enumerate() {
                let name = format!("p{first}.{member}.{session}");
                let client = Client::connect(address, Permit::dev(&name)).await.unwrap();
                for number in some {
                    let settings = RoomSettings {
                        members_max: 8,
                        ..RoomSettings::default()
                    };
                    let spec = JoinSpec::any().request(request(*number)).settings(settings);
                    held.push(client.create::<Chat>(spec).await.unwrap());
                }
                std::mem::forget(client);
            }
        }
        println!("seated");
        std::future::pending::<()>().await;
    });
}

/// Somebody asks for rooms that sleep, one after the other.
pub(crate) fn wake(server: &Server, rooms: &[RoomId]) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut took = Vec::new();
    let step = (rooms.len() / WAKES).max(1);
    runtime.block_on(async {
        for (session, some) in rooms
            .chunks(step * SEATS)
            .take(WAKES.div_ceil(SEATS))
            .enumerate()
        {
            let name = format!("w{session}");
            let client = Client::connect(&server.address, Permit::dev(&name))
                .await
                .unwrap();
            let mut held = Vec::new();
            for room in some.iter().step_by(step).take(SEATS) {
                let begun = Instant::now();
                held.push(client.join::<Chat>(*room).await.unwrap());
                took.push(begun.elapsed());
                thread::sleep(Duration::from_millis(1));
            }
            std::mem::forget(client);
        }
    });
    took
}
