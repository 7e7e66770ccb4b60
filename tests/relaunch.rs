//! A client whose process is killed, and a server whose process is killed: both come back. The client is the
//! example `rejoin`: started by `cargo test` this binary plays the tests below, started by them it is the game.

#[path = "../crates/rejoin/examples/rejoin.rs"]
#[allow(dead_code, reason = "as a part of this it has no `main`")]
mod game;
mod support;
mod within_patience;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rejoin::client::{ConnectError, TicketFileError};
use rejoin::prelude::*;
use rejoin::room::builtin::arena::{Arena, Field, Move};
use support::Process;
use within_patience::within_patience;

/// Says that this process is the game: address, name and ticket file follow.
const GAME: &str = "game";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [GAME, address, name, file] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        within_patience(game::play(address, name, file))
            .expect("the game goes on until it is killed");
        return ExitCode::SUCCESS;
    }
    let asked = |name: &str| {
        let filters = || {
            arguments
                .iter()
                .filter(|argument| !argument.starts_with('-'))
        };
        filters().next().is_none() || filters().any(|filter| name.contains(filter.as_str()))
    };
    for (name, test) in TESTS {
        if asked(name) {
            drop(writeln!(std::io::stdout(), "test {name}"));
            test();
        }
    }
    ExitCode::SUCCESS
}

const TESTS: [(&str, fn()); 7] = [
    (
        "a_killed_client_is_back_in_its_seat",
        a_killed_client_is_back_in_its_seat,
    ),
    (
        "the_newer_of_two_clients_has_the_session",
        the_newer_of_two_clients_has_the_session,
    ),
    (
        "clients_of_a_killed_server_are_back",
        clients_of_a_killed_server_are_back,
    ),
    (
        "everybody_plays_on_whenever_the_server_is_killed",
        everybody_plays_on_whenever_the_server_is_killed,
    ),
    (
        "a_ticket_that_is_not_taken_leaves_the_permit",
        a_ticket_that_is_not_taken_leaves_the_permit,
    ),
    (
        "bots_that_share_sockets_are_told_that_their_server_was_killed",
        bots_that_share_sockets_are_told_that_their_server_was_killed,
    ),
    (
        "nobody_shows_a_ticket_to_another_server",
        nobody_shows_a_ticket_to_another_server,
    ),
];

/// A folder of its own for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("rejoin-relaunch-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0
            .join(name)
            .to_str()
            .expect("an ASCII path")
            .to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A server with its secrets in `data`, at that address, and where it says that it is.
fn serve(bind: &str, data: &str) -> (Process, String) {
    serve_with(bind, data, &[])
}

fn serve_with(bind: &str, data: &str, more: &[&str]) -> (Process, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let arguments = ["serve", "--bind", bind, "--data", data, "--print-address"];
    let mut server = Process::of(program, &[], &[&arguments, more].concat());
    let line = server.line();
    let address = line.strip_prefix("listening on ").expect("an address");
    (server, address.to_owned())
}

/// The place in an address: `HOST:PORT`.
fn place(address: &str) -> &str {
    let (_, place) = address
        .rsplit_once(['@', '/'])
        .expect("an address with a scheme");
    place
}

/// The game as a process of its own, and what it says first: who it is, in which room.
fn launch(address: &str, file: &str) -> (Process, String) {
    let program = std::env::current_exe().expect("this binary has a path");
    let mut game = Process::spawn_plain(&program, &[GAME, address, "ana", file]);
    let who = game.line();
    (game, who)
}

/// The next steps that the game tells, `least` or more.
fn steps(game: &mut Process, least: u64) -> u64 {
    loop {
        let line = game.line();
        let steps = line
            .strip_suffix(" steps")
            .and_then(|steps| steps.parse().ok());
        if let Some(steps) = steps.filter(|steps| *steps >= least) {
            return steps;
        }
    }
}

fn a_killed_client_is_back_in_its_seat() {
    let folder = Folder::new("client");
    let (_server, address) = serve("127.0.0.1:0", &folder.path("data"));
    let file = folder.path("ana.ticket");
    let (mut game, who) = launch(&address, &file);
    let mut done = steps(&mut game, 3);
    for _ in 0..3 {
        // `Drop` kills it with SIGKILL, and waits for its end.
        drop(game);
        let again;
        (game, again) = launch(&address, &file);
        assert_eq!(again, who, "the same player in the same room");
        let first = steps(&mut game, 0);
        assert!(first >= done, "{first} steps after {done}");
        done = steps(&mut game, first + 3);
    }
}

fn the_newer_of_two_clients_has_the_session() {
    let folder = Folder::new("two");
    let (_server, address) = serve("127.0.0.1:0", &folder.path("data"));
    let file = folder.path("ana.ticket");
    let (mut older, who) = launch(&address, &file);
    steps(&mut older, 1);
    let (mut newer, same) = launch(&address, &file);
    assert_eq!(same, who);
    let seen = steps(&mut newer, 2);
    let ended = older.end();
    assert_ne!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("Replaced"), "{ended:?}");
    // Nobody takes it back.
    steps(&mut newer, seen + 20);
}

