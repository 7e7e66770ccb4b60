//! A game's own binary made with `rejoin::serve`: this file is one. Started by `cargo test` it
//! plays the tests below against itself, started by them it is the game.

#[cfg(unix)]
mod signal;
mod support;
mod within_patience;

use std::process::ExitCode;
use std::time::Duration;

use rejoin::bots::BotCx;
use rejoin::prelude::*;
use support::Process;
use within_patience::within_patience;

/// A room that counts, and whose logic has a defect.
struct Counter;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Count(u64);

#[derive(Serialize, Deserialize)]
enum Press {
    Add,
    Defect,
    Hang,
    Nap,
}

impl Room for Counter {
    const KIND: &'static str = "counter";
    type State = Count;
    type Input = Press;
    type View = Count;
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Count {
        Count::default()
    }

    fn input(state: &mut Count, _from: PlayerId, press: Press, _cx: &mut Cx<Self>) {
        state.0 += 1;
        match press {
            Press::Add => {}
            Press::Defect => panic!("the counter\nis broken"),
            Press::Hang => loop {
                std::thread::sleep(NAP);
            },
            Press::Nap => (0..NAPS).for_each(|_| std::thread::sleep(NAP)),
        }
    }

    fn view(state: &Count) -> Cow<'_, Count> {
        Cow::Borrowed(state)
    }
}

/// A call that takes its time takes it in parts, so that some is left when the process was stopped meanwhile.
const NAP: Duration = Duration::from_millis(100);
const NAPS: u32 = 8;

/// Presses now and then, and knows what the counter must not do.
#[derive(Default)]
struct Presser;

impl Behaviour for Presser {
    type Room = Counter;

    fn step(&mut self, bot: &mut BotCx<'_, Counter>) {
        bot.send(Press::Add);
    }

    fn view(&mut self, before: Option<&Count>, now: &Count) -> Result<(), String> {
        match before {
            Some(before) if before.0 > now.0 => Err(format!("{} after {}", now.0, before.0)),
            _ => Ok(()),
        }
    }
}

/// Tells the child what it is.
const IS_GAME: &str = "OWN_BINARY_IS_GAME";

fn main() -> ExitCode {
    if std::env::var_os(IS_GAME).is_some() {
        return rejoin::serve(|server| server.room::<Counter>().bots::<Presser>());
    }
    it_goes_by_its_own_name();
    a_panic_in_room_logic_costs_one_input_and_one_log_line();
    its_bots_play_its_own_room_unless_told_otherwise();
    #[cfg(unix)]
    std::thread::scope(|both| {
        both.spawn(watchdog::room_logic_that_does_not_return_is_named_and_the_process_aborts);
        both.spawn(watchdog::a_process_that_was_stopped_as_a_whole_goes_on);
        #[cfg(target_os = "linux")]
        both.spawn(watchdog::a_service_manager_hears_nothing_while_one_shard_hangs);
    });
    ExitCode::SUCCESS
}

fn game(arguments: &[&str]) -> Process {
    game_with(&[], arguments)
}

fn game_with(variables: &[(&str, &str)], arguments: &[&str]) -> Process {
    let program = std::env::current_exe().expect("a running test has a file");
    let always = [(IS_GAME, "1"), ("RUST_BACKTRACE", "full")];
    Process::of(&program, &[&always, variables].concat(), arguments)
}

fn serve() -> (Process, String) {
    let mut server = game(&[
        "serve",
        "--bind",
        "127.0.0.1:0",
        "--print-address",
        "--until-stdin-closes",
    ]);
    let line = server.line();
    let address = line
        .strip_prefix("listening on ")
        .expect("the first line is the address");
    let address = address.to_owned();
    (server, address)
}

