//! A game's own binary made with `rejoin::serve`: this file is one. Started by `cargo test` it
//! plays the tests below against itself, started by them it is the game.

mod support;
mod within_patience;

use std::process::ExitCode;

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
        }
    }

    fn view(state: &Count) -> Cow<'_, Count> {
        Cow::Borrowed(state)
    }
}

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
    ExitCode::SUCCESS
}

fn game(arguments: &[&str]) -> Process {
    let program = std::env::current_exe().expect("a running test has a file");
    Process::of(
        &program,
        &[(IS_GAME, "1"), ("RUST_BACKTRACE", "full")],
        arguments,
    )
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