fn clients_of_a_killed_server_are_back() {
    let folder = Folder::new("server");
    let data = folder.path("data");
    let (server, address) = serve("127.0.0.1:0", &data);
    within_patience(async {
        let client = Client::connect(&address, Permit::dev("ana"))
            .await
            .expect("it is there");
        let session = client.session();
        let mut room = join(&client).await;
        room.send(Move(1.0, 0.0, 1, true)).expect("little waits");
        next_view(&mut room).await;
        drop(server);
        // Whatever is sent now is answered with a closed port.
        let step = std::time::Duration::from_millis(50);
        for number in 2..20 {
            room.send(Move(1.0, 0.0, number, true)).expect("it is kept");
            tokio::time::sleep(step).await;
        }
        let (_server, again) = serve(place(&address), &data);
        assert_eq!(again, address);
        let receipt = loop {
            let event = room.next().await.expect("the room goes on");
            if let RoomEvent::Resumed(receipt) = event {
                break receipt;
            }
            let over = matches!(event, RoomEvent::Closed(_) | RoomEvent::Ended(_));
            assert!(!over, "{event:?}");
        };
        assert!(receipt.cursor + receipt.inputs_resent >= 19, "{receipt:?}");
        assert_eq!(client.session(), session);
        next_view(&mut room).await;
    });
}

/// A reset names its connection as the server does: each has to find its bot.
fn bots_that_share_sockets_are_told_that_their_server_was_killed() {
    let folder = Folder::new("bots");
    let data = folder.path("data");
    let (server, address) = serve("127.0.0.1:0", &data);
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let asked = [
        "bots",
        &address,
        "-n",
        "24",
        "--behaviour",
        "idle",
        "--for",
        "6s",
    ];
    let checks = ["resumes.ok==24", "resumes.failed==0"].map(|check| ["--check", check]);
    let more = ["--threads", "1", "--lateness-max", "1m"];
    let mut bots = Process::of(
        program,
        &[],
        &[&asked, checks.as_flattened(), &more].concat(),
    );
    while !bots.line().starts_with("playing") {}
    drop(server);
    let (_server, again) = serve(place(&address), &data);
    assert_eq!(again, address);
    let ended = bots.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// The bots' own chains show what was lost or applied twice.
fn everybody_plays_on_whenever_the_server_is_killed() {
    for shards in ["1", "2"] {
        let folder = Folder::new(&format!("kills-{shards}"));
        let data = folder.path("data");
        let more = ["--shards", shards];
        let (mut server, address) = serve_with("127.0.0.1:0", &data, &more);
        let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
        let asked = ["bots", &address, "-n", "24", "--rooms", "3", "--for", "9s"];
        let checks = [
            "resumes.failed==0",
            "inputs.lost==0",
            "inputs.duplicated==0",
        ];
        let checks = checks.map(|check| ["--check", check]);
        let late = ["--lateness-max", "1m"];
        let arguments = [&asked, checks.as_flattened(), &late].concat();
        let mut bots = Process::of(program, &[], &arguments);
        while !bots.line().starts_with("playing") {}
        for pause in [700, 1_300, 200, 900] {
            std::thread::sleep(std::time::Duration::from_millis(pause));
            drop(server);
            let (next, again) = serve_with(place(&address), &data, &more);
            assert_eq!(again, address);
            server = next;
        }
        let ended = bots.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

fn a_ticket_that_is_not_taken_leaves_the_permit() {
    let folder = Folder::new("refused");
    let data = folder.path("data");
    let (server, address) = serve("127.0.0.1:0", &data);
    let options = ConnectOptions::new().ticket_file(folder.path("ana.ticket"));
    let (game, _) = launch(&address, &folder.path("ana.ticket"));
    wait_for_file(&folder.path("ana.ticket"));
    drop((game, server));
    // The same server for all that its clients know, but what sealed their tickets is gone.
    for entry in std::fs::read_dir(&data).expect("the server's folder") {
        let entry = entry.expect("a file of it");
        if entry.file_name() == "rooms" {
            std::fs::remove_dir_all(entry.path()).expect("it can go");
        } else if entry.file_name() != "server.key" {
            std::fs::remove_file(entry.path()).expect("it can go");
        }
    }
    let (_server, address) = serve(place(&address), &data);
    within_patience(async {
        let connecting = Client::connect_with(&address, Permit::dev("ana"), options);
        let client = connecting.await.expect("the permit serves");
        assert!(client.ticket_refused());
        next_view(&mut join(&client).await).await;
        client.disconnect().await;
    });
    assert!(!Path::new(&folder.path("ana.ticket")).exists());
}

fn nobody_shows_a_ticket_to_another_server() {
    let folder = Folder::new("foreign");
    let (_one, one) = serve("127.0.0.1:0", &folder.path("one"));
    let (_two, two) = serve("127.0.0.1:0", &folder.path("two"));
    let file = folder.path("ana.ticket");
    let (_game, _) = launch(&one, &file);
    wait_for_file(&file);
    within_patience(async {
        let options = ConnectOptions::new().ticket_file(&file);
        let refused = Client::connect_with(&two, Permit::dev("ana"), options).await;
        assert!(
            matches!(
                refused,
                Err(ConnectError::TicketFile(
                    TicketFileError::OtherServer { .. }
                ))
            ),
            "{refused:?}"
        );
    });
}

async fn join(client: &Client) -> RoomHandle<Arena> {
    let joined = client.join_or_create::<Arena>(JoinSpec::any()).await;
    joined.expect("there is room")
}

async fn next_view(room: &mut RoomHandle<Arena>) -> Field {
    loop {
        if let RoomEvent::View(view) = room.next().await.expect("the room is open") {
            return view;
        }
    }
}

fn wait_for_file(path: &str) {
    let start = std::time::Instant::now();
    while !Path::new(path).exists() {
        assert!(start.elapsed() < support::PATIENCE, "no ticket came");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