fn it_goes_by_its_own_name() {
    let version = game(&["--version"]).end();
    assert!(version.stdout.starts_with("own_binary"), "{version:?}");
    let failed = game(&["dance"]).end();
    assert_eq!(failed.code, Some(2), "{failed:?}");
    assert!(failed.stderr.starts_with("own_binary"), "{failed:?}");
    assert_eq!(failed.stderr.lines().count(), 1, "{failed:?}");
}

fn a_panic_in_room_logic_costs_one_input_and_one_log_line() {
    let (mut server, address) = serve();
    within_patience(async {
        let client = Client::connect(&address, Permit::dev("ana")).await;
        let client = client.expect("the server takes players");
        let room = client.join_or_create::<Counter>(JoinSpec::any()).await;
        let mut room = room.expect("the room takes players");
        for press in [Press::Add, Press::Defect, Press::Add] {
            room.send(press).expect("little waits");
        }
        let (mut refused, mut count) = (None, Count::default());
        while refused.is_none() || count.0 < 2 {
            let event = room.next().await.expect("the room is open");
            if let RoomEvent::InputRefused(number, refusal) = event {
                refused = Some((number, refusal.code));
            } else if let RoomEvent::View(view) = event {
                count = view;
            }
        }
        assert_eq!(
            (refused, count),
            (Some((2, RefusalCode::RoomFailed)), Count(2))
        );
    });
    server.close_stdin();
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let panics: Vec<_> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("is broken"))
        .collect();
    assert_eq!(panics.len(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("backtrace"), "{ended:?}");
}

fn its_bots_play_its_own_room_unless_told_otherwise() {
    let (_server, address) = serve();
    let bots = game(&[
        "bots",
        &address,
        "-n",
        "3",
        "--for",
        "1s",
        "--input-rate",
        "20",
        // A busy machine is no fault of the room.
        "--lateness-max",
        "1m",
    ])
    .end();
    assert_eq!(bots.code, Some(0), "{bots:?}");
    assert!(bots.stdout.contains("kind counter"), "{bots:?}");
}

/// What becomes of room logic that does not return.
#[cfg(unix)]
mod watchdog {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    #[cfg(target_os = "linux")]
    use std::os::unix::net::UnixDatagram;
    use std::time::Instant;

    use super::*;
    use crate::signal::signal;

    /// Joins as `name` and takes a seat in the counter's room.
    async fn join(address: &str, name: &str) -> (Client, RoomHandle<Counter>) {
        let client = Client::connect(address, Permit::dev(name)).await;
        let client = client.expect("the server takes players");
        let room = client.join_or_create::<Counter>(JoinSpec::any()).await;
        (client, room.expect("the room takes players"))
    }

    fn start(flags: &[&str]) -> (Process, String) {
        start_with(&[], flags)
    }

    fn start_with(variables: &[(&str, &str)], flags: &[&str]) -> (Process, String) {
        let always = ["serve", "--bind", "127.0.0.1:0", "--print-address"];
        let mut server = game_with(variables, &[&always, flags].concat());
        let line = server.line();
        let address = line.strip_prefix("listening on ");
        let address = address.expect("the first line is the address").to_owned();
        (server, address)
    }

    /// Of two shards one does not return, and nobody but the manager looks after that.
    #[cfg(target_os = "linux")]
    pub(super) fn a_service_manager_hears_nothing_while_one_shard_hangs() {
        let name = format!("rejoin-own-binary-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let manager = UnixDatagram::bind(&path).expect("a free path");
        let socket = path.to_str().expect("a plain name");
        let variables = [("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "1000000")];
        let (_server, address) =
            start_with(&variables, &["--shards", "2", "--limit", "watchdog=0s"]);
        let told = |within| {
            manager
                .set_read_timeout(Some(within))
                .expect("a socket takes it");
            let mut bytes = [0; 64];
            let length = manager.recv(&mut bytes).ok()?;
            String::from_utf8(bytes.get(..length)?.to_vec()).ok()
        };
        let second = Duration::from_secs(1);
        assert_eq!(told(support::PATIENCE).as_deref(), Some("READY=1"));
        for _ in 0..6 {
            assert_eq!(told(second * 5).as_deref(), Some("WATCHDOG=1"));
        }
        within_patience(async {
            let (_client, room) = join(&address, "eve").await;
            room.send(Press::Hang).expect("little waits");
            // It takes a while until that is sure.
            let (start, mut last) = (Instant::now(), Instant::now());
            while last.elapsed() < second * 2 {
                assert!(start.elapsed() < second * 20, "it pings on");
                if told(second / 10).is_some() {
                    last = Instant::now();
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        drop(std::fs::remove_file(&path));
    }

    /// Asks an operators' port whether the server takes turns.
    fn livez(admin: &str) -> Option<String> {
        let mut stream = TcpStream::connect(admin).ok()?;
        let request = format!("GET /livez HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub(super) fn room_logic_that_does_not_return_is_named_and_the_process_aborts() {
        let (mut server, address) = start(&["--admin", "127.0.0.1:0", "--log", "info"]);
        let admin = loop {
            let line = server.log_line();
            if let Some((_, admin)) = line.split_once("operators ask at http://") {
                break admin.to_owned();
            }
        };
        let id = within_patience(async {
            let (_client, mut room) = join(&address, "ana").await;
            room.send(Press::Nap).expect("little waits");
            while room.cursor() != Some(1) {
                room.next().await.expect("the room is open");
            }
            let line = loop {
                let line = server.log_line();
                if line.contains("over its budget") {
                    break line;
                }
            };
            assert!(line.contains("call=\"input\" took="), "{line}");
            let healthy = livez(&admin).expect("the server answers");
            assert!(healthy.starts_with("HTTP/1.1 200"), "{healthy}");
            room.send(Press::Hang).expect("little waits");
            let id = room.room();
            // Its end is the end of this client too.
            tokio::task::spawn_blocking(move || {
                let (start, mut unhealthy) = (Instant::now(), None);
                while let Some(answer) = livez(&admin) {
                    assert!(start.elapsed() < support::PATIENCE, "it goes on");
                    if answer.starts_with("HTTP/1.1 503") {
                        unhealthy = Some(answer);
                    }
                    std::thread::sleep(NAP);
                }
                let told = unhealthy.expect("it says so before it ends");
                assert!(told.contains("no turn of shard 0 for"), "{told}");
            })
            .await
            .expect("it ends");
            id
        });
        let ended = server.end();
        assert_eq!(ended.signal, Some(SIGABRT), "{ended:?}");
        let line = ended.stderr.lines().last().unwrap_or_default();
        let words = [
            "ERROR",
            "room logic does not return; the process aborts",
            &format!("room={id}"),
            "kind=\"counter\"",
            "stalled=5s",
        ];
        for word in words {
            assert!(line.contains(word), "{word} is not in {ended:?}");
        }
    }

    const SIGABRT: i32 = 6;

    pub(super) fn a_process_that_was_stopped_as_a_whole_goes_on() {
        let (server, address) = start(&["--limit", "watchdog=2s"]);
        within_patience(async {
            let (_client, mut room) = join(&address, "ben").await;
            for number in 1..=2 {
                room.send(Press::Nap).expect("little waits");
                tokio::time::sleep(NAP * 3).await;
                signal(server.id(), "STOP");
                tokio::time::sleep(Duration::from_secs(4)).await;
                signal(server.id(), "CONT");
                while room.cursor() != Some(number) {
                    room.next().await.expect("the room is open");
                }
            }
            // Nothing is to be done, for longer than a call may take.
            tokio::time::sleep(Duration::from_secs(3)).await;
            room.send(Press::Add).expect("little waits");
            while room.cursor() != Some(3) {
                room.next().await.expect("the room is open");
            }
        });
        signal(server.id(), "TERM");
        let ended = server.end();
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{ended:?}"
        );
    }
}
